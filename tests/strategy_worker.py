"""Twenty steps of each stage on the embedded digits, under any strategy.

As a program: one worker of several, which TF_CONFIG describes; writes its weights.

    TF_CONFIG=... python -m tests.strategy_worker weights.npz
"""

import sys

import keras
import numpy as np

import foc_tf
from foc_tf.data import batches, digits, pipeline
from foc_tf.distribution import distribute, make_strategy
from foc_tf.stages import warm_up_stages
from foc_tf.views import stage_views

STAGES = warm_up_stages(1, 1, 1)
STEPS = 20


def smooth_backbone():
    """Two convolutions with batch normalisation.

    Smooth: across the kinks of ReLU rounding errors grow so fast that 20 steps of one replica with
    Keras's fused batch normalisation and without it differ by 5e-4 already.
    """
    images = keras.Input((8, 8, 1))
    x = keras.layers.Rescaling(1 / 128, -1.0)(images)
    for filters in (16, 32):
        x = keras.layers.Conv2D(filters, 3, strides=2, use_bias=False)(x)
        x = keras.layers.Activation("softplus")(keras.layers.BatchNormalization()(x))
    return keras.Model(images, keras.layers.GlobalAveragePooling2D()(x))


def trained(strategy, method="foc"):
    """{"<stage> <name of weight>": array} after `STEPS` steps of each stage from equal weights."""
    image_set = digits.read(None, None, 0)
    loader = pipeline.make_loader(image_set.sources, 8, 1)
    labels = image_set.training_labels(24, 0)
    sampler = batches.BatchSampler(labels, image_set.roles().unlabeled, 48, 0.5, 2, 0, replicas=2)
    keras.utils.set_random_seed(0)
    with strategy.scope():
        model = foc_tf.build_model(method, smooth_backbone(), 10, k=20, num_sub_heads=2)
        # Adam divides by the gradient's size and so enlarges rounding errors of small ones.
        model.compile(keras.optimizers.SGD(0.02))
    # Heads that are sure of something from the start have gradients to compare.
    for head in (model.normal_head, model.over_head):
        head.output_weights[0].assign(8.0 * head.output_weights[0])
    parts = (model.backbone, model.normal_head, model.over_head)
    variables = [variable for part in parts for variable in part.weights]
    initial = [variable.numpy() for variable in variables]
    result = {f"initial {number:03}": value for number, value in enumerate(initial)}
    for index, stage in enumerate(model.schedule(STAGES)):
        for variable, value in zip(variables, initial):
            variable.assign(value)
        model.set_stage(stage, stage.heads, index)
        views = stage_views(model.views, stage)

        def make_batches(part, views=views):
            return pipeline.training_batches(sampler, views, loader, 8, 0, part)

        model.fit(distribute(strategy, make_batches), steps_per_epoch=STEPS, verbose=0)
        for number, variable in enumerate(variables):
            # Keras counts the models of a process in their variables' names.
            name = variable.name.split(":")[0].split("/")[-1]
            result[f"{stage.name} {number:03} {name}"] = variable.numpy()
        result[f"{stage.name} logs"] = np.array([model.epoch_results()["loss"]])
    return result


if __name__ == "__main__":
    np.savez(sys.argv[1], **trained(make_strategy("multi_worker")))
