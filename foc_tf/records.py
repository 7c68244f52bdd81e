"""Images in a few files instead of a million small ones, read in any order.

A shard is a file of encoded images (ArrayRecord, github.com/google/array_record); `records.csv`
beside it (`image,file,place`) says where each image lies. Elsewhere such an image is named like a
file: `<path of the shard>#<place>`.
"""

import contextlib
import csv
import functools
import pathlib
from collections.abc import Sequence
from typing import Any

ENDING = ".array_record"
TABLE = "records.csv"
_COLUMNS = ["image", "file", "place"]


def place_of(source: str) -> tuple[str, int] | None:
    """(shard's path, place in it) of a source, None of an ordinary file."""
    stem, mark, place = source.rpartition(ENDING + "#")
    return (stem + ENDING, int(place)) if mark and place.isdecimal() else None


def read(sources: Sequence[str]) -> list[bytes]:
    """The encoded images of members of shards and of ordinary files.

    Args:
      sources: sequence of str, paths or `<shard>#<place>`.

    Returns:
      List of bytes, in order.

    Raises:
      OSError: if a file cannot be read.
      ValueError: if a shard is damaged or has no such place; names it.
    """
    contents: list = [None] * len(sources)
    wanted: dict[str, list] = {}
    for position, source in enumerate(sources):
        if member := place_of(source):
            wanted.setdefault(member[0], []).append((position, member[1]))
        else:
            contents[position] = pathlib.Path(source).read_bytes()
    for shard, members in wanted.items():
        positions, places = zip(*members)
        for position, content in zip(positions, _members(shard, list(places))):
            contents[position] = content
    return contents


def _members(shard, places):
    with _damage_named(shard):
        found = _reader(shard).read(places)
    return found


@functools.lru_cache(maxsize=128)
def _reader(shard):
    with open(shard, "rb"):  # a missing file is an OSError with its name
        pass
    with _damage_named(shard):
        # Reading ahead fetches what the next random place does not need.
        return _library().ArrayRecordReader(shard, "readahead_buffer_size:0")


@contextlib.contextmanager
def _damage_named(shard):
    try:
        yield
    except (RuntimeError, IndexError, ValueError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        raise ValueError(f"{shard}: damaged ({reason}); prepare the data set again.") from None


def _library():
    try:
        from array_record.python import array_record_module
    except ImportError as error:
        raise ValueError(
            f"records: the package array-record cannot be loaded ({error}). Install it (Linux and "
            "macOS), or prepare with --placing=copy."
        ) from None
    return array_record_module


class Writer:
    """Writes images into shards, then the table of their places.

    Args:
      folder: of the data set, which exists.
      shard_bytes: a shard that has grown to this size is the last one's end.
    """

    def __init__(self, folder: str | pathlib.Path, shard_bytes: int = 2**30) -> None:
        """See the class."""
        self._folder, self._limit, self._made = pathlib.Path(folder), shard_bytes, 0
        self._bytes, self._place, self._name = 0, 0, ""
        self._shard: Any = None  # of array_record, which has no types
        self._file = open(self._folder / TABLE, "w", encoding="utf-8", newline="")  # noqa: SIM115
        self._table = csv.writer(self._file, lineterminator="\n")
        self._table.writerow(_COLUMNS)

    def write(self, image: str, content: bytes) -> None:
        """Appends one image: its name in the data set and its encoded bytes."""
        if self._shard is None or self._bytes >= self._limit:
            self._next_shard()
        self._shard.write(content)
        self._table.writerow([image, self._name, self._place])
        self._place += 1
        self._bytes += len(content)

    def _next_shard(self):
        if self._shard:
            self._shard.close()
        self._name = f"records-{self._made:05}{ENDING}"
        # One image a group, else each read decodes its neighbours too; images are compressed.
        self._shard = _library().ArrayRecordWriter(
            str(self._folder / self._name), "group_size:1,uncompressed"
        )
        self._made, self._bytes, self._place = self._made + 1, 0, 0

    def close(self) -> None:
        """Ends the last shard and the table."""
        if self._shard:
            self._shard.close()
        self._file.close()


def listing(folder: pathlib.Path) -> dict[str, str]:
    """Where the images of a prepared dataset's shards lie.

    Args:
      folder: pathlib.Path of the data set.

    Returns:
      {image's name: `<shard>#<place>`}; empty without records.csv.

    Raises:
      ValueError: if the table is wrong or a shard is missing, damaged or too short; names the line.
    """
    path = folder / TABLE
    if not path.exists():
        return {}
    found: dict[str, str] = {}
    counts: dict[str, int] = {}
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(file)
            header = next(rows, [])
            if header != _COLUMNS:
                raise ValueError(f"{path}: expected the columns {','.join(_COLUMNS)}.")
            for row in rows:
                _enter(f"{path}, line {rows.line_num}", folder, row, found, counts)
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path}: not a CSV table ({error}).") from None
    return found


def _enter(where, folder, row, found, counts):
    if len(row) != 3 or not row[2].isdecimal() or "/" in row[1] or not row[1].endswith(ENDING):
        raise ValueError(f"{where}: expected an image, a file *{ENDING} and a place, found {row}.")
    image, name, place = row
    shard = f"{folder}/{name}"
    if name not in counts:
        try:
            with _damage_named(shard):
                counts[name] = _reader(shard).num_records()
        except OSError as error:
            raise ValueError(f"{where}: {shard} cannot be read ({error.strerror}).") from None
    if int(place) >= counts[name]:
        raise ValueError(
            f"{where}: place {place} of {name}, which has {counts[name]} images: one of the two "
            "files is damaged; prepare the data set again."
        )
    if image in found:
        raise ValueError(f"{where}: {image!r} stands here twice; remove one row.")
    found[image] = f"{shard}#{place}"
