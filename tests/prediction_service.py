"""TF Serving's PredictionService, made of its own stubs around tf.saved_model.load.

The ModelServer binary cannot be installed from a package index; this speaks its protocol, with its
status codes, and serves the highest version it was told of.
"""

import concurrent.futures
import contextlib
import pathlib

import grpc
import tensorflow as tf
from tensorflow_serving.apis import (
    predict_pb2,
    prediction_log_pb2,
    prediction_service_pb2_grpc,
)

from foc_tf.serving import warmup

UNLIMITED = [(f"grpc.max_{way}_message_length", -1) for way in ("send", "receive")]


class Service(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Serves versions of one model.

    Args:
      folder: `<name>/` with the versions.
    """

    def __init__(self, folder):
        self.folder, self.versions = pathlib.Path(folder), {}

    def load(self, version):
        """Loads a version and replays its warm-up requests, as the ModelServer does."""
        path = self.folder / str(version)
        loaded = tf.saved_model.load(str(path))
        for record in tf.data.TFRecordDataset(str(path / warmup.FILE)):
            log = prediction_log_pb2.PredictionLog.FromString(record.numpy())
            _run(loaded, log.predict_log.request)
        self.versions = self.versions | {version: loaded}

    def unload(self, version):
        """Forgets a version; requests that run keep it until they end."""
        self.versions = {k: v for k, v in self.versions.items() if k != version}

    def Predict(self, request, context):
        versions = self.versions
        wanted = request.model_spec.version.value or max(versions)
        if request.model_spec.name != self.folder.name or wanted not in versions:
            context.abort(grpc.StatusCode.NOT_FOUND, f"Servable not found: {request.model_spec}")
        try:
            outputs = _run(versions[wanted], request)
        except (tf.errors.InvalidArgumentError, TypeError, ValueError, KeyError) as error:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        reply = predict_pb2.PredictResponse(model_spec=request.model_spec)
        reply.model_spec.version.value = wanted
        for name, value in outputs.items():
            reply.outputs[name].CopyFrom(tf.make_tensor_proto(value.numpy()))
        return reply


def _run(loaded, request):
    function = loaded.signatures[request.model_spec.signature_name or "serving_default"]
    inputs = {k: tf.constant(tf.make_ndarray(v)) for k, v in request.inputs.items()}
    wanted = function.structured_input_signature[1]
    for name, value in inputs.items():
        if name in wanted and value.dtype != wanted[name].dtype:
            raise TypeError(f"{name}: expected {wanted[name].dtype}, found {value.dtype}")
    return function(**inputs)


@contextlib.contextmanager
def serving(folder, version=1, threads=16):
    """Yields ("grpc://localhost:port", service) while it is served."""
    service = Service(folder)
    service.load(version)
    pool = concurrent.futures.ThreadPoolExecutor(threads)
    server = grpc.server(pool, options=UNLIMITED)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(service, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"grpc://127.0.0.1:{port}", service
    finally:
        server.stop(5).wait()
