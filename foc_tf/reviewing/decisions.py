"""The experts' decisions: a file that only grows, one JSON line a decision.

`append` returns when the line is on the disk. What a line says is `state`'s to know.
"""

import dataclasses
import datetime
import json
import os
import pathlib
from typing import Any

try:
    import fcntl
except ImportError:  # not on Windows: nothing then stops two programs on one workdir
    fcntl = None  # type: ignore[assignment]

SCHEMA = 1
NAME = pathlib.Path("review") / "decisions.jsonl"


@dataclasses.dataclass(frozen=True)
class Decision:
    """One decision of one expert.

    Attributes:
      number: its place in the file, from 1.
      time: UTC, ISO 8601, ends in Z.
      expert: who.
      action: a key of `state.ACTIONS`, or "undo".
      arguments: {name: value} of JSON.
    """

    number: int
    time: str
    expert: str
    action: str
    arguments: dict[str, Any]


def read(workdir: pathlib.Path | str) -> tuple[list[Decision], bool]:
    """The decisions of a workdir, without changing anything.

    Args:
      workdir: folder of the run.

    Returns:
      (list of `Decision`, whether a torn last line was passed over).

    Raises:
      ValueError: if a line is damaged or of another schema; names file and line.
    """
    path = pathlib.Path(workdir) / NAME
    content = path.read_bytes() if path.exists() else b""
    found, whole = _parse(path, content)
    return found, whole < len(content)


def _parse(path, content):
    """(decisions, bytes that are whole lines)."""
    whole = content.rfind(b"\n") + 1
    lines = content[:whole].split(b"\n")[:-1]
    return [_line(path, number, line) for number, line in enumerate(lines, start=1)], whole


def _line(path, number, line):
    where = f"{path}, line {number}"
    try:
        entry = json.loads(line.decode("utf-8"))
        schema = entry.pop("schema")
    except (ValueError, KeyError, AttributeError, TypeError):
        raise ValueError(
            f"{where}: damaged, no decision in JSON. Put back a copy of the file, or remove the "
            "line and those after it."
        ) from None
    if schema != SCHEMA:
        raise ValueError(
            f"{where}: schema {schema!r}, this version of foc_tf knows {SCHEMA}. Use the version "
            "that wrote it."
        )
    kinds = {"number": int, "time": str, "expert": str, "action": str, "arguments": dict}
    if {key: type(value) for key, value in entry.items()} != kinds or entry["number"] != number:
        raise ValueError(
            f"{where}: damaged, expected decision {number} with {', '.join(kinds)}, found "
            f"{line[:80]!r}. Put back a copy of the file."
        )
    return Decision(**entry)


class Log:
    """The decisions of a workdir, held by one process until `close` or its end.

    Attributes:
      decisions: list of `Decision`.
      torn: whether the last line was torn (power cut, kill) and has been cut off.

    Args:
      workdir: folder of the run; `review/` is made in it.

    Raises:
      ValueError: if another process holds it, or a line is damaged; names file and line.
    """

    def __init__(self, workdir: pathlib.Path | str) -> None:
        """See the class."""
        self.path = pathlib.Path(workdir) / NAME
        self.path.parent.mkdir(parents=True, exist_ok=True)
        is_new = not self.path.exists()
        # Unbuffered: what `append` gave to the file must not wait in this process.
        self._file = open(self.path, "a+b", buffering=0)  # noqa: SIM115
        try:
            self._lock()
            self._file.seek(0)
            content = self._file.read()
            self.decisions, whole = _parse(self.path, content)
        except BaseException:
            self._file.close()
            raise
        self.torn = whole < len(content)
        if self.torn:
            self._file.truncate(whole)
            os.fsync(self._file.fileno())
        if is_new:
            _sync_folder(self.path.parent)

    def _lock(self):
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(
                f"workdir: {self.path} is open in another review. Go on there, or end it first."
            ) from None
        except (OSError, AttributeError):  # a file system or a system without locks
            pass

    def append(self, expert: str, action: str, arguments: dict[str, Any]) -> Decision:
        """Writes one decision; it is on the disk when this returns.

        Args:
          expert: who, not empty.
          action: str.
          arguments: dict of JSON.

        Returns:
          `Decision`.

        Raises:
          OSError: if it could not be written; the file is as before.
        """
        time = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds")
        made = Decision(
            len(self.decisions) + 1, time.replace("+00:00", "Z"), expert, action, arguments
        )
        text = json.dumps({"schema": SCHEMA} | dataclasses.asdict(made), ensure_ascii=False)
        start = os.fstat(self._file.fileno()).st_size
        try:
            self._write((text + "\n").encode("utf-8"))
            os.fsync(self._file.fileno())
        except OSError:
            # Half a line (the disk is full) would be damage to the next one.
            self._file.truncate(start)
            raise
        self.decisions.append(made)
        return made

    def _write(self, line):
        while line:
            line = line[self._file.write(line) :]

    def close(self) -> None:
        """Gives the file to the next process."""
        self._file.close()


def _sync_folder(folder):
    """A new file's name is on the disk only when its folder is."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
