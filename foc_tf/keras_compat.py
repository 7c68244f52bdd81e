"""The only file that knows that there are two generations of Keras.

Keras 2 (TensorFlow 2.15) has tensorflow-addons, which cannot be imported beside Keras 3; what
foc_tf used of it is in Keras core there, or is the few lines below.
"""

import functools
import warnings
from collections.abc import Sequence

import keras
import tensorflow as tf

KERAS_3 = keras.__version__.startswith("3")


def _addons_image():
    # Imported late and quietly: the import warns of the end of tensorflow-addons' support.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import tensorflow_addons as tfa
    return tfa.image


def affine_transform(images: tf.Tensor, transforms: tf.Tensor, output_size: int) -> tf.Tensor:
    """One bilinear resampling of each image; pixels outside count as zero.

    Args:
      images: [N, H, W, C] uint8 or float.
      transforms: [N, 8] float, the projective map from output to input pixel coordinates
        (x' = (t0 x + t1 y + t2) / k, y' = (t3 x + t4 y + t5) / k, k = t6 x + t7 y + 1; see
        tf.raw_ops.ImageProjectiveTransformV3).
      output_size: side of the result in pixels.

    Returns:
      [N, output_size, output_size, C] float32, within the range of the images and zero.
    """
    # An integer image would be resampled to integers, always rounded down.
    images = tf.cast(images, tf.float32)
    if not KERAS_3:
        return _addons_image().transform(
            images, transforms, interpolation="bilinear", output_shape=(output_size, output_size)
        )
    # What both libraries call. Keras core's operation keeps the size of its input, so that images
    # have to be padded and cut around it: a third slower.
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=tf.cast(transforms, tf.float32),
        output_shape=(output_size, output_size),
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
    )


def compose_transforms(transforms: Sequence[tf.Tensor]) -> tf.Tensor:
    """One projective map in place of several: the matrix product, so the last one acts first.

    Args:
      transforms: list of [N, 8] float, as in `affine_transform`.

    Returns:
      [N, 8] float32.

    Raises:
      ValueError: if the list is empty.
    """
    if not transforms:
        raise ValueError("transforms: expected at least one [N, 8] tensor, found an empty list.")
    if not KERAS_3:
        return _addons_image().compose_transforms(transforms)
    product = functools.reduce(tf.matmul, [_as_matrices(each) for each in transforms])
    flat = tf.reshape(product, [-1, 9])
    return flat[:, :8] / flat[:, 8:]


def _as_matrices(transforms):
    transforms = tf.cast(transforms, tf.float32)
    return tf.reshape(tf.pad(transforms, [[0, 0], [0, 1]], constant_values=1.0), [-1, 3, 3])


def synchronize_batch_norm(model: keras.Model) -> None:
    """Makes a model's batch normalisation use the mean and variance of all replicas' rows.

    Args:
      model: keras.Model; its layers are changed in place, its weights stay.
    """
    for layer in _layers(model):
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.synchronized = True
            # Keras 2's fused kernel knows its own replica only.
            layer.fused = False


def _layers(model):
    for layer in model.layers:
        yield layer
        if hasattr(layer, "layers"):
            yield from _layers(layer)


def minimize(
    optimizer: keras.optimizers.Optimizer, tape: tf.GradientTape, loss: tf.Tensor, variables: list
) -> None:
    """One step of an optimizer; with float16 the loss is scaled up and its gradients down.

    Args:
      optimizer: keras.optimizers.Optimizer; `compile` wraps it for loss scaling under the policy
        mixed_float16, and a step whose gradients overflow is then left out.
      tape: tf.GradientTape that saw the loss and is still open.
      loss: scalar, this replica's share; gradients are summed over the replicas.
      variables: list.
    """
    scaling = isinstance(optimizer, keras.mixed_precision.LossScaleOptimizer)
    with tape:
        if scaling:
            scaled = optimizer.scale_loss(loss) if KERAS_3 else optimizer.get_scaled_loss(loss)
        else:
            scaled = loss
    gradients = tape.gradient(scaled, variables)
    if scaling and not KERAS_3:
        gradients = optimizer.get_unscaled_gradients(gradients)
    optimizer.apply_gradients(zip(gradients, variables))


def optimizer_variables(optimizer: keras.optimizers.Optimizer) -> list:
    """An optimizer's step count and moments, in the same order in both generations.

    The learning rate, which Keras 3 counts among them, is the stage's and no state.
    """
    if not KERAS_3:
        return list(optimizer.variables)
    # Keras 3's LossScaleOptimizer counts its scale among its own, before the inner optimizer's.
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    return [v for v in inner.variables if v is not inner.learning_rate]


def loss_scale_variables(optimizer: keras.optimizers.Optimizer) -> list:
    """Variables of the loss scaling; none where there is no loss scaling."""
    if not isinstance(optimizer, keras.mixed_precision.LossScaleOptimizer):
        return []
    if KERAS_3:
        return [optimizer.dynamic_scale, optimizer.step_counter]
    # Keras 2's LossScaleOptimizer.variables are the inner optimizer's alone.
    return [optimizer._loss_scale.current_loss_scale, optimizer.dynamic_counter]


def assign_same(variables: list, values: list) -> None:
    """Sets variables to tensors that are equal on every replica; call it on each of them.

    Args:
      variables: list of variables, of any kind of synchronisation.
      values: list of tensors of their shapes.
    """

    # An assignment inside a replica is refused for variables that do not say how to reduce.
    def assign(strategy, values):
        for variable, value in zip(variables, values):
            # Keras 3 wraps TensorFlow's variable; there `value` is a method.
            inner = variable.value if KERAS_3 else variable
            strategy.extended.update(inner, lambda v, x: v.assign(x), args=(value,))

    tf.distribute.get_replica_context().merge_call(assign, args=(values,))


def tensorflow_variables(model: keras.Model) -> list[tf.Variable]:
    """TensorFlow's own variables behind a model's weights, in their order."""
    return [v.value if KERAS_3 else v for v in model.weights]


def step_logs(logs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """What a train step returns, such that Keras can reduce it over several workers.

    Args:
      logs: {name: scalar}, equal on all replicas.

    Returns:
      The same; of several workers on Keras 3 [1] each, whose rows it takes the mean of.
    """
    strategy = tf.distribute.get_strategy()
    several = isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)
    if KERAS_3 and several and strategy.extended._in_multi_worker_mode():
        return {name: value[None] for name, value in logs.items()}
    return logs
