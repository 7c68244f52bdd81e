"""What one generation of Keras wrote, the other reads: runs, checkpoints, SavedModels."""

import os
import shutil
import subprocess

import keras
import numpy as np
import pytest

from tests.other_generation import outputs
from tests.small_run import ROOT, SMALL, read_report, run

VARIABLE = "FOC_OTHER_PYTHON"


@pytest.fixture(scope="module")
def other():
    """Runs a module of the repository with the other generation's Python."""
    python = os.environ.get(VARIABLE)
    if not python:
        pytest.skip(f"{VARIABLE} names no Python of the other generation (make test-keras3)")

    def run_(module, *arguments):
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [python, "-m", module, *map(str, arguments)],
            capture_output=True,
            text=True,
            cwd=ROOT,
            env=environment,
        )
        assert done.returncode == 0, done.stderr
        return done

    version = subprocess.run(
        [python, "-c", "import importlib.metadata as m; print(m.version('keras'))"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert version[0] != keras.__version__[0], f"{VARIABLE} has the same generation of Keras"
    return run_


@pytest.fixture(scope="module")
def theirs(other, tmp_path_factory):
    """(workdir, export folder) of the other generation's run."""
    folder = tmp_path_factory.mktemp("theirs")
    places = (f"--workdir={folder / 'run'}", f"--export_dir={folder / 'model'}")
    other("foc_tf.train", *SMALL, *places)
    return folder / "run", folder / "model"


def scores(report):
    """{path: number} of a report's scores."""
    found = {}

    def walk(path, value):
        if isinstance(value, dict):
            for key, each in value.items():
                walk(f"{path}/{key}", each)
        elif isinstance(value, float):
            found[path] = value

    walk("", report["splits"])
    return found


def test_their_run_has_the_same_scores_here(theirs, tmp_path):
    shutil.copytree(theirs[0], tmp_path / "run")
    before = scores(read_report(tmp_path / "run"))
    done = run("evaluate", f"--workdir={tmp_path / 'run'}")
    assert done.returncode == 0, done.stderr
    after = scores(read_report(tmp_path / "run"))
    assert len(before) > 10
    assert after == pytest.approx(before, abs=1e-4)


def test_our_run_has_the_same_scores_there(trained, other, tmp_path):
    shutil.copytree(trained[0], tmp_path / "run")
    before = scores(read_report(tmp_path / "run"))
    other("foc_tf.evaluate", f"--workdir={tmp_path / 'run'}")
    assert scores(read_report(tmp_path / "run")) == pytest.approx(before, abs=1e-4)


@pytest.mark.parametrize("whose", ["ours", "theirs"])
def test_models_and_saved_models_say_the_same(whose, trained, theirs, other, tmp_path):
    workdir, exported = trained[:2] if whose == "ours" else theirs
    images = np.random.default_rng(0).uniform(0, 255, (5, 8, 8, 1)).astype("float32")
    np.save(tmp_path / "images.npy", images)
    paths = workdir, exported / "1", tmp_path / "images.npy", tmp_path / "there.npz"
    other("tests.other_generation", *paths)
    here = outputs(workdir, exported / "1", images)
    with np.load(tmp_path / "there.npz") as there:
        assert set(there.files) == set(here)
        assert {"model_normal_probs", "served_class_probs", "served_cluster"} <= set(here)
        for name, value in here.items():
            np.testing.assert_allclose(there[name], value, atol=1e-4, err_msg=name)


def test_a_run_goes_on_where_the_other_generation_stopped(theirs, tmp_path):
    shutil.copytree(theirs[0], tmp_path / "run")
    last = sorted((tmp_path / "run" / "checkpoints").glob("epoch-*.npz"))[-1]
    last.unlink()
    wanted = (tmp_path / "run" / "history.csv").read_text().splitlines()
    done = run("train", *SMALL, f"--workdir={tmp_path / 'run'}", "--noexport")
    assert done.returncode == 0, done.stderr
    found = (tmp_path / "run" / "history.csv").read_text().splitlines()
    assert len(found) == len(wanted)
    # All epochs but the one that was done again are the other generation's.
    assert found[:-1] == wanted[:-1]
    loss = wanted[0].split(",").index("loss")
    there, here = (float(rows[-1].split(",")[loss]) for rows in (wanted, found))
    assert here == pytest.approx(there, abs=0.05)
