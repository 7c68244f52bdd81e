"""CMC: what its backbone sees, its losses by hand, whole runs on coloured images."""

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

import foc_tf
from foc_tf.backbones import sobel
from foc_tf.backbones.luma_chroma import LumaAndChroma, of_luma_and_chroma
from foc_tf.contrastive import contrastive_loss
from foc_tf.methods import CMC
from foc_tf.stages import warm_up_stages
from tests import cluster_runs
from tests.small_run import read_report, run
from tests.test_model import batch, tiny_backbone, tiny_model


def test_luma_and_chroma_by_hand():
    # Pure red: luma .299 * 255 = 76.245; chroma (255 - 76.245) / 2 + 127.5 = 216.8775 and
    # (0 - 76.245) / 2 + 127.5 = 89.3775 twice. Grey 100: luma 100, chroma 127.5.
    pixels = np.float32([[[[255, 0, 0]]], [[[100, 100, 100]]]])
    red, grey, red_chroma, grey_chroma = LumaAndChroma()(pixels).numpy()[:, 0, 0]
    np.testing.assert_allclose(red, [76.245] * 3, rtol=1e-5)
    np.testing.assert_allclose(grey, [100] * 3, rtol=1e-5)
    np.testing.assert_allclose(red_chroma, [216.8775, 89.3775, 89.3775], rtol=1e-5)
    np.testing.assert_allclose(grey_chroma, [127.5] * 3, rtol=1e-5)


def test_nothing_is_clipped_and_nothing_is_lost():
    images = np.random.default_rng(0).choice([0.0, 255.0, 99.0], (50, 4, 4, 3)).astype(np.float32)
    luma, chroma = np.split(LumaAndChroma()(images).numpy(), 2)
    assert chroma.min() >= 0
    assert chroma.max() <= 255
    np.testing.assert_allclose(chroma @ [0.299, 0.587, 0.114], 127.5, rtol=1e-5)
    np.testing.assert_allclose(luma + 2 * (chroma - 127.5), images, atol=1e-3)


def test_features_are_those_of_luma_and_of_chroma_side_by_side():
    backbone, images = tiny_backbone(3), batch(channels=3)["anchor"]
    apart = of_luma_and_chroma(backbone)
    luma, chroma = np.split(LumaAndChroma()(images).numpy(), 2)
    wanted = np.concatenate([backbone(luma), backbone(chroma)], axis=1)
    np.testing.assert_allclose(apart(images), wanted, rtol=1e-5)
    assert [id(w) for w in apart.weights] == [id(w) for w in backbone.weights]


def test_its_steps():
    pretext, heads_only, fine_tune = CMC.schedule(warm_up_stages(2, 1, 1))
    assert (pretext.heads, pretext.labeled_only) == (("projection",), False)
    assert all(stage.labeled_only and stage.use_labels for stage in (heads_only, fine_tune))
    assert not heads_only.train_backbone


def test_losses_by_hand_from_the_outputs():
    model, data = tiny_model("cmc", dropout=0.0), batch(channels=3)
    outputs = model(data["anchor"])
    model.set_stage(warm_up_stages(1, 0, 0)[0])
    luma, chroma = np.split(outputs["features"].numpy(), 2, axis=1)
    wanted = contrastive_loss(
        model.projection_head(luma), model.projection_head(chroma), 0.07, within_views=False
    )
    (loss,) = model.compute_losses(data, training=False).values()
    np.testing.assert_allclose(loss, wanted, rtol=1e-5)
    model.set_stage(warm_up_stages(0, 0, 1)[0])
    (loss,) = model.compute_losses(data, training=False).values()
    known = np.flatnonzero(data["label"] >= 0)
    right = outputs["normal_probs"].numpy()[known, :, data["label"][known]]
    np.testing.assert_allclose(loss, -np.log(right).sum() / (12 * 2), rtol=1e-5)


@pytest.mark.parametrize("stage", warm_up_stages(1, 0, 1), ids=lambda s: s.name)
def test_every_loss_reaches_the_backbone(stage):
    model, data = tiny_model("cmc", dropout=0.0), batch(channels=3)
    (stage,) = CMC.schedule((stage,))
    model.set_stage(stage, stage.heads)
    with tf.GradientTape() as tape:
        (loss,) = model.compute_losses(data, training=True).values()
    gradients = tape.gradient(loss, model.stage_variables())
    assert all(np.abs(g).sum() > 0 for g in gradients[:2])


def test_without_colours_it_says_so():
    with pytest.raises(ValueError, match=r"input: cmc .* found images of 1 channel.*--input=rgb"):
        CMC(tiny_backbone(1), 3)
    edges = sobel.before(tiny_backbone(2), "sobel", (8, 8, 3))
    with pytest.raises(ValueError, match="found edges"):
        CMC(edges, 3)


def test_two_replicas_are_one(two_replicas):
    one = cluster_runs.after_three_steps(tf.distribute.get_strategy(), "cmc", channels=3)
    two = cluster_runs.after_three_steps(two_replicas, "cmc", channels=3)
    cluster_runs.assert_two_replicas_are_one(two, one)


@pytest.fixture(scope="module")
def coloured(tmp_path_factory):
    """Three classes of a dark and a bright half, each class with a colour of its own; noise."""
    folder = tmp_path_factory.mktemp("coloured")
    rng = np.random.default_rng(0)
    rows, names = ["image,class,votes"], ("across", "along", "even")
    (folder / "images").mkdir()
    colours = np.float32([[200, 120, 100], [110, 190, 110], [110, 110, 210]])
    for index in range(180):
        kind = index % 3
        shade = np.ones((10, 10))
        shade[:5] *= 0.4 if kind == 0 else 1
        shade[:, :5] *= 0.4 if kind == 1 else 1
        pixels = colours[kind] * shade[..., None] + rng.normal(0, 25, (10, 10, 3))
        name = f"images/{index:03}.png"
        keras.utils.save_img(folder / name, np.clip(pixels, 0, 255), scale=False)
        rows.append(f"{name},{names[kind]},3")
    (folder / "annotations.csv").write_text("\n".join(rows) + "\n")
    return folder


def cmc_flags(folder, *more):
    """Colour images in place of the digits."""
    others = ("--dataset", "--input", "--load_size", "--augment", "--labels_per_class")
    own = [flag for flag in cluster_runs.flags("cmc") if not flag.startswith(others)]
    place = (f"--data_dir={folder}", "--load_size=10", "--labels_per_class=6")
    return [*own, *place, "--unlabeled_ratio=1", *more]


def test_a_run_stopped_in_every_stage_is_the_undisturbed_one(tmp_path, monkeypatch, coloured):
    epochs = ("--pretext_epochs=2", "--heads_only_epochs=2", "--fine_tune_epochs=2")
    arguments = cmc_flags(coloured, *epochs)
    cluster_runs.stopped_after(monkeypatch, (), tmp_path / "whole", arguments)
    cluster_runs.stopped_after(monkeypatch, (1, 3, 5), tmp_path / "parts", arguments)
    cluster_runs.assert_alike_to_the_bit(tmp_path / "whole", tmp_path / "parts")


def test_a_whole_run_with_an_mlp(tmp_path, coloured):
    epochs = ("--pretext_epochs=8", "--heads_only_epochs=20", "--fine_tune_epochs=0")
    rates = ("--heads_learning_rate=1e-2", "--learning_rate_schedule=constant")
    more = (*rates, "--hidden_units=32", "--evaluate_every=10")
    workdir = tmp_path / "run"
    done = run("train", *cmc_flags(coloured, *epochs, *more), f"--workdir={workdir}")
    assert done.returncode == 0, done.stderr
    history = pd.read_csv(workdir / "history.csv")
    contrast = history["luma_chroma_nce"].dropna()
    assert contrast.iloc[-1] < contrast.iloc[0]
    report = read_report(workdir)
    # 18 labelled images in a batch of 60, luma and chroma of each
    assert report["stages"][1]["images"] == 20 * 60 * 2
    accuracy = report["splits"]["val"]["normal"]["accuracy"]
    print(f"accuracy {accuracy:.3f}")
    assert accuracy > 0.8
    assert foc_tf.load(workdir).normal_head.hidden_units == 32
