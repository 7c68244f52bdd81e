"""A disk that is full or cannot be written: said with path and need, the last checkpoint whole."""

import errno
import os
import re
import resource

import numpy as np
import pytest

from foc_tf import checkpoints, files
from tests.small_run import SMALL, begun, run


def test_a_failed_write_names_file_and_need_and_leaves_what_was_there(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"before")

    def write():
        with files.replacing(path, needed=2_000_000) as file:
            file.write(b"half")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(OSError, match=r"No space left.*needs 2\.0 MB, .* MB are free.*a\.bin") as e:
        write()
    assert e.value.errno == errno.ENOSPC
    assert path.read_bytes() == b"before"
    assert os.listdir(tmp_path) == ["a.bin"]


def test_an_error_about_another_file_stays_that_file_s(tmp_path):
    def copy():
        with files.replacing(tmp_path / "a.bin") as file:
            file.write((tmp_path / "gone").read_bytes())

    with pytest.raises(FileNotFoundError, match="gone"):
        copy()
    assert os.listdir(tmp_path) == []


def test_a_run_on_a_full_disk_stops_and_goes_on_when_there_is_room(tmp_path):
    workdir = tmp_path / "run"
    arguments = [*SMALL, "--fine_tune_epochs=30", f"--workdir={workdir}", "--noexport"]
    third = "checkpoints/epoch-000003.npz"
    with begun(arguments, lambda: any(workdir.glob(third))) as process:
        # What a file system without room does to files of more than 50 kB, by the kernel's means.
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (50_000, 50_000))
        stderr = process.communicate(timeout=100)[1]
    assert process.returncode == 1, stderr
    assert re.search(
        r"failed: .*needs [\d.]+ MB, .*(epoch-0000\d\d\.npz|best/model\.weights)", stderr
    )
    kept = checkpoints._oldest_first(workdir / "checkpoints")
    assert len(kept) == 2
    for path in kept:
        arrays, state, _ = checkpoints._read(path)
        assert state["epoch"] >= 2
        assert all(np.isfinite(array).all() for array in arrays.values())
    assert not list(workdir.rglob("*.tmp"))
    assert not (workdir / "lock").exists()
    # The longest part of the run is not needed to see that it goes on.
    short = [a for a in arguments if "fine_tune" not in a]
    again = run("train", *short, "--fine_tune_epochs=30")
    assert f"going on after epoch {state['epoch']} of 32" in again.stderr
    assert again.returncode == 0, again.stderr


@pytest.mark.parametrize("place", ["below_a_file", "/proc/foc_tf/run"])
def test_a_workdir_that_cannot_be_written_is_named(tmp_path, place):
    (tmp_path / "file").write_text("")
    workdir = f"{tmp_path}/file/run" if place == "below_a_file" else place
    done = run("train", *SMALL, f"--workdir={workdir}")
    assert done.returncode == 1
    assert workdir.rsplit("/", 1)[0] in done.stderr
    assert "Traceback" not in done.stderr
