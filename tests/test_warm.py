"""Programs that the tests fork from a warm process do what `python -m` does."""

import os
import re
import subprocess

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


def test_a_program_that_falls_does_not_end_the_others(capfd):
    server = warm._start()
    for _ in range(2):
        print("no order", file=server.stdin, flush=True)
        assert server.stdout.readline() == "1\n"
    server.stdin.close()
    assert server.wait() == 0
    assert capfd.readouterr().err.count("JSONDecodeError: ") == 2
