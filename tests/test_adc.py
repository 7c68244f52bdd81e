"""ADC: round trips by hand, its losses from the outputs, whole runs."""

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from foc_tf.clustering import association_losses
from foc_tf.methods import ADC
from foc_tf.stages import warm_up_stages
from foc_tf.views import stage_views
from tests import cluster_runs
from tests.small_run import read_report, run
from tests.test_model import batch, tiny_model


def softmax(x):
    e = np.exp(np.asarray(x, np.float64))
    return e / e.sum(-1, keepdims=True)


def slow(similarity):
    """Walker and visit of one [A, B] matrix: every trip by itself, in float64."""
    count, others = similarity.shape
    walker, visited = 0.0, np.zeros(others)
    for a in range(count):
        to, stays = softmax(similarity[a]), 0.0
        for b in range(others):
            stays += to[b] * softmax(similarity[:, b])[a]
            visited[b] += to[b] / count
        walker -= np.log(stays) / count
    return walker, -sum(np.log(v) / others for v in visited)


def test_round_trips_by_hand():
    # Similarities ln 3 on the diagonal, 0 beside it: every step is (3/4, 1/4). Stays with
    # 3/4 * 3/4 + 1/4 * 1/4 = 10/16: walker ln 1.6. Each is visited with 1/2: visit ln 2.
    walker, visit = association_losses(np.log(3) * np.eye(2, dtype=np.float32))
    assert float(walker) == pytest.approx(np.log(1.6), rel=1e-6)
    assert float(visit) == pytest.approx(np.log(2), rel=1e-6)
    # Both go to the first with 3/4: back from either 1/2, so stays 1/2: walker ln 2.
    # Visits (3/4, 1/4): visit -(ln .75 + ln .25) / 2 = ln(16/3) / 2.
    walker, visit = association_losses(np.log(3) * np.float32([[1, 0], [1, 0]]))
    assert float(walker) == pytest.approx(np.log(2), rel=1e-6)
    assert float(visit) == pytest.approx(np.log(16 / 3) / 2, rel=1e-6)


@given(st.integers(0, 99), st.integers(1, 5), st.integers(1, 9), st.sampled_from([0.1, 1, 5]))
def test_round_trips_are_the_slow_ones(seed, places, others, scale):
    similarity = scale * np.random.default_rng(seed).standard_normal((2, places, others))
    found = association_losses(tf.constant(similarity, tf.float32))
    for copy in range(2):
        wanted = slow(similarity[copy])
        np.testing.assert_allclose([f[copy] for f in found], wanted, rtol=1e-4, atol=1e-5)
        assert found[1][copy] > np.log(others) - 1e-5


def test_far_similarities_are_finite():
    similarity = tf.Variable([[200.0, 0.0], [200.0, 0.0]])
    with tf.GradientTape() as tape:
        total = tf.add_n(association_losses(similarity))
    assert np.isfinite(total)
    assert np.isfinite(tape.gradient(total, similarity)).all()


def test_its_steps():
    stages = ADC.schedule(warm_up_stages(1, 1, 1))
    assert [s.name for s in stages] == ["pretext", "heads_only", "clustering"]
    for stage in stages:
        assert not stage.use_labels
        shown = [(v.name, v.partner) for v in stage_views(ADC.views, stage)]
        assert shown == [("anchor", "self"), ("positive", "self")]


def clustering():
    (stage,) = ADC.schedule(warm_up_stages(0, 0, 1))
    return stage


def test_losses_by_hand_from_the_outputs():
    model, data = tiny_model("adc", dropout=0.0, visit_weight=0.25), batch()
    model.normal_head.output_weights[1].assign([[0.5, -0.5, 0.0], [0.0, 0.1, 0.2]])
    model.set_stage(clustering())
    losses = {k: float(v) for k, v in model.compute_losses(data, training=False).items()}
    x, moved = (model(data[view])["features"].numpy() for view in ("anchor", "positive"))
    kernel, bias = (w.numpy() for w in model.normal_head.output_weights)
    walks = [slow((x @ kernel[s] + bias[s]).T) for s in range(2)]
    assert losses["centroid_walker"] == pytest.approx(np.mean([w for w, _ in walks]), rel=1e-4)
    assert losses["centroid_visit"] == pytest.approx(
        0.25 * np.mean([v for _, v in walks]), rel=1e-4
    )
    unit, moved = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in (x, moved))
    walker, visit = slow(9 * moved @ unit.T)
    assert losses["transform_walker"] == pytest.approx(walker, rel=1e-4)
    assert losses["transform_visit"] == pytest.approx(visit, rel=1e-4)
    own = [np.diag(softmax(kernel[s].T @ kernel[s] + bias[s])) for s in range(2)]
    assert losses["centroid_ce"] == pytest.approx(-0.5 * np.mean(np.log(own)), rel=1e-4)


def test_the_step_from_an_image_to_the_centroids_is_its_probability():
    model, data = tiny_model("adc"), batch()
    outputs = model(data["anchor"])
    logits = model.normal_head.logits(outputs["features"])
    np.testing.assert_allclose(softmax(logits), outputs["normal_probs"], rtol=1e-5)


def test_every_loss_reaches_what_it_should_and_no_label_matters():
    model, data = tiny_model("adc", dropout=0.0), batch()
    model.set_stage(clustering())
    with tf.GradientTape(persistent=True) as tape:
        losses = model.compute_losses(data, training=True)
    assert set(losses) == set(ADC.loss_names)
    of_backbone = set(losses) - {"centroid_ce"}  # which the centroids alone decide
    for name, loss in losses.items():
        gradients = tape.gradient(loss, model.backbone.trainable_variables)
        if name in of_backbone:
            assert all(np.abs(g).sum() > 0 for g in gradients), name
        if name.startswith("centroid"):
            (kernel, _) = tape.gradient(loss, model.normal_head.output_weights)
            assert np.abs(kernel).sum() > 0, name
    other = model.compute_losses(data | {"label": np.full(12, -1, np.int32)}, training=True)
    assert {k: float(v) for k, v in other.items()} == {k: float(v) for k, v in losses.items()}


def test_the_pretext_knows_no_walk_of_centroids():
    model = tiny_model("adc")
    model.set_stage(ADC.schedule(warm_up_stages(1, 0, 0))[0])
    found = set(model.compute_losses(batch(), training=True))
    assert found == {"transform_walker", "transform_visit", "centroid_ce"}


def test_two_replicas_are_one(two_replicas):
    one = cluster_runs.after_three_steps(tf.distribute.get_strategy(), "adc")
    two = cluster_runs.after_three_steps(two_replicas, "adc")
    cluster_runs.assert_two_replicas_are_one(two, one)


def adc_flags(*more):
    views = [f"--augment_{view}=digit" for view in ("anchor", "positive")]
    return cluster_runs.flags("adc", *views, "--unlabeled_ratio=1", "--heads_only_epochs=0", *more)


def test_a_run_stopped_in_every_stage_is_the_undisturbed_one(tmp_path, monkeypatch):
    arguments = adc_flags("--pretext_epochs=2", "--fine_tune_epochs=2")
    cluster_runs.stopped_after(monkeypatch, (), tmp_path / "whole", arguments)
    cluster_runs.stopped_after(monkeypatch, (1, 3), tmp_path / "parts", arguments)
    cluster_runs.assert_alike_to_the_bit(tmp_path / "whole", tmp_path / "parts")


def test_a_whole_run_finds_digits(tmp_path):
    more = ("--pretext_epochs=2", "--fine_tune_epochs=8", "--dropout=0", "--evaluate_every=2")
    done = run("train", *adc_flags(*more), f"--workdir={tmp_path / 'run'}")
    assert done.returncode == 0, done.stderr
    history = pd.read_csv(tmp_path / "run" / "history.csv")
    assert history["stage"].tolist() == ["pretext"] * 2 + ["clustering"] * 8
    walker = history["centroid_walker"].dropna()
    assert walker.iloc[-1] < walker.iloc[0]
    found = read_report(tmp_path / "run")["splits"]["val"]["normal"]
    print(f"hungarian accuracy {found['hungarian_accuracy']:.3f}")
    # Its outputs got the order of the classes on these very images.
    assert found["accuracy"] == pytest.approx(found["hungarian_accuracy"])
    assert found["accuracy"] > 0.35
