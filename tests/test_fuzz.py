"""Whatever a reader is given: a result, or a ValueError with a short message.

FOC_FUZZ is the number of cases for each of the readers; make fuzz sets a large one.
"""

import collections
import io
import json
import os
import pathlib
import tempfile
import types
import zipfile

import pytest
import tensorflow as tf
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from foc_tf import report as reports
from foc_tf import workdirs
from foc_tf.backbones import pytorch_file
from foc_tf.comparing import choosing, reaching, significance, summary
from foc_tf.data import decoding, prepared
from foc_tf.formats import FORMATS, image_check, merging
from foc_tf.formats.listing import Listing
from foc_tf.formats.tree import Tree
from foc_tf.predicting import models, partial
from foc_tf.serving import cluster_names
from tests import fuzzing
from tests.fake_grid import report
from tests.fuzz_sources import DCIC, DCIC_KEYS, IMAGES, SOURCES, lines, zipped
from tests.served_model import good_images

CASES = int(os.environ.get("FOC_FUZZ", "30"))
COUNTS = collections.Counter()
fuzz = settings(
    max_examples=CASES,
    deadline=None,
    database=None,
    phases=[Phase.generate],  # edits are short as they are; shrinking takes minutes
    derandomize=CASES < 1000,
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module", autouse=True)
def counted():
    """Prints how many cases there were."""
    yield
    print(f"\nfuzz: {sum(COUNTS.values()):,} cases: {dict(sorted(COUNTS.items()))}")


def case(name, contents, read):
    """One case: files in a folder of its own, then the reader on the folder."""
    with tempfile.TemporaryDirectory(prefix="fuzz") as folder:
        folder = pathlib.Path(folder)
        for file, content in contents.items():
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_bytes(content)
        found = fuzzing.outcome(lambda: read(folder))
    COUNTS[f"{name}: {found}"] += 1
    return found


def read_all(kind, source):
    collection = FORMATS[kind](source)
    collection.votes()
    return len(collection)


@pytest.mark.parametrize("kind", SOURCES)
def test_tables_of_other_tools(kind):
    tables = SOURCES[kind]
    contents = st.fixed_dictionaries(
        {
            name: st.one_of(fuzzing.edited(sound), fuzzing.tables(list(columns), delimiter))
            for name, (columns, sound, delimiter) in tables.items()
        }
    )

    @fuzz
    @given(contents)
    def run(contents):
        case(kind, IMAGES | contents, lambda folder: read_all(kind, Tree(folder)))

    run()


@fuzz
@given(fuzzing.documents(DCIC, DCIC_KEYS))
def test_dcic(content):
    files_ = {"fold1/a.png": IMAGES["a.png"], "annotations.json": content}
    case("dcic", files_, lambda folder: read_all("dcic", Tree(folder)))


@pytest.mark.parametrize("kind", SOURCES)
def test_archives(kind):
    @fuzz
    @given(fuzzing.edited(zipped(kind)))
    def run(content):
        def read(folder):
            tree = Tree(folder / "in.zip")
            read_all(kind, tree)
            for name in tree.names:
                fuzzing.outcome(lambda name=name: tree.read(name))

        case(f"{kind}.zip", {"in.zip": content}, read)

    run()


@fuzz
@given(st.one_of(fuzzing.edited(b"a.png\nb.png\n"), st.binary(max_size=60)))
def test_lists(content):
    case("list", IMAGES | {"l.txt": content}, lambda f: read_all("list", Listing(f / "l.txt")))


PREPARED = {
    "annotations.csv": (
        ("image", "class", "votes"),
        b"image,class,votes\na.png,cat,2\nb.png,dog,1\n",
    ),
    "splits.csv": (("image", "split"), b"image,split\na.png,train\nb.png,val\n"),
    "original_labels.csv": (("image", "class"), b"image,class\na.png,cat\n"),
    "records.csv": (("image", "file", "place"), b"image,file,place\n"),
}
INFO_KEYS = ("classes", "ignored_classes", "certain_threshold", "name", "licence", "checked_images")


def either(name):
    columns, sound = PREPARED[name]
    return st.one_of(fuzzing.edited(sound), fuzzing.tables(list(columns)))


@fuzz
@given(
    st.fixed_dictionaries(
        {"annotations.csv": either("annotations.csv")},
        optional={name: either(name) for name in PREPARED if name != "annotations.csv"}
        | {"dataset.json": fuzzing.documents({"classes": ["cat", "dog"], "name": "x"}, INFO_KEYS)},
    )
)
def test_prepared_data_sets(contents):
    case("prepared", IMAGES | contents, lambda folder: prepared.read(folder))


@fuzz
@given(st.one_of(fuzzing.edited(b"from,to\ncat,dog\n"), fuzzing.tables(["from", "to"])))
def test_merges(content):
    case("merge", {"m.csv": content}, lambda folder: merging.read_mapping(folder / "m.csv"))


@fuzz
@given(
    st.one_of(
        fuzzing.edited(b"cluster,name,class\n0,eggs,cat\n"),
        fuzzing.tables(["cluster", "name", "class"]),
    )
)
def test_names_of_clusters(content):
    case("names", {"n.csv": content}, lambda f: cluster_names.read(f / "n.csv", 3, ["cat", "dog"]))


@fuzz
@given(st.one_of(fuzzing.edited(b"--k=20\n--seed=0\n--workdir=x\n"), st.binary(max_size=80)))
def test_flags_of_a_run(content):
    given_ = {"k": 20, "seed": 0, "workdir": "x"}
    case("flags.txt", {"flags.txt": content}, lambda folder: workdirs.claim(folder, given_))


REPORT_KEYS = (
    "splits",
    "val",
    "fuzzy",
    "normal",
    "over",
    "sub_head",
    "macro_f1",
    "stages",
    "images",
)
MODEL = types.SimpleNamespace(head_names=("normal", "over"), num_sub_heads=2)


@fuzz
@given(fuzzing.documents(report(), REPORT_KEYS))
def test_reports(content):
    def read(folder):
        fuzzing.outcome(lambda: models._best_sub_heads(folder, MODEL))
        found = reports.read(folder / "report.json")
        fuzzing.outcome(lambda: choosing.validation_score(found))
        fuzzing.outcome(lambda: summary._spent(found, "images"))
        summary.score(found, "fuzzy", "over.train.macro_f1")

    case("report.json", {"report.json": content}, read)


COLUMNS = [
    *("image", "split", "certain", "reference_class", "normal_class", "normal_prob", "cluster"),
    *("cluster_prob", "cluster_class"),
]
ROW = ["a", "test", "True", "cat", "dog", "0.5", "1", "0.5", "cat"]


@fuzz
@given(st.one_of(fuzzing.edited(lines(COLUMNS, ROW)), fuzzing.tables(COLUMNS)))
def test_predictions_of_a_run(content):
    def read(folder):
        fuzzing.outcome(lambda: significance.Predictions(folder, ["cat", "dog"], "test").labels)
        models._cluster_classes(folder, ["cat", "dog"], 3)

    case("predictions.csv", {"predictions.csv": content}, read)


@fuzz
@given(
    st.one_of(
        fuzzing.edited(b"epoch,seconds,images,val_x\n0,1.5,10,0.5\n1,1.5,10,0.9\n"),
        fuzzing.tables(["epoch", "seconds", "images", "val_x"]),
    )
)
def test_histories(content):
    goal = reaching.Goal("val_x", 0.8)
    case("history.csv", {"h.csv": content}, lambda folder: reaching.reached(folder / "h.csv", goal))


STATE = {"done": 1, "rows": 1, "bytes": 2, "unreadable": 0, "unreadable_bytes": 0}
STATE |= {"complete": False, "work": {"model": "m"}}


@fuzz
@given(fuzzing.documents(STATE, tuple(STATE)))
def test_states_of_predictions(content):
    def read(folder):
        with partial.Partial(folder / "o.csv", {"model": "m"}, b"x\n"):
            pass

    case("partial.json", {"o.csv.partial": b"x\n", "o.csv.partial.json": content}, read)


@fuzz
@given(st.sampled_from(sorted(good_images())).flatmap(lambda n: fuzzing.edited(good_images()[n])))
def test_images(content):
    """What the check lets pass, TensorFlow decodes or refuses as an invalid argument."""

    def read(folder):
        checked = image_check.usable(content, 10**6)[0]
        try:
            decoding.decode(checked, 8, 3)
        except tf.errors.InvalidArgumentError:
            COUNTS["image: refused by TensorFlow only"] += 1

    case("image", {}, read)
    assert decoding._fault(content) is None or len(decoding._fault(content)) <= 200


def pytorch_zip():
    """A state dict as torch writes it, made without torch: protocol 2, one float tensor."""
    import pickle

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a/data.pkl", pickle.dumps({}, 2))
        archive.writestr("a/data/0", b"\0" * 16)
    return buffer.getvalue()


@fuzz
@given(
    st.one_of(
        fuzzing.edited(pytorch_zip()), st.binary(max_size=80), fuzzing.edited(b"\x80\x02}q\x00.")
    )
)
def test_weights_of_pytorch(content):
    case("pth", {"w.pth": content}, lambda folder: pytorch_file.read_tensors(folder / "w.pth"))


def tables_of(kind):
    return {name: content for name, (_, content, _) in SOURCES[kind].items()}


SOUND = {
    **{
        kind: (IMAGES | tables_of(kind), lambda f, kind=kind: read_all(kind, Tree(f)))
        for kind in SOURCES
    },
    **{
        f"{kind}.zip": (
            {"in.zip": zipped(kind)},
            lambda f, kind=kind: read_all(kind, Tree(f / "in.zip")),
        )
        for kind in SOURCES
    },
    "dcic": (
        {"fold1/a.png": IMAGES["a.png"], "annotations.json": json.dumps(DCIC).encode()},
        lambda f: read_all("dcic", Tree(f)),
    ),
    "list": (
        IMAGES | {"l.txt": b"a.png\nb.png\n"},
        lambda f: read_all("list", Listing(f / "l.txt")),
    ),
    "prepared": (
        IMAGES | {name: PREPARED[name][1] for name in ("annotations.csv", "splits.csv")},
        prepared.read,
    ),
    "merge": ({"m.csv": b"from,to\ncat,dog\n"}, lambda f: merging.read_mapping(f / "m.csv")),
    "names": (
        {"n.csv": b"cluster,name,class\n0,eggs,cat\n"},
        lambda f: cluster_names.read(f / "n.csv", 3, ["cat", "dog"]),
    ),
    "report.json": (
        {"report.json": json.dumps(report()).encode()},
        lambda f: choosing.validation_score(reports.read(f / "report.json")),
    ),
    "predictions.csv": (
        {"predictions.csv": lines(COLUMNS, ROW)},
        lambda f: significance.Predictions(f, ["cat", "dog"], "test").labels,
    ),
    "history.csv": (
        {"h.csv": b"epoch,seconds,images,val_x\n0,1.5,10,0.5\n"},
        lambda f: reaching.reached(f / "h.csv", reaching.Goal("val_x", 0.8)),
    ),
    "pth": ({"w.pth": pytorch_zip()}, lambda f: pytorch_file.read_tensors(f / "w.pth")),
}


@pytest.mark.parametrize("name", SOUND)
def test_what_is_edited_is_sound(name):
    """A reader that refused everything would pass the rest of this file."""
    contents, read = SOUND[name]
    assert case(f"{name}, sound", contents, read) == "read"


def test_the_rule_itself_notices_other_exceptions():
    def fail():
        json.loads("{")

    with pytest.raises(AssertionError, match="JSONDecodeError"):
        fuzzing.outcome(fail)
    with pytest.raises(KeyError):
        fuzzing.outcome(lambda: {}["x"])
    assert fuzzing.outcome(lambda: 1) == "read"
