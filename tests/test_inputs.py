"""What a model starts from and sees: edges, another run's backbone, statistics of views."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import foc_tf
from foc_tf import backbones, build, checkpoints
from foc_tf.backbones.sobel import Sobel
from tests.small_run import SMALL, call, read_report, run
from tests.test_model import batch, tiny_model


def edges_of(grey):
    """Slow, obvious Sobel edges of [H, W] grey values in 0..1, the frame reflected: [H, W, 2]."""
    padded = np.pad(grey.astype(np.float64), 1, mode="reflect")
    kernel = np.array([[-1, -2, -1], [0, 0, 0], [1, 2, 1]])
    result = np.zeros((*grey.shape, 2))
    for y in range(grey.shape[0]):
        for x in range(grey.shape[1]):
            window = padded[y : y + 3, x : x + 3]
            result[y, x] = (window * kernel).sum(), (window * kernel.T).sum()
    return result


def test_edges_are_those_of_numpy_and_of_a_step_by_hand():
    rng = np.random.default_rng(0)
    image = rng.uniform(0, 255, (1, 6, 7, 3)).astype(np.float32)
    grey = image[0] @ np.array([0.2989, 0.587, 0.114])
    found = np.asarray(Sobel()(image))[0] / 127.5 - 1
    np.testing.assert_allclose(found, edges_of(grey / 255), atol=1e-4)
    # Black above white: at the step 1 + 2 + 1 = 4 down and nothing across; elsewhere nothing.
    step = np.zeros((1, 6, 4, 1), np.float32)
    step[:, 3:] = 255
    found = np.asarray(Sobel()(step))[0] / 127.5 - 1
    np.testing.assert_allclose(found[:, 1, 0], [0, 0, 4, 4, 0, 0], atol=1e-5)
    np.testing.assert_allclose(found[..., 1], 0, atol=1e-5)


@pytest.mark.parametrize(("inputs", "channels"), [("sobel", 2), ("sobel_rgb", 5)])
def test_a_backbone_behind_edges(inputs, channels):
    model = backbones.build("small_resnet", 8, 3, inputs=inputs)
    image = np.random.default_rng(1).uniform(0, 255, (2, 8, 8, 3)).astype(np.float32)
    seen = np.asarray(model.get_layer("sobel")(image))
    assert seen.shape == (2, 8, 8, channels)
    if inputs == "sobel_rgb":
        np.testing.assert_array_equal(seen[..., :3], image)
    assert model(image).shape == (2, 128)
    # Edges do not see how bright an image is, colours do.
    same = np.allclose(model(image * 0.5 + 20), model(image * 0.5 + 90), atol=1e-4)
    assert same == (inputs == "sobel")


def test_unknown_inputs_are_named_and_pretrained_weights_need_colours():
    with pytest.raises(ValueError, match="inputs.*pixels, sobel, sobel_rgb.*'edge'"):
        backbones.build("small_resnet", 8, inputs="edge")
    with pytest.raises(ValueError, match="3 channels, found 2"):
        backbones.build("resnet50v2", 32, inputs="sobel", weights="imagenet")


def test_edges_survive_training_export_and_loading(tmp_path):
    arguments = [f for f in SMALL if not f.startswith("--input")] + ["--input=sobel"]
    workdir = tmp_path / "run"
    done = run("train", *arguments, f"--workdir={workdir}", f"--export_dir={tmp_path / 'm'}")
    assert done.returncode == 0, done.stderr
    assert read_report(workdir)["splits"]["val"]["normal"]
    model = foc_tf.load(workdir)
    assert model.recipe["inputs"] == "sobel"
    assert foc_tf.load(tmp_path / "m" / "1").signatures


def recipe_model(**changed):
    options = {"backbone": "small_resnet", "k_gt": 3, "k": 6, "image_size": 8, "channels": 3}
    return foc_tf.build_model("foc", **(options | changed))


@pytest.fixture
def workdir(tmp_path):
    """What a run leaves of its best model."""
    model = recipe_model(num_sub_heads=1)
    checkpoints.save_best(tmp_path / "best", model, {"model": model.recipe, "classes": []})
    return tmp_path, model


def test_init_from_takes_the_backbone_and_nothing_else(workdir):
    folder, source = workdir
    model = recipe_model(k_gt=5, k=20, image_size=16, seed=4)
    heads = [np.asarray(w).copy() for w in model.normal_head.weights]
    build.init_backbone(model, folder)
    for a, b in zip(model.backbone.get_weights(), source.backbone.get_weights()):
        np.testing.assert_array_equal(a, b)
    for a, b in zip(model.normal_head.weights, heads):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"backbone": "wide_resnet28_2"}, "backbone"),
        ({"channels": 1}, "channels"),
        ({"inputs": "sobel"}, "inputs"),
    ],
)
def test_init_from_another_kind_of_backbone_is_refused(workdir, changed, word):
    with pytest.raises(ValueError, match=f"init_from: {word} is"):
        build.init_backbone(recipe_model(**changed), workdir[0])


def test_init_from_of_no_run_exits_with_2(tmp_path):
    from foc_tf import train

    arguments = (*SMALL, f"--workdir={tmp_path / 'r'}", f"--init_from={tmp_path}")
    code, stderr = call(train.main, *arguments)
    assert code == 2
    assert "is no finished run" in stderr


def normalising_model(**kwargs):
    images = keras.Input((8, 8, 1))
    x = keras.layers.BatchNormalization(center=False, scale=False, epsilon=0.0)(images)
    backbone = keras.Model(images, keras.layers.Flatten()(x))
    return foc_tf.build_model("foc", backbone, k_gt=3, k=6, num_sub_heads=1, dropout=0.0, **kwargs)


def test_statistics_of_views():
    views = {k: v for k, v in batch().items() if k != "label"}
    views["positive"] = views["positive"] * 0.5 + 100
    names = ["anchor", "positive"]

    def features(how):
        outputs = normalising_model(batch_statistics=how).forward(views, names, training=True)
        return [np.asarray(output["features"]) for output in outputs]

    for view in features("per_view"):
        np.testing.assert_allclose([view.mean(), view.std()], [0, 1], atol=1e-3)
    shared = features("shared")
    assert abs(shared[0].mean() - shared[1].mean()) > 0.1
    both = np.stack(shared)
    np.testing.assert_allclose([both.mean(), both.std()], [0, 1], atol=1e-3)
    with pytest.raises(ValueError, match="batch_statistics.*'own'"):
        normalising_model(batch_statistics="own")


def test_without_the_inverse_cross_entropy_there_is_no_third_view():
    full, model = tiny_model(dropout=0.0), tiny_model(dropout=0.0, lambda_ice=0.0)
    assert [view.name for view in model.views] == ["anchor", "positive"]
    losses = model.compute_losses({k: v for k, v in batch().items() if k != "negative"}, True)
    assert "over_ice" not in losses
    half = tiny_model(dropout=0.0, lambda_ice=0.5, lambda_s=3.0)
    model.set_weights(full.get_weights())
    half.set_weights(full.get_weights())
    expected = full.compute_losses(batch(), True)
    tf.debugging.assert_near(
        model.compute_losses(batch(), True)["over_mi"], expected["over_mi"], 1e-5
    )
    tf.debugging.assert_near(
        half.compute_losses(batch(), True)["over_ice"], 1.5 * expected["over_ice"], 1e-5
    )
