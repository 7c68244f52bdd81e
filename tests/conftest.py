"""Two logical CPU devices, quiet TensorFlow, and where the real data are."""

import os
import pathlib

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import hypothesis
import pytest
import tensorflow as tf

from foc_tf.datasets import finding
from tests import review_browser
from tests.ecotaxa_tables import PNG
from tests.small_run import SMALL, run

# A property is right or wrong, not fast: busy machines pass the default 200 ms now and then.
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0],
    [tf.config.LogicalDeviceConfiguration(), tf.config.LogicalDeviceConfiguration()],
)


@pytest.fixture(scope="session")
def shared():
    """The folder of real data; absent on a user's machine."""
    folder = pathlib.Path(
        os.environ.get("FOC_SHARED", pathlib.Path(__file__).parents[2] / "shared")
    )
    if not (folder / "data").is_dir():
        pytest.skip(f"no real data: {folder / 'data'} is absent (set FOC_SHARED)")
    return folder


@pytest.fixture(scope="session")
def two_replicas():
    """One strategy for the whole session: several in one process clash over collective keys."""
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """A finished small run: (workdir, export folder, what the program printed)."""
    folder = tmp_path_factory.mktemp("trained")
    done = run(
        "train",
        *SMALL,
        "--tensorboard",
        f"--workdir={folder / 'run'}",
        f"--export_dir={folder / 'model'}",
    )
    assert done.returncode == 0, done.stderr
    return folder / "run", folder / "model", done


@pytest.fixture
def saved(tmp_path):
    """Writes a table beside an image a.png; returns its path."""

    def write_(content, name="ecotaxa_x.tsv"):
        (tmp_path / "a.png").write_bytes(PNG)
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode("latin-1"))
        return path

    return write_


@pytest.fixture
def network(monkeypatch):
    """Every host is known, so that a test does the same with and without a network."""
    monkeypatch.setattr(finding.socket, "getaddrinfo", lambda *args: [])


@pytest.fixture(scope="session")
def chromium():
    """Debian's Chromium, headless, driven by Playwright."""
    path = review_browser.executable()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()
