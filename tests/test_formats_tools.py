"""Readers of EcoTaxa's, DCIC's and MorphoCluster's files and of class folders."""

import json
import zipfile

import pytest

from foc_tf.formats import FORMATS, dcic, ecotaxa, folders, guess, morphocluster
from foc_tf.formats.tree import Tree
from tests.making import png, said, write

# EcoTaxa


def tsv(*rows):
    return "\n".join("\t".join(row) for row in rows) + "\n"


HEADER = (
    *("object_id", "img_file_name", "img_rank", "object_annotation_status"),
    *("object_annotation_category", "object_annotation_person_name", "object_annotation_date"),
)
TYPES = ("[t]", "[t]", "[f]", "[t]", "[t]", "[t]", "[t]")


def test_ecotaxa_users_vote(tmp_path):
    first = tsv(
        HEADER,
        TYPES,
        ("o1", "a.png", "0", "validated", "egg<other", "Anna", "20200101"),
        ("o2", "b.png", "1", "predicted", "egg<other", "Anna", "20200101"),
        ("o2", "a.png", "0,0", "predicted", "egg<other", "Anna", "20200101"),
        ("o3", "c.png", "", "", "", "", ""),
    )
    second = tsv(
        HEADER,
        ("o1", "a.png", "0", "validated", "detritus", "Ben", "20200101"),
        ("o1", "a.png", "0", "validated", "Kopepode ü", "Anna", "20210101"),
    )
    files = {"a.png": None, "b.png": None, "c.png": None, "ecotaxa_1.tsv": first}
    tree = write(tmp_path, files | {"ecotaxa_2.tsv": second.encode("latin-1")})
    assert guess(tree) == "ecotaxa"
    collection = ecotaxa.read(tree)
    # Anna's later opinion replaces her first; Ben's is a vote of its own; o2 was not validated.
    assert said(collection) == {"o1": {"Kopepode ü": 1, "detritus": 1}, "o2": {}, "o3": {}}
    assert [collection.files[i] for i in range(3)] == ["a.png", "a.png", "c.png"]
    both = ecotaxa.read(tree, statuses=("validated", "predicted"), object_images="all")
    assert said(both)["o2_0"] == {"egg<other": 1} == said(both)["o2_1"]
    assert both.objects[both.find("o2_1")] == "o2"


def test_ecotaxa_conflicting_rows_of_one_person_are_listed(tmp_path):
    table = tsv(
        HEADER,
        ("o1", "a.png", "0", "validated", "egg", "Anna", "20200101"),
        ("o1", "a.png", "0", "validated", "detritus", "Anna", "20200101"),
        ("o2", "a.png", "0", "validated", "egg", "Anna", "20200101"),
    )
    collection = ecotaxa.read(write(tmp_path, {"a.png": None, "ecotaxa.tsv": table}))
    assert said(collection) == {"o1": {}, "o2": {"egg": 1}}
    assert "line 2" in collection.skipped[0][1]
    assert "line 3" in collection.skipped[0][1]


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        (("20200130", "120000"), ("2020-01-31", "093000")),
        (("2020-01-31", "9:30:00"), ("20200131", "100000")),
        (("", ""), ("20200131", "")),
    ],
)
def test_ecotaxa_dates_in_every_form_tell_the_later_opinion(tmp_path, earlier, later):
    header = (*HEADER, "object_annotation_time")
    rows = [
        ("o1", "a.png", "0", "validated", category, "Anna", *when)
        for category, when in (("egg", later), ("detritus", earlier))
    ]
    for order in (rows, rows[::-1]):
        files = {"a.png": None, "ecotaxa.tsv": tsv(header, *order)}
        assert said(ecotaxa.read(write(tmp_path, files))) == {"o1": {"egg": 1}}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (("", "a.png", "0", "", "", "", ""), "line 2: no object_id"),
        (("o", "a.png", "x", "", "", "", ""), "line 2: img_rank.*'x'"),
        (("o", "a.png", "0", "maybe", "egg", "", ""), "line 2: object_annotation_status.*maybe"),
        (("[t]", "[t]", "[x]", "[t]", "[t]", "[t]", "[t]"), "line 2: the line of types.*'\\[x\\]'"),
        (("o", "../a.png", "0", "", "", "", ""), "line 2.*relative"),
        (("o", "b.png", "0", "", "", "", ""), "'b.png' of object 'o' is not there"),
        (("o", "a.png", "0"), "line 2: 3 fields"),
    ],
)
def test_ecotaxa_says_what_is_wrong(tmp_path, row, message):
    tree = write(tmp_path, {"a.png": None, "ecotaxa.tsv": tsv(HEADER, row)})
    with pytest.raises(ValueError, match=f"ecotaxa.tsv, {message}|{message}"):
        ecotaxa.read(tree)


def test_ecotaxa_sample_has_its_objects(shared):
    source = shared / "data" / "ecotaxa-sample"
    statuses = ("validated", "predicted")
    exported = ecotaxa.read(Tree(source / "zooscan-export"), statuses=statuses)
    assert len(exported) == 11
    assert said(exported)["m106_mn01_n3_sml_1111"] == {"egg<other": 1}
    assert len(ecotaxa.read(Tree(source / "zooscan-export"), object_images="all")) == 12
    imported = ecotaxa.read(Tree(source / "zooscan-import"), statuses=statuses)
    assert len(imported) == 11
    assert len(set(imported.files)) == 8  # four objects share one image
    assert imported.info["category_ids"]["egg<other"] == "85078"


# DCIC, MorphoCluster, folders


def dcic_files():
    sets = [
        {
            "name": f"INVALID {person}",
            "dataset_name": "Tiny",
            "annotations": [
                {"image_path": f"Tiny/fold{fold}/x{fold}.png", "class_label": label}
                for fold, label in enumerate(labels, 1)
            ],
        }
        for person, labels in (("a", "ccnnb"), ("b", ["c", "n", None, "n", "b"]))
    ]
    return {f"fold{i}/x{i}.png": None for i in range(1, 6)} | {"annotations.json": json.dumps(sets)}


def test_dcic_votes_and_slices(tmp_path):
    tree = write(tmp_path / "Tiny", dcic_files())
    assert guess(tree) == "dcic"
    collection = dcic.read(tree, v_fold=1)
    assert said(collection)["fold2/x2.png"] == {"c": 1, "n": 1}
    assert said(collection)["fold3/x3.png"] == {"n": 1}
    assert collection.classes == ["b", "c", "n"]
    assert [collection.splits[collection.find(f"fold{i}/x{i}.png")] for i in range(1, 6)] == [
        *("train", "val", "test", "train", "train")
    ]
    # The code's slice 5: validation fold 1, test fold 2.
    assert [dcic.split_of(fold, 5) for fold in (1, 2, 3)] == ["val", "test", "train"]


@pytest.mark.parametrize("content", ["{", "{}", '[{"annotations": 3}]', '[{"annotations": [3]}]'])
def test_dcic_says_what_is_wrong(tmp_path, content):
    tree = write(tmp_path, {"fold1/a.png": None, "annotations.json": content})
    with pytest.raises(ValueError, match="annotations.json"):
        dcic.read(tree)


def slice_file(**changed):
    rows = [
        {"path": "Tiny/fold1/a.png", "split": "train", "gt": 0, "soft_gt": [0.75, 0.25]},
        {"path": "Tiny/fold2/b.png", "split": "val", "gt": 1, "soft_gt": []},
        {"path": "Tiny/fold3/c.png", "split": "test", "gt": -1, "soft_gt": []},
        {"path": "Tiny/fold3/gone.png", "split": "test", "gt": -1, "soft_gt": []},
    ]
    rows[0] |= changed
    return json.dumps({"name": "Tiny", "v_fold": 2, "classes": ["x", "y"], "images": rows})


def slices(**changed):
    images = {f"raw_datasets/Tiny/fold{i}/{n}.png": None for i, n in enumerate("abc", 1)}
    files = {"input_datasets/Tiny/Tiny-slice2.json": "{}"}
    return images | files | {"evaluate_datasets/Tiny/Tiny-slice2.json": slice_file(**changed)}


def test_dcic_slice_files(tmp_path):
    tree = write(tmp_path, slices())
    assert guess(tree) == "dcic"
    collection = dcic.read(tree, v_fold=2, votes_per_image=4)
    a, b, c = (f"raw_datasets/Tiny/fold{i}/{n}.png" for i, n in enumerate("abc", 1))
    # .75 and .25 of four votes.
    assert said(collection) == {a: {"x": 3, "y": 1}, b: {"y": 1}, c: {}}
    assert [collection.splits[i] for i in range(3)] == ["train", "val", "test"]
    assert "gone.png' is not there" in collection.skipped[0][1]
    with pytest.raises(ValueError, match="0.75.*votes_per_image"):
        dcic.read(tree, v_fold=2)
    with pytest.raises(ValueError, match=r"slice1\.json.*found 0 and 0"):
        dcic.read(tree, v_fold=1)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"split": "hold-out"}, "image 0: expected a path and a split"),
        ({"path": None}, "image 0: expected a path"),
        ({"path": "../../../../etc/a.png"}, "must be a path relative"),
        ({"gt": 2}, "gt must be -1 or"),
        ({"soft_gt": [1.0]}, "soft_gt must be 2 numbers"),
        ({"soft_gt": ["many", 0]}, "many"),
    ],
)
def test_dcic_slice_files_that_are_wrong(tmp_path, changed, words):
    with pytest.raises(ValueError, match=words):
        dcic.read(write(tmp_path, slices(**changed)), v_fold=2, votes_per_image=4)


def test_morphocluster_archive_and_tree(tmp_path):
    files = {
        "index.csv": "object_id,path\n1,a.png\n2,b.png\n3,b.png\n",
        "a.png": png(),
        "b.png": png(1),
        "nodes.csv": "node_id,parent_id,name\n1,,root\n2,1.0,egg\n3,2.0,\n4,1.0,\n",
        "objects.csv": "node_id,object_id\n3.0,1\n2,2\n4,3\n",
    }
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    tree = Tree(tmp_path / "x.zip")
    assert guess(tree) == "morphocluster"
    assert said(morphocluster.read(tree)) == {"1": {"egg": 1}, "2": {"egg": 1}, "3": {}}


def test_folders_flat_nested_and_split(tmp_path):
    names = ("train/cat/1.png", "train/dog/big/2.png", "val/cat/3.png", "unlabeled/z/4.png")
    collection = folders.read(write(tmp_path / "a", dict.fromkeys(names)))
    expected = {names[0]: {"cat": 1}, names[1]: {"dog": 1}, names[2]: {"cat": 1}, names[3]: {}}
    assert said(collection) == expected
    assert sorted(collection.splits.values()) == ["train", "train", "val"]
    flat = write(tmp_path / "b", {"1.png": None, "cat/x/2.png": None})
    assert said(folders.read(flat)) == {"1.png": {}, "cat/x/2.png": {"cat": 1}}
    assert said(folders.read(flat, "path"))["cat/x/2.png"] == {"cat/x": 1}
    assert said(folders.read(flat, "last"))["cat/x/2.png"] == {"x": 1}
    with pytest.raises(ValueError, match="holds no image"):
        folders.read(write(tmp_path / "c", {"readme.md": "x"}))


def test_every_format_refuses_an_empty_folder(tmp_path):
    for name, read in FORMATS.items():
        with pytest.raises(ValueError, match="source"):
            read(Tree(tmp_path))
        assert name
