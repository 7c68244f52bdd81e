"""Files and folders that are never half written: a temporary name, synced, then renamed.

The temporary name holds the host and the process's number, by which `remove_leftovers` knows what
a process left that was killed.
"""

import contextlib
import glob
import hashlib
import json
import os
import pathlib
import re
import shutil
import socket
from collections.abc import Iterator
from typing import IO, Any

from foc_tf.spreadsheets import safe

_CHECKSUM = "sha256"
# Containers share folders and begin to count processes anew: the number alone says nothing.
_HOST = re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname())
_TEMPORARY = re.compile(rf"\..+\.{_HOST}\.(\d+)\.tmp")


def temporary_of(path: pathlib.Path) -> pathlib.Path:
    """Name beside `path` under which this process writes it."""
    return path.with_name(f".{path.name}.{_HOST}.{os.getpid()}.tmp")


@contextlib.contextmanager
def replacing(
    path: str | pathlib.Path, mode: str = "wb", needed: int | None = None
) -> Iterator[IO]:
    """Opens a temporary file beside `path` and renames it to `path` if the block succeeds.

    Args:
      path: of the file; what was there stays whole until the new one is.
      mode: of `open`.
      needed: bytes that will be written, where they are known, for the message.

    Raises:
      OSError: if it cannot be written; names the path and what the disk has.
    """
    path = pathlib.Path(path)
    temporary = temporary_of(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, mode, encoding=None if "b" in mode else "utf-8") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        _sync_folder(path.parent)
    except OSError as error:
        if error.errno is None or error.filename not in (None, str(temporary)):
            raise
        raise _named(error, path, needed) from None
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _named(error, path, needed):
    # Python names no file where a write fails.
    return OSError(error.errno, f"{error.strerror}{_room(path, needed)}", str(path))


def _room(path, needed):
    """Words on what a file needs and what its disk has, as far as they are known."""
    try:
        free = f"{shutil.disk_usage(path.parent).free / 1e6:,.1f} MB are free there"
    except OSError:
        free = ""
    words = [] if needed is None else [f"needs {needed / 1e6:,.1f} MB"]
    words += [free] if free else []
    return f" ({', '.join(words)})" if words else ""


def _sync_folder(folder):
    """Makes the new name last over a power cut, where folders can be synced at all."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def new_folder(path: str | pathlib.Path) -> Iterator[pathlib.Path]:
    """A temporary folder beside `path` that gets its name if the block succeeds.

    Args:
      path: of a folder that is not there, or is empty.

    Raises:
      OSError: if `path` has become a folder with something in it meanwhile.
    """
    path = pathlib.Path(path)
    remove_leftovers(path.parent, f".{glob.escape(path.name)}.*.tmp")
    temporary = temporary_of(path)
    temporary.mkdir(parents=True)
    try:
        yield temporary
        # Once for all files: a million calls of fsync take hours.
        os.sync()
        os.replace(temporary, path)
        _sync_folder(path.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def remove_leftovers(folder: str | pathlib.Path, pattern: str = "**/.*.tmp") -> None:
    """Removes temporary files and folders of this host's processes that are gone.

    What has this process's own number counts too: a container's first process has the number of the
    one before it. So call it where nothing of this process's own is being written.

    Args:
      folder: path; need not exist.
      pattern: of `pathlib.Path.glob`.
    """
    for path in pathlib.Path(folder).glob(pattern):
        found = _TEMPORARY.fullmatch(path.name)
        if not found or _runs(int(found[1])):
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _runs(process):
    """Whether another process of this number may be there."""
    if process == os.getpid():
        return False
    if os.name != "posix":  # elsewhere the call below ends the process
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # another user's, or no number of a process
        return True
    return True


def write_json(path: str | pathlib.Path, value: object) -> None:
    """Writes strict JSON (no NaN), atomically."""
    with replacing(path, "w") as file:
        json.dump(value, file, indent=1, allow_nan=False)
        file.write("\n")


def write_csv(path: str | pathlib.Path, frame: Any) -> None:
    """Writes a pandas table for people (`spreadsheets.safe`), atomically."""
    texts = frame.select_dtypes(exclude=["number", "bool"]).columns
    frame = frame.assign(**{name: frame[name].map(safe) for name in texts})
    with replacing(path, "w") as file:
        frame.rename(columns=safe).to_csv(
            file, index=False, float_format="%.6g", lineterminator="\n"
        )


def read_text(path: str | pathlib.Path) -> str:
    """Text of a UTF-8 file; ValueError that names the file if it is none."""
    try:
        return pathlib.Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: damaged, not UTF-8 text ({error.reason}).") from None


def read_json(path: str | pathlib.Path) -> Any:
    """Reads JSON; ValueError that names the file if it is not."""
    try:
        return json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    # Also what is no UTF-8, and nesting deeper than Python's stack.
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: not JSON ({error}).") from None


def write_checked_json(path: str | pathlib.Path, value: dict) -> None:
    """Writes a dict as JSON with a checksum of its own, for `read_checked_json`."""
    write_json(path, value | {_CHECKSUM: _checksum(value)})


def read_checked_json(path: str | pathlib.Path) -> dict:
    """What `write_checked_json` wrote; files without a checksum are taken as they are.

    Raises:
      ValueError: if the file is not JSON or not what was written; names it.
    """
    value = read_json(path)
    if not isinstance(value, dict):
        raise ValueError(f"{path}: expected a JSON object, found {type(value).__name__}.")
    expected = value.pop(_CHECKSUM, None)
    if expected is not None and expected != _checksum(value):
        raise ValueError(f"{path}: damaged, its checksum is another.")
    return value


def _checksum(value):
    # Keras wraps the dicts that a model holds; the encoder takes them for other objects.
    text = json.dumps(value, sort_keys=True, default=dict)
    return hashlib.sha256(text.encode()).hexdigest()
