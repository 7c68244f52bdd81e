"""`python -m foc_tf.<name>` in a process forked from one that has imported TensorFlow already.

A process of its own for each run, with its own flags, devices, threads and exit code, as a user's;
only the seconds of the import are shared. The server is one a test process, and ends with it.
"""

import atexit
import importlib
import json
import os
import pathlib
import runpy
import subprocess
import sys
import tempfile

_SERVERS = []


def run(name, arguments, cwd, environment):
    """Runs a program to its end.

    Args:
      name: of the module under foc_tf.
      arguments: list of str.
      cwd: its working directory.
      environment: dict of all its environment variables.

    Returns:
      subprocess.CompletedProcess with text.
    """
    if not _SERVERS:
        _SERVERS.append(_start())
    server = _SERVERS[0]
    with tempfile.TemporaryDirectory() as folder:
        order = {
            "module": f"foc_tf.{name}",
            "arguments": list(map(str, arguments)),
            "cwd": str(cwd),
            "environment": dict(environment),
            "stdout": os.path.join(folder, "stdout"),
            "stderr": os.path.join(folder, "stderr"),
        }
        print(json.dumps(order), file=server.stdin, flush=True)
        answer = server.stdout.readline()
        assert answer, f"the server of runs has ended: {server.poll()}"
        outputs = [pathlib.Path(order[key]).read_text() for key in ("stdout", "stderr")]
    return subprocess.CompletedProcess(order["arguments"], json.loads(answer), *outputs)


def _start():
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.warm"],
        cwd=os.path.dirname(os.path.dirname(__file__)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    atexit.register(server.stdin.close)
    return server


def _become(order):
    """In the child: the program, as `python -m` starts it; never to return."""
    os.chdir(order["cwd"])
    os.environ.clear()
    os.environ.update(order["environment"])
    for target, name in ((1, "stdout"), (2, "stderr")):
        file = os.open(order[name], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(file, target)
        os.close(file)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.argv = [order["module"], *order["arguments"]]
    runpy.run_module(order["module"], run_name="__main__", alter_sys=True)


def main():
    """Answers orders, lines of JSON, with exit codes until the input ends."""
    # What takes the time. Not the programs, whose flags would be those of all.
    for name in ("build", "report", "summaries"):
        importlib.import_module(f"foc_tf.{name}")
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            _become(json.loads(line))
            return
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        print(code, flush=True)


if __name__ == "__main__":
    main()
