"""Warm-up requests that TF Serving replays before it says that a model is ready.

The file is a TFRecord of tensorflow_serving.apis.PredictionLog. Four small messages are written
field by field, so that exporting does not need the tensorflow-serving-api package; a test reads
them back with it.
"""

import pathlib
from typing import Any

import tensorflow as tf

# Numbers of the fields in tensorflow_serving/apis/{prediction_log,predict,model}.proto.
_LOG_PREDICT, _PREDICT_REQUEST = 6, 1
_REQUEST_SPEC, _REQUEST_INPUTS = 1, 2
_SPEC_NAME, _SPEC_SIGNATURE = 1, 3
_ENTRY_KEY, _ENTRY_VALUE = 1, 2
_WITH_LENGTH = 2  # the wire type of strings and messages
FILE = "assets.extra/tf_serving_warmup_requests"


def _field(number, content):
    return bytes([number << 3 | _WITH_LENGTH]) + _varint(len(content)) + content


def _varint(value):
    """Seven bits a byte, the lowest first; the eighth says that more follow."""
    result = bytearray()
    while value > 0x7F:
        result.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*result, value])


def prediction_log(model: str, signature: str, inputs: dict[str, Any]) -> bytes:
    """A serialized PredictionLog with one request.

    Args:
      model: name under which the model is served.
      signature: name of the signature.
      inputs: {name: array-like}.
    """
    spec = _field(_SPEC_NAME, model.encode()) + _field(_SPEC_SIGNATURE, signature.encode())
    request = _field(_REQUEST_SPEC, spec)
    for name, value in inputs.items():
        tensor = tf.make_tensor_proto(value).SerializeToString()
        entry = _field(_ENTRY_KEY, name.encode()) + _field(_ENTRY_VALUE, tensor)
        request += _field(_REQUEST_INPUTS, entry)
    return _field(_LOG_PREDICT, _field(_PREDICT_REQUEST, request))


def write(path: pathlib.Path, model: str, side: int) -> None:
    """Writes one request for each signature.

    Args:
      path: file to write; its folder is made.
      model: name under which the model is served.
      side: height and width in pixels of the image in the requests.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    ramp = tf.cast(tf.linspace(0.0, 255.0, side), tf.uint8)
    image = tf.tile(ramp[:, None, None], (1, side, 3))
    requests = {
        "serving_default": {"image": tf.cast(image, tf.float32)[None].numpy()},
        "image_bytes": {"image_bytes": [tf.io.encode_png(image).numpy()]},
    }
    with tf.io.TFRecordWriter(str(path)) as file:
        for signature, inputs in requests.items():
            file.write(prediction_log(model, signature, inputs))
