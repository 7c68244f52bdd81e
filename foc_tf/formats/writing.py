"""A collection of votes -> a prepared dataset: images checked and copied, tables beside them.

The folder appears under its name only when it is complete.
"""

import contextlib
import csv
import functools
import hashlib
import os
import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from foc_tf import annotations, files, records, splitting
from foc_tf.formats import image_check, merging, naming
from foc_tf.spreadsheets import safe

if TYPE_CHECKING:
    import scipy.sparse

    from foc_tf.formats.collection import Collection


class Written:
    """What `images` made of a collection.

    Attributes:
      kept: [M] int64 items whose image can be used.
      names: M names in the prepared dataset.
      hashes: M digests of the images' contents.
      changed: {what was changed: number of images}.
    """

    def __init__(self) -> None:
        """See the class."""
        self.kept: Any = []  # an array once all are known
        self.names: list[str] = []
        self.hashes: list[bytes] = []
        self.changed: dict[str, int] = {}


def images(
    collection: "Collection",
    folder: pathlib.Path,
    placing: str = "copy",
    max_pixels: int = image_check.MAX_PIXELS,
    progress: Callable[[int, int], Any] | None = None,
) -> Written:
    """Checks all images of a collection and writes the usable ones below `folder`.

    Args:
      collection: `collection.Collection`; unreadable images go to its list of skipped ones.
      folder: pathlib.Path of the data set.
      placing: "copy" to images/, hard "link"s where the file system can, or "records": shards of
        many images, for data sets of millions.
      max_pixels: of `image_check.usable`.
      progress: function of (done, total) that is called now and then, or None.

    Returns:
      `Written`.

    Raises:
      ValueError: if no image can be used.
    """
    with _PLACES[placing](folder) as place:
        result = _checked(collection, place, max_pixels, progress)
    if not result.kept:
        where, reason = collection.skipped[-1]
        raise ValueError(f"{where}: {reason}. No image of {collection.tree} can be used.")
    result.kept = np.array(result.kept, np.int64)
    return result


def _checked(collection, place, max_pixels, progress):
    """`Written` of all usable images, each handed to `place(name, content, original path)`."""
    result, taken, good = Written(), set(), {}
    for item, file in enumerate(collection.files):
        if progress and item % 1000 == 0:
            progress(item, len(collection))
        try:
            content = collection.tree.read(file)
            digest = hashlib.blake2b(content, digest_size=16).digest()
            if digest not in good:
                checked, extension, change = image_check.usable(content, max_pixels)
                good[digest] = (extension, change)
            else:
                extension, change = good[digest]
                checked = image_check.usable(content, max_pixels)[0] if change else content
        except ValueError as error:
            collection.skip(f"{collection.tree}/{file}", str(error))
            continue
        name = naming.image_name(collection.keys[item], extension, taken)
        place(name, checked, None if change else lambda file=file: collection.tree.on_disk(file))
        if change:
            result.changed[change] = result.changed.get(change, 0) + 1
        result.kept.append(item)
        result.names.append(name)
        result.hashes.append(digest)
    if progress:
        progress(len(collection), len(collection))
    return result


@contextlib.contextmanager
def _as_files(folder, link=False):
    made = set()

    def place(name, content, find_original):
        target = folder / name
        if target.parent not in made:
            target.parent.mkdir(parents=True, exist_ok=True)
            made.add(target.parent)
        original = find_original() if link and find_original else None
        if original is not None:
            with contextlib.suppress(OSError):
                os.link(os.path.realpath(original), target)
                return
        with open(target, "xb") as file:
            file.write(content)

    yield place


@contextlib.contextmanager
def _as_records(folder):
    with contextlib.closing(records.Writer(folder)) as writer:
        yield lambda name, content, find_original: writer.write(name, content)


_PLACES: dict[str, Callable[..., Any]] = {
    "copy": _as_files,
    "link": functools.partial(_as_files, link=True),
    "records": _as_records,
}


def tables(
    collection: "Collection",
    folder: pathlib.Path,
    written: Written,
    votes: "scipy.sparse.csr_array",
    classes: Sequence[str],
    threshold: float,
    ignored: Sequence[str],
    seed: int,
    val_share: float,
) -> np.ndarray:
    """Writes all tables of a prepared dataset beside its images.

    Args:
      collection: `collection.Collection`.
      folder: pathlib.Path of the data set.
      written: `Written`, what `images` returned.
      votes: [N, C] sparse votes on the collection's items.
      classes: C names.
      threshold: share of the most-voted class that makes an image certain.
      ignored: names of the classes that consistency scores leave out.
      seed: of the split.
      val_share: share for validation where the source has no split.

    Returns:
      [M] splits.
    """
    votes = votes[written.kept]
    groups = splitting.groups([collection.objects[item] for item in written.kept], written.hashes)
    place = {item: index for index, item in enumerate(written.kept.tolist())}
    given = {place[i]: split for i, split in collection.splits.items() if i in place}
    splits = splitting.assign(_strata(votes, threshold), groups, given, seed, val_share)
    rows = votes.tocoo()
    order = np.lexsort((-rows.data, rows.row))
    _csv(
        folder / "annotations.csv",
        ("image", "class", "votes"),
        ((written.names[rows.row[i]], classes[rows.col[i]], rows.data[i]) for i in order),
    )
    _csv(folder / "splits.csv", ("image", "split"), zip(written.names, splits))
    sources = (
        (name, collection.source(item), collection.objects[item])
        for name, item in zip(written.names, written.kept)
    )
    _csv(folder / "sources.csv", ("image", "source", "object_id"), sources)
    _optional_tables(collection, folder, written, classes)
    known = {key: value for key, value in collection.info.items() if value}
    info = known | {
        "name": known.get("name", collection.name),
        "classes": list(classes),
        "certain_threshold": threshold,
        "ignored_classes": list(ignored),
        "source": known.get("source", str(collection.tree)),
        "checked_images": len(written.names),
    }
    files.write_json(folder / "dataset.json", info)
    return splits


def _strata(votes, threshold):
    """[M] int: most-voted class and certainty; -1 and 0 of images without votes."""
    total, most, reference = merging.most_voted(votes)
    certain = annotations.is_certain(most, total, threshold)
    return (reference + 1) * 2 + certain


def _optional_tables(collection, folder, written, classes):
    if collection.skipped:
        listed = (map(safe, row) for row in collection.skipped)  # for people; no program reads it
        _csv(folder / "skipped.csv", ("where", "reason"), listed)
    first = {}
    same = [
        (name, first[digest])
        for name, digest in zip(written.names, written.hashes)
        if first.setdefault(digest, name) != name
    ]
    if same:
        _csv(folder / "duplicates.csv", ("image", "same_as"), same)
    known = (
        (name, collection.originals.get(int(item)))
        for name, item in zip(written.names, written.kept)
    )
    originals = [(name, label) for name, label in known if label in classes]
    if originals:
        _csv(folder / "original_labels.csv", ("image", "class"), originals)


def _csv(path, header, rows):
    with files.replacing(path, "w") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


@contextlib.contextmanager
def new_folder(path: pathlib.Path | str) -> Iterator[pathlib.Path]:
    """`files.new_folder` of a program's output.

    Raises:
      ValueError: if `path` exists and is not an empty folder, or cannot be made.
    """
    path = pathlib.Path(path)
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise ValueError(f"output: {path} is there already; give another one or remove it.")
    with contextlib.ExitStack() as stack:
        try:
            temporary = stack.enter_context(files.new_folder(path))
        except OSError as error:
            raise ValueError(f"output: {path} cannot be made ({error.strerror}).") from None
        yield temporary
