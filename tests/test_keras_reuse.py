"""Heads, losses and features in other people's Keras code: fit, save, load."""

import pathlib
import re

import keras
import numpy as np
import pytest
import tensorflow as tf

import foc_tf
from foc_tf import checkpoints, features, losses
from foc_tf.data import decoding, digits
from foc_tf.keras_compat import KERAS_3
from foc_tf.serving import module
from tests.test_model import batch, dataset, tiny_backbone, tiny_model

CLASSES = {
    "MutualInformation": {},
    "InverseCrossEntropy": {},
    "TripletInverseCrossEntropy": {},
    "InBatchInverseCrossEntropy": {"num_classes": 3},
    "PartialCrossEntropy": {},
}
LABELS = np.int32([0, 1, 2, -1, 1, 0])


def probs(*shape, seed=0):
    return np.random.default_rng(seed).dirichlet(np.ones(5), shape).astype(np.float32)


def expected(name):
    """(y_true, y_pred, what the functions say of them, as a mean over rows and sub-heads)."""
    a, b = probs(6, 2), probs(6, 2, seed=1)
    views = probs(6, 3, 2)
    known = (LABELS >= 0)[:, None]
    triplet = losses.triplet_inverse_cross_entropy(*(views[:, i] for i in range(3)))
    return {
        "MutualInformation": (a, b, -np.mean(losses.mutual_information(a, b))),
        "InverseCrossEntropy": (a, b, np.mean(losses.inverse_cross_entropy(b, a))),
        "TripletInverseCrossEntropy": (LABELS, views, np.mean(triplet * known)),
        "InBatchInverseCrossEntropy": (
            *(LABELS, b),
            np.mean(losses.in_batch_inverse_cross_entropy(b, LABELS, 3)),
        ),
        "PartialCrossEntropy": (LABELS, b, np.mean(losses.cross_entropy(b, LABELS))),
    }[name]


def test_every_loss_is_listed():
    classes = {n: v for n, v in vars(losses).items() if isinstance(v, type)}
    found = {n for n, v in classes.items() if issubclass(v, keras.losses.Loss)}
    assert found == set(CLASSES)


@pytest.mark.parametrize("name", CLASSES)
def test_losses_say_what_their_functions_say_and_come_back(name):
    loss = getattr(losses, name)(**CLASSES[name], name="mine")
    y_true, y_pred, wanted = expected(name)
    assert wanted != 0
    np.testing.assert_allclose(loss(y_true, y_pred), wanted, rtol=1e-5)
    again = type(loss).from_config(loss.get_config())
    assert again.get_config() == loss.get_config()
    np.testing.assert_allclose(again(y_true, y_pred), wanted, rtol=1e-5)
    third = keras.losses.deserialize(keras.losses.serialize(loss))
    assert type(third) is type(loss)
    np.testing.assert_allclose(third(y_true, y_pred), wanted, rtol=1e-5)
    if y_true is LABELS:
        # As Keras hands them over: floats of rank 2.
        column = LABELS[:, None].astype(np.float32)
        np.testing.assert_allclose(loss(column, y_pred), wanted, rtol=1e-5)


@pytest.mark.parametrize("name", ["InBatchInverseCrossEntropy", "PartialCrossEntropy"])
def test_one_head_without_a_sub_head_axis(name):
    loss = getattr(losses, name)(**CLASSES[name])
    single = probs(6)
    np.testing.assert_allclose(loss(LABELS, single), loss(LABELS, single[:, None]), rtol=1e-6)


def plain_model():
    """Somebody's own Keras model with our head and losses."""
    image = keras.Input((8, 8, 1))
    seen = tiny_backbone()(image)
    outputs = {
        "normal": foc_tf.MultiHead(3, num_sub_heads=2, seed=1, name="normal")(seen),
        "over": foc_tf.MultiHead(6, num_sub_heads=2, seed=2, hidden_units=4, name="over")(seen),
    }
    model = keras.Model(image, outputs)
    model.compile(
        keras.optimizers.Adam(1e-2),
        loss={
            "normal": losses.PartialCrossEntropy(),
            "over": losses.InBatchInverseCrossEntropy(3),
        },
    )
    return model


def test_a_plain_keras_model_trains_is_saved_and_comes_back(tmp_path):
    data = batch(rows=24)
    images, labels = data["anchor"], data["label"]
    both = {"normal": labels, "over": labels}
    model = plain_model()
    history = model.fit(images, both, epochs=30, batch_size=24, verbose=0).history
    assert history["normal_loss"][-1] < 0.95 * history["normal_loss"][0]
    assert history["over_loss"][-1] < history["over_loss"][0]
    path = str(tmp_path / "plain.keras")
    model.save(path)
    again = keras.models.load_model(path)
    outputs, same = (m.predict(images, verbose=0) for m in (model, again))
    for name in outputs:
        np.testing.assert_allclose(outputs[name], same[name], rtol=1e-5)
    assert isinstance(again.loss["over"], losses.InBatchInverseCrossEntropy)
    assert again.loss["over"].num_classes == 3
    wanted = model.evaluate(images, both, verbose=0, return_dict=True)
    assert again.evaluate(images, both, verbose=0, return_dict=True) == pytest.approx(wanted)
    again.fit(images, both, epochs=1, verbose=0)


def test_fit_takes_validation_data_and_keras_callbacks(tmp_path):
    model = tiny_model(dropout=0.0)
    path = str(tmp_path / "best.weights.h5")
    best = keras.callbacks.ModelCheckpoint(
        path, "val_loss", save_best_only=True, save_weights_only=True
    )
    stop = keras.callbacks.EarlyStopping("val_loss", min_delta=1e9, patience=1)
    history = model.fit(
        dataset(),
        steps_per_epoch=3,
        epochs=9,
        validation_data=tf.data.Dataset.from_tensors(batch(seed=1)),
        callbacks=[best, stop],
        verbose=0,
    ).history
    # Nothing is better by 1e9: the first epoch and one of patience.
    assert len(history["val_loss"]) == 2
    assert {"val_normal_ce", "val_over_ice", "val_over_mi"} <= set(history)
    other = tiny_model(dropout=0.0, seed=9)
    other.load_weights(path)
    found = other.evaluate(tf.data.Dataset.from_tensors(batch(seed=1)), verbose=0, return_dict=True)
    assert found["loss"] == pytest.approx(min(history["val_loss"]), rel=1e-4)


def test_the_extractor_is_the_backbone_and_is_saved_with_keras(tmp_path):
    model = tiny_model()
    extractor = foc_tf.feature_extractor(model)
    images = batch()["anchor"]
    wanted = model.predict(images, verbose=0)["features"]
    np.testing.assert_allclose(extractor.predict(images, verbose=0), wanted, rtol=1e-5)
    # The same weights, not a copy of them.
    model.fit(dataset(), steps_per_epoch=2, verbose=0)
    moved = extractor.predict(images, verbose=0)
    assert not np.allclose(moved, wanted)
    np.testing.assert_allclose(moved, model.predict(images, verbose=0)["features"], rtol=1e-5)


def run_of(folder, **changed):
    """A model as a run leaves it: 20 pixels loaded, 16 seen."""
    options = {"k_gt": 3, "k": 6, "image_size": 16, "num_sub_heads": 1} | changed
    model = foc_tf.build_model("foc", "small_resnet", **options)
    details = {"model": model.recipe, "classes": list("abc"), "load_size": 20, "image_size": 16}
    checkpoints.save_best(folder / "best", model, details)
    return foc_tf.load(folder)


@pytest.mark.parametrize(
    ("channels", "inputs"), [(3, "pixels"), (1, "pixels"), (3, "sobel"), (3, "sobel_rgb")]
)
def test_a_runs_extractor_takes_images_of_any_size(tmp_path, channels, inputs):
    model = run_of(tmp_path, channels=channels, inputs=inputs)
    extractor = foc_tf.feature_extractor(tmp_path)
    encoded = digits.read().sources[:4]
    shown = np.stack([decoding.decode(e, 20, channels).numpy() for e in encoded])
    wanted = model.predict(shown[:, 2:18, 2:18].astype(np.float32), verbose=0)["features"]
    pixels = np.stack([tf.io.decode_image(e, channels=3).numpy() for e in encoded])
    found = extractor.predict(pixels.astype(np.float32), verbose=0)
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)
    assert extractor(np.zeros((2, 31, 57, 3), np.float32)).shape == (2, 128)
    extractor.save(str(tmp_path / "features.keras"))
    again = keras.models.load_model(str(tmp_path / "features.keras"))
    np.testing.assert_allclose(again.predict(pixels.astype(np.float32), verbose=0), found)


def test_what_has_no_features_is_named(tmp_path):
    with pytest.raises(ValueError, match="SavedModel's features"):
        foc_tf.feature_extractor(tf.Module())
    with pytest.raises(ValueError, match="expected a workdir"):
        foc_tf.feature_extractor(tmp_path)
    with pytest.raises(ValueError, match="channels"):
        features.EvaluationView(8, 8, 2)


class _OwnWay(keras.layers.Layer):
    """A published layer may branch on its tensors as Python does; AutoGraph takes it."""

    def call(self, features):
        if tf.reduce_mean(features) > 0.0:
            return features
        return -features


@pytest.mark.skipif(KERAS_3, reason="Keras 3 does not take layers that branch on tensors in Python")
def test_a_backbone_may_branch_in_python():
    images = keras.Input((8, 8, 1))
    backbone = keras.Model(images, _OwnWay()(tiny_backbone()(images)))
    model = foc_tf.build_model("foc", backbone, 3, k=6, num_sub_heads=1)
    model.compile()
    model.fit(dataset(), steps_per_epoch=1, verbose=0)
    shown = np.ones((2, 8, 8, 1), np.float32)
    assert model.predict(shown, verbose=0)["normal_probs"].shape == (2, 1, 3)
    served = module.Served(model, {"normal": 0, "over": 0}, np.zeros(6, np.int32), 8, 8, 1)
    assert tf.function(served.predict_loaded)(shown)["class_probs"].shape == (2, 3)


def test_the_example_runs_and_its_features_know_the_digits():
    readme = (pathlib.Path(__file__).parents[1] / "README.md").read_text()
    (block,) = (b for b in re.findall(r"```python\n(.*?)```", readme, re.DOTALL) if "knn" in b)
    names = {}
    exec(block, names)
    assert names["features"].shape == (1797, 128)
    assert names["pixels"] < names["score"]
    assert names["score"] > 0.9
