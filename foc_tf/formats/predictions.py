"""Predictions -> tables that EcoTaxa, MorphoCluster, DCIC and spreadsheets read.

The writers take the rows in parts, so the probabilities may lie in a file (`numpy.memmap`).
"""

import codecs
import csv
import dataclasses
import io
import json
import pathlib
import shutil
import tempfile
from collections.abc import Iterator

import numpy as np

from foc_tf import files
from foc_tf.formats import dcic, morphocluster
from foc_tf.spreadsheets import safe

_PART_ROWS = 4096


@dataclasses.dataclass(frozen=True)
class Predictions:
    """What a model says about N images.

    Attributes:
      images: N names, as the source has them.
      objects: N ids of their objects, "" where they have none.
      splits: N of "train", "val", "test" or "".
      labelled: [N] bool, annotators agree on the image: it needs no prediction.
      class_probs: [N, C] float.
      cluster_probs: [N, K] float, or None for a model without clusters.
      classes: C names.
      cluster_classes: [K] int, -1 = none.
      cluster_names: K names given by an expert, "" where none is.
      category_ids: {class: EcoTaxa's number of it}.
    """

    images: list
    objects: list
    splits: list
    labelled: np.ndarray
    class_probs: np.ndarray
    cluster_probs: np.ndarray | None
    classes: list
    cluster_classes: np.ndarray
    cluster_names: list
    category_ids: dict

    def entropy(self) -> np.ndarray:
        """[N] entropy of the class probabilities in nats, 0 to log C."""
        p = np.clip(self.class_probs, 1e-12, 1.0)
        return -(p * np.log(p)).sum(axis=1) + 0.0

    def clusters(self) -> np.ndarray:
        """[N] int cluster, -1 without clusters."""
        if self.cluster_probs is None:
            return np.full(len(self.images), -1)
        return self.cluster_probs.argmax(axis=1)

    def group_names(self) -> list[str]:
        """K names of the clusters: the expert's, else its class and number."""
        known = [*self.classes, "unassigned"]
        return [
            name or f"{known[int(c)]} {index:03d}"
            for index, (name, c) in enumerate(zip(self.cluster_names, self.cluster_classes))
        ]

    def take(self, rows: slice | np.ndarray) -> "Predictions":
        """The same for some images: a slice or [M] int."""
        chosen = np.arange(len(self.images))[rows]
        over = self.cluster_probs
        return dataclasses.replace(
            self,
            images=[self.images[index] for index in chosen],
            objects=[self.objects[index] for index in chosen],
            splits=[self.splits[index] for index in chosen],
            labelled=np.asarray(self.labelled)[rows],
            class_probs=np.array(self.class_probs[rows]),
            cluster_probs=None if over is None else np.array(over[rows]),
        )

    def parts(
        self, rows: np.ndarray | None = None, size: int = _PART_ROWS
    ) -> "Iterator[Predictions]":
        """Yields the same in parts of at most `size` images; `rows`: [M] int, None for all."""
        for start in range(0, len(self.images) if rows is None else len(rows), size):
            part = slice(start, start + size)
            yield self.take(part if rows is None else rows[part])

    def object_parts(self, size: int = _PART_ROWS) -> "Iterator[Predictions]":
        """Yields `by_object()` in parts of at most `size` objects, first seen first."""
        self.check_objects()
        places: dict[str, int] = {}
        place = np.array([places.setdefault(name, len(places)) for name in self.objects], np.int64)
        order = np.argsort(place, kind="stable")
        ends = np.append(np.searchsorted(place[order], np.arange(0, len(places), size)), len(order))
        for start, end in zip(ends, ends[1:]):
            yield self.take(order[start:end]).by_object()

    def check_objects(self) -> None:
        """ValueError if an image has no id of its object."""
        if not all(self.objects):
            raise ValueError(
                "format: this needs the ids of the objects, and the source has none for "
                f"{self.images[self.objects.index('')]!r}. Give a source that has them (EcoTaxa, "
                "MorphoCluster, or a data set prepared from one), or --format=csv."
            )

    def by_object(self) -> "Predictions":
        """The same with a row an object: means of its images' probabilities."""
        self.check_objects()
        names, first, inverse = np.unique(self.objects, return_index=True, return_inverse=True)
        order = np.argsort(first)
        size = np.bincount(inverse)[:, None]

        def mean(values):
            total = np.zeros((len(names), values.shape[1]))
            np.add.at(total, inverse, values)
            return (total / size)[order]

        over = self.cluster_probs
        return dataclasses.replace(
            self,
            images=[self.images[index] for index in first[order]],
            objects=[str(name) for name in names[order]],
            splits=[self.splits[index] for index in first[order]],
            labelled=np.asarray(self.labelled)[first[order]],
            class_probs=mean(self.class_probs),
            cluster_probs=None if over is None else mean(over),
        )


def _rows(p):
    """Yields (index, class, probability, cluster or "", its probability, group, entropy)."""
    clusters, groups, entropy = p.clusters(), p.group_names(), p.entropy()
    best = p.class_probs.argmax(axis=1)
    for i, c in enumerate(best):
        with_cluster = ("", "", "")
        if p.cluster_probs is not None:
            k = int(clusters[i])
            with_cluster = (k, f"{p.cluster_probs[i, k]:.4f}", groups[k])
        yield i, p.classes[c], f"{p.class_probs[i, c]:.4f}", *with_cluster, f"{entropy[i]:.4f}"


def csv_header(p: Predictions) -> str:
    """The line of column names of `csv_rows`."""
    first = ("image", "object_id", "class", "class_prob", "cluster", "cluster_prob", "group")
    return _line([*first, "cluster_class", "entropy", *(f"prob_{c}" for c in p.classes)])


def csv_rows(p: Predictions) -> str:
    """A line an image: class, cluster, group, entropy and all class probabilities."""
    lines = []
    for i, label, prob, cluster, cluster_prob, group, entropy in _rows(p):
        known = p.cluster_classes[cluster] if cluster != "" else -1
        name = p.classes[known] if known >= 0 else ""
        shares = [f"{value:.5f}" for value in p.class_probs[i]]
        start = (p.images[i], p.objects[i], label, prob, cluster, cluster_prob, group)
        lines.append(_line([*start, name, entropy, *shares]))
    return "".join(lines)


def _line(cells):
    buffer = io.StringIO(newline="")
    csv.writer(buffer, lineterminator="\n").writerow(map(safe, cells))
    return buffer.getvalue()


def write_csv(path: pathlib.Path | str, p: Predictions) -> int:
    """A row an image, as `csv_rows` says."""
    with files.replacing(path, "w") as file:
        file.write(csv_header(p))
        for part in p.parts():
            file.write(csv_rows(part))
    return len(p.images)


def write_ecotaxa(path: pathlib.Path | str, p: Predictions) -> int:
    """EcoTaxa's update table: a row an object, status predicted; labelled objects are left out.

    The score of a prediction cannot be imported, so it goes to free columns.
    """
    # EcoTaxa refuses a status without the category's name; the number decides where names repeat.
    numbered = bool(p.category_ids) and set(p.classes) <= set(p.category_ids)
    header = ["object_id", "object_annotation_status", "object_annotation_category"]
    header += ["object_annotation_category_id"] * numbered
    free = ["object_foc_cluster", "object_foc_prob", "object_foc_entropy", "object_foc_group"]
    types = ["[t]"] * len(header) + ["[f]"] * 3 + ["[t]"]
    if p.cluster_probs is None:
        free, types = free[1:3], types[:-2]
    count = 0
    with tempfile.TemporaryFile("w+", encoding="utf-8", newline="") as body:
        writer = csv.writer(body, delimiter="\t", lineterminator="\n")
        writer.writerows([header + free, types])
        for part in p.object_parts():
            rows = _ecotaxa_rows(part, numbered)
            writer.writerows(rows)
            count += len(rows)
        if not count:
            raise ValueError(
                "format: annotators agree on all objects of the source; none needs a prediction."
            )
        _copy_for_ecotaxa(body, path)
    return count


def _ecotaxa_rows(p, numbered):
    rows = []
    for i, label, prob, cluster, _, group, entropy in _rows(p):
        if not p.labelled[i]:
            extra = [cluster, prob, entropy, group[:250]]
            extra = extra if p.cluster_probs is not None else extra[1:3]
            category = [label, p.category_ids[label]] if numbered else [label]
            rows.append([p.objects[i], "predicted", *category, *extra])
    return rows


def _copy_for_ecotaxa(body, path):
    body.seek(0)
    ascii_only = all(line.isascii() for line in body)
    body.seek(0)
    with files.replacing(path) as file:
        # EcoTaxa reads latin-1 unless a byte order mark says UTF-8.
        file.write(b"" if ascii_only else codecs.BOM_UTF8)
        shutil.copyfileobj(body.buffer, file)


def write_morphocluster(path: pathlib.Path | str, p: Predictions) -> int:
    """MorphoCluster's tree: root, a node a class, below it a node a cluster; an object once."""
    if p.cluster_probs is None:
        raise ValueError("format: morphocluster needs a model with overclustering heads.")
    clusters: list[int] = []
    objects: list[str] = []
    for part in p.object_parts():
        clusters.extend(part.clusters())
        objects.extend(part.objects)
    with files.replacing(path) as file:
        morphocluster.write_tree(
            file, p.classes, p.cluster_classes, p.group_names(), clusters, objects
        )
    return len(objects)


def write_dcic(path: pathlib.Path | str, p: Predictions) -> int:
    """DCIC's sets of predictions: for each split one of classes and one ("_fuzzy") of clusters.

    DCIC names its clusters by the sets with "train" or "val" in their names.
    """
    with files.replacing(path, "w") as file:
        file.write("[")
        for number, (subset, rows, probs) in enumerate(_dcic_sets(p)):
            # As json.dump of the whole list would write it, which may be larger than memory.
            head = json.dumps(dcic.predictions([], "foc_tf", subset)).removesuffix("]}")
            file.write(", " * (number > 0) + head)
            for index, entry in enumerate(_dcic_entries(p, rows, probs)):
                file.write(", " * (index > 0) + json.dumps(entry))
            file.write("]}")
        file.write("]")
    return len(p.images)


def _dcic_sets(p):
    """Yields (name of the set, [M] int images, name of the probabilities)."""
    splits = np.array([split or "unlabeled" for split in p.splits], object)
    for split in dict.fromkeys(splits):
        members = np.flatnonzero(splits == split)
        yield split, members, "class_probs"
        if p.cluster_probs is not None:
            yield f"{split}_fuzzy", members, "cluster_probs"


def _dcic_entries(p, rows, probs):
    for part in p.parts(rows):
        best, clusters = part.class_probs.argmax(axis=1), part.clusters()
        table = (
            {
                "image": part.images[i],
                "cluster": clusters[i],
                "class": p.classes[best[i]],
                "confidences": [round(float(v), 6) for v in confidences],
            }
            for i, confidences in enumerate(getattr(part, probs))
        )
        yield from dcic.predictions(table, "foc_tf", "")["predictions"]


WRITERS = {
    "csv": write_csv,
    "ecotaxa": write_ecotaxa,
    "morphocluster": write_morphocluster,
    "dcic": write_dcic,
}
