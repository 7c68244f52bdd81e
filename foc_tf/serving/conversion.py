"""The model for runtimes without TensorFlow: ONNX and TFLite, loaded and compared once written.

They know neither TensorFlow's antialiased resize nor its decoders, so they take pixels, and the
resize becomes two matrix products with the same weights.
"""

import pathlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

if TYPE_CHECKING:
    from foc_tf.serving.module import Served

LARGEST_DIFFERENCE = 1e-4
# Of images that are resized: a value of a pixel may round the other way (see `resize`).
LARGEST_DIFFERENCE_RESIZED = 0.02
_OPSET = 15
_SIZES = ((1, 1), (7, 30), (64, 64), (120, 90))


class Differs(RuntimeError):
    """A converted model does not do what the model does."""


def weights(size: tf.Tensor, side: int) -> tf.Tensor:
    """[side, size] weights of `tf.image.resize(antialias=True)` along one axis.

    Args:
      size: scalar int32, pixels of the image.
      side: pixels of the result.
    """
    scale = tf.cast(size, tf.float32) / side
    reach = tf.maximum(scale, 1.0)  # of the triangle around the centre of a result's pixel
    centres = (tf.range(side, dtype=tf.float32) + 0.5) * scale
    places = tf.range(tf.cast(size, tf.float32)) + 0.5
    triangle = tf.nn.relu(1.0 - tf.abs(places[None] - centres[:, None]) / reach)
    return triangle / tf.reduce_sum(triangle, axis=1, keepdims=True)


def resize(images: tf.Tensor, side: int, channels: int) -> tf.Tensor:
    """`data.decoding.resize` in operations that every runtime has.

    Sums are taken in another order: a value that lies between two whole numbers may round the
    other way.

    Args:
      images: [N, H, W, 3] float in 0..255.
      side: of the result.
      channels: 1 or 3.

    Returns:
      [N, side, side, channels] float of whole numbers in 0..255.
    """
    shape = tf.shape(images)
    if channels == 1:
        images = tf.tensordot(images, tf.constant([[0.2989], [0.587], [0.114]]), 1)
    rows = tf.matmul(
        weights(shape[1], side), tf.reshape(images, (-1, shape[1], shape[2] * channels))
    )
    rows = tf.reshape(rows, (-1, side, shape[2], channels))
    columns = tf.transpose(rows, (0, 2, 1, 3))
    columns = tf.matmul(
        weights(shape[2], side), tf.reshape(columns, (-1, shape[2], side * channels))
    )
    images = tf.transpose(tf.reshape(columns, (-1, side, side, channels)), (0, 2, 1, 3))
    return tf.round(tf.clip_by_value(images, 0.0, 255.0))


def wanted(onnx: bool, tflite: bool, precision: str) -> tuple[Callable[..., dict[str, Any]], ...]:
    """The conversions for `saved_model.Options`.

    Raises:
      ValueError: if a package is missing, or the precision is not float32.
    """
    chosen = [name for name, asked in (("onnx", onnx), ("tflite", tflite)) if asked]
    if chosen and precision != "float32":
        raise ValueError(
            f"{chosen[0]}: expected --export_precision=float32, found {precision}; convert the "
            "file with its runtime's own tools."
        )
    if onnx:
        try:
            import onnxruntime  # noqa: F401
            import tf2onnx  # noqa: F401
        except ImportError as error:
            raise ValueError(f"onnx: {error}. Install it: pip install 'foc_tf[onnx]'.") from None
    return tuple({"onnx": to_onnx, "tflite": to_tflite}[name] for name in chosen)


def to_onnx(served: "Served", folder: pathlib.Path) -> dict[str, Any]:
    """Writes model.onnx: `image` [N, H, W, 3] float in 0..255 -> the outputs of the SavedModel."""
    import onnxruntime
    import tf2onnx

    path = folder / "model.onnx"

    def predict(image):
        return served.predict_loaded(resize(image, served.load_size, served.channels))

    spec = tf.TensorSpec((None, None, None, 3), tf.float32, name="image")
    tf2onnx.convert.from_function(tf.function(predict), [spec], opset=_OPSET, output_path=str(path))
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]

    def run(image):
        return dict(zip(names, session.run(names, {"image": image})))

    side = (served.load_size, served.load_size)
    resized = _compare("onnx", served, run, _SIZES, LARGEST_DIFFERENCE_RESIZED)
    exact = _compare("onnx", served, run, [side])
    return {"onnx": {"largest_difference": exact, "largest_difference_resized": resized}}


def to_tflite(served: "Served", folder: pathlib.Path) -> dict[str, Any]:
    """Writes model.tflite: `image` [N, load_size, load_size, 3] float in 0..255 -> the outputs."""
    side = served.load_size

    class Small(tf.Module):
        """Holds the variables while the converter reads them."""

        @tf.function(input_signature=[tf.TensorSpec((None, side, side, 3), tf.float32, "image")])
        def predict(self, image):
            return served.predict_loaded(resize(image, side, served.channels))

    small = Small()
    small.served = served
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [small.predict.get_concrete_function()], small
    )
    content = converter.convert()
    (folder / "model.tflite").write_bytes(content)
    runner = tf.lite.Interpreter(model_content=content).get_signature_runner()
    difference = _compare("tflite", served, lambda image: runner(image=image), [(side, side)])
    return {"tflite": {"largest_difference": difference}}


def _compare(name, served, run, sizes, limit=LARGEST_DIFFERENCE):
    """Largest difference to the model on random images; `Differs` if it is too large."""
    rng, largest = np.random.default_rng(0), 0.0
    for height, width in sizes:
        image = rng.integers(0, 256, (3, height, width, 3)).astype(np.float32)
        expected, found = served.predict_pixels(tf.constant(image)), run(image)
        for key in expected:
            if key not in found:
                raise Differs(f"{name}: output {key} is missing, found {', '.join(found)}.")
            if expected[key].dtype.is_floating:
                largest = max(largest, float(np.abs(found[key] - expected[key].numpy()).max()))
    if not largest <= limit:
        raise Differs(
            f"{name}: outputs differ by {largest:.2g} from the model's, expected at most "
            f"{limit:g}; do not use it."
        )
    return largest
