"""Small pictures of all images of a data set in one file, read in any order.

One file, because 100,000 small ones are slow to write, copy and remove. Layout: eight bytes that
name the format; the pictures (PNG or JPEG) one after another; their N + 1 places as unsigned 64 bit
little-endian numbers; N likewise; the eight bytes again. An image that could not be read is empty.
"""

import concurrent.futures
import io
import mmap
import pathlib
import warnings
from collections.abc import Sequence

import numpy as np
from PIL import Image

from foc_tf import files, records

# Pixels of the longer side. 100,000 grainy photographs of 500 x 375 pixels take 240 MB and three
# minutes of one core, 100,000 images of CIFAR's size 230 MB and 37 s, of plankton 63 MB and 44 s.
SIDE, SIDE_OF_MANY = 96, 64
MANY, TOO_MANY = 30_000, 1_000_000
_MAGIC = b"FOCTHMB1"
_FORMATS = ("PNG", "JPEG", "GIF", "BMP")  # what TensorFlow decodes, so what was trained on
_KINDS = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg"}
_LARGEST = 2**16  # bytes of one picture: more than raw pixels of 128 x 128
_BLOCK = 512
_LOSSLESS = 32 * 32  # pixels; of tiny images JPEG would spoil what there is


def side_of(count: int) -> int:
    """Pixels of the longer side for a data set of `count` images; 0: too many to keep."""
    if count > TOO_MANY:
        return 0
    return SIDE_OF_MANY if count > MANY else SIDE


def write(path: pathlib.Path | str, sources: Sequence[str | bytes], side: int) -> int:
    """Writes the pictures of a data set, atomically.

    Args:
      path: of the file.
      sources: [N] paths, members of shards (`records`) or encoded bytes.
      side: pixels of the longer side at most; images are never enlarged.

    Returns:
      Number of images that could not be read, whose pictures are empty.
    """
    places = np.zeros(len(sources) + 1, "<u8")
    places[0] = len(_MAGIC)
    sizes = []
    with files.replacing(path) as file, concurrent.futures.ThreadPoolExecutor() as pool:
        file.write(_MAGIC)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's, of large images
            for start in range(0, len(sources), _BLOCK):
                block = sources[start : start + _BLOCK]
                for picture in pool.map(lambda source: small(source, side), block):
                    file.write(picture)
                    sizes.append(len(picture))
        places[1:] = len(_MAGIC) + np.cumsum(sizes, dtype=np.uint64)
        file.write(places.tobytes() + np.array([len(sources)], "<u8").tobytes() + _MAGIC)
    return sizes.count(0)


def small(source: str | bytes, side: int) -> bytes:
    """The picture of one image in its proportions, PNG or JPEG; b"" if it cannot be made.

    Args:
      source: path, member of a shard or encoded bytes.
      side: pixels of the longer side at most.
    """
    try:
        content = records.read([source])[0] if isinstance(source, str) else source
        with Image.open(io.BytesIO(content), formats=_FORMATS) as image:
            image.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=2.0)
            return _encoded(_eight_bit(image))
    # Pillow's parsers raise whatever damaged bytes lead them to; a review goes on without it.
    except Exception:
        return b""


def _eight_bit(image):
    if image.mode.startswith("I"):
        # As TensorFlow does: the upper byte of 16 bits.
        image = Image.fromarray((np.asarray(image).astype(np.int64) >> 8).astype(np.uint8))
    return image if image.mode == "L" else image.convert("RGB")


def _encoded(image):
    buffer = io.BytesIO()
    if image.width * image.height <= _LOSSLESS:
        image.save(buffer, "PNG", optimize=True)
    else:
        image.save(buffer, "JPEG", quality=82)
    return buffer.getvalue()


def kind(picture: bytes) -> str:
    """Media type of a picture, "" if it is neither PNG nor JPEG."""
    return next((name for start, name in _KINDS.items() if picture.startswith(start)), "")


class Thumbnails:
    """The pictures of a file, by the number of the image: `thumbnails[i]` are its bytes.

    Args:
      path: of the file, or None: every picture is empty.
      count: N, the number of images that it must have.

    Raises:
      ValueError: if the file is missing, damaged or of other images; names it.
    """

    def __init__(self, path: pathlib.Path | str | None, count: int) -> None:
        """See the class."""
        self.path, self._count = path, count
        self._content: bytes | mmap.mmap = b""
        if path is None:
            self._places = np.zeros(count + 1, np.int64)
            return
        try:
            with open(path, "rb") as file:
                self._content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as error:  # ValueError: an empty file
            raise ValueError(f"{path}: cannot be read ({error}).") from None
        self._places = self._checked(pathlib.Path(path))

    def _checked(self, path):
        content, size, mark = self._content, len(self._content), len(_MAGIC)
        tail = 8 * (self._count + 2) + mark
        if size < mark + tail or content[:mark] != _MAGIC or content[-mark:] != _MAGIC:
            raise ValueError(f"{path}: damaged, or no file of small pictures.")
        table = np.frombuffer(content, "<u8", self._count + 2, size - tail)
        places = table[:-1].astype(np.int64)
        steps = np.diff(places)
        whole = table[-1] == self._count and places[0] == mark and places[-1] == size - tail
        if not whole or (steps < 0).any() or (steps > _LARGEST).any():
            raise ValueError(f"{path}: damaged, or not of these {self._count} images.")
        return places

    @property
    def sizes(self) -> np.ndarray:
        """[N] int64 bytes of each picture."""
        return np.diff(self._places)

    def __len__(self):
        return self._count

    def __getitem__(self, index):
        """PNG or JPEG bytes of image `index`, b"" where there is none."""
        if not 0 <= index < self._count:
            raise IndexError(f"image: expected 0 to {self._count - 1}, found {index}.")
        picture = bytes(self._content[self._places[index] : self._places[index + 1]])
        if picture and not kind(picture):
            raise ValueError(f"{self.path}: damaged: picture {index} is neither PNG nor JPEG.")
        return picture
