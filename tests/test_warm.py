"""Programs that the tests fork from a warm process do what `python -m` does."""

import contextlib
import os
import re
import signal
import subprocess
import time

import pytest

from tests import warm
from tests.small_run import ROOT, command, run


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("predict", ["--helpfull"]), ("train", ["--no_such_flag"])],
)
def test_a_forked_program_is_the_program(name, arguments):
    cold = subprocess.run(command(name, *arguments), capture_output=True, text=True, cwd=ROOT)
    forked = run(name, *arguments)
    assert (forked.returncode, forked.stdout) == (cold.returncode, cold.stdout)
    # TensorFlow 2.21 talks when it is imported, whatever TF_CPP_MIN_LOG_LEVEL says.
    talk = re.compile(r"(WARNING: All log messages before absl|[IWE]0000 ).*\n")
    assert forked.stderr == talk.sub("", cold.stderr)
    assert cold.stdout + cold.stderr


def test_a_forked_program_has_its_folder_and_variables_and_leaves_ours(tmp_path):
    ours = os.getcwd(), dict(os.environ)
    (tmp_path / "wanted.flags").write_text("--no_such_flag_in_file\n")
    done = warm.run("train", ["--flagfile=wanted.flags"], tmp_path, os.environ | {"HOME": "/"})
    assert done.returncode == 2
    assert "no_such_flag_in_file" in done.stderr
    assert (os.getcwd(), dict(os.environ)) == ours


def test_programs_run_side_by_side_and_hear_signals(tmp_path):
    sleeper = tmp_path / "sleeper.py"
    sleeper.write_text("import time\nprint('here', flush=True)\ntime.sleep(600)\n")
    with contextlib.ExitStack() as stack:
        children = [
            stack.enter_context(warm.Child("sleeper", [], tmp_path, os.environ)) for _ in range(2)
        ]
        for child in children:
            until = time.monotonic() + 60
            while child.output(0) != "here\n" and time.monotonic() < until:
                time.sleep(0.01)
        assert [child.poll() for child in children] == [None, None]
        with pytest.raises(subprocess.TimeoutExpired):
            children[0].wait(0.01)
        children[0].send_signal(signal.SIGINT)
        children[1].kill()
        # As Popen has them: what Python makes of Ctrl-C, and the signal's number.
        assert [child.wait(60) for child in children] == [-signal.SIGINT, -signal.SIGKILL]
        assert "KeyboardInterrupt" in children[0].output(1)


def test_a_program_that_falls_does_not_end_the_others(tmp_path):
    for name in ("none_such_1", "none_such_2"):
        with warm.Child(name, [], tmp_path, os.environ) as child:
            assert child.wait(60) == 1
            assert f"No module named {name}" in child.output(1)


def test_the_server_ends_with_its_input():
    server = warm._start()
    server.stdin.close()
    assert server.wait(60) == 0
