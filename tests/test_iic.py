"""IIC: its schedule, its losses, its heads."""

import numpy as np
import pytest

import foc_tf
from foc_tf.methods import IIC
from foc_tf.stages import warm_up_stages
from foc_tf.views import stage_views
from tests.small_run import SMALL, read_report, run
from tests.test_model import batch, tiny_model


def test_before_labels_the_overclustering_head_alone_is_trained():
    pretext, heads_only, fine_tune = IIC.schedule(warm_up_stages(2, 1, 1))
    assert pretext.heads == ("over",)
    for stage in (heads_only, fine_tune):
        assert (stage.heads, stage.views, stage.labeled_only) == (("normal",), ("positive",), True)
        (view,) = stage_views(IIC.views, stage)
        assert (view.name, view.partner) == ("positive", "self")
    assert not heads_only.train_backbone


def test_alone_both_heads_cluster():
    (stage,) = IIC.schedule(warm_up_stages(2, 0, 0))
    assert stage.heads == ()
    assert not stage.labeled_only
    assert [view.name for view in stage_views(IIC.views, stage)] == ["anchor", "positive"]


def test_losses_by_hand_from_the_outputs():
    model, data = tiny_model("iic", dropout=0.0), batch()
    model.set_stage(warm_up_stages(1, 0, 0)[0])
    found = model.compute_losses(data, training=False)
    one, two = (model(data[view]) for view in ("anchor", "positive"))
    for head in ("normal", "over"):
        wanted = foc_tf.losses.mutual_information(one[f"{head}_probs"], two[f"{head}_probs"])
        np.testing.assert_allclose(found[f"{head}_mi"], -np.mean(wanted), rtol=1e-4, atol=1e-6)
    model.set_stage(warm_up_stages(0, 0, 1)[0])
    (loss,) = model.compute_losses(data, training=False).values()
    known = np.flatnonzero(data["label"] >= 0)
    right = two["normal_probs"].numpy()[known, :, data["label"][known]]
    np.testing.assert_allclose(loss, -np.log(right).sum() / (12 * 2), rtol=1e-5)


def test_the_mlp_is_the_normal_heads_alone():
    model = tiny_model("iic", hidden_units=16)
    assert len(model.normal_head.weights) == 4
    assert len(model.over_head.weights) == 2


@pytest.mark.parametrize("epochs", [(1, 1, 1), (2, 0, 0)])
def test_a_whole_run(tmp_path, epochs):
    names = ("--pretext_epochs", "--heads_only_epochs", "--fine_tune_epochs", "--alternate_epochs")
    flags = [a for a in SMALL if not a.startswith((*names, "--augment"))]
    given = [f"{name}={value}" for name, value in zip(names, (*epochs, 1))]
    done = run(
        "train",
        *flags,
        *given,
        "--method=iic",
        "--unlabeled_ratio=1",
        "--hidden_units=32",
        f"--workdir={tmp_path / 'run'}",
        "--noexport",
    )
    assert done.returncode == 0, done.stderr
    report = read_report(tmp_path / "run")
    stages = {stage["name"]: stage["images"] for stage in report["stages"]}
    # 1,797 images less the 360 of validation, two views each, batches of 60; labels: 120 images.
    if epochs[1]:
        assert stages["fine_tune"] == stages["heads_only"] == 120
        assert stages["pretext"] > 10 * stages["fine_tune"]
    assert report["splits"]["val"]["normal"]["hungarian_accuracy"] > 0.1
