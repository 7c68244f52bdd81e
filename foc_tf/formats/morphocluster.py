"""MorphoCluster's archives in, its trees of clusters out.

An archive has images and `index.csv` (object_id,path). A tree has `nodes.csv` (node_id,parent_id,
name ...) and `objects.csv` (node_id,object_id): every object lies in one node. Names of nodes are
classes; a node without a name has that of its nearest named ancestor below the root.
"""

import csv
import io
import zipfile
from collections.abc import Sequence
from typing import IO, TYPE_CHECKING

from foc_tf.formats import text
from foc_tf.formats.collection import Collection
from foc_tf.formats.tree import Tree, folder_of

if TYPE_CHECKING:
    import numpy as np

_LABEL = ("label", "object_annotation_category", "category", "class")


def read(tree: Tree) -> Collection:
    """Reads an object archive and, where it is there, the tree of nodes that lies beside it.

    Args:
      tree: `tree.Tree`, folder or zip.

    Returns:
      `collection.Collection`; without a tree and a label column in index.csv no item has a vote.

    Raises:
      ValueError: if index.csv is missing or a table cannot be understood; names file and line.
    """
    index = _one(tree, "index.csv")
    if index is None:
        raise ValueError(f"source: no index.csv in {tree}; is it an archive of MorphoCluster?")
    collection = Collection(tree.path.stem, tree)
    table = text.Table(tree.read(index), str(tree.path / index), delimiter=",")
    _need(table, "object_id", "path")
    label = table.column(*_LABEL)
    for line, row in table.rows():
        where = f"{table.where}, line {line}"
        file = tree.find(folder_of(index), row["path"], where)
        if file is None:
            collection.skip(where, f"image {row['path']!r} is not there")
            continue
        if collection.find(row["object_id"]) is not None:
            raise ValueError(f"{where}: object {row['object_id']!r} stands twice; keep one row.")
        item = collection.item(row["object_id"], file, row["object_id"])
        if label and row[label]:
            collection.vote(item, row[label])
    if not len(collection):
        raise ValueError(f"{table.where}: none of its images is there.")
    if label is None:
        _add_nodes(tree, collection)
    return collection


def _one(tree, name):
    found = [n for n in tree.names if n == name or n.endswith("/" + name)]
    if len(found) > 1:
        raise ValueError(f"source: expected one {name} in {tree}, found {len(found)}.")
    return found[0] if found else None


def _need(table, *columns):
    missing = [column for column in columns if column not in table.header]
    if missing:
        raise ValueError(
            f"{table.where}, line 1: no column {missing[0]}, found {text.listed(table.header)}."
        )


def _add_nodes(tree, collection):
    nodes, objects = _one(tree, "nodes.csv"), _one(tree, "objects.csv")
    if nodes is None or objects is None:
        return
    names = _node_names(text.Table(tree.read(nodes), str(tree.path / nodes), delimiter=","))
    table = text.Table(tree.read(objects), str(tree.path / objects), delimiter=",")
    _need(table, "node_id", "object_id")
    for line, row in table.rows():
        item, name = collection.find(row["object_id"]), names.get(_node(row["node_id"]))
        if item is None:
            collection.skip(f"{table.where}, line {line}", f"no object {row['object_id']!r}")
        elif name:
            collection.vote(item, name)


def _node(cell):
    """Node ids are written as floats where the column has gaps."""
    return cell.removesuffix(".0")


def _node_names(table):
    """{node: name of itself or its nearest named ancestor, "" below none}; the root's is none."""
    _need(table, "node_id", "parent_id", "name")
    rows = {_node(row["node_id"]): row for _, row in table.rows()}
    names = {}
    for node in rows:
        seen, current = set(), node
        while current in rows and current not in seen:
            seen.add(current)
            parent = _node(rows[current]["parent_id"])
            if not parent or rows[current]["name"]:
                names[node] = rows[current]["name"] if parent else ""
                break
            current = parent
    return names


def write_tree(
    file: IO[bytes],
    classes: Sequence[str],
    cluster_classes: "np.ndarray",
    cluster_names: Sequence[str],
    clusters: "Sequence[int] | np.ndarray",
    object_ids: Sequence[str],
) -> None:
    """Writes a tree zip: root, a node for each class, below it a node for each of its clusters.

    Args:
      file: binary file to write to.
      classes: C names.
      cluster_classes: [K] int, -1 = none; such clusters lie below a node "unassigned".
      cluster_names: [K] names of the clusters' nodes.
      clusters: [N] int cluster of each object.
      object_ids: [N] str.
    """
    parents = [*classes, "unassigned"]
    nodes: list[tuple[int, int | str, str]] = [(1, "", "root")]
    nodes += [(2 + index, 1, name) for index, name in enumerate(parents)]
    first = 2 + len(parents)
    for cluster, name in enumerate(cluster_names):
        nodes.append((first + cluster, 2 + int(cluster_classes[cluster]) % len(parents), name))
    members = [(first + int(c), o) for c, o in zip(clusters, object_ids)]
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("nodes.csv", _csv(("node_id", "parent_id", "name"), nodes))
        archive.writestr("objects.csv", _csv(("node_id", "object_id"), members))


def _csv(header, rows):
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return buffer.getvalue()
