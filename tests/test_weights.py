"""The file of a whole model's weights."""

import keras
import numpy as np
import pytest

from foc_tf import weights
from foc_tf.keras_compat import optimizer_variables
from foc_tf.methods import METHODS
from tests.test_model import tiny_model


def saved(path, model):
    path.write_bytes(weights.as_bytes(model))
    return path


def test_the_content_holds_on_to_no_file_in_memory():
    # What test_disk_full found on Python 3.12: a crash at exit after a write that failed.
    assert type(weights.as_bytes(tiny_model("foc"))) is bytes


@pytest.mark.parametrize("method", METHODS)
def test_a_file_gives_the_same_weights(method, tmp_path):
    model, other = tiny_model(method), tiny_model(method, seed=5)
    path = saved(tmp_path / "a.weights.h5", model)
    before = weights.arrays(other)
    weights.load(path, other)
    after = weights.arrays(other)
    assert any(not np.array_equal(a, b) for a, b in zip(before, after))
    for a, b in zip(weights.arrays(model), after):
        np.testing.assert_array_equal(a, b)


def test_the_order_is_that_of_the_layers_and_metrics_are_left_out():
    model = tiny_model("mean_teacher")
    names = [v.name.removesuffix(":0").split("/")[-1] for v in weights.variables(model)]
    assert names[-1] == "steps_taught"
    assert not {"total", "count"} & set(names)
    layers = [w for layer in model.layers for w in layer.weights]
    assert len(names) == len(layers) + 1


def test_what_keras_wrote_itself_is_read_too(tmp_path):
    model, other = tiny_model(), tiny_model(seed=5)
    model.save_weights(tmp_path / "a.weights.h5")
    weights.load(tmp_path / "a.weights.h5", other)
    for a, b in zip(weights.arrays(model), weights.arrays(other)):
        np.testing.assert_array_equal(a, b)


def test_arrays_beyond_the_models_are_not_used():
    model, other = tiny_model(), tiny_model(seed=5)
    weights.assign(other, [*weights.arrays(model), np.float32(3.0)])
    np.testing.assert_array_equal(weights.arrays(other)[0], weights.arrays(model)[0])


@pytest.mark.parametrize("damage", ["cut", "empty", "other"])
def test_a_damaged_file_or_anothers_is_named(damage, tmp_path):
    path = saved(
        tmp_path / "a.weights.h5", tiny_model("foc" if damage != "other" else "supervised")
    )
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:2000])
    if damage == "empty":
        path.write_bytes(b"")
    model = tiny_model()
    before = weights.arrays(model)
    with pytest.raises(ValueError, match=r"a\.weights\.h5 does not fit"):
        weights.load(path, model)
    for a, b in zip(before, weights.arrays(model)):
        np.testing.assert_array_equal(a, b)


def test_an_optimizers_state_is_its_step_and_two_moments_a_variable():
    model = tiny_model()
    model.compile(keras.optimizers.Adam(0.25))
    variables = optimizer_variables(model.optimizer)
    shapes = [tuple(v.shape) for v in model.trainable_variables for _ in range(2)]
    assert [tuple(v.shape) for v in variables] == [(), *shapes]
    # The step count, 0 so far, and not the learning rate.
    assert float(variables[0].numpy()) == 0.0
