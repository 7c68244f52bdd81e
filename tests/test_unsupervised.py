"""Clusters of a normal head without labels get the order of the classes."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import foc_tf
from foc_tf import scoring, unsupervised
from tests.small_run import SMALL, read_report, run
from tests.test_model import batch, tiny_model


def agreement(clusters, labels, order):
    """Images whose cluster is the one that stands for their class; slow and obvious."""
    return sum(label >= 0 and order[label] == c for c, label in zip(clusters, labels))


@given(
    st.integers(1, 4).flatmap(
        lambda classes: st.tuples(
            st.just(classes),
            st.lists(
                st.tuples(st.integers(0, classes - 1), st.integers(-1, classes - 1)),
                min_size=1,
                max_size=30,
            ),
        )
    )
)
@settings(max_examples=100, deadline=None)
def test_the_order_is_the_best_of_all(drawn):
    classes, pairs = drawn
    clusters, labels = np.array(pairs).T
    (order,) = unsupervised.best_orders(clusters[:, None], labels, classes)
    every = itertools.permutations(range(classes))
    best = max(agreement(clusters, labels, other) for other in every)
    assert agreement(clusters, labels, order) == best


@pytest.mark.parametrize("hidden_units", [0, 5])
def test_outputs_change_places_and_nothing_else(hidden_units):
    model = tiny_model(hidden_units=hidden_units)
    images = batch()["anchor"]
    before = {k: np.asarray(v) for k, v in model(images).items()}
    # By hand: of the first copy outputs 2, 0, 1 become classes 0, 1, 2; the second stays.
    model.normal_head.reorder(np.array([[2, 0, 1], [0, 1, 2]]))
    after = {k: np.asarray(v) for k, v in model(images).items()}
    np.testing.assert_allclose(
        after["normal_probs"][:, 0], before["normal_probs"][:, 0][:, [2, 0, 1]], rtol=1e-6
    )
    np.testing.assert_allclose(after["normal_probs"][:, 1], before["normal_probs"][:, 1], rtol=1e-6)
    np.testing.assert_array_equal(after["over_probs"], before["over_probs"])


def test_named_outputs_agree_as_well_as_any_order_can():
    model, images = tiny_model(), batch()["anchor"]
    clusters = np.asarray(model(images)["normal_probs"]).argmax(-1)
    labels = (clusters[:, 0] + 1) % 3
    unsupervised.name_outputs(model, clusters, labels)
    named = np.asarray(model(images)["normal_probs"])[:, 0].argmax(-1)
    np.testing.assert_array_equal(named, labels)


def test_scores_of_clusters_by_hand():
    # Clusters 1 1 0 0, classes 0 0 1 0: swapped, three of four agree; as they stand, one.
    probs = np.eye(2)[[1, 1, 0, 0]]
    scores = scoring.score_normal(probs, np.array([0, 0, 1, 0]))
    assert (scores["accuracy"], scores["hungarian_accuracy"]) == (0.25, 0.75)
    nobody = scoring.score_normal(probs[:0], np.zeros(0, int))
    assert nobody["hungarian_accuracy"] is None
    assert "no image" in nobody["nmi_reason"]


def test_pretext_alone_is_scored_as_clustering(tmp_path):
    changed = ["--heads_only_epochs=0", "--fine_tune_epochs=0", "--pretext_epochs=6"]
    arguments = [f"--workdir={tmp_path / 'r'}", f"--export_dir={tmp_path / 'm'}"]
    done = run("train", *SMALL, *changed, *arguments)
    assert done.returncode == 0, done.stderr
    val = read_report(tmp_path / "r")["splits"]["val"]["normal"]
    # The order was fitted on these very images.
    assert val["accuracy"] == pytest.approx(val["hungarian_accuracy"])
    # Ten classes: an untrained head is at about a fifth.
    assert val["accuracy"] > 0.25
    again = run("evaluate", f"--workdir={tmp_path / 'r'}", f"--output={tmp_path / 'e'}")
    assert again.returncode == 0, again.stderr
    assert read_report(tmp_path / "e")["splits"]["val"]["normal"] == val
    assert foc_tf.load(tmp_path / "m" / "1").signatures
