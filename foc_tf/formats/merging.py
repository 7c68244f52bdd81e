"""Merging classes by a table, and votes as a sparse table of items and classes."""

import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse

from foc_tf.formats import text

if TYPE_CHECKING:
    from foc_tf.formats.collection import Collection


def read_mapping(path: pathlib.Path | str) -> dict[str, str]:
    """Reads a table of classes and what they become.

    Args:
      path: CSV file with the columns `from,to`; an empty `to` drops the votes for the class.

    Returns:
      {class: new class or ""}.

    Raises:
      ValueError: if the file is missing, lacks a column or has a class twice.
    """
    try:
        with open(path, "rb") as file:
            table = text.Table(file.read(), str(path))
    except OSError as error:
        raise ValueError(f"merge: {path} cannot be read ({error.strerror}).") from None
    old, new = table.column("from", "class", "old"), table.column("to", "merged", "new")
    if old is None or new is None:
        raise ValueError(f"{path}, line 1: expected from,to, found {text.listed(table.header)}.")
    mapping = {}
    for line, row in table.rows():
        if row[old] in mapping:
            name = text.shortened(row[old])
            raise ValueError(
                f"{path}, line {line}: class {name!r:.200} stands twice; keep one row."
            )
        mapping[row[old]] = row[new]
    return mapping


def merged_classes(classes: Sequence[str], mapping: dict[str, str]) -> tuple[list[str], np.ndarray]:
    """Classes after a merge.

    Args:
      classes: C names.
      mapping: {class: new class or ""}; classes that it does not name stay.

    Returns:
      (new names, [C] int64 new id of each old class, -1 = dropped).

    Raises:
      ValueError: if the mapping names a class that does not exist.
    """
    unknown = sorted(set(mapping) - set(classes))
    if unknown:
        raise ValueError(
            f"merge: class {unknown[0]!r:.99} is not one of the source's: "
            f"{', '.join(classes[:20])}."
        )
    names = [mapping.get(name, name) for name in classes]
    # A class that stands where it stood keeps its place; all others follow in order.
    kept = list(dict.fromkeys(name for name in names if name))
    ids = {name: index for index, name in enumerate(kept)}
    return kept, np.array([ids.get(name, -1) for name in names], np.int64)


def vote_table(
    collection: "Collection", new_ids: np.ndarray, num_classes: int, min_annotators: int = 0
) -> scipy.sparse.csr_array:
    """Votes as a table.

    Args:
      collection: `collection.Collection`.
      new_ids: [C] int, id of each of its classes in the table, -1 = not counted.
      num_classes: columns of the table.
      min_annotators: items with fewer votes get none.

    Returns:
      scipy.sparse.csr_array [N, num_classes] int64.
    """
    raw = collection.votes()
    ids = new_ids[raw["class"]] if len(new_ids) else raw["class"]
    good = (ids >= 0) & (raw["count"] > 0)
    shape = (len(collection), num_classes)
    table = scipy.sparse.csr_array(
        (raw["count"][good], (raw["item"][good], ids[good])), shape=shape, dtype=np.int64
    )
    table.sum_duplicates()
    enough = np.asarray(table.sum(axis=1)).ravel() >= max(1, min_annotators)
    table = scipy.sparse.csr_array(table.multiply(enough[:, None]))
    table.eliminate_zeros()
    return table


def most_voted(votes: scipy.sparse.csr_array) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """([N] votes in all, [N] votes for the most-voted class, [N] that class, -1 without votes).

    Args:
      votes: [N, C] of `vote_table`; C may be 0.
    """
    total = np.asarray(votes.sum(axis=1)).ravel()
    if not votes.shape[1]:
        return total, total, np.full(len(total), -1)
    most = votes.max(axis=1).toarray().ravel()
    return total, most, np.where(most > 0, np.asarray(votes.argmax(axis=1)).ravel(), -1)
