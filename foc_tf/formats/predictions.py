"""Predictions -> tables that EcoTaxa, MorphoCluster, DCIC and spreadsheets read."""

import csv
import dataclasses
import io
import json

import numpy as np

from foc_tf import files
from foc_tf.formats import dcic, morphocluster


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

    def entropy(self):
        """[N] entropy of the class probabilities in nats, 0 to log C."""
        p = np.clip(self.class_probs, 1e-12, 1.0)
        return -(p * np.log(p)).sum(axis=1) + 0.0

    def clusters(self):
        """[N] int cluster, -1 without clusters."""
        if self.cluster_probs is None:
            return np.full(len(self.images), -1)
        return self.cluster_probs.argmax(axis=1)

    def group_names(self):
        """K names of the clusters: the expert's, else its class and number."""
        known = [*self.classes, "unassigned"]
        return [
            name or f"{known[int(c)]} {index:03d}"
            for index, (name, c) in enumerate(zip(self.cluster_names, self.cluster_classes))
        ]

    def by_object(self):
        """The same with a row an object: means of its images' probabilities."""
        if not all(self.objects):
            raise ValueError(
                "format: this needs the ids of the objects, and the source has none for "
                f"{self.images[self.objects.index('')]!r}. Give a source that has them (EcoTaxa, "
                "MorphoCluster, or a data set prepared from one), or --format=csv."
            )
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


def write_csv(path, p):
    """A row an image: class, cluster, group, entropy and all class probabilities."""
    header = ("image", "object_id", "class", "class_prob", "cluster", "cluster_prob", "group")
    with files.replacing(path, "w") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*header, "cluster_class", "entropy", *(f"prob_{c}" for c in p.classes)])
        for i, label, prob, cluster, cluster_prob, group, entropy in _rows(p):
            known = p.cluster_classes[cluster] if cluster != "" else -1
            name = p.classes[known] if known >= 0 else ""
            shares = [f"{value:.5f}" for value in p.class_probs[i]]
            start = (p.images[i], p.objects[i], label, prob, cluster, cluster_prob, group)
            writer.writerow([*start, name, entropy, *shares])
    return len(p.images)


def write_ecotaxa(path, p):
    """EcoTaxa's update table: a row an object, status predicted; labelled objects are left out.

    The score of a prediction cannot be imported, so it goes to free columns.
    """
    p = p.by_object()
    # EcoTaxa refuses a status without the category's name; the number decides where names repeat.
    numbered = bool(p.category_ids) and set(p.classes) <= set(p.category_ids)
    header = ["object_id", "object_annotation_status", "object_annotation_category"]
    header += ["object_annotation_category_id"] * numbered
    free = ["object_foc_cluster", "object_foc_prob", "object_foc_entropy", "object_foc_group"]
    types = ["[t]"] * len(header) + ["[f]"] * 3 + ["[t]"]
    if p.cluster_probs is None:
        free, types = free[1:3], types[:-2]
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, delimiter="\t", lineterminator="\n")
    writer.writerows([header + free, types])
    count = 0
    for i, label, prob, cluster, _, group, entropy in _rows(p):
        if not p.labelled[i]:
            extra = [cluster, prob, entropy, group[:250]]
            extra = extra if p.cluster_probs is not None else extra[1:3]
            category = [label, p.category_ids[label]] if numbered else [label]
            writer.writerow([p.objects[i], "predicted", *category, *extra])
            count += 1
    if not count:
        raise ValueError(
            "format: annotators agree on all objects of the source; none needs a prediction."
        )
    content = buffer.getvalue()
    # EcoTaxa reads latin-1 unless a byte order mark says UTF-8.
    encoding = "ascii" if content.isascii() else "utf-8-sig"
    with files.replacing(path) as file:
        file.write(content.encode(encoding))
    return count


def write_morphocluster(path, p):
    """MorphoCluster's tree: root, a node a class, below it a node a cluster; an object once."""
    if p.cluster_probs is None:
        raise ValueError("format: morphocluster needs a model with overclustering heads.")
    p = p.by_object()
    with files.replacing(path) as file:
        morphocluster.write_tree(
            file, p.classes, p.cluster_classes, p.group_names(), p.clusters(), p.objects
        )
    return len(p.objects)


def write_dcic(path, p):
    """DCIC's sets of predictions: for each split one of classes and one ("_fuzzy") of clusters.

    DCIC names its clusters by the sets with "train" or "val" in their names.
    """
    best, clusters, sets = p.class_probs.argmax(axis=1), p.clusters(), []
    for split in dict.fromkeys(split or "unlabeled" for split in p.splits):
        members = [i for i, own in enumerate(p.splits) if (own or "unlabeled") == split]
        for subset, confidences in ((split, p.class_probs), (f"{split}_fuzzy", p.cluster_probs)):
            if confidences is None:
                continue
            rows = (
                {
                    "image": p.images[i],
                    "cluster": clusters[i],
                    "class": p.classes[best[i]],
                    "confidences": [round(float(v), 6) for v in confidences[i]],
                }
                for i in members
            )
            sets.append(dcic.predictions(rows, "foc_tf", subset))
    with files.replacing(path, "w") as file:
        json.dump(sets, file)
    return len(p.images)


WRITERS = {
    "csv": write_csv,
    "ecotaxa": write_ecotaxa,
    "morphocluster": write_morphocluster,
    "dcic": write_dcic,
}
