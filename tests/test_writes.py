"""Nothing is written under its own name: temporary files and folders, and what kills leave."""

import ast
import os
import pathlib
import subprocess
import sys
from unittest import mock

import pytest

from foc_tf import files
from tests.small_run import ROOT

# Modules that open files for writing without `files.replacing`, and why that loses nothing.
DIRECT = {
    "foc_tf/files.py": "the temporary file itself",
    "foc_tf/locks.py": "a lock, empty or torn it is one as well",
    "foc_tf/data/caching.py": "a lock without content",
    "foc_tf/comparing/running.py": "a log that grows",
    "foc_tf/predicting/partial.py": "rows that grow over several runs, cut to what counts",
    "foc_tf/reviewing/decisions.py": "a journal, synced at each line, cut to whole lines",
    "foc_tf/data/tfds_reader.py": "inside of files.new_folder",
    "foc_tf/formats/writing.py": "inside of files.new_folder",
    "foc_tf/reviewing/next_round.py": "inside of files.new_folder",
    "foc_tf/records.py": "inside of files.new_folder",
    "foc_tf/serving/conversion.py": "inside of a version's temporary folder",
    "foc_tf/serving/saved_model.py": "inside of a temporary folder",
    "foc_tf/serving/warmup.py": "inside of a version's temporary folder",
    "export/client.py": "<output>.partial, which keeps the answers of a client that is stopped",
    "foc_tf/benchmarks/holding.py": "images in a temporary folder",
    "foc_tf/benchmarks/labelling.py": "images in a temporary folder",
}
_WRITERS = {"write_text", "write_bytes", "TFRecordWriter", "ArrayRecordWriter"}


def writes(path):
    """Whether a module opens a file for writing by itself."""
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call):
            continue
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        modes = [a.value for a in node.args[1:2] if isinstance(a, ast.Constant)]
        modes += [k.value.value for k in node.keywords if k.arg == "mode"]
        if name in _WRITERS or (name == "open" and any(set(str(m)) & set("wax+") for m in modes)):
            return True
    return False


def test_only_these_modules_write_files_by_themselves():
    modules = [*(ROOT / "foc_tf").rglob("*.py"), *(ROOT / "export").glob("*.py")]
    found = {str(path.relative_to(ROOT)) for path in modules if writes(path)}
    # files.py: the mode of its one `open` is an argument.
    assert found | {"foc_tf/files.py"} == set(DIRECT)


@pytest.fixture
def gone():
    """Number of a process that is no more."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def temporary(path, process):
    """Name under which another process of this host writes a file."""
    with mock.patch.object(os, "getpid", return_value=process):
        return files.temporary_of(path)


def test_only_what_processes_left_that_are_gone_is_removed(tmp_path, gone):
    left = temporary(tmp_path / "best/model.json", gone)
    folder = temporary(tmp_path / "version", gone)
    ours = files.temporary_of(tmp_path / "history.csv")  # as of one before
    others = [
        temporary(tmp_path / "a.csv", 1),  # it runs
        temporary(tmp_path / "a.csv", 10**30),
        tmp_path / f".a.csv.elsewhere.{gone}.tmp",  # another host's
        tmp_path / f"a.csv.{gone}.tmp",
        tmp_path / ".a.csv.tmp",
        tmp_path / "a.csv",
    ]
    (folder / "variables").mkdir(parents=True)
    left.parent.mkdir()
    for path in (left, ours, *others):
        path.write_text("")
    files.remove_leftovers(tmp_path)
    assert not left.exists()
    assert not ours.exists()
    assert not folder.exists()
    assert all(path.exists() for path in others)
    files.remove_leftovers(tmp_path / "not there")


@pytest.mark.parametrize("own", [True, False])
def test_a_new_folder_is_there_complete_or_not_at_all(tmp_path, gone, own):
    left = temporary(tmp_path / "set[1]", os.getpid() if own else gone)
    left.mkdir()
    (left / "half").write_text("")

    def fail():
        with files.new_folder(tmp_path / "set[1]") as folder:
            (folder / "a").write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert not list(tmp_path.iterdir())
    with files.new_folder(tmp_path / "set[1]") as folder:
        (folder / "a").write_text("whole")
        assert [path.name for path in tmp_path.iterdir()] == [folder.name]
    assert [str(p.relative_to(tmp_path)) for p in sorted(tmp_path.rglob("*"))] == [
        "set[1]",
        "set[1]/a",
    ]


def test_a_folder_that_came_meanwhile_is_not_replaced(tmp_path):
    def write():
        with files.new_folder(tmp_path / "set"):
            (tmp_path / "set").mkdir()
            (tmp_path / "set/a").write_text("another's")

    with pytest.raises(OSError, match="set"):
        write()
    assert [path.name for path in pathlib.Path(tmp_path).iterdir()] == ["set"]
    assert (tmp_path / "set/a").read_text() == "another's"
