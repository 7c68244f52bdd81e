"""The file of decisions: on the disk before it says so, torn and damaged lines, one writer."""

import os
import pathlib
import re
import signal
import subprocess
import sys

import pytest

from foc_tf.reviewing import decisions
from foc_tf.reviewing.decisions import Log

ROOT = pathlib.Path(__file__).parents[1]


def some(folder, count=3):
    log = Log(folder)
    for number in range(count):
        log.append("anna", "name", {"group": number, "name": 'ä "x"\n'})
    log.close()
    return log.path


def test_what_was_appended_is_read(tmp_path):
    path = some(tmp_path)
    found, torn = decisions.read(tmp_path)
    assert [d.number for d in found] == [1, 2, 3]
    assert found[1].arguments == {"group": 1, "name": 'ä "x"\n'}
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", found[0].time)
    assert not torn
    assert path.read_bytes().count(b"\n") == 3


def test_nothing_yet(tmp_path):
    assert decisions.read(tmp_path) == ([], False)
    assert not (tmp_path / "review").exists()


@pytest.mark.parametrize("cut", [1, 5, 60])
def test_a_torn_last_line_is_cut_off_and_said(tmp_path, cut):
    path = some(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    assert [len(decisions.read(tmp_path)[0]), decisions.read(tmp_path)[1]] == [2, True]
    log = Log(tmp_path)
    assert log.torn
    log.append("anna", "done", {"group": 0})
    log.close()
    found, torn = decisions.read(tmp_path)
    assert [d.action for d in found] == ["name", "name", "done"]
    assert not torn
    assert path.read_bytes().startswith(whole[: whole.index(b"\n") + 1])


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (b'"number": 2', b'"number": 7', "line 2: damaged"),
        (b'{"schema": 1, "number": 2', b'\x00\xff{"schema": 1, "number": 2', "line 2: damaged"),
        (b'"schema": 1, "number": 2', b'"schema": 9, "number": 2', "line 2: schema 9"),
        (b'"expert": "anna"', b'"expert": null', "line 1: damaged"),
        (b'{"schema"', b'[{"schema"', "line 1: damaged"),
        (b'"action": "name", ', b"", "line 1: damaged"),
    ],
)
def test_a_damaged_line_is_an_error_and_stays(tmp_path, old, new, said):
    path = some(tmp_path)
    content = path.read_bytes().replace(old, new, 1)
    path.write_bytes(content)
    for call in (decisions.read, Log):
        with pytest.raises(ValueError, match=f"{re.escape(str(path))}, {said}"):
            call(tmp_path)
    assert path.read_bytes() == content


def test_one_writer(tmp_path):
    log = Log(tmp_path)
    with pytest.raises(ValueError, match="open in another review"):
        Log(tmp_path)
    log.close()
    Log(tmp_path).close()


def test_a_full_disk_leaves_whole_lines(tmp_path, monkeypatch):
    path = some(tmp_path)
    before = path.read_bytes()
    log = Log(tmp_path)

    def half(line):
        os.write(log._file.fileno(), line[:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(log, "_write", half)
    with pytest.raises(OSError, match="No space"):
        log.append("anna", "done", {"group": 0})
    assert path.read_bytes() == before
    assert len(log.decisions) == 3
    log.close()


WRITER = """
import sys
from foc_tf.reviewing.decisions import Log
log = Log(sys.argv[1])
for number in range(200):
    log.append("anna", "mark", {"images": ["x" * 300], "fits": False})
    print(number + 1, flush=True)
"""


def test_kill_in_the_middle_loses_nothing_that_was_answered(tmp_path):
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as writer:
        answered = 0
        for line in writer.stdout:
            answered = int(line)
            if answered == 100:
                writer.send_signal(signal.SIGKILL)
    assert writer.returncode == -signal.SIGKILL
    assert 100 <= answered < 200
    found = Log(tmp_path).decisions
    assert len(found) in (answered, answered + 1)  # one may be written and not yet answered
