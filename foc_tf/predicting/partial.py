"""A file that grows over as many runs as it takes, and gets its name when it is complete.

Beside `<output>` lie, until then, `<output>.partial` (the rows so far) and `<output>.partial.json`:
what the work is and how many bytes of the rows count. A process that is killed leaves at most bytes
that do not count; the next one cuts them off and goes on, so no row is lost or there twice.
`<output>.unreadable.csv` has what was left out, with the reason, and stays.
"""

import csv
import fcntl
import glob
import io
import os
import pathlib
import time
from collections.abc import Callable, Sequence
from typing import Any

from foc_tf import files
from foc_tf.spreadsheets import safe

_COMMIT_SECONDS = 1.0


class Partial:
    """The rows so far; use it in a `with` block.

    Attributes:
      done: items of the source that are done.
      rows: rows written.
      unreadable: images listed as unreadable.
      complete: the output is there already, only the traces of the run before were left.
      path, unreadable_path: `<output>.partial`, `<output>.unreadable.csv`.

    Args:
      output: file that is there in the end.
      work: {what: JSON-able value} that a run must share to go on with what another began.
      header: bytes that the rows begin with.

    Raises:
      ValueError: if there are rows of other work, or another process is writing them.
    """

    def __init__(
        self, output: pathlib.Path | str, work: dict[str, Any], header: bytes = b""
    ) -> None:
        """See the class."""
        self.output = pathlib.Path(output)
        if self.output.is_dir():
            raise ValueError(f"output: {output} is a folder; give the name of a file.")
        self.path, self._state_path, self.unreadable_path = (
            self.output.with_name(self.output.name + ending)
            for ending in (".partial", ".partial.json", ".unreadable.csv")
        )
        self.output.parent.mkdir(parents=True, exist_ok=True)
        self._work, self._ended = work, False
        self._state = {"done": 0, "rows": 0, "bytes": 0, "unreadable": 0, "unreadable_bytes": 0}
        self.complete = self._resume()
        if not self.complete:
            self._open(header)

    done = property(lambda self: self._state["done"])
    rows = property(lambda self: self._state["rows"])
    unreadable = property(lambda self: self._state["unreadable"])

    def _resume(self):
        """Takes over what is there; True if nothing is left to do."""
        if not self._state_path.exists():
            if self.path.exists() and os.path.getsize(self.path):
                raise ValueError(
                    f"output: {self.path} is there without {self._state_path.name}, so nobody "
                    "knows what it is; remove it or give another --output."
                )
            return False
        stored = _checked(self._state_path, self._state)
        if not self.path.exists() and not (stored["complete"] and self.output.exists()):
            return False
        others = [key for key in self._work if stored["work"].get(key) != self._work[key]]
        if others and self.path.exists():
            there, here = stored["work"].get(others[0]), self._work[others[0]]
            raise ValueError(
                f"output: {self.path} was begun with another {others[0]} (there: {there}; now: "
                f"{here}). Start it with the same, or remove it to start anew, or give another "
                "--output."
            )
        if others:
            return False
        self._state = {key: stored[key] for key in self._state}
        return not self.path.exists()

    def _open(self, header):
        fresh, self._bad = not self._state["bytes"], None
        # Locked first: until then another process may be at it.
        self._file = _opened(self.path, self._state["bytes"])
        if fresh:
            self._commit_state(complete=False)
        if self._state["unreadable_bytes"]:
            self._bad = _opened(self.unreadable_path, self._state["unreadable_bytes"])
        else:
            self.unreadable_path.unlink(missing_ok=True)
        if fresh:
            _write(self._file, header)
            self._state["bytes"] = len(header)
        self._committed = time.monotonic()

    def append(
        self, content: bytes, rows: int, unreadable: Sequence[tuple[str, str]], done: int
    ) -> None:
        """Adds what one batch gave.

        Args:
          content: bytes of its rows.
          rows: their number.
          unreadable: list of (image, reason).
          done: items of the source that are done with it.
        """
        listed = _lines(unreadable)
        if listed and self._bad is None:
            self._bad = _opened(self.unreadable_path, 0)
            listed = _lines([("image", "reason")]) + listed
        _write(self._file, content)
        if listed:
            _write(self._bad, listed)
        old = self._state
        self._state = {
            "done": done,
            "rows": old["rows"] + rows,
            "bytes": old["bytes"] + len(content),
            "unreadable": old["unreadable"] + len(unreadable),
            "unreadable_bytes": old["unreadable_bytes"] + len(listed),
        }
        if time.monotonic() - self._committed >= _COMMIT_SECONDS:
            self._commit()

    def _commit(self, complete=False):
        # Rows first: the state must never count what a power failure may still take.
        for file in (self._file, self._bad):
            if file:
                os.fsync(file.fileno())
        self._commit_state(complete)
        self._committed = time.monotonic()

    def _commit_state(self, complete):
        stored = self._state | {"complete": complete, "work": self._work}
        files.write_json(self._state_path, stored)

    def finish(self, write: Callable[[], Any] | None = None) -> None:
        """Gives the rows their name, or has `write()` make the output from them."""
        self._commit(complete=True)
        self._ended = True
        if write is None:
            os.replace(self.path, self.output)
        else:
            write()
            self.path.unlink()
        self._forget()

    def discard(self) -> None:
        """Removes the rows, not the list of unreadable images."""
        self._ended = True
        self.path.unlink()
        self._forget()

    def _forget(self):
        self._state_path.unlink()
        # Of processes that were killed while they wrote the state.
        for left in self.output.parent.glob(f".{glob.escape(self._state_path.name)}.*.tmp"):
            left.unlink()

    def __enter__(self):
        """The file itself; one that was complete already loses its last trace."""
        if self.complete:
            self._forget()
        return self

    def __exit__(self, *error):
        """Keeps what was done so far."""
        if not self.complete:
            if not self._ended:
                self._commit()
            for file in (self._file, self._bad):
                if file:
                    file.close()


def _checked(path, counts):
    """The stored state; ValueError if it is none."""
    stored = files.read_json(path)
    good = isinstance(stored, dict) and isinstance(stored.get("work"), dict)
    good = good and isinstance(stored.get("complete"), bool)
    if not good or not all(_is_count(stored.get(key)) for key in counts):
        raise ValueError(
            f"output: {path} is damaged. Remove it and the .partial file beside it to start anew."
        )
    return stored


def _is_count(value):
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**62


def _opened(path, size):
    """A file that this process alone appends to, after its first `size` bytes."""
    file = open(path, "ab")  # noqa: SIM115  closed in __exit__
    try:
        _lock(file, path)
        found = os.path.getsize(path)
        if found < size:
            raise ValueError(
                f"output: {path} has {found:,} bytes and should have {size:,}: somebody changed "
                "it. Remove <output>.partial to start anew."
            )
        file.truncate(size)
    except ValueError:
        file.close()
        raise
    return file


def _lock(file, path):
    busy = ValueError(f"output: another process is writing {path}.")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise busy from None
    except OSError:
        # Some cluster file systems have no locks; one process alone is right without.
        return
    # The other process may have finished, and so renamed the file, since it was opened here.
    if not os.path.exists(path) or not os.path.samestat(os.fstat(file.fileno()), os.stat(path)):
        raise busy


def _write(file, content):
    file.write(content)
    file.flush()


def _lines(rows):
    buffer = io.StringIO(newline="")
    csv.writer(buffer, lineterminator="\n").writerows([safe(cell) for cell in row] for row in rows)
    return buffer.getvalue().encode("utf-8", "backslashreplace")
