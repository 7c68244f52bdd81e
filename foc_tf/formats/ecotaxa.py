"""EcoTaxa's import and export tables -> votes of its users.

A row is an image of an object. Rows of one object in several tables, or by several people, are
votes on it. Only the statuses that are asked for count as votes; all other objects stay without.
"""

import pathlib
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from foc_tf.formats import text
from foc_tf.formats.collection import Collection
from foc_tf.formats.tree import folder_of, read_file, suffix

if TYPE_CHECKING:
    from foc_tf.formats.tree import Tree

STATUSES = ("validated", "predicted", "dubious", "discarded")
_OBJECT, _FILE, _RANK = "object_id", "img_file_name", "img_rank"
_STATUS, _CATEGORY = "object_annotation_status", "object_annotation_category"
_CATEGORY_ID = "object_annotation_category_id"
_PERSON = ("object_annotation_person_email", "object_annotation_person_name")
_WHEN = ("object_annotation_date", "object_annotation_time")
_TYPE = re.compile(r"\[.*\]")


def find_tables(tree: "Tree") -> list[str]:
    """Names of EcoTaxa's tables in a tree: `ecotaxa*.tsv` or `.txt`, else every .tsv.

    Raises:
      ValueError: if there is none.
    """
    tables = [name for name in tree.names if suffix(name) in (".tsv", ".txt")]
    own = [name for name in tables if name.rpartition("/")[2].lower().startswith("ecotaxa")]
    found = own or [name for name in tables if suffix(name) == ".tsv"]
    if not found:
        raise ValueError(
            f"source: {tree} holds no ecotaxa*.tsv. Give the folder or zip that EcoTaxa exported."
        )
    return found


def read(
    tree: "Tree",
    table: pathlib.Path | str | None = None,
    statuses: Sequence[str] = ("validated",),
    object_images: str = "first",
) -> Collection:
    """Reads all of EcoTaxa's tables in a tree and the images that they name.

    Args:
      tree: `tree.Tree` of an export or import, folder or zip.
      table: path of the only table to read; None for all that lie in the tree.
      statuses: annotations that count as votes; others leave their object without a label.
      object_images: "first" takes the image of lowest rank of each object, "all" takes all.

    Returns:
      `collection.Collection`; `info["category_ids"]` has EcoTaxa's numbers of the classes where the
      tables name them.

    Raises:
      ValueError: if a table cannot be understood; names its file, line and column.
    """
    _check_options(statuses, object_images)
    collection = Collection(tree.path.stem, tree)
    objects: dict[str, tuple[dict, dict]] = {}
    category_ids: dict[str, set[str]] = {}
    seen = dict.fromkeys(STATUSES, 0)
    names: list[Any] = [table] if table else find_tables(tree)
    for name in names:
        parsed = _table(tree, name)
        collection.notes.append(f"{parsed.where}: {parsed.encoding}")
        base = "" if table else folder_of(name)
        for where, row in _rows(parsed):
            known = objects.setdefault(_object_id(row, where), ({}, {}))
            _take_image(collection, known[0], row, base, where)
            _take_vote(known[1], row, name, where, seen, category_ids, statuses)
    if not objects:
        raise ValueError(f"source: the tables of {tree} have no rows.")
    _add_items(collection, objects, object_images)
    counts = ", ".join(f"{count} {status}" for status, count in seen.items() if count)
    collection.notes.append(f"rows by status: {counts or 'none has one'}")
    if not len(collection):
        where, reason = (collection.skipped or [(tree, "no row names an image")])[0]
        raise ValueError(f"{where}: {reason}. No image of the source can be used.")
    collection.info["category_ids"] = {
        c: ids.pop() for c, ids in category_ids.items() if len(ids) == 1
    }
    return collection


def _check_options(statuses, object_images):
    unknown = [status for status in statuses if status not in STATUSES]
    if unknown or not statuses:
        raise ValueError(
            f"statuses: expected some of {', '.join(STATUSES)}, found {unknown or 'none'}."
        )
    if object_images not in ("first", "all"):
        raise ValueError(f"object_images: expected first or all, found {object_images!r:.200}.")


def _table(tree, name):
    outside = isinstance(name, pathlib.Path)
    content = read_file(name, tree.max_file_bytes) if outside else tree.read(name)
    table = text.Table(content, str(name if outside else tree.path / name), delimiter="\t")
    table.header = [column.lower() for column in table.header]
    missing = [column for column in (_OBJECT, _FILE) if column not in table.header]
    if missing:
        raise ValueError(
            f"{table.where}, line 1: no column {missing[0]}; found {text.listed(table.header, 8)}. "
            "Is this a tab-separated table of EcoTaxa?"
        )
    return table


def _rows(table):
    """Yields (file and line, row) without the line of types."""
    first = True
    for line, row in table.rows():
        where = f"{table.where}, line {line}"
        if first and any(_TYPE.fullmatch(cell) for cell in row.values()):
            _check_types(row, where)
        else:
            yield where, row
        first = False


def _check_types(row, where):
    for column, cell in row.items():
        if cell.lower() not in ("[t]", "[f]"):
            raise ValueError(
                f"{where}: the line of types needs [t] or [f] in every column, found "
                f"{cell!r:.200} in {text.shortened(column)}."
            )


def _object_id(row, where):
    if not row[_OBJECT]:
        raise ValueError(f"{where}: no {_OBJECT}; every row needs one.")
    return row[_OBJECT]


def _take_image(collection, images, row, base, where):
    """Adds {file: rank} of a row's image."""
    cell = row[_FILE]
    if not cell:
        return
    file = collection.tree.find(base, cell, where)
    if file is None:
        collection.skip(where, f"image {cell!r:.200} of object {row[_OBJECT]!r:.200} is not there")
        return
    rank = text.number(row.get(_RANK, "") or "0")
    if rank is None or rank < 0:
        raise ValueError(f"{where}: {_RANK} must be a number from 0 on, found {row[_RANK]!r:.200}.")
    images.setdefault(file, rank)


def _take_vote(votes, row, table, where, seen, category_ids, statuses):
    """Adds {person: (when, class, where)} of a row's annotation."""
    status, category_id = row.get(_STATUS, "").lower(), row.get(_CATEGORY_ID, "")
    category = row.get(_CATEGORY, "") or category_id
    if status and status not in STATUSES:
        raise ValueError(
            f"{where}: {_STATUS} must be one of {', '.join(STATUSES)}, found {status!r:.200}."
        )
    if status:
        seen[status] += 1
    if not category:
        return
    if category_id and category != category_id:
        category_ids.setdefault(category, set()).add(category_id)
    # Without a column of statuses somebody else made the table; its categories are meant.
    if status not in statuses and _STATUS in row:
        return
    person = next((row[name] for name in _PERSON if row.get(name)), f"unnamed in {table}")
    # 2020-01-31 and 20200131 are both EcoTaxa's, and so are 9:30:00 and 093000.
    when = tuple(int("0" + re.sub(r"[^0-9]", "", row.get(name, ""))) for name in _WHEN)
    known = votes.setdefault(person, (when, {category: where}))
    if when == known[0]:
        known[1].setdefault(category, where)
    elif when > known[0]:
        votes[person] = (when, {category: where})


def _add_items(collection, objects, object_images):
    for object_id, (images, votes) in objects.items():
        files = sorted(images, key=lambda file: (images[file], file))
        if object_images == "first":
            files = files[:1]
        conflicts = {person: found for person, (_, found) in votes.items() if len(found) > 1}
        for person, found in conflicts.items():
            both = " and ".join(f"{category!r:.200} ({where})" for category, where in found.items())
            collection.skip(
                f"object {object_id!r:.200}",
                f"{person} says both {both} at the same time; vote unused",
            )
        for file in files:
            key = object_id if len(files) == 1 else f"{object_id}_{images[file]:g}"
            while collection.find(key) is not None:
                key += "_"
            item = collection.item(key, file, object_id)
            for person, (_, found) in votes.items():
                if person not in conflicts:
                    collection.vote(item, next(iter(found)), person)
