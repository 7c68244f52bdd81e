"""Whole small runs of the clustering methods, and one step of them on one replica and on two."""

import keras
import numpy as np
import pandas as pd

import foc_tf
from foc_tf import checkpoints, train
from foc_tf.data import batches, digits, pipeline
from foc_tf.distribution import distribute
from foc_tf.stages import warm_up_stages
from foc_tf.views import stage_views
from tests.small_run import SMALL, call

# Flags of `SMALL` that other methods have no use for.
_OTHERS = ("--k=", "--alternate_epochs", "--augment_positive", "--num_sub_heads")


def flags(method, *more):
    """A small run's flags."""
    own = [flag for flag in SMALL if not flag.startswith(_OTHERS)]
    return [*own, "--num_sub_heads=2", f"--method={method}", "--noexport", *more]


def stopped_after(monkeypatch, epochs, workdir, arguments):
    """Trains, is interrupted after each of some epochs and started again; then to the end."""
    save = checkpoints.save

    def save_and_stop(directory, model, state):
        save(directory, model, state)
        if state["epoch"] == stop:
            raise KeyboardInterrupt

    for stop in (*epochs, None):
        with monkeypatch.context() as patch:
            patch.setattr(checkpoints, "save", save_and_stop)
            code, stderr = call(train.main, *arguments, f"--workdir={workdir}")
        assert (code == 0) == (stop is None), stderr


def assert_alike_to_the_bit(one, two):
    """Histories but for the seconds, and the weights of the best epoch."""
    histories = [
        pd.read_csv(folder / "history.csv").drop(columns="seconds") for folder in (one, two)
    ]
    pd.testing.assert_frame_equal(*histories, check_exact=True)
    weights = [foc_tf.load(folder).get_weights() for folder in (one, two)]
    for a, b in zip(*weights):
        np.testing.assert_array_equal(a, b)


def smooth_backbone(channels=1):
    """Without kinks, across which rounding errors grow; see tests/strategy_worker.py."""
    images = keras.Input((8, 8, channels))
    x = keras.layers.Rescaling(1 / 128, -1.0)(images)
    for filters in (8, 16):
        x = keras.layers.Conv2D(filters, 3, strides=2, use_bias=False)(x)
        x = keras.layers.Activation("softplus")(keras.layers.BatchNormalization()(x))
    return keras.Model(images, keras.layers.GlobalAveragePooling2D()(x))


def after_three_steps(strategy, method, channels=1):
    """{stage: [weights, loss]} of a method, from equal weights in every stage."""
    image_set = digits.read()
    loader = pipeline.make_loader(image_set.sources, 8, channels)
    labels = image_set.training_labels(24, 0)
    sampler = batches.BatchSampler(labels, image_set.roles().unlabeled, 48, 1.0, 1, 0, replicas=2)
    count = len(sampler.pool)
    sampler.neighbors = (np.arange(count)[:, None] + np.arange(1, 4)) % count
    keras.utils.set_random_seed(0)
    with strategy.scope():
        model = foc_tf.build_model(method, smooth_backbone(channels), 10, num_sub_heads=2)
        model.compile(keras.optimizers.SGD(0.02))
    # Heads that are sure of something have gradients to compare and labels to give.
    kernel = model.normal_head.output_weights[0]
    kernel.assign(20.0 * kernel)
    parts = (model.backbone, model.normal_head, model.projection_head)
    variables = [variable for part in parts if part for variable in part.weights]
    initial, result = [variable.numpy() for variable in variables], {}
    for index, stage in enumerate(model.schedule(warm_up_stages(1, 1, 1, self_label_epochs=1))):
        for variable, value in zip(variables, initial):
            variable.assign(value)
        model.set_stage(stage, stage.heads, index)
        views = stage_views(model.views, stage)

        def make_batches(part, views=views):
            return pipeline.training_batches(sampler, views, loader, 8, 0, part)

        model.fit(distribute(strategy, make_batches), steps_per_epoch=3, verbose=0)
        trained = [(variable.name, variable.numpy()) for variable in variables]
        result[stage.name] = trained, model.epoch_results()["loss"], initial
    return result


def assert_two_replicas_are_one(found, wanted):
    assert found.keys() == wanted.keys()
    for stage in wanted:
        (two, loss_of_two, _), (one, loss, initial) = found[stage], wanted[stage]
        np.testing.assert_allclose(loss_of_two, loss, rtol=1e-4, err_msg=stage)
        assert any(not np.array_equal(v, i) for (n, v), i in zip(one, initial) if "kernel" in n)
        for (_, found_value), (name, value) in zip(two, one):
            # One replica's moving variance is Keras's fused kernel's, n / (n - 1) times larger.
            tolerance = 1e-2 if "moving_variance" in name else 1e-4
            np.testing.assert_allclose(
                found_value, value, rtol=tolerance, atol=tolerance, err_msg=f"{stage} {name}"
            )
