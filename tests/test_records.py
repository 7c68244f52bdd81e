"""Data sets in shards: the same images as in files, and damage that is named."""

import os

import numpy as np
import pytest

from foc_tf import prepare as prepare_program
from foc_tf import records
from foc_tf.data import decoding, pipeline, prepared
from foc_tf.data.batches import BatchSampler
from foc_tf.formats import votes
from foc_tf.formats.preparing import prepare
from foc_tf.formats.tree import Tree
from foc_tf.views import View
from tests.making import png, write
from tests.small_run import call


@pytest.fixture
def both(tmp_path):
    """The same 40 images prepared as files and as records."""
    rows = [f"{i}.png,{'ab'[i % 2]},2" for i in range(30)] + ["3.png,a,1"]
    table = "image,class,votes\n" + "\n".join(rows)
    images = {f"{'images/' * (i >= 30)}{i}.png": png(i * 5) for i in range(40)}
    write(tmp_path / "in", {"votes.csv": table} | images)
    for placing in ("copy", "records"):
        prepare(Tree(tmp_path / "in"), tmp_path / placing, votes.read, placing)
    return tmp_path / "copy", tmp_path / "records"


def test_a_data_set_of_records_is_the_same_image_set(both):
    copied, recorded = both
    assert not (recorded / "images").exists()
    assert len(list(recorded.glob("records-*"))) == 1
    one, two = prepared.read(copied), prepared.read(recorded)
    assert len(one.ids) == 40
    for name in ("ids", "votes", "splits"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))
    assert (one.classes, one.checked) == (two.classes, two.checked)
    assert records.read(two.sources) == records.read(one.sources)
    assert not len(decoding.unreadable(two.sources)[0])


def test_the_program_writes_records_of_real_images(tmp_path, shared):
    source = shared / "data" / "plankton-small"
    options = [f"--source={source}", f"--output={tmp_path / 'out'}", "--placing=records"]
    code, said = call(prepare_program.main, *options, values=prepare_program.FLAGS)
    assert code == 0, said
    one, two = prepared.read(source), prepared.read(tmp_path / "out")
    own = dict(zip(two.ids, two.sources))
    for name, path in zip(one.ids, one.sources):
        with open(path, "rb") as file:
            assert records.read([own[name]]) == [file.read()]


def test_the_same_batches_come_of_records(both):
    found = []
    for folder in both:
        image_set = prepared.read(folder)
        labels = image_set.training_labels()
        sampler = BatchSampler(labels, image_set.roles().unlabeled, 12, 0.25, 1, seed=4)
        loader = pipeline.make_loader(image_set.sources, 4, 3, "none")
        views = [View("x", "self", "weak"), View("y", "other_class", "weak")]
        found.append(list(pipeline.training_batches(sampler, views, loader, 4).take(2)))
    for one, two in zip(*found):
        assert one["x"].numpy().any()
        for name in ("x", "y", "label"):
            np.testing.assert_array_equal(one[name], two[name])


def test_a_shard_ends_at_its_size_and_any_order_can_be_read(tmp_path):
    writer = records.Writer(tmp_path, shard_bytes=100)
    contents = [bytes([i]) * 40 for i in range(10)]
    for index, content in enumerate(contents):
        writer.write(f"{index}.png", content)
    writer.close()
    assert len(list(tmp_path.glob("*.array_record"))) == 4
    (tmp_path / "y#3").write_bytes(b"a file")
    sources = list(records.listing(tmp_path).values())
    order = [9, 0, 5, 5, 2]
    read = records.read([sources[i] for i in order] + [str(tmp_path / "y#3")])
    assert read == [contents[i] for i in order] + [b"a file"]


def one_shard(folder, count=3):
    writer = records.Writer(folder)
    for index in range(count):
        writer.write(f"{index}.png", os.urandom(50))
    writer.close()
    return folder / "records-00000.array_record"


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("3.png,records-00000.array_record,3", "line 5: place 3 of .*, which has 3 images"),
        ("2.png,records-00000.array_record,0", "line 5: '2.png' stands here twice"),
        ("3.png,records-00001.array_record,0", "line 5: .*00001.array_record cannot be read"),
        ("3.png,../x.array_record,0", "line 5: expected an image, a file"),
        ("3.png,records-00000.array_record,-1", "line 5: expected an image, a file"),
        ("3.png", "line 5: expected an image, a file"),
    ],
)
def test_a_wrong_row_is_named(tmp_path, row, expected):
    one_shard(tmp_path)
    with open(tmp_path / "records.csv", "a", encoding="utf-8") as file:
        file.write(row + "\n")
    with pytest.raises(ValueError, match=expected):
        records.listing(tmp_path)


def test_a_wrong_header_is_named(tmp_path):
    (tmp_path / "records.csv").write_text("image,shard\n")
    with pytest.raises(ValueError, match="expected the columns image,file,place"):
        records.listing(tmp_path)


@pytest.mark.parametrize("length", [0, 30, 70000])
def test_a_truncated_shard_is_named(tmp_path, length):
    shard = one_shard(tmp_path, 3000)
    os.truncate(shard, length)
    with pytest.raises(ValueError, match="records-00000.array_record.* damaged"):
        records.listing(tmp_path)


def test_a_place_that_is_not_there_is_named(tmp_path):
    shard = one_shard(tmp_path)
    with pytest.raises(ValueError, match="records-00000.array_record: damaged"):
        records.read([f"{shard}#3"])


def test_an_image_in_a_file_and_in_a_shard_is_named(both):
    write(both[1], {"images/1.png": None})
    name = prepared.read(both[0]).ids[0]
    write(both[1], {name: None})
    with pytest.raises(ValueError, match=f"{name} is both in records.csv and in images/"):
        prepared.read(both[1])
