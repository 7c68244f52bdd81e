"""Programs that are not ours load the SavedModel: their answers are those of model.predict."""

import base64
import json
import os
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.saved_model import loader_impl

from foc_tf.serving import conversion, saved_model
from tests import served_model
from tests.small_run import ROOT

IMAGES = list(served_model.good_images().values())
INVALID_ARGUMENT = 3


@pytest.fixture(scope="module")
def served():
    """(version's folder, network, best sub-heads, what model.predict says of IMAGES)."""
    path, model, scorer = served_model.exported()
    return path, model, scorer.best, served_model.expected(model, IMAGES, scorer.best)


def pixels():
    """One image before any resize, [1, H, W, 3]."""
    return tf.cast(tf.io.decode_image(IMAGES[0])[None], tf.float32).numpy()


def first(wanted):
    return {name: value[:1] for name, value in wanted.items()}


def test_saved_model_cli_shows_and_runs_it(served, tmp_path):
    program = pathlib.Path(sys.executable).with_name("saved_model_cli")
    path, _, _, wanted = served

    def cli(*arguments):
        done = subprocess.run(
            [sys.executable, str(program), *map(str, arguments)], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "shape: (-1, -1, -1, 3)" in cli("show", "--dir", path, "--all")
    np.save(tmp_path / "bytes.npy", np.array(IMAGES))
    np.save(tmp_path / "pixels.npy", pixels())
    for signature, name, file, expected in (
        ("image_bytes", "image_bytes", "bytes", wanted),
        ("serving_default", "image", "pixels", first(wanted)),
    ):
        out = tmp_path / signature
        which = ("--tag_set", "serve", "--signature_def", signature)
        given = f"{name}={tmp_path / file}.npy"
        cli("run", "--dir", path, *which, "--inputs", given, "--outdir", out)
        found = {key: np.load(out / f"{key}.npy") for key in expected}
        served_model.assert_same(found, expected)


def c_requests(path, sent):
    """Requests for tests/c_api.py: (signature, values) with the graph's own names of tensors."""
    graph = loader_impl.parse_saved_model(str(path)).meta_graphs[0]
    requests, keys = [], []
    for name, values in sent:
        signature = graph.signature_def[name]
        (feed,) = signature.inputs.values()
        keys.append(sorted(signature.outputs))
        requests.append(
            {"feed": feed.name, "fetch": [signature.outputs[key].name for key in keys[-1]]} | values
        )
    return requests, keys


def strings(contents):
    encoded = [base64.b64encode(content).decode() for content in contents]
    return {"strings": encoded, "shape": [len(encoded)]}


def floats(array):
    return {"floats": array.ravel().tolist(), "shape": list(array.shape)}


@pytest.mark.skipif(sys.platform != "linux", reason="the library's name is Linux's")
def test_the_c_api_loads_and_runs_it(served, tmp_path):
    path, _, _, wanted = served
    sent = [
        ("image_bytes", strings(IMAGES)),
        ("serving_default", floats(pixels())),
        ("image_bytes", strings([IMAGES[0], b"no image"])),
        ("serving_default", floats(pixels()[0])),  # rank 3
        ("serving_default", strings(IMAGES[:1])),  # not numbers
        ("image_bytes", strings(IMAGES[:1])),
    ]
    requests, keys = c_requests(path, sent)
    (tmp_path / "requests.json").write_text(json.dumps(requests))
    library = pathlib.Path(tf.__file__).parent / "libtensorflow_cc.so.2"
    done = subprocess.run(
        [sys.executable, ROOT / "tests/c_api.py", library, path, tmp_path / "requests.json"],
        capture_output=True,
        text=True,
        env=os.environ | {"LD_LIBRARY_PATH": str(library.parent)},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    answers = json.loads(done.stdout)
    assert [answer["code"] for answer in answers] == [0, 0, *[INVALID_ARGUMENT] * 3, 0]
    assert "row, from 0:] [1]" in answers[2]["message"]
    assert "image: expected the shape [N, height, width, 3]" in answers[3]["message"]
    for index, expected in ((0, wanted), (1, first(wanted)), (5, first(wanted))):
        outputs = dict(zip(keys[index], answers[index]["outputs"]))
        found = {k: np.reshape(outputs[k], np.shape(v)) for k, v in expected.items()}
        served_model.assert_same(found, expected)


def test_openvino_reads_the_onnx_file(served, tmp_path):
    openvino = pytest.importorskip("openvino", reason="needs openvino")
    pytest.importorskip("tf2onnx", reason="needs foc_tf[onnx]")
    path, model, best, wanted = served
    module = saved_model.make(model, best, np.zeros(20, np.int32))
    conversion.to_onnx(module, tmp_path)
    # Its default on CPUs that have bfloat16 is bfloat16.
    exact = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.Core().compile_model(str(tmp_path / "model.onnx"), "CPU", exact)
    loaded = [conversion.resize(pixels(), served_model.SIDE, 3), pixels()]
    for image, tolerance in zip(loaded, (1e-4, conversion.LARGEST_DIFFERENCE_RESIZED)):
        values = compiled({"image": image}).items()
        found = {name: value for key, value in values for name in key.get_names()}
        served_model.assert_same(found, first(wanted), tolerance)


def test_prediction_service_answers_and_refuses(served):
    pytest.importorskip("tensorflow_serving", reason="needs foc_tf[serve]")
    grpc = pytest.importorskip("grpc", reason="needs foc_tf[serve]")
    from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

    from tests import prediction_service

    path, _, _, wanted = served
    with prediction_service.serving(path.parent) as (address, _):
        channel = grpc.insecure_channel(address.split("//")[1])
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)

        def predict(signature, **inputs):
            request = predict_pb2.PredictRequest()
            request.model_spec.name = "digits"
            request.model_spec.signature_name = signature
            for name, value in inputs.items():
                request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
            outputs = stub.Predict(request, 60).outputs
            return {name: tf.make_ndarray(value) for name, value in outputs.items()}

        served_model.assert_same(predict("image_bytes", image_bytes=IMAGES), wanted)
        served_model.assert_same(predict("", image=pixels()), first(wanted))
        refused = [
            ("image_bytes", {"image_bytes": [IMAGES[0], b"?"]}, "row, from 0:] [1]"),
            ("image_bytes", {"image_bytes": pixels()}, "expected"),
            ("serving_default", {"image": pixels()[0]}, "[N, height, width, 3], found"),
            ("serving_default", {"image": pixels()[..., :1]}, "[N, height, width, 3], found"),
            ("serving_default", {"image": pixels().astype(np.uint8)}, "expected"),
            ("serving_default", {"image": pixels() * np.nan}, "row, from 0:] [0]"),
            ("serving_default", {"picture": pixels()}, ""),
            ("no_signature", {"image": pixels()}, ""),
        ]
        for signature, inputs, message in refused:
            with pytest.raises(grpc.RpcError, match=".") as caught:
                predict(signature, **inputs)
            assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
            assert message in caught.value.details()
        served_model.assert_same(predict("image_bytes", image_bytes=IMAGES), wanted)


def test_a_copy_of_the_folder_needs_nothing_else(served, tmp_path):
    """What is tracked lies inside: no path of the machine that exported it is read."""
    path, _, _, wanted = served
    shutil.copytree(path, tmp_path / "copy")
    code = (
        "import sys, numpy as np, tensorflow as tf; m = tf.saved_model.load(sys.argv[1]); "
        "assert 'foc_tf' not in sys.modules; "
        "print(m.signatures['image_bytes'](tf.constant(np.load(sys.argv[2])))"
        "['cluster'].numpy().tolist())"
    )
    np.save(tmp_path / "bytes.npy", np.array(IMAGES))
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "copy", tmp_path / "bytes.npy"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == wanted["cluster"].tolist()
