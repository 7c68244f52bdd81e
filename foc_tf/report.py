"""Outputs of a model on annotated images -> scores, the report and the table of predictions.

Numpy only. The best sub-head of each kind is the copy with the best accuracy on the certain images
of `val`; the scores of all copies stand beside it. On another data set than the run's own this
choice and the classes of the clusters (protocol `train`) stay as they were: `Scorer.choices`.
k-means on the features, where it is asked for, gives any method as many groups as clusters: it
shows what more groups alone do.
"""

import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from foc_tf import cluster_use, files, mapping, metrics, scoring

SPLITS = ("val", "fuzzy", "hidden", "test")


class Scorer:
    """Scores a model's outputs on an image set.

    Args:
      image_set: `data.images.ImageSet`.
      labels: [N] int training labels, -1 = none.
      outputs: dict of [N, S, ...] probabilities and [N, F] features of all images, in the set's
        order.
      kmeans_k: groups of k-means among the images of a split; 0 leaves it out.
      chosen: `choices` of the run whose model gave the outputs; None to choose here.
    """

    def __init__(
        self,
        image_set: Any,
        labels: np.ndarray,
        outputs: dict[str, np.ndarray],
        kmeans_k: int = 0,
        chosen: Mapping[str, Any] | None = None,
    ) -> None:
        """See the class."""
        self.kmeans_k, self.chosen = kmeans_k, chosen
        self.image_set, self.labels, self.outputs = image_set, labels, outputs
        self.reference = image_set.annotations.reference
        self.roles = image_set.roles()
        self.train = np.flatnonzero(labels >= 0)
        self.heads = [h for h in ("normal", "over") if f"{h}_probs" in outputs]
        self.best = dict(chosen["copies"]) if chosen else {h: self._best(h) for h in self.heads}

    def _sub_head(self, head, index, images, reference, votes):
        probs = self.outputs[f"{head}_probs"][:, index]
        if head == "normal":
            return scoring.score_normal(probs[images], reference[images], votes)
        clusters = probs.argmax(1)
        return scoring.score_over(
            clusters[images],
            reference[images],
            *self._naming(index),
            probs.shape[1],
            len(self.image_set.classes),
            votes,
        )

    def _best(self, head):
        # Without certain validation images the labelled ones must do; the report then says so.
        images = self.roles.val if len(self.roles.val) else self.train
        copies = range(self.outputs[f"{head}_probs"].shape[1])
        scores = [self._sub_head(head, i, images, self.reference, None) for i in copies]
        accuracy = [s["accuracy"] if head == "normal" else s["train"]["accuracy"] for s in scores]
        return int(np.argmax(accuracy))

    def split(
        self, images: np.ndarray, reference: np.ndarray, votes: np.ndarray | None
    ) -> dict[str, Any]:
        """Scores of some images against some reference: best copy of each head and all copies."""
        result: dict[str, Any] = {"count": len(images)}
        copies: dict[str, list] = {}
        for head in self.heads:
            count = self.outputs[f"{head}_probs"].shape[1]
            copies[head] = [self._sub_head(head, i, images, reference, votes) for i in range(count)]
            result[head] = {"sub_head": self.best[head], **copies[head][self.best[head]]}
        result["sub_heads"] = copies
        if self.kmeans_k and votes is not None:
            result["kmeans"] = self._kmeans(images, reference, votes)
        predicted = self.outputs["normal_probs"][images, self.best["normal"]].argmax(1)
        result["per_class"] = metrics.per_class(
            reference[images], predicted, self.image_set.classes
        )
        return result

    def _kmeans(self, images, reference, votes):
        features = self.outputs["features"]
        result = scoring.score_kmeans(
            features[images],
            reference[images],
            features[self.train],
            self.labels[self.train],
            self.kmeans_k,
            len(self.image_set.classes),
            votes,
        )
        if "train" in result and not len(self.train):
            del result["train"]
            result["train_reason"] = "no labelled training images in this data set"
        return result

    def images(self, split: str) -> np.ndarray:
        """[M] int, the images of one of `SPLITS`."""
        if split == "hidden":
            return np.setdiff1d(self.roles.labeled, self.train)
        return getattr(self.roles, split)

    def splits(self) -> dict[str, dict]:
        """{"val", "fuzzy", "test": scores or a reason}; `original` inside where there is one.

        "hidden", the training images whose labels `labels_per_class` hid, only where there are any.
        """
        result = {}
        for name in SPLITS:
            images = self.images(name)
            if name == "hidden" and not len(images):
                continue
            if not len(images):
                result[name] = {"count": 0, "reason": f"the data set has no {name} images"}
                continue
            result[name] = self.split(images, self.reference, self.image_set.votes[images])
            original = self.image_set.original
            if original is not None:
                known = images[original[images] >= 0]
                result[name]["original"] = self.split(known, original, None)
        return result

    def predictions(self) -> pd.DataFrame:
        """One row an image: the columns of contract `predictions.csv`."""
        normal = self.outputs["normal_probs"][:, self.best["normal"]]
        classes = np.asarray([*self.image_set.classes, ""], object)  # -1 reads the empty name
        table = {
            "image": self.image_set.ids,
            "split": self.image_set.splits,
            "certain": self.image_set.annotations.certain,
            "reference_class": classes[self.reference],
            "normal_class": classes[normal.argmax(1)],
            "normal_prob": normal.max(1),
        }
        if "over" in self.heads:
            over = self.outputs["over_probs"][:, self.best["over"]]
            cluster = over.argmax(1)
            table |= {
                "cluster": cluster,
                "cluster_prob": over.max(1),
                "cluster_class": classes[mapping.apply(self.cluster_classes(), cluster)],
            }
        else:
            table |= {"cluster": "", "cluster_prob": "", "cluster_class": ""}
        return pd.DataFrame(table | {f"prob_{c}": normal[:, i] for i, c in enumerate(classes[:-1])})

    def cluster_classes(self) -> np.ndarray:
        """[K] int class of each cluster by the labelled training images, -1 = no vote."""
        return self._classes_of_clusters(self.best["over"])

    def _classes_of_clusters(self, index):
        num_clusters = self.outputs["over_probs"].shape[2]
        return mapping.majority(*self._naming(index), num_clusters, len(self.image_set.classes))

    def _naming(self, index):
        """(clusters, classes) of what names the clusters of a copy: training images, or a run."""
        if self.chosen:
            classes = np.asarray(self.chosen["cluster_classes"][index], np.int64)
            named = np.flatnonzero(classes >= 0)
            return named, classes[named]
        return self.outputs["over_probs"][self.train, index].argmax(1), self.labels[self.train]

    def choices(self) -> dict[str, Any]:
        """What was chosen on this data set, for JSON: the best copies, every copy's classes."""
        copies = self.outputs["over_probs"].shape[1] if "over" in self.heads else 0
        classes = [self._classes_of_clusters(index).tolist() for index in range(copies)]
        return {"copies": self.best, "cluster_classes": classes}

    def usage(self, images: np.ndarray | None = None) -> dict[str, dict]:
        """{head: `cluster_use.usage` of its best copy} on some images, all if None."""
        chosen = slice(None) if images is None else images
        return {
            head: cluster_use.usage(self.outputs[f"{head}_probs"][chosen, self.best[head]])
            for head in self.heads
        }

    def spread(self, images: np.ndarray | None) -> dict[str, Any]:
        """{"over_used", "over_entropy" ...}: the numbers of `usage`, for a row of the history."""
        return {
            f"{head}_{key}": values[key]
            for head, values in self.usage(images).items()
            for key in ("used", "empty_share", "entropy", "confidence")
        }

    def advice(self) -> str | None:
        """What to do about the number of clusters, or None."""
        if "over" not in self.heads:
            return None
        used = self.usage()["over"]["used"]
        num_clusters = self.outputs["over_probs"].shape[2]
        return cluster_use.advice(used, num_clusters, len(self.image_set.classes))

    def validation(self, unsupervised: bool = False) -> dict[str, float]:
        """{"val_<head>_accuracy": float} of the best copies: `over` under the `train` mapping.

        Args:
          unsupervised: the normal head's outputs are no classes yet: of its copies the best under
            the Hungarian matching, and no other head, whose clusters would have labelled images.
        """
        if not len(self.roles.val):
            return {}
        if unsupervised:
            copies = range(self.outputs["normal_probs"].shape[1])
            scores = [
                self._sub_head("normal", i, self.roles.val, self.reference, None) for i in copies
            ]
            return {"val_normal_accuracy": max(s["hungarian_accuracy"] for s in scores)}
        of_heads = {
            head: self._sub_head(head, self.best[head], self.roles.val, self.reference, None)
            for head in self.heads
        }
        return {
            f"val_{head}_accuracy": (s if head == "normal" else s["train"])["accuracy"]
            for head, s in of_heads.items()
        }

    def fuzzy(self) -> dict[str, float]:
        """{"fuzzy_normal_macro_f1", "fuzzy_over_crossfit_macro_f1" ...} of the best copies.

        For curves only: nothing is chosen by them.
        """
        images, result = self.roles.fuzzy, {}
        for head in self.heads if len(images) else ():
            scores = self._sub_head(head, self.best[head], images, self.reference, None)
            for protocol in ("train", "crossfit") if head == "over" else ("",):
                value = (scores[protocol] if protocol else scores)["macro_f1"]
                result["_".join(filter(None, ("fuzzy", head, protocol, "macro_f1")))] = value
        return result


def read(path: str | pathlib.Path) -> dict[str, Any]:
    """A run's report.json.

    Raises:
      ValueError: if it is none; names it.
    """
    found = files.read_json(path)
    splits = found.get("splits") if isinstance(found, dict) else None
    if not isinstance(splits, dict) or not all(isinstance(s, dict) for s in splits.values()):
        raise ValueError(
            f"{path}: not a report of foc_tf, or damaged: no splits in it. The run's train or "
            "evaluate command writes it anew once it is removed."
        )
    return found


def table(splits: Mapping[str, dict]) -> str:
    """The short table of scores that programs print."""
    lines = [f"{'split':8}{'images':>8}  {'head':8}{'protocol':10}{'macro F1':>9}{'accuracy':>10}"]

    def row(split, count, head, protocol, s):
        f1, accuracy = (
            "-" if s[key] is None else f"{s[key]:.3f}" for key in ("macro_f1", "accuracy")
        )
        lines.append(f"{split:8}{count:>8}  {head:8}{protocol:10}{f1:>9}{accuracy:>10}")

    for split, scores in splits.items():
        if not scores["count"]:
            continue
        row(split, scores["count"], "normal", "-", scores["normal"])
        for protocol in ("train", "crossfit", "oracle") if "over" in scores else ():
            row(split, scores["count"], "over", protocol, scores["over"][protocol])
    return "\n".join(lines)
