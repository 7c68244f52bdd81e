"""Reads the tensors of a PyTorch weights file without PyTorch and without running its pickle.

A .pth holds a pickle, which can name any function. Here every name that is not one of the few that
a table of tensors needs is refused.
"""

import collections
import io
import math
import os
import pathlib
import pickle
import pickletools
import struct
import zipfile

import numpy as np

_DTYPES = {
    "FloatStorage": np.float32,
    "DoubleStorage": np.float64,
    "HalfStorage": np.float16,
    "LongStorage": np.int64,
    "IntStorage": np.int32,
}
_BROKEN = (
    pickle.UnpicklingError,
    zipfile.BadZipFile,
    MemoryError,  # a text that is said to be larger than the memory
    OverflowError,
    NotImplementedError,  # a zip version or method that Python does not know
    struct.error,
    AttributeError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
)
_MAGIC = 0x1950A86A20F9469CFC6C


def _rebuild(storage, offset, size, stride, *unused):
    return storage, offset, tuple(size), tuple(stride)


class _Tables(pickle.Unpickler):
    """An unpickler that knows ordered dicts, tensors and storages, and nothing else."""

    def __init__(self, file):
        super().__init__(file)
        self.storages = {}

    def find_class(self, module, name):
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuild
        if module == "torch" and name in _DTYPES:
            return _DTYPES[name]
        raise ValueError(
            f"refused: the file names {module}.{name}, which no table of weights needs."
        )

    def persistent_load(self, pid):
        _, dtype, key, _, count = pid[:5]
        self.storages[key] = (np.dtype(dtype), count)
        return key


def read_tensors(path: str | pathlib.Path) -> dict[str, np.ndarray]:
    """{name: array} of a PyTorch state dict, zip or older form.

    Raises:
      ValueError: if it is not such a file or names anything but tensors.
    """
    try:
        if zipfile.is_zipfile(path):
            return _read_zip(path)
        with open(path, "rb") as file:
            return _read_old(file)
    except (*_BROKEN, OSError) as error:
        raise ValueError(f"{path}: not a PyTorch state dict ({error!s:.200}).") from None
    except ValueError as error:
        raise ValueError(f"{path}: {error!s:.300}") from None


def _tensors(table, arrays):
    result = {}
    for name, (key, offset, size, stride) in table.items():
        flat = arrays[key]
        last = offset + sum((n - 1) * s for n, s in zip(size, stride))
        # A crafted layout would read memory that is not the file's, or repeat it without end.
        sound = len(size) == len(stride) and min((offset, *size, *stride)) >= 0
        if not sound or last >= len(flat) or math.prod(size) > len(flat):
            raise ValueError(f"{name} reaches beyond its storage.")
        steps = tuple(s * flat.itemsize for s in stride)
        result[name] = np.lib.stride_tricks.as_strided(flat[offset:], size, steps).copy()
    return result


def _read_zip(path):
    with zipfile.ZipFile(path) as archive:
        (index,) = [n for n in archive.namelist() if n.endswith("data.pkl")]
        table, storages = _load(io.BytesIO(archive.read(index)))
        folder = index[: -len("data.pkl")]
        arrays = {
            key: np.frombuffer(archive.read(f"{folder}data/{key}"), dtype)
            for key, (dtype, _) in storages.items()
        }
    return _tensors(table, arrays)


def _read_old(file):
    if _load(file)[0] != _MAGIC:
        raise ValueError("not a PyTorch file.")
    _load(file)  # protocol version
    _load(file)  # sizes of types
    table, storages = _load(file)
    keys, _ = _load(file)
    arrays = {}
    for key in keys:
        dtype, _ = storages[key]
        (count,) = np.frombuffer(file.read(8), "<i8")
        size = int(count) * dtype.itemsize
        if not 0 <= size <= _bytes_left(file):
            raise ValueError(f"storage {key!r:.80} reaches beyond the file.")
        arrays[key] = np.frombuffer(file.read(size), dtype)
    return _tensors(table, arrays)


def _load(file):
    """(what the next pickle of a file holds, the storages that it names)."""
    start, most = file.tell(), _bytes_left(file)
    for operation, argument, _ in pickletools.genops(file):
        # Python makes room for as many values as the number of a stored one: for a crafted number
        # it takes all memory. An honest one is below the number of operations.
        if operation.name.endswith("PUT") and argument > most:
            raise ValueError(f"not a PyTorch state dict ({operation.name} {argument}).")
    file.seek(start)
    reader = _Tables(file)
    return reader.load(), reader.storages


def _bytes_left(file):
    place = file.tell()
    left = file.seek(0, os.SEEK_END) - place
    file.seek(place)
    return left
