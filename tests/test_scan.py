"""SCAN: its three steps, their losses by hand, its neighbours, whole runs."""

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from foc_tf import checkpoints
from foc_tf.clustering import mean_entropy, neighbor_loss, self_label_loss
from foc_tf.data.batches import BatchSampler
from foc_tf.methods import SCAN
from foc_tf.stages import warm_up_stages
from foc_tf.views import stage_views
from tests import cluster_runs
from tests.small_run import read_report, run
from tests.test_model import batch, tiny_model


def random_probs(rows=20, sub_heads=2, classes=4, seed=0, sharpness=1.0):
    logits = sharpness * np.random.default_rng(seed).standard_normal((rows, sub_heads, classes))
    probs = np.exp(logits)
    return (probs / probs.sum(-1, keepdims=True)).astype(np.float32)


def test_neighbor_loss_by_hand():
    # <(.5, .5), (.8, .2)> = .5 and <(1, 0), (.25, .75)> = .25: (ln 2 + ln 4) / 2 = 1.5 ln 2
    one, two = np.float32([[[[0.5, 0.5]], [[1, 0]]], [[[0.8, 0.2]], [[0.25, 0.75]]]])
    assert float(neighbor_loss(one, two)) == pytest.approx(1.5 * np.log(2), rel=1e-6)


def test_entropy_by_hand():
    # Means (.75, .25) and (0, 1): H = .75 ln(4/3) + .25 ln 4 = .562335 and 0; their mean .281168
    probs = np.float32([[[1.0, 0.0], [0.0, 1.0]], [[0.5, 0.5], [0.0, 1.0]]])
    assert float(mean_entropy(probs)) == pytest.approx(0.281168, abs=1e-6)
    # Rows may be sure: what counts is the mean.
    assert float(mean_entropy(np.eye(4, dtype=np.float32)[:, None])) == pytest.approx(np.log(4))


def test_self_labels_mask_and_weights_by_hand():
    # Sure: rows 0, 1 of class 0, row 3 of class 1; row 2 (.9) is not, row 4 (.99) is not above.
    # n = 3, weights 3/2 and 3/1. CE of the strong view: ln 2, ln 4, ln 10.
    # Weighted mean: (1.5 ln 2 + 1.5 ln 4 + 3 ln 10) / (1.5 + 1.5 + 3) = (4.5 ln 2 + 3 ln 10) / 6
    weak = np.float32([[1, 0], [0.995, 0.005], [0.9, 0.1], [0.001, 0.999], [0.99, 0.01]])[:, None]
    strong = np.float32([[0.5, 0.5], [0.25, 0.75], [0.1, 0.9], [0.9, 0.1], [0.3, 0.7]])[:, None]
    wanted = (4.5 * np.log(2) + 3 * np.log(10)) / 6
    assert float(self_label_loss(weak, strong, np.float32(0.99))) == pytest.approx(wanted, rel=1e-5)


def test_without_a_sure_row_the_loss_and_its_gradient_are_zero():
    strong = tf.Variable(random_probs())
    with tf.GradientTape() as tape:
        loss = self_label_loss(tf.constant(random_probs(seed=1)), strong, 0.9999)
    assert float(loss) == 0.0
    np.testing.assert_array_equal(tape.gradient(loss, strong), np.zeros(strong.shape))


def slow_self_label(weak, strong, threshold):
    """Sub-heads and rows one by one; torch's weighted mean, as in the authors' code."""
    of_heads = []
    for s in range(weak.shape[1]):
        sure = [i for i in range(len(weak)) if weak[i, s].max() > threshold]
        target = [int(weak[i, s].argmax()) for i in sure]
        weights = [len(sure) / target.count(c) for c in target]
        rows = [-np.log(np.float64(strong[i, s, c])) for i, c in zip(sure, target)]
        of_heads.append(np.average(rows, weights=weights) if sure else 0.0)
    return np.mean(of_heads)


@pytest.mark.parametrize("seed", range(4))
def test_losses_are_the_slow_ones(seed):
    weak, strong = random_probs(seed=seed, sharpness=4), random_probs(seed=seed + 9)
    assert float(self_label_loss(weak, strong, 0.9)) == pytest.approx(
        slow_self_label(weak, strong, 0.9), rel=1e-5
    )
    a, b = np.float64(weak), np.float64(strong)
    wanted = np.mean([-np.log(a[i, s] @ b[i, s]) for i in range(20) for s in range(2)])
    assert float(neighbor_loss(weak, strong)) == pytest.approx(wanted, rel=1e-5)
    wanted = np.mean([-sum(m * np.log(m) for m in a[:, s].mean(0)) for s in range(2)])
    assert float(mean_entropy(weak)) == pytest.approx(wanted, rel=1e-5)


def test_its_steps():
    stages = SCAN.schedule(warm_up_stages(1, 1, 1, self_label_epochs=1))
    assert [s.name for s in stages] == ["pretext", "heads_only", "clustering", "self_label"]
    assert [s.heads for s in stages] == [("projection",), (), (), ()]
    assert not any(s.use_labels or s.labeled_only for s in stages)
    shown = [[(v.name, v.partner) for v in stage_views(SCAN.views, s)] for s in stages]
    assert shown[0] == [("anchor", "self"), ("positive", "self")]
    assert shown[1] == shown[2] == [("anchor", "self"), ("neighbor", "neighbor")]
    assert shown[3] == [("anchor", "self"), ("weak", "self")]
    assert [s.train_backbone for s in stages] == [True, False, True, True]


def stages():
    return SCAN.schedule(warm_up_stages(1, 0, 1, self_label_epochs=1))


@pytest.mark.parametrize("stage", stages(), ids=lambda s: s.name)
def test_every_loss_reaches_the_backbone_and_no_label_matters(stage):
    model = tiny_model("scan", dropout=0.0, self_label_threshold=0.4)
    model.set_stage(stage, stage.heads)
    data = batch()
    with tf.GradientTape(persistent=True) as tape:
        losses = model.compute_losses(data, training=True)
    for name, loss in losses.items():
        gradients = tape.gradient(loss, model.backbone.trainable_variables)
        assert all(np.abs(g).sum() > 0 for g in gradients), name
    without = model.compute_losses(data | {"label": np.full(12, -1, np.int32)}, training=True)
    for name, loss in losses.items():
        assert float(without[name]) == float(loss)


def test_clustering_by_hand_from_the_outputs():
    model, data = tiny_model("scan", dropout=0.0, entropy_weight=2.0), batch()
    model.set_stage(stages()[1])
    losses = model.compute_losses(data, training=False)
    one, two = (model(data[view])["normal_probs"] for view in ("anchor", "neighbor"))
    assert float(losses["neighbor_nll"]) == pytest.approx(float(neighbor_loss(one, two)), rel=1e-5)
    wanted = -2 * float(mean_entropy(one))
    assert float(losses["cluster_entropy"]) == pytest.approx(wanted, rel=1e-5)


def test_pretext_moves_the_projection_and_not_the_classes():
    model = tiny_model("scan")
    model.set_stage(stages()[0], stages()[0].heads)
    old = [
        [w.copy() for w in head.get_weights()]
        for head in (model.normal_head, model.projection_head)
    ]
    model.fit(tf.data.Dataset.from_tensors(batch()).repeat(), steps_per_epoch=2, verbose=0)
    new = [head.get_weights() for head in (model.normal_head, model.projection_head)]
    assert all(np.array_equal(a, b) for a, b in zip(old[0], new[0]))
    assert not any(np.array_equal(a, b) for a, b in zip(old[1], new[1]))


def test_batches_show_a_neighbour_of_each_row():
    labels = np.array([0, 1] * 10 + [-1] * 40)
    sampler = BatchSampler(labels, np.arange(25, 60), 30, 1.0)  # 20 to 24 are not used
    assert "neighbor" not in sampler.batch(0)
    assert len(sampler.pool) == 55
    sampler.neighbors = (np.arange(55)[:, None] + [1, 2, 3]) % 55
    place = {image: index for index, image in enumerate(sampler.pool)}
    steps = set()
    for step in range(40):
        drawn, again = sampler.batch(step), sampler.batch(step)
        np.testing.assert_array_equal(drawn["neighbor"], again["neighbor"])
        far = [(place[n] - place[i]) % 55 for i, n in zip(drawn["self"], drawn["neighbor"])]
        assert set(far) <= {1, 2, 3}
        steps.add(tuple(far))
    assert len(steps) == 40


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_neighbors": 0}, "num_neighbors: expected at least 1"),
        ({"self_label_threshold": 1.0}, "self_label_threshold: expected 0 to below 1"),
    ],
)
def test_numbers_out_of_range_are_named_before_the_pretext(arguments, message):
    with pytest.raises(ValueError, match=message):
        tiny_model("scan", **arguments)


def test_two_replicas_are_one(two_replicas):
    one = cluster_runs.after_three_steps(tf.distribute.get_strategy(), "scan")
    two = cluster_runs.after_three_steps(two_replicas, "scan")
    cluster_runs.assert_two_replicas_are_one(two, one)


def scan_flags(*more):
    views = [f"--augment_{view}=digit" for view in ("anchor", "positive", "neighbor", "weak")]
    return cluster_runs.flags("scan", *views, "--unlabeled_ratio=1", *more)


def test_a_run_stopped_in_every_stage_is_the_undisturbed_one(tmp_path, monkeypatch):
    epochs = ("--pretext_epochs=2", "--heads_only_epochs=0", "--fine_tune_epochs=2")
    arguments = scan_flags(*epochs, "--self_label_epochs=2")
    cluster_runs.stopped_after(monkeypatch, (), tmp_path / "whole", arguments)
    # Where the neighbours are about to be sought, where they are known, and in the last stage.
    cluster_runs.stopped_after(monkeypatch, (2, 3, 5), tmp_path / "parts", arguments)
    cluster_runs.assert_alike_to_the_bit(tmp_path / "whole", tmp_path / "parts")
    table = checkpoints.load_neighbors(tmp_path / "whole" / "checkpoints", 1)
    # 1,797 images less the 281 certain ones of validation
    assert table.shape == (1516, 20)


def test_a_lost_table_of_neighbours_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"neighbors-1\.npz.*cannot be read.*--workdir"):
        checkpoints.load_neighbors(tmp_path, 1)
    checkpoints.save_neighbors(tmp_path, 1, np.eye(3, dtype=int))
    np.testing.assert_array_equal(checkpoints.load_neighbors(tmp_path, 1), np.eye(3))
    (tmp_path / "neighbors-1.npz").write_bytes(b"torn")
    with pytest.raises(ValueError, match="cannot be read"):
        checkpoints.load_neighbors(tmp_path, 1)


def test_a_whole_run_finds_the_digits(tmp_path):
    epochs = ("--pretext_epochs=3", "--heads_only_epochs=1", "--fine_tune_epochs=12")
    more = ("--self_label_epochs=2", "--dropout=0", "--evaluate_every=2")
    done = run("train", *scan_flags(*epochs, *more), f"--workdir={tmp_path / 'run'}")
    assert done.returncode == 0, done.stderr
    history = pd.read_csv(tmp_path / "run" / "history.csv")
    clustered = history[history["stage"] == "clustering"]["val_normal_accuracy"].max()
    report = read_report(tmp_path / "run")
    assert [s["name"] for s in report["stages"]][2:] == ["clustering", "self_label"]
    found = report["splits"]["val"]["normal"]
    print(f"clustering {clustered:.3f}, self-labelled {found['hungarian_accuracy']:.3f}")
    # Its outputs got the order of the classes on these very images.
    assert found["accuracy"] == pytest.approx(found["hungarian_accuracy"])
    assert clustered > 0.6
    assert found["accuracy"] > 0.5
