"""predict: a SavedModel's view of a folder, written for other programs and read again."""

import csv
import json
import zipfile

import numpy as np
import pytest

from foc_tf import predict
from foc_tf.formats import FORMATS, dcic, morphocluster, votes
from foc_tf.formats.predictions import WRITERS, Predictions
from foc_tf.formats.preparing import prepare
from foc_tf.formats.tree import Tree
from tests.making import png, write
from tests.small_model import exported


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return predict.Model(exported(tmp_path_factory.mktemp("model")))


TABLE = (
    "object_id\timg_file_name\tobject_annotation_status\tobject_annotation_category\n"
    "ö 1\ta.png\tvalidated\tegg<other\nö 2\tb.png\tpredicted\tegg<other\nö 3\tbad.png\t\t\n"
)


@pytest.fixture
def tree(tmp_path):
    files = {"a.png": png(200), "b.png": png(90, size=9), "bad.png": b"?"}
    return write(tmp_path / "in", files | {"ecotaxa_x.tsv": TABLE.encode("utf-8-sig")})


def test_rows_are_what_the_model_says(model, tree, tmp_path):
    collection = FORMATS["ecotaxa"](tree)
    result = predict.predict(model, collection, batch_size=1)
    assert collection.skipped[-1][1] == "not a PNG, JPEG, GIF, BMP, TIFF or WEBP image"
    WRITERS["csv"](tmp_path / "x.csv", result)
    rows = list(csv.DictReader((tmp_path / "x.csv").open(encoding="utf-8")))
    assert [row["object_id"] for row in rows] == ["ö 1", "ö 2"]
    alone = model.predict([(tree.path / "b.png").read_bytes()])
    assert rows[1]["class"] == model.classes[alone["class_probs"][0].argmax()]
    assert int(rows[1]["cluster"]) == alone["cluster"][0]
    shares = [float(rows[1][f"prob_{c}"]) for c in model.classes]
    np.testing.assert_allclose(shares, alone["class_probs"][0], atol=1e-4)
    p = alone["class_probs"][0].astype(np.float64)
    assert float(rows[1]["entropy"]) == pytest.approx(-(p * np.log(p)).sum(), abs=1e-3)


def test_ecotaxa_takes_what_is_written_back(model, tree, tmp_path):
    from foc_tf.formats import ecotaxa_rules

    result = predict.predict(model, FORMATS["ecotaxa"](tree))
    path = tmp_path / "ecotaxa_update.tsv"
    # The validated object keeps its label.
    assert WRITERS["ecotaxa"](path, result) == 1
    assert ecotaxa_rules.check(path, update=True) == []
    assert path.read_bytes().startswith(b"\xef\xbb\xbf")
    text = path.read_text(encoding="utf-8-sig").splitlines()
    assert text[2].split("\t")[:2] == ["ö 2", "predicted"]


def test_morphocluster_tree_has_every_object_once(model, tree, tmp_path):
    result = predict.predict(model, FORMATS["ecotaxa"](tree))
    WRITERS["morphocluster"](tmp_path / "tree.zip", result)
    with zipfile.ZipFile(tmp_path / "tree.zip") as archive:
        archive.extractall(tmp_path / "t")
    write(tmp_path / "t", {"index.csv": "object_id,path\nö 1,a.png\nö 2,b.png\n", "a.png": None})
    (tmp_path / "t" / "b.png").write_bytes(png())
    again = morphocluster.read(Tree(tmp_path / "t"))
    names = result.group_names()
    table = again.votes()
    said = {again.keys[i]: again.classes[c] for i, c in zip(table["item"], table["class"])}
    assert said == {o: names[k] for o, k in zip(result.objects, result.clusters())}


def test_dcic_predictions_have_the_form_its_evaluation_reads(model, tree, tmp_path):
    result = predict.predict(model, FORMATS["ecotaxa"](tree))
    name = dcic.predictions_name("foc_tf", "Tiny", 3, 1.0, 2)
    WRITERS["dcic"](tmp_path / name, result)
    parts = name.split("#dataset-")[-1].split(".1@-1-10.json")[0].split("-")
    dataset, _, annotations, share, fold = parts
    assert (dataset, int(annotations), float(share), int(fold)) == ("Tiny", 3, 1.0, 2)
    plain, fuzzy = json.loads((tmp_path / name).read_text())
    assert set(plain) == {"config", "identifier", "name", "created_at", "predictions"}
    for row in plain["predictions"]:
        assert model.classes[int(np.argmax(row["confidences"]))] == row["class_label"]
    assert "fuzzy" in fuzzy["name"]
    assert [len(row["confidences"]) for row in fuzzy["predictions"]] == [20, 20]
    with pytest.raises(ValueError, match="no '-'"):
        dcic.predictions_name("x", "a-b", 1, 1.0, 1)


def test_a_prepared_set_without_votes_is_predicted(model, tmp_path):
    tree = write(tmp_path / "in", {"a.png": None, "b.png": None})
    prepare(tree, tmp_path / "out", FORMATS["folder"])
    result = predict.predict(model, votes.read(Tree(tmp_path / "out")))
    assert sorted(result.images) == ["a.png", "b.png"]


def test_an_object_is_the_mean_of_its_images():
    shares = np.array([[1.0, 0.0], [0.2, 0.8], [0.4, 0.6]])
    result = Predictions(
        **{"images": ["a", "b", "c"], "objects": ["z", "y", "z"], "splits": ["", "", ""]},
        **{"labelled": np.zeros(3, bool), "class_probs": shares, "cluster_probs": None},
        **{"classes": ["cat", "dog"], "cluster_classes": np.zeros(0, int)},
        **{"cluster_names": [], "category_ids": {}},
    ).by_object()
    assert result.objects == ["z", "y"]
    # z: ((1 + .4) / 2, (0 + .6) / 2)
    np.testing.assert_allclose(result.class_probs, [[0.7, 0.3], [0.2, 0.8]])


def test_without_object_ids_only_tables_of_images(model, tmp_path):
    tree = write(tmp_path, {"a.png": None})
    result = predict.predict(model, FORMATS["folder"](tree))
    assert WRITERS["csv"](tmp_path / "x.csv", result) == 1
    for kind in ("ecotaxa", "morphocluster"):
        with pytest.raises(ValueError, match="ids of the objects"):
            WRITERS[kind](tmp_path / "y", result)
    assert not (tmp_path / "y").exists()


def test_a_folder_that_is_no_model_is_named(tmp_path):
    with pytest.raises(ValueError, match="no saved_model.pb"):
        predict.Model(tmp_path)
    tree = write(tmp_path, {"a.png": b"x", "v.csv": "image,label\na.png,cat\n"})
    with pytest.raises(ValueError, match="No image of"):
        predict.predict(None, votes.read(tree))
