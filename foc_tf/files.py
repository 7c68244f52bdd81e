"""Files that are never half written: a temporary name, synced, then renamed."""

import contextlib
import hashlib
import json
import os
import pathlib
import shutil

from foc_tf.spreadsheets import safe

_CHECKSUM = "sha256"


@contextlib.contextmanager
def replacing(path, mode="wb", needed=None):
    """Opens a temporary file beside `path` and renames it to `path` if the block succeeds.

    Args:
      path: of the file; what was there stays whole until the new one is.
      mode: of `open`.
      needed: bytes that will be written, where they are known, for the message.

    Raises:
      OSError: if it cannot be written; names the path and what the disk has.
    """
    path = pathlib.Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, mode, **({} if "b" in mode else {"encoding": "utf-8"})) as file:
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


def write_json(path, value):
    """Writes strict JSON (no NaN), atomically."""
    with replacing(path, "w") as file:
        json.dump(value, file, indent=1, allow_nan=False)
        file.write("\n")


def write_csv(path, frame):
    """Writes a pandas table for people (`spreadsheets.safe`), atomically."""
    texts = frame.select_dtypes(exclude=["number", "bool"]).columns
    frame = frame.assign(**{name: frame[name].map(safe) for name in texts})
    with replacing(path, "w") as file:
        frame.rename(columns=safe).to_csv(
            file, index=False, float_format="%.6g", lineterminator="\n"
        )


def read_text(path):
    """Text of a UTF-8 file; ValueError that names the file if it is none."""
    try:
        return pathlib.Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: damaged, not UTF-8 text ({error.reason}).") from None


def read_json(path):
    """Reads JSON; ValueError that names the file if it is not."""
    try:
        return json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    # Also what is no UTF-8, and nesting deeper than Python's stack.
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: not JSON ({error}).") from None


def write_checked_json(path, value):
    """Writes a dict as JSON with a checksum of its own, for `read_checked_json`."""
    write_json(path, value | {_CHECKSUM: _checksum(value)})


def read_checked_json(path):
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
