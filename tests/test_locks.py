"""One run a workdir."""

import json
import multiprocessing
import os
import signal
import socket

import pytest

from foc_tf import locks


def test_a_held_lock_names_its_holder_and_goes_at_the_end(tmp_path):
    with locks.held(tmp_path):
        stored = json.loads((tmp_path / locks.NAME).read_text())
        assert (stored["pid"], stored["host"]) == (os.getpid(), socket.gethostname())
        with (
            pytest.raises(ValueError, match=rf"by process {os.getpid()} on .* remove .*lock"),
            locks.held(tmp_path),
        ):
            pass
        assert (tmp_path / locks.NAME).exists()  # the refused one has not removed it
    assert not (tmp_path / locks.NAME).exists()
    with pytest.raises(RuntimeError), locks.held(tmp_path):
        raise RuntimeError
    assert not (tmp_path / locks.NAME).exists()


def _hold_and_die(folder):
    with locks.held(folder):
        os.kill(os.getpid(), signal.SIGKILL)


def test_what_a_killed_process_left_is_taken_over_and_said(tmp_path):
    process = multiprocessing.get_context("fork").Process(target=_hold_and_die, args=(tmp_path,))
    process.start()
    process.join()
    assert (tmp_path / locks.NAME).exists()
    said = []
    with locks.held(tmp_path, said.append):
        assert f"process {process.pid}, which is gone" in said[0]


def test_a_lock_of_another_host_is_for_a_person_to_judge(tmp_path):
    holder = {"pid": 1, "host": "elsewhere", "since": "2026-01-01 00:00:00"}
    (tmp_path / locks.NAME).write_text(json.dumps(holder))
    with pytest.raises(ValueError, match="process 1 on elsewhere since"), locks.held(tmp_path):
        pass
    assert json.loads((tmp_path / locks.NAME).read_text()) == holder


@pytest.mark.parametrize("torn", ["", "{", "[]", "null", '{"pid": 1}'])
def test_a_torn_lock_is_no_holder(tmp_path, torn):
    (tmp_path / locks.NAME).write_text(torn)
    with locks.held(tmp_path):
        assert json.loads((tmp_path / locks.NAME).read_text())["pid"] == os.getpid()
