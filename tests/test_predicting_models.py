"""What predict asks: models that runs leave, and how two of them are told apart."""

import numpy as np
import pytest

import foc_tf
from foc_tf import checkpoints, files
from foc_tf.data import decoding
from foc_tf.predicting import models
from tests.making import png


def run_folder(folder, splits, **changed):
    """What a run leaves: two sub-heads, 6 clusters of which 2 and 4 stand in predictions.csv."""
    options = {"k_gt": 3, "k": 6, "image_size": 8, "num_sub_heads": 2} | changed
    network = foc_tf.build_model("foc", "small_resnet", **options)
    details = {"model": network.recipe, "classes": list("abc"), "load_size": 12, "image_size": 8}
    checkpoints.save_best(folder / "best", network, details)
    files.write_json(folder / "report.json", {"splits": splits})
    (folder / "predictions.csv").write_text("cluster,cluster_class\n2,b\n4,\n2,b\n")
    return network


def test_a_runs_best_sub_heads_and_cluster_classes_are_used(tmp_path):
    scores = {"normal": {"sub_head": 1}, "over": {"sub_head": 0}}
    network = run_folder(tmp_path, {"val": {"count": 0, "reason": "none"}, "fuzzy": scores})
    model = models.load(tmp_path)
    assert model.classes == ["a", "b", "c"]
    assert model.cluster_classes.tolist() == [-1, -1, 1, -1, -1, -1]
    encoded = [png(40, size=30), png(90, size=5)]
    seen = np.stack([decoding.decode(e, 12, 3).numpy()[2:10, 2:10] for e in encoded])
    outputs = network.predict(seen.astype(np.float32), verbose=0)
    found = model.predict(encoded)
    np.testing.assert_allclose(found["class_probs"], outputs["normal_probs"][:, 1], rtol=1e-5)
    np.testing.assert_allclose(found["cluster_probs"], outputs["over_probs"][:, 0], rtol=1e-5)
    before = model.digest()
    assert models.load(tmp_path).digest() == before
    scores["normal"]["sub_head"] = 0
    files.write_json(tmp_path / "report.json", {"splits": {"fuzzy": scores}})
    assert models.load(tmp_path).digest() != before


def test_a_run_that_cannot_say_its_best_sub_head_is_refused(tmp_path):
    run_folder(tmp_path, {"val": {"count": 0, "reason": "none"}})
    with pytest.raises(ValueError, match="scores no split.*foc_tf.export"):
        models.load(tmp_path)
    (tmp_path / "report.json").unlink()
    with pytest.raises(ValueError, match="no report.json.*has not ended"):
        models.load(tmp_path)
    run_folder(tmp_path, {}, num_sub_heads=1)
    assert models.load(tmp_path).predict([png()])["class_probs"].shape == (1, 3)


def test_a_model_with_other_bytes_has_another_digest(tmp_path):
    for name, content in (("a", b"1"), ("b", b"1"), ("c", b"2")):
        (tmp_path / name / "assets").mkdir(parents=True)
        (tmp_path / name / "assets" / "classes.txt").write_bytes(content)
    digests = [models._digest(sorted((tmp_path / name).rglob("*.txt"))) for name in ("a", "b", "c")]
    assert digests[0] == digests[1] != digests[2]
