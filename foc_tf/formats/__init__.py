"""Other tools' annotations: name -> reader. A new format is a file here and a line in `FORMATS`.

.. include:: formats.md
"""

import pathlib
import re
from collections.abc import Callable

from foc_tf.formats import dcic, ecotaxa, folders, listing, morphocluster, votes
from foc_tf.formats.collection import Collection
from foc_tf.formats.tree import Tree, suffix

FORMATS: dict[str, Callable[..., Collection]] = {
    "votes": votes.read,
    "ecotaxa": ecotaxa.read,
    "dcic": dcic.read,
    "morphocluster": morphocluster.read,
    "folder": folders.read,
    "list": listing.read,
}


def guess(tree: Tree | listing.Listing, table: pathlib.Path | None = None) -> str:
    """The format of a source, from the names of its files.

    Args:
      tree: `tree.Tree` of the source, or `listing.Listing`.
      table: path of the table that was given, None where a whole folder or zip was.

    Returns:
      A key of `FORMATS`.
    """
    if isinstance(tree, listing.Listing):
        return "list"
    names = [table.name] if table else tree.names
    last = {pathlib.PurePosixPath(name).name.lower() for name in names}
    if any(n.startswith("ecotaxa") and suffix(n) in (".tsv", ".txt") for n in last):
        return "ecotaxa"
    if "annotations.json" in last or any(re.fullmatch(r".+-slice[1-5]\.json", n) for n in last):
        return "dcic"
    if "index.csv" in last:
        return "morphocluster"
    top = [n for n in names if "/" not in n and suffix(n) in (".csv", ".tsv")]
    return "votes" if top else "folder"
