"""Looks into an HDF5 weights file before Keras reads it: numbers of its own and nothing else.

HDF5 files can point at other files of the machine (links, external storage, virtual datasets) and
declare arrays far larger than themselves. Keras 2.15 follows and allocates: GHSA-m8wh-29wm-52mv,
GHSA-26c4-7vv6-867j, GHSA-3m4q-jmj6-r34q, GHSA-mgx6-5cf9-rr43.
"""

import os
import pathlib

import h5py

# Trained weights hardly compress, and Keras stores them as they are.
_MAX_RATIO, _FREE_BYTES = 20, 2**20


def check(path: str | pathlib.Path) -> None:
    """Raises ValueError unless the file holds plain weights alone; names it and what it found.

    Args:
      path: of an HDF5 file; a whole model's is refused too.
    """
    size = os.path.getsize(path)
    try:
        with h5py.File(path, "r") as file:
            whole_model, declared = "model_config" in file.attrs, _declared_bytes(path, file)
    except ValueError:
        raise
    # h5py passes on whatever damaged bytes lead its library to.
    except Exception as error:
        raise ValueError(f"{path}: not a whole HDF5 file ({str(error)[:200]}).") from None
    if whole_model:
        raise ValueError(
            f"{path}: a whole Keras model, whose layers may run code when it is loaded. Give "
            "weights alone (model.save_weights)."
        )
    if declared > _MAX_RATIO * size + _FREE_BYTES:
        raise ValueError(
            f"{path}: declares {declared / 1e6:,.0f} MB of arrays in a file of {size / 1e6:,.1f} "
            "MB; do not trust it."
        )


def _declared_bytes(path, file):
    """Bytes that all arrays of the file declare; ValueError if one is not of this file."""
    total, waiting, seen = 0, [file], set()
    while waiting:
        group = waiting.pop()
        place = h5py.h5o.get_info(group.id).addr
        if place in seen:  # a group can be its own member
            continue
        seen.add(place)
        for name in group:
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise ValueError(f"{path}: {name!r} is a link, maybe out of the file; refused.")
            member = group[name]
            if isinstance(member, h5py.Group):
                waiting.append(member)
            elif member.is_virtual or member.external:
                raise ValueError(f"{path}: {name!r} lies in another file; refused.")
            else:
                total += member.nbytes
    return total
