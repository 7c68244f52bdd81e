"""Files that are never half written: a temporary name, synced, then renamed."""

import contextlib
import json
import os
import pathlib


@contextlib.contextmanager
def replacing(path, mode="wb"):
    """Opens a temporary file beside `path` and renames it to `path` if the block succeeds."""
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, mode, **({} if "b" in mode else {"encoding": "utf-8"})) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path, value):
    """Writes strict JSON (no NaN), atomically."""
    with replacing(path, "w") as file:
        json.dump(value, file, indent=1, allow_nan=False)
        file.write("\n")


def write_csv(path, frame):
    """Writes a pandas table, atomically."""
    with replacing(path, "w") as file:
        frame.to_csv(file, index=False, float_format="%.6g", lineterminator="\n")


def read_json(path):
    """Reads JSON; ValueError that names the file if it is not."""
    try:
        return json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}: not JSON ({error}).") from None
