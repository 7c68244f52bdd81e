"""Reads the tensors of a PyTorch weights file without PyTorch and without running its pickle.

A .pth holds a pickle, which can name any function. Here every name that is not one of the few that
a table of tensors needs is refused.
"""

import collections
import io
import math
import pickle
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


def read_tensors(path):
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
        raise ValueError(f"{path}: not a PyTorch state dict ({str(error)[:200]}).") from None
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


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
        reader = _Tables(io.BytesIO(archive.read(index)))
        table = reader.load()
        folder = index[: -len("data.pkl")]
        arrays = {
            key: np.frombuffer(archive.read(f"{folder}data/{key}"), dtype)
            for key, (dtype, _) in reader.storages.items()
        }
    return _tensors(table, arrays)


def _read_old(file):
    if _Tables(file).load() != _MAGIC:
        raise ValueError("not a PyTorch file.")
    _Tables(file).load()  # protocol version
    _Tables(file).load()  # sizes of types
    reader = _Tables(file)
    table = reader.load()
    keys = _Tables(file).load()
    arrays = {}
    for key in keys:
        dtype, _ = reader.storages[key]
        (count,) = np.frombuffer(file.read(8), "<i8")
        arrays[key] = np.frombuffer(file.read(int(count) * dtype.itemsize), dtype)
    return _tensors(table, arrays)
