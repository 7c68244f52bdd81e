"""TFDS: `tfds:NAME` read as image sets."""

import pathlib

import numpy as np
import pytest
import tensorflow_datasets as tfds

from foc_tf.data import digits, tfds_reader
from foc_tf.datasets import examples, finding, voting

pytestmark = pytest.mark.usefixtures("network")


@pytest.fixture
def mocked(tmp_path):
    """Metadata with splits for TFDS's mock, which has none of its own."""

    def write(name, **lengths):
        builder = finding.find(name, tmp_path / "meta")
        infos = [
            tfds.core.SplitInfo(name=split, shard_lengths=[length], num_bytes=1)
            for split, length in lengths.items()
        ]
        builder.info.set_splits(tfds.core.splits.SplitDict(infos))
        builder.data_path.mkdir(parents=True)
        builder.info.write_to_directory(builder.data_path)
        return tmp_path / "meta"

    return write


def mock(data_dir, count=20):
    # The mock draws whole numbers of plain sequences up to 255, which are no classes.
    return tfds.testing.mock_data(num_examples=count, max_value=10, data_dir=data_dir)


def drawn(name, split, *keys):
    """What the mock draws; its values depend on which features are asked for."""
    decoders = tfds.decode.PartialDecoding(
        dict.fromkeys(("id", "image", *keys), True), {"image": tfds.decode.SkipDecoding()}
    )
    dataset = finding.find(name).as_dataset(split=split, decoders=decoders)
    return [tuple(e[key] for key in ("image", *keys)) for e in tfds.as_numpy(dataset)]


@pytest.mark.parametrize(
    ("name", "split", "keys", "threshold"),
    [
        ("cifar10_h", "test", ("human_labels",), 0.97),
        ("cifar10_n", "train", ("random_label1", "random_label2", "random_label3"), 1.0),
    ],
)
def test_cifar_votes_are_the_annotators_and_the_truth_is_apart(
    tmp_path, mocked, name, split, keys, threshold
):
    meta = mocked(name, train=20, test=20)
    with mock(meta):
        expected = drawn(name, split, *keys, "label")
        image_set = tfds_reader.read(name, tmp_path)
    assert len(image_set.ids) == 20  # the split without annotators is left out
    assert image_set.certain_threshold == threshold
    for index, (image, *answers, label) in enumerate(expected):
        answers = [int(a) for a in np.concatenate([np.ravel(a) for a in answers])]
        assert image_set.votes[index].tolist() == [answers.count(c) for c in range(10)]
        assert image_set.original[index] == label
        assert pathlib.Path(image_set.sources[index]).read_bytes() == image
    assert set(image_set.splits) == {"train", "val"}


def test_the_seed_draws_the_validation_images_anew_from_the_same_files(tmp_path, mocked):
    with mock(mocked("cifar10_n", train=60), 60):
        sets = [tfds_reader.read("cifar10_n", tmp_path, seed=seed) for seed in (1, 1, 2)]
    splits = [s.splits.tolist() for s in sets]
    assert splits[0] == splits[1] != splits[2]
    assert all(0 < s.count("val") < 30 for s in splits)


def test_plain_labels_are_one_vote_and_the_test_split_stays(tmp_path, mocked):
    with mock(mocked("cifar10", train=40, test=40), 40):
        labels = [int(label) for _, label in drawn("cifar10", "train", "label")]
        image_set = tfds_reader.read("cifar10", tmp_path, seed=3)
    assert image_set.votes.sum(axis=1).tolist() == [1] * 80
    assert image_set.votes.argmax(axis=1).tolist() == labels * 2
    assert image_set.splits.tolist()[40:] == ["test"] * 40
    # A fifth of every class, rounded.
    expected = [round(labels.count(c) / 5) for c in range(10)]
    chosen = [label for label, split in zip(labels, image_set.splits) if split == "val"]
    assert [chosen.count(c) for c in range(10)] == expected
    assert image_set.original is None


def test_one_of_several_labels(tmp_path, mocked):
    with mock(mocked("cifar100", train=20, test=20)):
        expected = [int(e[1]) for e in drawn("cifar100", "train", "coarse_label")]
        coarse = tfds_reader.read("cifar100:coarse_label", tmp_path)
        fine = tfds_reader.read("cifar100", tmp_path)
        with pytest.raises(ValueError, match="coarse_label, label|label, coarse_label"):
            tfds_reader.read("cifar100:rough", tmp_path)
    assert (len(coarse.classes), len(fine.classes)) == (20, 100)
    assert coarse.votes.argmax(axis=1).tolist() == expected * 2


def test_labels_of_an_unlabelled_split_do_not_count(tmp_path, mocked):
    with mock(mocked("cifar10", train=20, unlabelled=20, extra=20)):
        image_set = tfds_reader.read("cifar10", tmp_path)
    assert image_set.votes.sum(axis=1).tolist() == [1] * 20 + [0] * 20
    assert image_set.splits.tolist()[20:] == ["train"] * 20


def test_what_is_no_image_classification_is_named(tmp_path, mocked):
    for name, word in (("imdb_reviews/plain_text", "text"), ("coco/2017", "objects")):
        with mock(mocked(name, train=4)), pytest.raises(ValueError, match=word) as error:
            tfds_reader.read(name, tmp_path)
        assert "annotations.csv" in str(error.value)
    with mock(mocked("mnist", test=4, validation=4)), pytest.raises(ValueError, match="train"):
        tfds_reader.read("mnist", tmp_path)
    assert not list(tmp_path.rglob("images"))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("cifar_10", ["cifar_10", "cifar10"]),
        ("fuzzy_plankton/slice9", ["fuzzy_plankton", "slice9"]),
        ("../etc", ["../etc"]),
    ],
)
def test_unknown_names_and_configurations(tmp_path, name, words):
    with pytest.raises(ValueError, match="dataset: ") as error:
        tfds_reader.read(name, tmp_path)
    assert [word for word in words if word not in str(error.value)] == []


def test_data_that_cannot_be_downloaded(tmp_path, monkeypatch):
    def refuse(self, url):
        raise ConnectionError("no route to host")

    for how in ("download", "download_and_extract"):
        monkeypatch.setattr(f"tensorflow_datasets.core.download.DownloadManager.{how}", refuse)
    for name, word in (("fuzzy_plankton", "Plankton.zip"), ("cifar10", "network")):
        with pytest.raises(ValueError, match="no route to host") as error:
            tfds_reader.read(name, tmp_path)
        assert word in str(error.value)
        assert str(tmp_path) in str(error.value)


@pytest.mark.parametrize("name", ["fuzzy_plankton", "stl10_semi", "cifar10"])
def test_without_a_network_it_says_so_at_once(tmp_path, monkeypatch, name):
    def unknown(*args):
        raise OSError("Name or service not known")

    monkeypatch.setattr(finding.socket, "getaddrinfo", unknown)
    monkeypatch.setattr(finding.urllib.request, "getproxies", dict)
    with pytest.raises(ValueError, match="no network: ") as error:
        tfds_reader.read(name, tmp_path)
    assert str(tmp_path) in str(error.value)


def test_an_image_of_an_unknown_format_is_named_and_leaves_nothing(tmp_path, mocked, monkeypatch):
    monkeypatch.setattr(
        examples, "read", lambda *args: [{"image": b"RIFFwebp", "label": 1, "id": b"x"}]
    )
    with mock(mocked("cifar10", train=4)), pytest.raises(ValueError, match="RIFF"):
        tfds_reader.read("cifar10", tmp_path)
    assert not list((tmp_path / "foc_tf").rglob("*.tmp"))


def test_a_data_set_without_any_label(tmp_path, mocked, monkeypatch):
    image = digits.encode_png(np.zeros((4, 4), np.uint8))
    monkeypatch.setattr(examples, "read", lambda *args: [{"image": image, "label": -1}] * 3)
    with mock(mocked("cifar10", train=4)), pytest.raises(ValueError, match="none among 3"):
        tfds_reader.read("cifar10", tmp_path)
    assert not list((tmp_path / "foc_tf").rglob("dataset.json"))


def test_annotators_without_an_answer_are_no_vote():
    values = [np.int64(-1), np.int64(2), np.int64(2)]
    assert voting.VOTES["cifar10_n"].counts(values, 4).tolist() == [0, 0, 2, 0]
