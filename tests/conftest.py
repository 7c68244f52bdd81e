"""Two logical CPU devices, quiet TensorFlow, and where the real data are."""

import os
import pathlib

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import pytest
import tensorflow as tf

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
