"""export: what lies in a version's folder, and what its flags change."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from foc_tf import export
from foc_tf.data import decoding
from foc_tf.serving import cluster_names, conversion, saved_model, warmup
from tests import served_model
from tests.served_model import SIDE
from tests.small_run import ROOT, SMALL, call, run

CLASSES = [str(c) for c in range(10)]


@pytest.fixture(scope="module")
def made():
    return served_model.exported()[1:]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The workdir of a small run."""
    workdir = tmp_path_factory.mktemp("trained") / "run"
    done = run("train", *SMALL, f"--workdir={workdir}", "--noexport")
    assert done.returncode == 0, done.stderr
    return workdir


def write(made, folder, **options):
    return saved_model.write(folder, *made, {"splits": {}}, saved_model.Options(**options))


@pytest.fixture(scope="module")
def version():
    """A version with nothing chosen."""
    return served_model.exported()[0]


def table(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def test_a_version_is_whole_and_survives_saving_again(made, tmp_path):
    folder = tmp_path / "m"
    (folder / "7").mkdir(parents=True)
    (folder / "note").mkdir()
    path = write(made, folder)
    assert path == folder / "8"
    assert sorted(p.name for p in folder.iterdir()) == ["7", "8", "note"]
    assert sorted(str(p.relative_to(path)) for p in path.rglob("*") if p.is_file()) == [
        "assets.extra/tf_serving_warmup_requests",
        *("assets/classes.txt", "assets/clusters.csv", "fingerprint.pb", "model_card.json"),
        *("saved_model.pb", "variables/variables.data-00000-of-00001", "variables/variables.index"),
    ]
    loaded = tf.saved_model.load(str(path))
    tf.saved_model.save(loaded, str(tmp_path / "again"), signatures=loaded.signatures)
    for name in ("classes.txt", "clusters.csv"):
        assert (tmp_path / "again/assets" / name).read_bytes() == (
            path / "assets" / name
        ).read_bytes()
    again = tf.saved_model.load(str(tmp_path / "again"))
    image = tf.constant([served_model.good_images()["png"]])
    found, wanted = (m.signatures["image_bytes"](image) for m in (again, loaded))
    served_model.assert_same(found, wanted, 0)


def test_the_card_says_what_can_be_sent(version):
    card = json.loads((version / "model_card.json").read_text())
    assert card["signatures"] == {
        "serving_default": "image: float32",
        "image_bytes": "image_bytes: string",
    }
    assert card["limits"]["pixels_of_an_image"] == 100_000_000
    assert card["classes"] == CLASSES


def test_nothing_is_left_of_an_export_that_fails(made, tmp_path):
    def fails(served, folder):
        raise conversion.Differs("x")

    with pytest.raises(conversion.Differs):
        write(made, tmp_path / "m", conversions=(fails,))
    assert list((tmp_path / "m").iterdir()) == []


def test_two_exports_at_once_take_two_numbers(tmp_path, monkeypatch):
    rename = saved_model.os.rename

    def late(source, target):
        if not (tmp_path / "1").exists():
            (tmp_path / "1").mkdir()
            (tmp_path / "1" / "saved_model.pb").touch()
        rename(source, target)

    monkeypatch.setattr(saved_model.os, "rename", late)
    (tmp_path / ".writing").mkdir()
    assert saved_model._publish(tmp_path / ".writing", tmp_path).name == "2"


def test_warm_up_requests_are_what_tf_serving_reads(version):
    logs = pytest.importorskip(
        "tensorflow_serving.apis.prediction_log_pb2", reason="needs foc_tf[serve]"
    )
    loaded = tf.saved_model.load(str(version))
    seen = []
    for record in tf.data.TFRecordDataset(str(version / warmup.FILE)):
        log = logs.PredictionLog()
        log.ParseFromString(record.numpy())
        request = log.predict_log.request
        assert log.WhichOneof("log_type") == "predict_log"
        assert request.model_spec.name == "digits"
        assert log.SerializeToString(deterministic=True) == record.numpy()
        inputs = {k: tf.constant(tf.make_ndarray(v)) for k, v in request.inputs.items()}
        found = loaded.signatures[request.model_spec.signature_name](**inputs)
        assert found["class_probs"].shape == (1, 10)
        seen.append(request.model_spec.signature_name)
    assert sorted(seen) == sorted(saved_model.SIGNATURES)


def test_importing_leaves_the_devices_to_the_program():
    """What computes at import takes all devices as they are: no logical ones, no workers after."""
    code = (
        "import foc_tf.train, foc_tf.export; from tensorflow.python.eager import context; "
        "assert not context.context()._initialized"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr


def test_long_messages_have_long_lengths():
    assert warmup._varint(1) == b"\x01"
    assert warmup._varint(300) == b"\xac\x02"  # protobuf's own example


def test_heads_names_and_classes_that_were_asked_for(made, tmp_path):
    names = table(tmp_path / "n.csv", "\ufeffcluster,name,class\n3,ring,7\n0,Öse,\n")
    path = write(made, tmp_path / "m", names=names, all_heads=True)
    clusters = pd.read_csv(path / "assets" / "clusters.csv", keep_default_na=False, dtype=str)
    assert clusters["name"][[0, 3, 5]].tolist() == ["Öse", "ring", ""]
    assert clusters["class"][[0, 3]].tolist() == ["", "7"]
    wanted = made[1].cluster_classes().copy()
    wanted[[0, 3]] = [-1, 7]
    loaded = tf.saved_model.load(str(path))
    shades = tf.random.stateless_uniform((300, 1, 1, 3), (0, 0), 0.0, 255.0)
    found = loaded.signatures["serving_default"](shades)
    assert {0, 3} < set(found["cluster"].numpy())
    assert found["cluster_class"].numpy().tolist() == wanted[found["cluster"]].tolist()
    assert found["all_class_probs"].shape == (300, 2, 10)
    best = made[1].best["over"]
    np.testing.assert_array_equal(found["all_cluster_probs"][:, best], found["cluster_probs"])


def test_a_table_without_classes_leaves_them(tmp_path):
    plain = table(tmp_path / "p.csv", "cluster,name\n3,ring\n")
    assert cluster_names.read(plain, 20, CLASSES)[1] == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cluster,label\n1,a\n", "needs the columns cluster,name"),
        ("cluster,name\n1,a\n20,b\n", "line 3: cluster: expected a whole number from 0 to 19"),
        ("cluster,name\nx,a\n", "line 2: cluster.*found 'x'"),
        ("cluster,name\n1,a\n1,b\n", "line 3: cluster 1 is there twice"),
        ("cluster,name,class\n1,a,egg\n", "line 2: class: expected one of 0, 1.*found 'egg'"),
        ("", "is no CSV table"),
    ],
)
def test_wrong_tables_of_names_are_refused(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        cluster_names.read(table(tmp_path / "n.csv", text), 20, CLASSES)
    with pytest.raises(ValueError, match="no such file"):
        cluster_names.read(tmp_path / "absent.csv", 20, CLASSES)


def test_the_review_of_the_workdir_is_read_unless_another_is_given(tmp_path):
    assert cluster_names.find(None, tmp_path) is None
    (tmp_path / "review").mkdir()
    reviewed = table(tmp_path / "review" / "cluster_names.csv", "cluster,name\n")
    assert cluster_names.find(None, tmp_path) == reviewed
    assert cluster_names.find("other.csv", tmp_path).name == "other.csv"


def test_the_program_takes_precision_heads_and_names(trained, tmp_path):
    names = table(tmp_path / "n.csv", "cluster,name\n2,loop\n")
    options = ("--export_precision=bfloat16", "--include_heads=all", f"--cluster_names={names}")
    folder = tmp_path / "m"
    done = run("export", f"--workdir={trained}", f"--export_dir={folder}", *options)
    assert done.returncode == 0, done.stderr
    assert "bfloat16: probabilities differ by at most" in done.stderr
    card = json.loads((folder / "1" / "model_card.json").read_text())
    assert card["precision"] == "bfloat16"
    assert 0 < card["largest_difference_to_float32"] < 0.1
    assert card["scores"]["val"]["normal"]["accuracy"] > 0.1
    loaded = tf.saved_model.load(str(folder / "1"))
    found = loaded.signatures["serving_default"](tf.fill((1, 8, 8, 3), 80.0))
    assert {value.dtype for value in found.values()} == {tf.float32, tf.int32}
    assert "loop" in (folder / "1" / "assets" / "clusters.csv").read_text()


def test_float16_differs_a_little(trained):
    image = tf.fill((1, 8, 8, 1), 80.0)
    exact, half = (export.load(trained, p)(image) for p in ("float32", "float16"))
    exact, half = ({k: v.numpy() for k, v in outputs.items()} for outputs in (exact, half))
    assert 0 < export.largest_difference(half, exact) < 0.02
    assert tf.keras.mixed_precision.global_policy().name == "float32"


def test_wrong_calls_exit_with_2(trained, tmp_path):
    arguments = (f"--workdir={trained}", f"--export_dir={tmp_path / 'm'}")
    code, stderr = call(export.main, *arguments, "--tflite", "--export_precision=bfloat16")
    assert code == 2
    assert "tflite: expected --export_precision=float32, found bfloat16" in stderr
    code, stderr = call(export.main, *arguments, f"--cluster_names={tmp_path / 'none.csv'}")
    assert code == 2
    assert "none.csv" in stderr
    assert not (tmp_path / "m").exists()


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ValueError, match=r"onnx: .*pip install 'foc_tf\[onnx\]'"):
        conversion.wanted(True, False, "float32")


@pytest.mark.parametrize("channels", [1, 3])
def test_the_portable_resize_is_evaluations(channels):
    different = total = 0
    for size in ((1, 1), (8, 8), (16, 16), (30, 41), (7, 200), (333, 250)):
        pixels = np.asarray(served_model.colours(*size))[None].astype(np.float32)
        found = conversion.resize(tf.constant(pixels), SIDE, channels).numpy()
        wanted = decoding.resize(pixels, SIDE, channels).numpy().astype(np.float32)
        assert np.abs(found - wanted).max() <= 1
        different, total = different + (found != wanted).sum(), total + found.size
    assert different / total < 2e-3


def test_tflite_does_what_the_model_does(made, tmp_path):
    path = write(made, tmp_path / "m", conversions=(conversion.to_tflite,))
    card = json.loads((path / "model_card.json").read_text())
    assert card["tflite"]["largest_difference"] <= 1e-4
    runner = tf.lite.Interpreter(str(path / "model.tflite")).get_signature_runner()
    images = list(served_model.good_images().values())[:5]
    pixels = np.stack([decoding.decode(e, SIDE, 3).numpy() for e in images]).astype(np.float32)
    wanted = served_model.expected(made[0], images, made[1].best)
    served_model.assert_same(runner(image=pixels), wanted)


def test_onnx_does_what_the_model_does(made, tmp_path):
    pytest.importorskip("tf2onnx", reason="needs foc_tf[onnx]")
    runtime = pytest.importorskip("onnxruntime", reason="needs foc_tf[onnx]")
    path = write(made, tmp_path / "m", conversions=(conversion.to_onnx,))
    card = json.loads((path / "model_card.json").read_text())
    assert card["onnx"]["largest_difference"] <= 1e-4
    session = runtime.InferenceSession(str(path / "model.onnx"))
    names = [o.name for o in session.get_outputs()]
    image = served_model.good_images()["png"]
    wanted = served_model.expected(made[0], [image] * 3, made[1].best)
    for pixels, tolerance in (
        (decoding.decode(image, SIDE, 3), 1e-4),
        (tf.io.decode_image(image), conversion.LARGEST_DIFFERENCE_RESIZED),
    ):
        rows = np.repeat(tf.cast(pixels, tf.float32)[None], 3, axis=0)
        found = dict(zip(names, session.run(names, {"image": rows})))
        served_model.assert_same(found, wanted, tolerance)


def test_a_conversion_that_differs_is_refused(made):
    served = saved_model.make(made[0], made[1].best, made[1].cluster_classes())

    def wrong(image):
        outputs = served.predict_pixels(tf.constant(image))
        return {k: v.numpy() + (k == "class_probs") * 2e-4 for k, v in outputs.items()}

    with pytest.raises(conversion.Differs, match="differ by 0.0002"):
        conversion._compare("x", served, wrong, [(9, 9)])
