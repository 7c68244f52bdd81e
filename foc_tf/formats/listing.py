"""A text file with a path of an image a line: the images alone, read from wherever they lie."""

import os
import pathlib

from foc_tf.formats.collection import Collection
from foc_tf.formats.tree import IMAGE_EXTENSIONS, Tree, read_file, suffix

_SAMPLE_BYTES = 2**16
_EXTENSIONS = (".txt", ".lst", ".list", ".csv", ".tsv")


class Listing:
    """The images that a list names, by the names it has them under; in the place of a `tree.Tree`.

    Unlike a tree it reads outside its folder too: whoever gives the list names each file.

    Attributes:
      path: pathlib.Path of the list.
      names: the lines, each once, in their order; empty lines are left out.
      outside: [], as a tree has it.

    Args:
      path: the list; UTF-8, or bytes as the file system has them.
      base: folder that relative paths start from; None for the list's own.
      max_file_bytes: size up to which one file is read.

    Raises:
      ValueError: if the list cannot be read, holds NUL bytes or no path.
    """

    def __init__(
        self,
        path: pathlib.Path | str,
        base: pathlib.Path | str | None = None,
        max_file_bytes: int = 2**30,
    ) -> None:
        """See the class."""
        self.path = pathlib.Path(path)
        self.outside: list[str] = []
        self.base = pathlib.Path(base or self.path.parent)
        self.max_file_bytes = max_file_bytes
        content = read_file(self.path, max_file_bytes).removeprefix(b"\xef\xbb\xbf")
        if b"\0" in content:
            raise ValueError(f"{path}: NUL bytes; expected a text file with a path a line (UTF-8).")
        lines = (os.fsdecode(line).strip("\r") for line in content.split(b"\n"))
        self.names = list(dict.fromkeys(line for line in lines if line.strip()))
        if not self.names:
            raise ValueError(f"{path}: no path in it; expected one a line.")

    def __str__(self):
        """The path of the list."""
        return str(self.path)

    def hide(self, output: pathlib.Path | str) -> None:
        """Nothing: a list holds only what it names."""

    def on_disk(self, name: str) -> pathlib.Path | str:
        """Path of an image; a URL (gs://, hdfs://), which only Beam's workers read, stays one."""
        return name if "://" in name else self.base / name

    def size(self, name: str) -> int:
        """Size of an image in bytes, -1 if it is not there."""
        try:
            return os.stat(self.base / name).st_size
        except OSError:
            return -1

    def read(self, name: str) -> bytes:
        """Bytes of an image; ValueError if it cannot be read or is above the limit."""
        return read_file(self.base / name, self.max_file_bytes)


def is_listing(path: pathlib.Path | str) -> bool:
    """Whether the first line of a text file is the path of an image, not a table's header."""
    path = pathlib.Path(path)
    if suffix(path.name) not in _EXTENSIONS or not path.is_file():
        return False
    with open(path, "rb") as file:
        lines = file.read(_SAMPLE_BYTES).split(b"\n")
    first = next((line.strip() for line in lines if line.strip()), b"")
    return suffix(os.fsdecode(first)) in IMAGE_EXTENSIONS


def read(tree: Tree | Listing) -> Collection:
    """Reads a list of images, which have no votes.

    Args:
      tree: `Listing`.

    Returns:
      `collection.Collection`; a file that is not there is found out when it is read.

    Raises:
      ValueError: if `tree` is no list.
    """
    if not isinstance(tree, Listing):
        raise ValueError(f"source: {tree} is no text file with a path of an image a line.")
    collection = Collection(tree.path.stem, tree)
    for name in tree.names:
        collection.item(name, name)
    return collection
