"""Own TFDS builders on dummy data in the real formats, and image folders through Beam."""

import importlib.util
import json
import pathlib
import shutil
import zipfile

import numpy as np
import pytest
import tensorflow_datasets as tfds

from foc_tf.data import digits, tfds_reader
from foc_tf.datasets import examples, finding
from foc_tf.datasets.fuzzy_plankton import fuzzy_plankton_dataset_builder
from foc_tf.datasets.image_folder_beam import image_folder_beam_dataset_builder, table
from foc_tf.datasets.stl10_semi import stl10_semi_dataset_builder

DUMMY = pathlib.Path(fuzzy_plankton_dataset_builder.__file__).parent / "dummy_data/Plankton.zip"
Plankton = fuzzy_plankton_dataset_builder.Builder
PLANKTON = fuzzy_plankton_dataset_builder.CLASSES
pytestmark = pytest.mark.usefixtures("network")


@pytest.fixture(autouse=True)
def small_folds(monkeypatch):
    monkeypatch.setattr(Plankton, "FOLD_SIZES", (3, 3, 3, 3, 3))


class FuzzyPlanktonTest(tfds.testing.DatasetBuilderTestCase):
    DATASET_CLASS = Plankton
    BUILDER_CONFIG_NAMES_TO_TEST = ["slice1", "slice4"]
    SPLITS = {"train": 9, "validation": 3, "test": 3}


class Stl10SemiTest(tfds.testing.DatasetBuilderTestCase):
    DATASET_CLASS = stl10_semi_dataset_builder.Builder
    SPLITS = {"train": 2, "validation": 2, "unlabelled": 2}


@pytest.fixture
def plankton(tmp_path):
    """A data_dir with the archive in it."""
    (tmp_path / "Plankton.zip").write_bytes(DUMMY.read_bytes())
    return tmp_path


def rewrite(path, change=None, drop=()):
    """Writes the archive again, its annotations changed, some files dropped."""
    with zipfile.ZipFile(DUMMY) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if change and name.endswith(".json"):
                sets = json.loads(content)
                change(sets)
                content = json.dumps(sets)
            if name not in drop:
                new.writestr(name, content)


def by_source(folder, image_set):
    """Source name -> (votes, split)."""
    lines = (folder / "splits.csv").read_text().splitlines()[1:]
    names = {line.split(",")[0]: line.split(",")[2] for line in lines}
    rows = zip(image_set.ids, image_set.votes, image_set.splits)
    return {names[image]: (votes.tolist(), split) for image, votes, split in rows}


def votes_of(**counts):
    return [counts.get(name, 0) for name in PLANKTON]


def test_plankton_keeps_votes_and_the_slice_of_dcics_code(plankton):
    image_set = tfds_reader.read("fuzzy_plankton", plankton)
    folder = plankton / "foc_tf/fuzzy_plankton/slice1/1.0.0"
    images = by_source(folder, image_set)
    assert image_set.classes == PLANKTON
    assert image_set.ignored_classes == ("no_fit",)
    assert images["Plankton/fold1/p10.png"] == (votes_of(cop=3), "train")
    assert images["Plankton/fold1/p11.png"] == (votes_of(det=2, no_fit=1), "train")
    # A tie of a class with a higher and one with a lower id, and an annotator who skipped.
    assert images["Plankton/fold1/p12.png"] == (
        votes_of(phyto_tuft=1, collodaria_globule=1),
        "train",
    )
    assert images["Plankton/fold4/p42.png"] == (votes_of(), "train")
    assert {
        name[len("Plankton/fold")] for name, (_, split) in images.items() if split == "val"
    } == {"2"}
    assert {
        name[len("Plankton/fold")] for name, (_, split) in images.items() if split == "test"
    } == {"3"}
    assert image_set.votes.sum() == 3 * 14 - 1
    roles = image_set.roles()
    # Of every fold one image is fuzzy; of fold 1 one more, of fold 4 one has no votes.
    assert [len(roles.labeled), len(roles.val), len(roles.test)] == [9 - 3 - 2, 2, 2]
    assert [len(roles.fuzzy), len(roles.unlabeled)] == [5 + 1, 5 + 1 + 1]


def test_the_label_of_a_tie_is_the_lower_id_and_minus_one_without_votes(plankton):
    tfds_reader.prepare("fuzzy_plankton", plankton)
    builder = finding.find("fuzzy_plankton", plankton)
    labels = {
        examples.name_of(example): int(example["label"])
        for example in examples.read(builder, "train", "image", "label")
    }
    assert len(labels) == 9
    assert labels["Plankton/fold1/p12.png"] == 2
    assert labels["Plankton/fold4/p42.png"] == -1


def test_an_unpacked_folder_gives_the_same_as_the_zip(plankton, tmp_path_factory):
    other = tmp_path_factory.mktemp("unpacked")
    with zipfile.ZipFile(DUMMY) as archive:
        archive.extractall(other)
    from_zip = tfds_reader.read("fuzzy_plankton/slice3", plankton)
    from_folder = tfds_reader.read("fuzzy_plankton/slice3", other)
    np.testing.assert_array_equal(from_zip.votes, from_folder.votes)
    np.testing.assert_array_equal(from_zip.splits, from_folder.splits)
    for one, two in zip(from_zip.sources, from_folder.sources):
        assert pathlib.Path(one).read_bytes() == pathlib.Path(two).read_bytes()


def test_a_second_read_uses_the_files_of_the_first(plankton, monkeypatch):
    first = tfds_reader.read("fuzzy_plankton", plankton)
    made = [pathlib.Path(p).stat().st_mtime_ns for p in first.sources]
    (plankton / "Plankton.zip").unlink()
    shutil.rmtree(plankton / "fuzzy_plankton")  # TFDS's own records
    monkeypatch.setattr(finding, "obtain", lambda *args: pytest.fail("generated again"))
    second = tfds_reader.read("fuzzy_plankton", plankton)
    assert [pathlib.Path(p).stat().st_mtime_ns for p in second.sources] == made
    np.testing.assert_array_equal(first.votes, second.votes)
    assert [p.name for p in (plankton / "foc_tf/fuzzy_plankton/slice1").iterdir()] == ["1.0.0"]


def unknown_class(sets):
    sets[1]["annotations"][0]["class_label"] = "whale"


def outside(sets):
    sets[0]["annotations"][0]["image_path"] = "Plankton/../../etc/passwd"


def no_path(sets):
    del sets[0]["annotations"][0]["image_path"]


@pytest.mark.parametrize(
    ("change", "drop", "words"),
    [
        (unknown_class, (), ["whale", "shrimp"]),
        (outside, (), ["set 0, annotation 0", "etc/passwd", "must be a path"]),
        (no_path, (), ["set 0, annotation 0", "image_path"]),
        (None, ("Plankton/fold3/p31.png",), ["fold3/p31.png", "is not there"]),
        (None, ("Plankton/fold4/p42.png",), ["fold4", "expected 3", "found 2"]),
        (None, ("Plankton/annotations.json",), ["annotations.json", "8115942"]),
    ],
)
def test_a_wrong_archive_is_named_and_leaves_nothing(tmp_path, change, drop, words):
    rewrite(tmp_path / "Plankton.zip", change, drop)
    with pytest.raises(ValueError, match=r"Plankton\.zip") as error:
        tfds_reader.read("fuzzy_plankton", tmp_path)
    assert [word for word in words if word not in str(error.value)] == []
    assert not list(tmp_path.rglob("annotations.csv"))


def test_a_file_that_is_no_zip_is_refused(tmp_path):
    (tmp_path / "Plankton.zip").write_bytes(b"404 not found")
    with pytest.raises(ValueError, match=r"not a zip archive.*8115942"):
        fuzzy_plankton_dataset_builder.read(tmp_path / "Plankton.zip", (3,) * 5, 1)


def test_links_out_of_an_unpacked_folder_are_not_followed(tmp_path):
    with zipfile.ZipFile(DUMMY) as archive:
        archive.extractall(tmp_path)
    secret = tmp_path / "secret.png"
    secret.write_bytes(b"secret")
    (tmp_path / "Plankton/fold1/p10.png").unlink()
    (tmp_path / "Plankton/fold1/p10.png").symlink_to(secret)
    (tmp_path / "Plankton/fold2").rename(tmp_path / "elsewhere")
    (tmp_path / "Plankton/fold2").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match=r"fold1/p10\.png' is not there"):
        fuzzy_plankton_dataset_builder.read(tmp_path / "Plankton", (3,) * 5, 1)


def test_stl10_semi_has_no_test_and_unlabelled_images(tmp_path, monkeypatch):
    dummy = pathlib.Path(stl10_semi_dataset_builder.__file__).parent / "dummy_data"
    monkeypatch.setattr(
        "tensorflow_datasets.core.download.DownloadManager.download_and_extract",
        lambda self, url: str(dummy),
    )
    image_set = tfds_reader.read("stl10_semi", tmp_path)
    assert image_set.classes[0] == "airplane"
    assert sorted(image_set.splits) == ["train"] * 4 + ["val"] * 2
    assert image_set.votes.sum(axis=1).tolist() == [1, 1, 1, 1, 0, 0]
    roles = image_set.roles()
    assert [len(roles.labeled), len(roles.val), len(roles.unlabeled)] == [2, 2, 2]
    assert len(roles.fuzzy) == len(roles.test) == 0


def test_without_a_network_tfds_own_records_do(plankton, monkeypatch):
    first = tfds_reader.read("fuzzy_plankton", plankton)
    for gone in ("foc_tf", "downloads"):
        shutil.rmtree(plankton / gone, ignore_errors=True)
    (plankton / "Plankton.zip").unlink()
    monkeypatch.setattr(finding, "_check_network", lambda builder: pytest.fail("asked"))
    second = tfds_reader.read("fuzzy_plankton", plankton)
    np.testing.assert_array_equal(first.votes, second.votes)


@pytest.fixture
def folder(tmp_path):
    """A prepared dataset of 60 voted images and 3 without votes."""
    (tmp_path / "images").mkdir()
    annotations, splits = ["image,class,votes"], ["image,split"]
    for index in range(63):
        name = f"images/{index:03}.png"
        pixels = np.full((5, 5), index, np.uint8)
        (tmp_path / name).write_bytes(digits.encode_png(pixels))
        if index < 60:
            annotations += [f"{name},b,{2 + index % 3}", f"{name},a,{index % 2}"]
            splits.append(f"{name},{'val' if index % 4 == 0 else 'train'}")
    (tmp_path / "annotations.csv").write_text("\n".join(annotations) + "\n")
    (tmp_path / "splits.csv").write_text("\n".join(splits) + "\n")
    return tmp_path


def test_beam_rows_of_a_prepared_dataset(folder):
    classes, splits = table.read(folder)
    assert classes == ["a", "b"]
    assert {split: len(rows) for split, rows in splits.items()} == {
        "train": 45,
        "validation": 15,
        "unlabelled": 3,
    }
    key, example = table.example(splits["train"][0], str(folder), 2)
    assert (key, example["label"], example["votes"].tolist()) == ("images/001.png", 1, [1, 3])
    (folder / "images/001.png").write_bytes(b"not an image")
    with pytest.raises(ValueError, match=r"001\.png"):
        table.example(splits["train"][0], str(folder), 2)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("../secret.png,a,1", "line 122"),
        ("images/000.png,a,-1", "whole number"),
        ("images/000.png,,1", "line 122"),
        ("images/062.png,a,1", "images/062.png has no split"),
    ],
)
def test_beam_rows_that_are_wrong(folder, row, words):
    with open(folder / "annotations.csv", "a") as file:
        file.write(row + "\n")
    with pytest.raises(ValueError, match=words):
        table.read(folder)


def test_beam_makes_what_the_folder_has_or_says_how_to_install_it(folder):
    options = ["--direct_num_workers=1"]
    if importlib.util.find_spec("apache_beam") is None:
        for runner in ("DirectRunner", None):
            with pytest.raises(ValueError, match=r"pip install foc_tf\[beam\]"):
                tfds_reader.read("image_folder_beam", folder, beam_runner=runner)
        return
    image_set = tfds_reader.read(
        "image_folder_beam", folder, beam_runner="DirectRunner", beam_options=options
    )
    plain = tfds_reader.prepared.read(folder)
    made = by_source(folder / "foc_tf/image_folder_beam/1.0.0", image_set)
    rows = zip(plain.ids, plain.votes.tolist(), plain.splits)
    assert made == {image: (votes, split) for image, votes, split in rows}
    builder = image_folder_beam_dataset_builder.Builder(data_dir=folder)
    assert builder.info.splits["validation"].num_examples == 15
