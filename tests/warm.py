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
import select
import signal
import subprocess
import sys
import tempfile

_SERVERS = []


class Child:
    """A program that was started; what a test needs of subprocess.Popen.

    Attributes:
      pid: of its process.
      returncode: as Popen's.

    Args:
      module: with its package.
      arguments: list of str.
      cwd: its working directory.
      environment: dict of all its environment variables.
    """

    def __init__(self, module, arguments, cwd, environment):
        """See the class."""
        self._folder = tempfile.TemporaryDirectory()
        self._outputs = [os.path.join(self._folder.name, name) for name in ("stdout", "stderr")]
        self.returncode, self.arguments = None, list(map(str, arguments))
        self.pid = _asked(
            {
                "module": module,
                "arguments": self.arguments,
                "cwd": str(cwd),
                "environment": dict(environment),
                "outputs": self._outputs,
            }
        )
        self._end = os.pidfd_open(self.pid)

    def __enter__(self):
        """See the class."""
        return self

    def __exit__(self, kind, *_):
        """Waits for its end, unless something went wrong meanwhile."""
        if kind is not None:
            self.kill()
        self.wait()
        os.close(self._end)
        self._folder.cleanup()

    def poll(self):
        """Its exit code, or None while it runs."""
        return self._ended(0)

    def wait(self, timeout=None):
        """Its exit code, once it has ended."""
        if self._ended(timeout) is None:
            raise subprocess.TimeoutExpired(self.arguments, timeout)
        return self.returncode

    def communicate(self, timeout=None):
        """(stdout, stderr), once it has ended."""
        self.wait(timeout)
        return self.output(0), self.output(1)

    def output(self, number):
        """What it has written to stdout, 0, or stderr, 1."""
        path = pathlib.Path(self._outputs[number])
        return path.read_text() if path.exists() else ""

    def send_signal(self, number):
        """As Popen's."""
        if self.poll() is None:
            signal.pidfd_send_signal(self._end, number)

    def kill(self):
        """As Popen's."""
        self.send_signal(signal.SIGKILL)

    def _ended(self, timeout):
        if self.returncode is None and select.select([self._end], [], [], timeout)[0]:
            self.returncode = _asked({"wait": self.pid})
        return self.returncode


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
    with Child(f"foc_tf.{name}", arguments, cwd, environment) as child:
        stdout, stderr = child.communicate()
    return subprocess.CompletedProcess(child.arguments, child.returncode, stdout, stderr)


def _asked(order):
    """The server's answer to an order, a number."""
    if not _SERVERS:
        _SERVERS.append(_start())
    server = _SERVERS[0]
    print(json.dumps(order), file=server.stdin, flush=True)
    answer = server.stdout.readline()
    assert answer, f"the server of runs has ended: {server.poll()}"
    return json.loads(answer)


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
    for target, path in enumerate(order["outputs"], 1):
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(file, target)
        os.close(file)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    # A server in the background of a script was told to ignore it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.path.insert(0, order["cwd"])
    sys.argv = [order["module"], *order["arguments"]]
    runpy.run_module(order["module"], run_name="__main__", alter_sys=True)


def main():
    """Answers orders, lines of JSON, until the input ends.

    A program to start is answered by its process number, "wait" for one by its exit code.
    """
    # What takes the time. Not the programs, whose flags would be those of all.
    for name in ("foc_tf.build", "foc_tf.report", "foc_tf.summaries", "sklearn.datasets"):
        importlib.import_module(name)
    for line in sys.stdin:
        order = json.loads(line)
        if "wait" in order:
            print(os.waitstatus_to_exitcode(os.waitpid(order["wait"], 0)[1]), flush=True)
            continue
        child = os.fork()
        if child == 0:
            _become(order)
            return
        print(child, flush=True)


if __name__ == "__main__":
    main()
