"""Where decoded images are kept: in memory, in one file that is mapped into memory, or nowhere.

All three give the same pixels. The file holds [N, H, W, C] uint8, then [N] uint32 check sums; its
name says which images it was made of, so that runs on the same images share it and a change of an
image, of a size or of the decoder makes a new one. Such files may be deleted at any time.
"""

import contextlib
import hashlib
import math
import os
import pathlib
import shutil
import time
import zlib
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from foc_tf import files, records
from foc_tf.data.decoding import Decoder, Loader

try:
    import fcntl
except ImportError:  # not on Windows: processes then build a file each, the last one's stays
    fcntl = None  # type: ignore[assignment]

KINDS = ("auto", "memory", "disk", "none")
# Part of a file's name; to be raised with every change of what `decoding` makes of an image.
_DECODER_VERSION = 1
_SPARE_BYTES = 2**30
_SECONDS_BETWEEN_LINES = 10.0


def choose(
    kind: str, decoder: Decoder, gigabytes: float, path: pathlib.Path | None, free_bytes: int
) -> str:
    """Where the decoded images go: "memory", "disk" or "none".

    Args:
      kind: of `KINDS`.
      decoder: `decoding.Decoder`.
      gigabytes: what memory may hold, in 2**30 bytes.
      path: of the file on disk, or None without a folder.
      free_bytes: free space of that folder.

    Returns:
      `kind`; of auto memory where it fits, else disk where it fits or the file is there, else none.

    Raises:
      ValueError: if `kind` is unknown, or asks for what there is no room or no folder for.
    """
    if kind not in KINDS:
        raise ValueError(f"cache: expected one of {', '.join(KINDS)}, found {kind!r}.")
    needed = bytes_needed(decoder)
    size = f"{len(decoder.sources):,} decoded images need {needed / 2**30:.3g} GB"
    in_memory = needed <= gigabytes * 2**30
    on_disk = path is not None and (path.exists() or needed + _SPARE_BYTES <= free_bytes)
    if kind == "memory" and not in_memory:
        raise ValueError(
            f"cache_gigabytes: {size}, the limit is {gigabytes:g}. Raise it, or give --cache=disk."
        )
    if kind == "disk":
        if path is None:
            raise ValueError("cache_dir: --cache=disk needs a folder; give --cache_dir.")
        if not on_disk:
            raise ValueError(
                f"cache_dir: {size} and 1 GB to spare, {path.parent} has "
                f"{free_bytes / 2**30:.3g} GB. Give --cache_dir=<folder of another disk>, or "
                "--cache=none."
            )
    if kind == "auto":
        return "memory" if in_memory else "disk" if on_disk else "none"
    return kind


def bytes_needed(decoder: Decoder) -> int:
    """Bytes of all decoded images of a `decoding.Decoder`."""
    return len(decoder.sources) * math.prod(decoder.shape)


def free_bytes(folder: str | pathlib.Path) -> int:
    """Free space of the disk on which `folder` is or would be."""
    folder = pathlib.Path(folder).absolute()
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def file_name(decoder: Decoder) -> str:
    """Name of the file of decoded images: of what they are made of, and how.

    Args:
      decoder: `decoding.Decoder`; its sources' paths, sizes and times (or bytes) all count.

    Raises:
      OSError: if a source is not there.
    """
    settings = (_DECODER_VERSION, tf.__version__, decoder.shape, decoder.fast_jpeg)
    digest = hashlib.blake2b(repr(settings).encode(), digest_size=12)
    known: dict[str, os.stat_result] = {}
    for source in decoder.sources:
        if isinstance(source, bytes):
            part = hashlib.blake2b(source).digest()
        else:
            member = records.place_of(source)
            path = member[0] if member else source
            # A shard is asked once, not for each of its images.
            found = known.get(path) or os.stat(path)
            if member:
                known[path] = found
            part = os.fsencode(os.path.abspath(source))
            part += f"\0{found.st_size}\0{found.st_mtime_ns}\0".encode()
        digest.update(part)
    return f"{digest.hexdigest()}.pixels"


def memory(decoder: Decoder, log: Callable[[str], object] | None = None) -> Loader:
    """Decodes all images once; function [U] indices -> [U, H, W, C] uint8 for `tf.data`."""
    pixels = np.empty((len(decoder.sources), *decoder.shape), np.uint8)
    done = 0
    for block in _logged(decoder, log):
        pixels[done : done + len(block)] = block
        done += len(block)
    # As a constant of TensorFlow's the pixels would be in memory twice while it is made.
    return _loader(lambda indices: pixels[indices], decoder.shape)


def disk(
    decoder: Decoder, path: pathlib.Path, log: Callable[[str], object] | None = None
) -> Loader:
    """As `memory`, from a file that is made if it is missing or not whole.

    Args:
      decoder: `decoding.Decoder`.
      path: pathlib.Path, of `file_name`.
      log: function of a line of text, or None.

    Returns:
      Function [U] indices -> [U, H, W, C] uint8. An image whose check sum is wrong is decoded anew.

    Raises:
      OSError: if the file cannot be written.
    """
    count, each = len(decoder.sources), math.prod(decoder.shape)
    whole = count * (each + 4)
    if not _is_whole(path, whole):
        path.parent.mkdir(parents=True, exist_ok=True)
        with _alone(path.parent, log) as alone:
            if not _is_whole(path, whole):
                _write(decoder, path, alone, log)
    pixels = np.asarray(np.memmap(path, np.uint8, "r", shape=(count, *decoder.shape)))
    sums = np.fromfile(path, np.uint32, offset=count * each)

    def take(indices):
        taken = pixels[indices]
        for row, index in enumerate(indices):
            if zlib.crc32(taken[row]) != sums[index]:
                taken[row] = decoder(tf.constant([index], tf.int64))[0]
        return taken

    return _loader(take, decoder.shape)


def _is_whole(path, size):
    return path.exists() and path.stat().st_size == size


def _write(decoder, path, alone, log):
    if alone:
        # What killed processes left; nobody else writes now.
        for left in path.parent.glob(f".{path.name}.*.tmp"):
            left.unlink()
    sums = []
    with files.replacing(path) as file:
        for block in _logged(decoder, log):
            file.write(block)
            sums += [zlib.crc32(image) for image in block]
        file.write(np.array(sums, np.uint32))


@contextlib.contextmanager
def _alone(folder, log):
    """Waits until no other process writes to the folder; gives whether that can be known."""
    with open(folder / ".lock", "wb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if log:
                log(f"waiting for another process that decodes images into {folder}")
            fcntl.flock(file, fcntl.LOCK_EX)
        except (OSError, AttributeError):  # a file system or a system without locks
            yield False
            return
        yield True


def _logged(decoder, log):
    """The decoder's blocks; a line now and then, where it takes long."""
    done, last = 0, time.monotonic()
    for block in decoder.blocks():
        yield block
        done += len(block)
        if log and time.monotonic() - last > _SECONDS_BETWEEN_LINES:
            log(f"decoded {done:,} of {len(decoder.sources):,} images")
            last = time.monotonic()


def _loader(take, shape):
    def load(indices):
        found = tf.numpy_function(take, [indices], tf.uint8, stateful=False)
        return tf.ensure_shape(found, (None, *shape))

    return load
