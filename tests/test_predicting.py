"""Predicting as rows come: the same as in memory, in every format, wherever it was stopped."""

import csv
import re
import zipfile

import numpy as np
import pytest
import tensorflow as tf

from foc_tf.formats import FORMATS, guess, listing
from foc_tf.formats.predictions import WRITERS
from foc_tf.formats.tree import Tree
from foc_tf.predicting import local, models, streaming
from tests.making import png, write
from tests.small_model import exported


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return models.load(exported(tmp_path_factory.mktemp("model")))


HEADER = "object_id\timg_file_name\timg_rank\tobject_annotation_status\tobject_annotation_category"


@pytest.fixture
def source(tmp_path):
    """30 images of 17 objects, whose images do not lie together; 3 unreadable."""
    files = {f"{i:02}.png": png(8 * i, size=4 + i % 5) for i in range(30)}
    files |= {f"{i:02}.png": b"?" * i for i in (0, 11, 29)}
    lines = [f"ö{i % 17}\t{i:02}.png\t{i}\tpredicted\tegg" for i in range(30)]
    return write(tmp_path / "in", files | {"ecotaxa_x.tsv": "\n".join([HEADER, *lines])})


def read_ecotaxa(tree):
    collection = FORMATS["ecotaxa"](tree, object_images="all")
    # Not an object after the other, as a prepared dataset may have them.
    order = sorted(range(len(collection)), key=lambda item: collection.files[item])
    for name in ("keys", "files", "objects"):
        values = getattr(collection, name)
        setattr(collection, name, [values[item] for item in order])
    return collection


def contents(path):
    """Bytes of an output without the moment at which it was made."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            return {name: archive.read(name) for name in archive.namelist()}
    return re.sub(rb'"created_at": "[^"]*"', b"", path.read_bytes())


class Stopped(Exception):
    pass


def stop_after(count):
    def progress(done):
        if done >= count:
            raise Stopped

    return progress


@pytest.mark.parametrize("kind", WRITERS)
def test_rows_as_they_come_are_those_of_memory_also_after_stops(model, source, tmp_path, kind):
    expected = streaming.predict(model, read_ecotaxa(source), batch_size=4)
    WRITERS[kind](tmp_path / "expected", expected)
    job = local.Job(model, read_ecotaxa(source), tmp_path / "o" / "x", kind, 4)
    for count in (4, 8, 20):
        with pytest.raises(Stopped):
            local.run(job, progress=stop_after(count))
        assert not job.output.exists()
        assert (tmp_path / "o" / "x.partial").stat().st_size
    begun = []
    rows, unreadable, listed = local.run(job, lambda done, total: begun.append((done, total)))
    assert begun[0][0] >= 20
    assert begun[0][1] == 30
    assert contents(job.output) == contents(tmp_path / "expected")
    assert (rows, unreadable) == (27 if kind in ("csv", "dcic") else 17, 3)
    with open(listed, encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    assert [row["image"] for row in table] == ["00.png", "11.png", "29.png"]
    assert table[0]["reason"] == "the file is empty"
    assert sorted(p.name for p in job.output.parent.iterdir()) == ["x", "x.unreadable.csv"]


def test_another_model_source_or_flag_is_refused(model, source, tmp_path):
    job = {"model": model, "collection": read_ecotaxa(source), "output": tmp_path / "x"}
    with pytest.raises(Stopped):
        local.run(local.Job(**job, batch_size=4), progress=stop_after(8))
    with pytest.raises(ValueError, match="another batch_size .there: 4; now: 5"):
        local.run(local.Job(**job, batch_size=5))
    (tmp_path / "in" / "05.png").write_bytes(png(7, size=40))
    with pytest.raises(ValueError, match="another source"):
        local.run(local.Job(**job, batch_size=4))


def test_what_cannot_be_written_is_said_before_the_first_image(model, tmp_path):
    collection = FORMATS["folder"](write(tmp_path / "in", {"a.png": None}))
    for kind in ("ecotaxa", "morphocluster"):
        with pytest.raises(ValueError, match="ids of the objects"):
            local.run(local.Job(model, collection, tmp_path / "x", kind))
    table = f"{HEADER}\no1\ta.png\t0\tvalidated\tegg\n"
    agreed = FORMATS["ecotaxa"](write(tmp_path / "e", {"a.png": None, "ecotaxa_1.tsv": table}))
    with pytest.raises(ValueError, match="annotators agree on all.*--include_labelled"):
        local.run(local.Job(model, agreed, tmp_path / "x", "ecotaxa"))
    with pytest.raises(ValueError, match="batch_size"):
        local.run(local.Job(model, collection, tmp_path / "x", batch_size=0))
    assert not list(tmp_path.glob("x*"))


def test_no_usable_image_leaves_the_reasons_only(model, tmp_path):
    collection = FORMATS["folder"](write(tmp_path / "in", {"a.png": b"x"}))
    with pytest.raises(ValueError, match="no image of .* the reasons are in"):
        local.run(local.Job(model, collection, tmp_path / "x.csv"))
    assert [p.name for p in tmp_path.glob("x*")] == ["x.csv.unreadable.csv"]


def test_what_a_table_names_and_is_not_there_is_listed_once(model, tmp_path):
    table = "image,label\na.png,cat\ngone.png,dog\nbad.png,cat\nb.png,cat\n"
    tree = write(tmp_path / "in", {"a.png": None, "bad.png": b"?", "b.png": None, "v.csv": table})
    job = local.Job(model, FORMATS["votes"](tree), tmp_path / "x.csv", batch_size=1)
    with pytest.raises(Stopped):
        local.run(job, progress=stop_after(1))
    rows, left_out, listed = local.run(job)
    assert (rows, left_out) == (2, 2)
    with open(listed, encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    assert table[0] == {
        "image": f"{tree.path / 'v.csv'}, line 3",
        "reason": "image 'gone.png' is not there",
    }
    assert table[1]["image"] == "bad.png"


class Poisoned:
    """A model whose TensorFlow cannot decode what Pillow could."""

    def __init__(self, model):
        self.model, self.sizes = model, []

    def predict(self, encoded):
        self.sizes.append(len(encoded))
        if any(one.endswith(b"poison") for one in encoded):
            raise tf.errors.InvalidArgumentError(None, None, "no such\nimage")
        return self.model.predict(encoded)


def test_one_image_that_tensorflow_refuses_does_not_stop_the_others(model, tmp_path):
    files = {f"{i}.png": png(20 * i) + b"poison" * (i == 2) for i in range(6)}
    collection = FORMATS["folder"](write(tmp_path, files))
    first, second = streaming.steps(Poisoned(model), collection, batch_size=4)
    assert (first.items, second.items) == ([0, 1, 3], [4, 5])
    assert first.unreadable == [(2, "TensorFlow cannot decode it: no such")]
    alone = model.predict([files["3.png"]])
    np.testing.assert_allclose(first.outputs["class_probs"][2], alone["class_probs"][0], atol=1e-6)


def test_a_batch_has_no_more_pixels_than_one_image_may_have(model, tmp_path):
    files = {f"{i}.png": png(i, size=20) for i in range(7)}
    collection = FORMATS["folder"](write(tmp_path, files))
    found = [step.items for step in streaming.steps(model, collection, max_pixels=1000)]
    # 3 x 400 is the first sum of at least 1000.
    assert found == [[0, 1, 2], [3, 4, 5], [6]]


def test_a_list_names_images_anywhere(tmp_path):
    write(tmp_path / "far", {"a b,c.png": None})
    write(tmp_path / "near", {"ä.PNG": None, "b.png": None})
    lines = f"b.png\r\n\n{tmp_path / 'far' / 'a b,c.png'}\nä.PNG\nb.png\n../gone.png"
    path = tmp_path / "near" / "list.txt"
    path.write_bytes(b"\xef\xbb\xbf" + lines.encode())
    assert listing.is_listing(path)
    collection = listing.read(listing.Listing(path))
    assert collection.files == [
        "b.png",
        str(tmp_path / "far" / "a b,c.png"),
        "ä.PNG",
        "../gone.png",
    ]
    assert collection.tree.size("b.png") == len(collection.tree.read("b.png")) > 0
    assert collection.tree.size("../gone.png") == -1
    assert collection.tree.on_disk("b.png") == tmp_path / "near" / "b.png"
    assert collection.tree.on_disk("gs://bucket/b.png") == "gs://bucket/b.png"
    with pytest.raises(ValueError, match="gone.png: cannot be read"):
        collection.tree.read("../gone.png")
    path.write_bytes(b"image\tlabel\nb.png\tcat\n")
    assert not listing.is_listing(path)
    for content, words in ((b"\n \n", "no path"), (b"a.png\0", "NUL")):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=words):
            listing.Listing(path)


def test_its_own_output_is_no_part_of_the_source(tmp_path):
    ours = ("mine.csv", "mine.csv.partial", "mine.csv.partial.json", "mine.csv.unreadable.csv")
    write(tmp_path / "in", {"a.png": None, **dict.fromkeys(ours, "image,reason\na.png,torn\n")})
    assert guess(Tree(tmp_path / "in")) == "votes"
    tree = Tree(tmp_path / "in")
    tree.hide(tmp_path / "in" / "mine.csv")
    assert tree.names == ["a.png"]
    assert guess(tree) == "folder"
    tree.hide(tmp_path / "a.png")
    assert tree.names == ["a.png"]
