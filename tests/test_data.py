"""Readers and roles: every error a user can make, real data, and what must always hold."""

import dataclasses
import json
import shutil
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foc_tf.data import folder, prepared, reading
from foc_tf.data.images import ImageSet, check_trainable

ROWS = [(f"images/{i}.png", "cat" if i < 5 else "dog", 2) for i in range(10)]


COUNTS = {  # labelled, fuzzy, val
    "cifar10h-small": (1620, 975, 405),
    "cifar10n-twin": (5542, 5352, 1386),
    "plankton-small": (920, 0, 230),
}


def fill(where, *names):
    for name in names:
        (where / name).parent.mkdir(parents=True, exist_ok=True)
        (where / name).touch()
    return where


def write(where, rows=ROWS, splits=None, info=None, header="image,class,votes"):
    """A prepared dataset; the readers do not look into images, so these are empty."""
    fill(where, *(name for name, _, _ in ROWS))
    rows = (r if isinstance(r, str) else ",".join(map(str, r)) for r in rows)
    (where / "annotations.csv").write_text("\n".join([header, *rows]) + "\n")
    if splits is not None:
        (where / "splits.csv").write_text("\n".join(["image,split", *splits]) + "\n")
    if info is not None:
        (where / "dataset.json").write_text(info if isinstance(info, str) else json.dumps(info))
    return where


def every_split(changes=()):
    words = {name: "train" for name, _, _ in ROWS} | dict(changes)
    return [f"{name},{word}" for name, word in words.items()]


@pytest.mark.parametrize(("name", "counts"), COUNTS.items())
def test_real_data(shared, name, counts):
    image_set = prepared.read(shared / "data" / name)
    roles = image_set.roles()
    assert (len(roles.labeled), len(roles.fuzzy), len(roles.val)) == counts
    assert (len(roles.unlabeled), image_set.name) == (counts[1], name)
    assert (image_set.original is None) == (name == "plankton-small")
    check_trainable(image_set, image_set.training_labels())


def test_threshold_argument_before_file_before_one(tmp_path, shared):
    path = shared / "data" / "cifar10h-small"
    assert prepared.read(path).certain_threshold == 0.97
    unanimous = prepared.read(path, certain_threshold=1.0)
    assert unanimous.annotations.certain.sum() == 1340
    assert prepared.read(write(tmp_path)).certain_threshold == 1.0
    with pytest.raises(ValueError, match="certain_threshold"):
        prepared.read(tmp_path, certain_threshold=0).roles()


def test_rows_are_summed_stripped_and_a_byte_order_mark_is_skipped(tmp_path):
    write(tmp_path, [*ROWS, " images/0.png , dog , 3 ", "", "images/0.png,cat,1"])
    path = tmp_path / "annotations.csv"
    path.write_text(path.read_text(), encoding="utf-8-sig")
    image_set = prepared.read(tmp_path)
    assert image_set.classes == ("cat", "dog")
    assert image_set.votes[list(image_set.ids).index("images/0.png")].tolist() == [3, 3]


def test_order_of_classes_is_that_of_dataset_json(tmp_path):
    info = {"classes": ["dog", "cat"], "ignored_classes": ["cat"], "name": "pets"}
    found = prepared.read(write(tmp_path, info=info))
    assert (found.name, found.classes, found.ignored_classes) == ("pets", ("dog", "cat"), ("cat",))


def test_images_without_rows_are_unlabelled(tmp_path):
    fill(write(tmp_path), "images/more/new.JPG", "images/notes.txt", "images/.hidden.png")
    image_set = prepared.read(tmp_path)
    roles = image_set.roles()
    assert image_set.ids[roles.unlabeled].tolist() == ["images/more/new.JPG"]
    assert len(roles.fuzzy) == 0


def test_original_labels_are_kept_apart(tmp_path):
    write(tmp_path)
    (tmp_path / "original_labels.csv").write_text("image,class\nimages/0.png,dog\n")
    image_set = prepared.read(tmp_path)
    assert image_set.original.tolist() == [1] + [-1] * 9
    assert image_set.training_labels()[0] in (0, -1)
    (tmp_path / "original_labels.csv").write_text("image,class\nimages/0.png,cow\n")
    with pytest.raises(ValueError, match=r"original_labels.csv, line 2.*'cow'"):
        prepared.read(tmp_path)


MISSING = [f"images/x{i}.png,cat,1" for i in range(5)]
TRAILING = [f"{name},{c},{v}," for name, c, v in ROWS]
BAD = [
    ({"rows": [*ROWS, "images/0.png,cat,1.5"]}, r"annotations.csv, line 12.*'1.5'"),
    ({"rows": [*ROWS, "images/0.png,cat,-1"]}, "line 12.*'-1'"),
    ({"rows": [*ROWS, "images/0.png,cat,"]}, "line 12: no votes"),
    ({"rows": ["", *ROWS, "images/0.png,cat,x"]}, "line 13"),
    ({"rows": [("images/0.png", "", 1), *ROWS]}, "line 2: no class"),
    ({"rows": ROWS + MISSING}, r"names 5 images.*/x0.png, images/x1.png, images/x2.png \("),
    ({"rows": [*ROWS, "../secret.png,cat,1"]}, r"'\.\./secret.png' must lie in"),
    ({"rows": [*ROWS, "/etc/secret.png,cat,1"]}, "'/etc/secret.png' must lie in"),
    ({"rows": [*ROWS, "images\\0.png,cat,1"]}, "must lie in"),
    ({"rows": TRAILING}, "more fields than the header"),
    ({"rows": []}, "no rows"),
    ({"splits": every_split({"images/3.png": "dev"})}, r"splits.csv, line 5.*'dev'"),
    ({"splits": [*every_split(), "images/3.png,val"]}, r"line 12.*once.*'images/3.png'"),
    ({"splits": [*every_split(), "images/x.png,val"]}, r"line 12.*'images/x.png'"),
    ({"splits": every_split()[:8]}, r"2 images of annotations.csv have no split.*8.png"),
    ({"info": "{"}, "dataset.json: not JSON"),
    ({"info": "[]"}, "expected a JSON object, found list"),
    ({"info": {"classes": ["cat", "cow"]}}, r"annotations.csv, line 7: unknown.*'dog'"),
    ({"info": {"classes": ["cat", "dog", "cat"]}}, "distinct"),
    ({"info": {"classes": "cat"}}, "list of distinct names"),
    ({"info": {"classes": ["cat", "dog"], "ignored_classes": ["cow"]}}, "'cow'"),
    ({"info": {"certain_threshold": "most"}}, "certain_threshold must be a number.*'most'"),
]


@pytest.mark.parametrize(("files", "message"), BAD)
def test_a_wrong_file_is_named_with_its_line(tmp_path, files, message):
    with pytest.raises(ValueError, match=message):
        prepared.read(write(tmp_path, **files))


def test_missing_folder_file_and_columns(tmp_path):
    with pytest.raises(ValueError, match="is not a folder"):
        prepared.read(tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r"no annotations.csv.*--dataset=folder"):
        prepared.read(tmp_path)
    with pytest.raises(ValueError, match="expected the columns image,class,votes, found image;c"):
        prepared.read(write(tmp_path, [], header="image;class;votes"))
    (tmp_path / "annotations.csv").write_text("")
    with pytest.raises(ValueError, match="not a CSV table"):
        prepared.read(tmp_path)


def test_an_unknown_data_set_and_a_missing_folder_are_refused():
    for name, message in (("digit", "expected one of prepared.*'digit'"), ("folder", "--data_dir")):
        with pytest.raises(ValueError, match=message):
            reading.read(name, None)


@pytest.mark.parametrize("name", ["tfds:", "tfds:no_such_set", "tfds:fuzzy_plankton/slice9"])
def test_an_unknown_tfds_name_is_refused(tmp_path, name):
    with pytest.raises(ValueError, match=name.removeprefix("tfds:").partition("/")[0] or "tfds:"):
        reading.read(name, tmp_path)


def test_split_by_seed_is_stratified_and_repeatable(tmp_path):
    write(tmp_path)
    splits = [prepared.read(tmp_path, seed=s).splits.tolist() for s in (0, 0, 1, 2, 3)]
    assert splits[0] == splits[1]
    assert any(s != splits[0] for s in splits)
    for s in splits:
        assert s[:5].count("val") == s[5:].count("val") == 1


def test_many_rows_are_read_in_a_time_that_grows_with_their_number(tmp_path, monkeypatch):
    """Measured below 1 s; a set built anew for every row was quadratic."""
    monkeypatch.setattr(prepared, "_sources", lambda folder, path, ids, files: ids)
    names = [f"images/{i:06}.png" for i in range(100_000)]
    write(tmp_path, [(n, "cat", 1) for n in names], [f"{n},train" for n in names])
    shutil.rmtree(tmp_path / "images")
    start = time.perf_counter()
    assert len(prepared.read(tmp_path).ids) == 100_000
    assert time.perf_counter() - start < 10


def test_class_folders_with_splits(tmp_path):
    names = ["train/a/1.png", "train/b/2.JPG", "val/a/x/3.gif", "test/b/4.bmp", "unlabeled/5.jpeg"]
    fill(tmp_path, *names, "train/a/.hidden.png", "train/a/notes.txt", "train/.cache/1.png")
    image_set = folder.read(tmp_path)
    assert (sorted(image_set.ids), image_set.classes) == (sorted(names), ("a", "b"))
    sizes = {k: len(v) for k, v in vars(image_set.roles()).items()}
    assert sizes == {"labeled": 2, "unlabeled": 1, "val": 1, "fuzzy": 0, "test": 1}


def test_flat_class_folders_are_split(tmp_path):
    fill(tmp_path, *(f"{c}/{i}.png" for c in "ab" for i in range(10)), "unlabeled/1.png")
    fill(tmp_path, ".thumbnails/1.png")
    image_set = folder.read(tmp_path, seed=3)
    roles = image_set.roles()
    assert image_set.classes == ("a", "b")
    assert np.bincount(image_set.annotations.reference[roles.val]).tolist() == [2, 2]
    assert image_set.ids[roles.unlabeled].tolist() == ["unlabeled/1.png"]
    assert len(roles.labeled) == 16
    fill(tmp_path, *(f"x/train/{c}/{i}.png" for c in "ab" for i in range(10)), "x/test/a/0.png")
    roles = folder.read(tmp_path / "x").roles()
    assert (len(roles.labeled), len(roles.val), len(roles.test)) == (16, 4, 1)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "holds no <class>/<image>"),
        (["a/1.txt"], "holds no <class>/<image>"),
        (["unlabeled/1.png"], "holds no <class>/<image>"),
        (["a/1.png", "a/2.png"], "one class only, 'a'"),
        (["train/a/1.png", "train/b/1.png", "val/c/1.png"], r"class 'c' of val/ is not in train/"),
        (["val/a/1.png", "test/b/1.png"], "val/ but no train/"),
    ],
)
def test_bad_class_folders(tmp_path, names, message):
    with pytest.raises(ValueError, match=message):
        folder.read(fill(tmp_path, *names))
    with pytest.raises(ValueError, match="is not a folder"):
        folder.read(tmp_path / "nowhere")


def make(votes, splits=None):
    votes = np.asarray(votes, np.int64)
    ids = np.asarray([f"{i}.png" for i in range(len(votes))], object)
    splits = np.full(len(votes), "train", object) if splits is None else np.asarray(splits, object)
    classes = tuple("abcdefgh"[: votes.shape[1]])
    return ImageSet("made", classes, ids, ids.copy(), votes, splits)


@st.composite
def image_sets(draw):
    count, classes = draw(st.integers(1, 25)), draw(st.integers(2, 4))
    row = st.lists(st.integers(0, 3), min_size=classes, max_size=classes)
    votes = draw(st.lists(row, min_size=count, max_size=count))
    words = st.lists(st.sampled_from(["train", "val", "test"]), min_size=count, max_size=count)
    threshold = draw(st.sampled_from([0.6, 0.75, 1.0]))
    return dataclasses.replace(make(votes, draw(words)), certain_threshold=threshold)


@settings(deadline=None, max_examples=150)
@given(image_set=image_sets(), kept=st.integers(0, 3), seed=st.integers(0, 9))
def test_roles_partition_the_images(image_set, kept, seed):
    roles, certain = image_set.roles(), image_set.annotations.certain
    parts = np.concatenate([roles.labeled, roles.val, roles.test, roles.unlabeled])
    assert sorted(parts) == list(range(len(image_set.ids)))
    assert not certain[roles.unlabeled].any()
    assert set(roles.fuzzy) <= set(roles.unlabeled)
    assert (image_set.votes[roles.fuzzy].sum(axis=1) > 0).all()

    labels = image_set.training_labels(kept, seed)
    assert labels.dtype == np.int32
    known = np.flatnonzero(labels >= 0)
    assert set(known) <= set(roles.labeled)
    np.testing.assert_array_equal(labels[known], image_set.votes[known].argmax(axis=1))
    of_class = np.bincount(
        image_set.annotations.reference[roles.labeled], minlength=len(image_set.classes)
    )
    expected = np.minimum(of_class, kept) if kept else of_class
    np.testing.assert_array_equal(np.bincount(labels[known], minlength=len(expected)), expected)
    np.testing.assert_array_equal(labels, image_set.training_labels(kept, seed))


def test_choice_of_labels_depends_on_the_seed():
    image_set = make([[1, 0], [0, 1]] * 50)
    chosen = {tuple(np.flatnonzero(image_set.training_labels(2, s) >= 0)) for s in range(5)}
    assert len(chosen) > 1
    with pytest.raises(ValueError, match="labels_per_class"):
        image_set.training_labels(-1)


def test_without_leaves_the_set_and_its_annotations_in_step():
    image_set = dataclasses.replace(make([[2, 0], [1, 1], [0, 2]]), original=np.array([0, 1, 1]))
    assert image_set.annotations.certain.tolist() == [True, False, True]
    fewer = image_set.without([1])
    assert fewer.ids.tolist() == ["0.png", "2.png"]
    assert fewer.annotations.certain.all()
    assert fewer.original.tolist() == [0, 1]
    assert image_set.without([]) is image_set


@pytest.mark.parametrize(
    ("votes", "message"),
    [
        ([[1, 1], [2, 1]], r"no certain image in train.*certain_threshold 1.0 2 of 2 .*fuzzy"),
        ([[1, 0], [1, 0]], "class 'b' has no labelled image"),
        ([[1, 0], [1, 0], [0, 1]], r"class 'b' has one labelled image.*partner.*--certain_thresh"),
        ([[1], [1]], "classes: expected at least two, found 1"),
    ],
)
def test_sets_that_cannot_be_trained_on(votes, message):
    image_set = make(votes)
    with pytest.raises(ValueError, match=message):
        check_trainable(image_set, image_set.training_labels())
    image_set = make([[1, 0], [0, 1]] * 5)
    check_trainable(image_set, image_set.training_labels(2))
    with pytest.raises(ValueError, match="labels_per_class"):
        check_trainable(image_set, image_set.training_labels(1))
