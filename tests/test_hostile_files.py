"""No file that is given as a model, as weights or as a checkpoint runs code of its own."""

import ast
import json
import pathlib
import pickle

import keras
import numpy as np
import pytest

import foc_tf
from foc_tf import backbones, checkpoints, predict, train
from foc_tf.keras_compat import KERAS_3
from tests.small_run import ROOT, SMALL, call

FIRES = 'open({marker!r}, "w").close()'


@pytest.fixture
def planted(tmp_path):
    """(marker, files) of hostile models: the marker exists once the code of one has run."""
    marker = str(tmp_path / "fired")

    # Keras 3 stores the code of a lambda, of a named function its name.
    fire = keras.layers.Lambda(lambda x: (open(marker, "w").close(), x)[1])
    model = keras.Sequential([keras.Input((8,)), fire])
    paths = [tmp_path / "model.h5", tmp_path / "model.keras", tmp_path / "renamed.weights.h5"]
    model.save(paths[0])
    model.save(paths[1])
    paths[2].write_bytes(paths[0].read_bytes())
    pathlib.Path(marker).unlink()
    return pathlib.Path(marker), paths


class _Fires:
    """Its pickle calls `exec`."""

    def __init__(self, marker):
        self.code = FIRES.format(marker=str(marker))

    def __reduce__(self):
        return exec, (self.code,)


def test_the_planted_code_is_real(planted):
    marker, paths = planted
    keras.models.load_model(paths[1], safe_mode=False, compile=False)(np.zeros((1, 8)))
    assert marker.exists()
    marker.unlink()
    if not KERAS_3:  # where Keras 2 does not even ask
        keras.models.load_model(paths[0], compile=False)
        assert marker.exists()


@pytest.mark.parametrize("kind", range(3))
@pytest.mark.parametrize("backbone", ["small_resnet", "resnet50v2", "efficientnet_lite0"])
def test_weights_of_a_backbone(planted, kind, backbone):
    marker, paths = planted
    with pytest.raises(ValueError, match=paths[kind].name):
        backbones.build(backbone, 32, 3, str(paths[kind]))
    assert not marker.exists()


@pytest.mark.parametrize("kind", range(3))
def test_models_to_load(planted, kind):
    marker, paths = planted
    with pytest.raises(ValueError, match="expected a workdir .* or a SavedModel"):
        foc_tf.load(paths[kind])
    out = paths[kind].parent / "x.csv"
    asked = f"--model={paths[kind]}", f"--source={paths[kind]}", f"--output={out}"
    assert call(predict.main, *asked, values=predict.FLAGS)[0] == 2
    asked = *SMALL, f"--init_from={paths[kind]}", f"--workdir={paths[kind]}_run"
    assert call(train.main, *asked)[0] == 2
    assert not marker.exists()


def test_a_best_model_that_is_a_whole_model(planted, tmp_path):
    marker, paths = planted
    model = foc_tf.build_model("foc", "small_resnet", 3, k=6, image_size=8, num_sub_heads=1)
    checkpoints.save_best(tmp_path / "best", model, {"model": model.recipe, "classes": ["a"]})
    recipe = {"model": dict(model.recipe), "classes": ["a"]}  # as an attacker writes it: no digest
    for path in paths:
        (tmp_path / "best/model.weights.h5").write_bytes(path.read_bytes())
        (tmp_path / "best/model.json").write_text(json.dumps(recipe))
        with pytest.raises((ValueError, OSError, KeyError)):
            foc_tf.load(tmp_path)
    assert not marker.exists()


def test_pickles_in_place_of_arrays(tmp_path):
    marker = tmp_path / "fired"
    hostile = np.array([_Fires(marker)], dtype=object)
    pickle.loads(pickle.dumps(_Fires(marker)))
    assert marker.exists()  # the planted code is real
    marker.unlink()
    np.savez(tmp_path / "epoch-000001.npz", state=hostile, weight_00000=hostile)
    model = foc_tf.build_model("foc", "small_resnet", 3, k=6, image_size=8, num_sub_heads=1)
    model.compile("adam")
    with pytest.raises(ValueError, match="all are damaged"):
        checkpoints.restore_latest(tmp_path, model)
    np.savez(tmp_path / "neighbors-1.npz", neighbors=hostile)
    with pytest.raises(ValueError, match="cannot be read"):
        checkpoints.load_neighbors(tmp_path, 1)
    for name in ("w.npz", "w.pth"):
        (tmp_path / name).write_bytes(pickle.dumps(_Fires(marker)))
        with pytest.raises(ValueError, match=name):
            backbones.build("efficientnet_lite0", 32, 3, str(tmp_path / name))
    assert not marker.exists()


# Where such a name stands for something harmless: a pickle reader that refuses all but tensors.
_ALLOWED = {("pytorch_file.py", "pickle")}
_FORBIDDEN = {"pickle", "marshal", "dill", "shelve", "eval", "exec", "load_model", "unsafe_load"}


@pytest.mark.parametrize(
    "path",
    sorted([*(ROOT / "foc_tf").rglob("*.py"), *(ROOT / "export").glob("*.py")]),
    ids=lambda path: path.name,
)
def test_no_code_of_ours_reads_what_executes(path):
    for node in ast.walk(ast.parse(path.read_text())):
        names = set()
        if isinstance(node, ast.Import | ast.ImportFrom):
            module = getattr(node, "module", None) or ""
            names = {module.split(".")[0], *(a.name.split(".")[0] for a in node.names)}
        elif isinstance(node, ast.Name):
            names = {node.id}
        elif isinstance(node, ast.Attribute):
            names = {node.attr} if node.attr in ("load_model", "unsafe_load") else set()
        elif isinstance(node, ast.keyword) and node.arg in ("allow_pickle", "safe_mode"):
            wanted = node.arg == "safe_mode"
            assert isinstance(node.value, ast.Constant)
            assert node.value.value is wanted
        found = {name for name in names & _FORBIDDEN if (path.name, name) not in _ALLOWED}
        assert not found, found
