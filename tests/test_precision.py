"""Sixteen bits: losses and softmax stay float32, float16 scales its loss."""

import json

import keras
import numpy as np
import pytest

import foc_tf
from foc_tf import checkpoints, precision
from foc_tf.keras_compat import loss_scale_variables
from tests.small_run import SMALL, read_report, run
from tests.strategy_worker import smooth_backbone
from tests.test_model import dataset, snapshot


@pytest.fixture(params=["mixed_bfloat16", "mixed_float16"])
def policy(request):
    keras.mixed_precision.set_global_policy(request.param)
    yield request.param
    keras.mixed_precision.set_global_policy("float32")


def made(rate=1e-2, seed=0):
    keras.utils.set_random_seed(1)
    # A small one: float16 is slow on a CPU.
    model = foc_tf.build_model("foc", smooth_backbone(), 3, k=6, num_sub_heads=2, seed=seed)
    model.compile(keras.optimizers.Adam(rate))
    return model


def test_layers_have_16_bits_and_losses_and_outputs_32(policy):
    model = made()
    convolution = next(x for x in model.backbone.layers if isinstance(x, keras.layers.Conv2D))
    assert convolution.compute_dtype == policy.removeprefix("mixed_")
    assert convolution.dtype == "float32"
    outputs = model(np.zeros((2, 8, 8, 1), np.float32))
    assert {value.dtype.name for value in outputs.values()} == {"float32"}
    batch = next(iter(dataset()))
    assert {v.dtype.name for v in model.compute_losses(batch, True).values()} == {"float32"}


def test_one_step_is_that_of_float32(policy):
    """Adam's first step has the gradient's sign and the rate's length: most signs agree."""
    low = made()
    keras.mixed_precision.set_global_policy("float32")
    full = made()
    full.set_weights(low.get_weights())
    before = np.concatenate([v.ravel() for v in snapshot(full.trainable_variables)])
    moves = []
    for model in (low, full):
        model.fit(dataset(), steps_per_epoch=1, verbose=0)
        after = np.concatenate([v.ravel() for v in snapshot(model.trainable_variables)])
        moves.append(after - before)
    agree = np.sign(moves[0]) == np.sign(moves[1])
    assert agree.mean() > 0.85
    assert np.abs(moves[0]).max() == pytest.approx(1e-2, rel=0.01)


def test_an_overflowing_step_is_left_out_and_the_scale_falls():
    keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        model = made()
        scale, count = loss_scale_variables(model.optimizer)
        scale.assign(2.0**60)  # gradients overflow float16
        before = snapshot(model.trainable_variables)
        model.fit(dataset(), steps_per_epoch=1, verbose=0)
        assert all(
            np.array_equal(a, b) for a, b in zip(before, snapshot(model.trainable_variables))
        )
        assert float(scale.numpy()) == 2.0**59
        assert int(count.numpy()) == 0
        scale.assign(2.0**10)
        model.fit(dataset(), steps_per_epoch=2, verbose=0)
        assert int(count.numpy()) == 2
        assert not any(
            np.array_equal(a, b) for a, b in zip(before, snapshot(model.trainable_variables))
        )
    finally:
        keras.mixed_precision.set_global_policy("float32")


def test_a_checkpoint_holds_the_loss_scale(tmp_path):
    keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        model, other = made(), made(seed=1)
        loss_scale_variables(model.optimizer)[0].assign(4096.0)
        checkpoints.save(tmp_path, model, {"epoch": 1})
        checkpoints.restore_latest(tmp_path, other)
        assert float(loss_scale_variables(other.optimizer)[0].numpy()) == 4096.0
        checkpoints.reset_optimizer(other)
        assert float(loss_scale_variables(other.optimizer)[0].numpy()) == 4096.0
    finally:
        keras.mixed_precision.set_global_policy("float32")


def test_it_learns_as_float32_does(policy):
    losses = []
    for name in (policy, "float32"):
        keras.mixed_precision.set_global_policy(name)
        history = made(1e-3).fit(dataset(), steps_per_epoch=10, epochs=3, verbose=0)
        losses.append(history.history["loss"])
    assert losses[1][-1] < losses[1][0]
    np.testing.assert_allclose(losses[0], losses[1], atol=0.1)


def test_the_probe_times_both_and_the_run_keeps_the_choice(tmp_path, monkeypatch):
    seconds = precision.probe("small_resnet", 8, 1, rows=4)
    assert set(seconds) == {"none", "bfloat16"}
    assert min(seconds.values()) > 0
    assert keras.mixed_precision.global_policy().name == "float32"
    for times, wanted in (((1.0, 0.5), "bfloat16"), ((1.0, 0.96), "none"), ((1.0, 2.0), "none")):
        found = dict(zip(("none", "bfloat16"), times))
        monkeypatch.setattr(precision, "probe", lambda *network, found=found: found)
        assert precision.of_run(tmp_path, "small_resnet", 8)["chosen"] == wanted
    precision.keep(tmp_path, {"chosen": "bfloat16"})
    assert precision.of_run(tmp_path, "small_resnet", 8)["chosen"] == "bfloat16"


def test_auto_is_a_run_of_its_own_choice(tmp_path):
    short = ["--pretext_epochs=0", "--heads_only_epochs=0", "--fine_tune_epochs=1", "--noexport"]
    flags = [*SMALL, *short, "--mixed_precision=auto", f"--workdir={tmp_path / 'run'}"]
    done = run("train", *flags)
    assert done.returncode == 0, done.stderr
    chosen = json.loads((tmp_path / "run" / "precision.json").read_text())["chosen"]
    assert f"mixed_precision is {chosen}" in done.stderr
    # What is scored is float32, as evaluate does it later.
    before = read_report(tmp_path / "run")["splits"]["val"]["normal"]
    again = run("evaluate", f"--workdir={tmp_path / 'run'}")
    assert again.returncode == 0, again.stderr
    after = read_report(tmp_path / "run")["splits"]["val"]["normal"]
    assert after["kl"] == pytest.approx(before["kl"], rel=1e-4)
