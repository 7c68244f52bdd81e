"""One run a workdir: a lock that says who holds it, and that no dead process can keep.

The file `lock` names the process and the host. On one host the operating system's own lock decides,
which ends with its process, so that what a killed run left is recognised. Between hosts only the
file can tell, and a person has to.
"""

import contextlib
import json
import os
import pathlib
import socket
import time
from collections.abc import Callable, Iterator

try:
    import fcntl
except ImportError:  # Windows: there the file alone decides
    fcntl = None  # type: ignore[assignment]

NAME = "lock"


@contextlib.contextmanager
def held(folder: str | pathlib.Path, log: Callable[[str], object] = print) -> Iterator[None]:
    """Holds the lock of a folder for the block.

    Args:
      folder: path; it must exist.
      log: function of a message, for a lock that a dead process left.

    Raises:
      ValueError: if another process holds it; names the process, its host and the file.
    """
    path = pathlib.Path(folder) / NAME
    file = _opened(path)
    try:
        left = _holder(file)
        if left and (left["host"] != socket.gethostname() or fcntl is None):
            raise ValueError(_refusal(path, left))
        if left:
            log(f"{path}: left by process {left['pid']}, which is gone; taken over.")
        _write(file)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
    finally:
        file.close()


def _opened(path):
    """The lock's file, locked; ValueError if another process of this host has it."""
    while True:
        file = open(path, "a+", encoding="utf-8")  # noqa: SIM115
        if fcntl is None:
            return file
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = _holder(file)
            file.close()
            raise ValueError(_refusal(path, holder)) from None
        # Its holder may have removed it between our opening and our locking it.
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), os.stat(path)):
                return file
        file.close()


def _holder(file):
    """{"pid", "host", "since"} that a lock's file names; None if it is empty or torn."""
    file.seek(0)
    try:
        found = json.loads(file.read())
        return {name: found[name] for name in ("pid", "host", "since")}
    except (ValueError, TypeError, KeyError):
        return None


def _write(file):
    since = time.strftime("%Y-%m-%d %H:%M:%S")
    file.seek(0)
    file.truncate()
    json.dump({"pid": os.getpid(), "host": socket.gethostname(), "since": since}, file)
    file.flush()
    os.fsync(file.fileno())


def _refusal(path, holder):
    who = "another process"
    if holder:
        who = f"process {holder['pid']} on {holder['host']} since {holder['since']}"
    return (
        f"workdir: {path.parent} is in use by {who}. Wait for it or give another --workdir; if "
        f"that run is gone for certain, remove {path}."
    )
