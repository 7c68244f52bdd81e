"""Training runs that are killed: each line of the input is one, in a process forked for it.

A line is JSON, `{"arguments": flags of train, "event": e, "delay": seconds}`; the run gets SIGKILL
`delay` after its e-th file event (a file opened for writing, a rename, a removal), or comes to its
end if it has fewer. The answer is a line of JSON: `{"status": of os.waitpid, "events": [[seconds
since the first, name, path], ...]}`. Forking spares each run the import of TensorFlow.
"""

import json
import os
import signal
import sys
import threading
import time

from foc_tf import program, train

_WRITES = os.O_WRONLY | os.O_RDWR


class Events:
    """An audit hook that counts the run's file events and starts the killer at one of them.

    Args:
      root: events outside of this folder do not count.
      at: which one starts it, or None.
      delay: seconds until SIGKILL.
      pipe: file descriptor on which each is told.
    """

    def __init__(self, root, at, delay, pipe):
        """See the class."""
        self.root, self.at, self.delay, self.pipe = root, at, delay, pipe
        self.count, self.start = 0, None

    def __call__(self, name, arguments):
        if name == "open":
            if not (arguments[2] or 0) & _WRITES:
                return
        elif name not in ("os.rename", "os.remove"):
            return
        path = os.fsdecode(arguments[0]) if isinstance(arguments[0], (str, bytes)) else ""
        if not os.path.abspath(path).startswith(self.root):
            return
        self.start = self.start or time.monotonic()
        line = json.dumps([time.monotonic() - self.start, name, path]) + "\n"
        os.write(self.pipe, line.encode())
        if self.count == self.at:
            killer = threading.Timer(self.delay, os.kill, (os.getpid(), signal.SIGKILL))
            killer.daemon = True
            killer.start()
        self.count += 1


def _train(order, pipe):
    """In the child: the run, never to return."""
    root = os.path.abspath(order["root"])
    sys.addaudithook(Events(root, order.get("event"), order.get("delay", 0.0), pipe))
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        sys.argv = ["train", *order["arguments"]]
        code = 0
        try:
            program.run(train.main)
        except SystemExit as stopped:
            code = stopped.code or 0
        os._exit(code)


def main():
    """Answers orders until the input ends."""
    for line in sys.stdin:
        order = json.loads(line)
        reads, writes = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reads)
            _train(order, writes)
        os.close(writes)
        with os.fdopen(reads) as told:
            # A kill in the middle of telling leaves half a line.
            events = [json.loads(each) for each in told if each.endswith("\n")]
        status = os.waitpid(child, 0)[1]
        print(json.dumps({"status": status, "events": events}), flush=True)


if __name__ == "__main__":
    main()
