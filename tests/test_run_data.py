"""A finished run read back for review, without TensorFlow; damaged and foreign files are named."""

import shutil
import subprocess
import sys

import numpy as np
import pytest

from foc_tf.review_data import keeping
from foc_tf.reviewing import run_data
from tests import review_run
from tests.small_run import ROOT


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    scorer = review_run.scored(review_run.image_set())
    return review_run.write(tmp_path_factory.mktemp("run"), scorer), scorer


@pytest.fixture
def copied(made, tmp_path):
    shutil.copytree(made[0], tmp_path / "run")
    return tmp_path / "run"


def test_everything_comes_back(made):
    folder, scorer = made
    run, images = run_data.read(folder), scorer.image_set
    over = scorer.outputs["over_probs"][:, scorer.best["over"]]
    normal = scorer.outputs["normal_probs"][:, scorer.best["normal"]]
    assert run.ids.tolist() == images.ids.tolist()
    assert run.classes == images.classes
    assert run.split.tolist() == images.splits.tolist()
    np.testing.assert_array_equal(run.votes, images.votes)
    np.testing.assert_array_equal(run.certain, images.annotations.certain)
    np.testing.assert_array_equal(run.reference, images.annotations.reference)
    np.testing.assert_array_equal(run.labels, scorer.labels)
    np.testing.assert_array_equal(run.cluster, over.argmax(1))
    np.testing.assert_allclose(run.cluster_prob, over.max(1), rtol=1e-5)
    np.testing.assert_array_equal(run.normal_class, normal.argmax(1))
    np.testing.assert_allclose(run.class_probs, normal, rtol=1e-5, atol=1e-7)
    np.testing.assert_array_equal(run.cluster_class, scorer.cluster_classes()[run.cluster])
    assert (run.overclustered, run.num_clusters) == (True, 8)
    assert run.features.shape == (60, 32)
    assert run.ignored_classes == images.ignored_classes
    assert (run.licence, run.dataset, run.source) == ("CC <0>", "made <up>", "made & up")
    assert "--k=8" in run.flags
    for split in ("val", "fuzzy", "hidden", "test"):
        assert run.images(split).tolist() == scorer.images(split).tolist()


def test_a_run_without_clusters_has_the_predicted_classes(tmp_path):
    folder = review_run.write(tmp_path, review_run.scored(review_run.image_set(), over=False))
    run = run_data.read(folder)
    assert (run.overclustered, run.num_clusters) == (False, 4)
    np.testing.assert_array_equal(run.cluster, run.normal_class)
    np.testing.assert_array_equal(run.cluster_class, run.normal_class)
    np.testing.assert_array_equal(run.cluster_prob, run.normal_prob)


def test_results_of_evaluate_have_no_flags(copied):
    (copied / "flags.txt").unlink()
    assert run_data.read(copied).flags == ""


def test_a_review_does_not_load_tensorflow(made):
    code = (
        "import sys; from foc_tf.reviewing import report_page; "
        f"report_page.write_report({str(made[0])!r}); "
        "print([m for m in ('tensorflow', 'keras') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.strip() == "[]", done.stderr


def test_missing_files_are_named(copied):
    for name in ("review_data/thumbnails.bin", "review_data/arrays.npz", "review_data/about.json"):
        (copied / name).unlink()
        with pytest.raises(ValueError, match=name):
            run_data.read(copied)
    for name in ("predictions.csv", "report.json"):
        (copied / name).unlink()
        with pytest.raises(ValueError, match=name):
            run_data.read(copied)


@pytest.mark.parametrize(
    ("name", "old", "new", "expected"),
    [
        ("report.json", b'"classes"', b'"klasses"', "classes"),
        ("report.json", b"{", b"\xff", "not JSON"),
        ("predictions.csv", b"normal_class", b"other_class", "normal_class"),
        ("predictions.csv", b",False,", b",False,stray", "no class of report.json"),
        ("review_data/about.json", b'"format": 1', b'"format": 2', "format 1"),
        ("review_data/about.json", b'"clusters": 8', b'"clusters": -8', "another kind"),
        ("review_data/about.json", b'"clusters": 8', b'"clusters": 3', "about.json has 3"),
        ("review_data/about.json", b'"digest": "', b'"digest": "0', "not of the images"),
    ],
)
def test_foreign_files_are_named(copied, name, old, new, expected):
    path = copied / name
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new, 1))
    with pytest.raises(ValueError, match=expected) as error:
        run_data.read(copied)
    assert name.split("/")[0] in str(error.value)


def test_other_predictions_are_not_mixed_with_these_votes(copied, tmp_path):
    fewer = review_run.scored(review_run.image_set(count=59))
    other = review_run.write(tmp_path / "other", fewer)
    shutil.copy(other / "predictions.csv", copied)
    with pytest.raises(ValueError, match=r"not of the images in .*foc_tf\.evaluate"):
        run_data.read(copied)


def test_arrays_that_would_execute_or_fill_the_memory_are_refused(copied):
    path = copied / "review_data" / "arrays.npz"
    with np.load(path) as stored:
        good = dict(stored)
    wrong = {
        "votes": np.array([print] * 60, object),
        "labels": np.zeros((10**7,), np.int64),  # zeros: a few kilobytes in the file
        "features": np.zeros((60, 10**5), np.float32),
        "explained": np.zeros(31),
    }
    for name, value in wrong.items():
        np.savez_compressed(path, **good | {name: value})
        with pytest.raises(ValueError, match=f"arrays.npz.*{name}"):
            run_data.read(copied)
    for name, value in (("votes", -1), ("labels", 4), ("features", np.nan)):
        changed = good[name].copy()
        changed.flat[3] = value
        np.savez_compressed(path, **good | {name: changed})
        with pytest.raises(ValueError, match=r"arrays\.npz"):
            run_data.read(copied)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(ValueError, match="damaged or foreign"):
        run_data.read(copied)


def test_features_of_a_diverged_run_do_not_stop_it(tmp_path):
    scorer = review_run.scored(review_run.image_set())
    scorer.outputs["features"][3, 5] = np.inf
    keeping.write(tmp_path, scorer)
    kept = keeping.read(tmp_path, scorer.image_set.ids, 4)
    assert np.isfinite(kept.features).all()
