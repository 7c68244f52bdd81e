"""Is a row's difference to the reference row more than the luck of these images?

Scores are made anew from the runs' predictions.csv, as the report makes them, on the same
resampled images for both rows; in each resample they are averaged over the seeds that both rows
have. Clusters are named once, on the images as they are.
"""

import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from foc_tf import bootstrap, mapping, run_tables

if TYPE_CHECKING:
    from foc_tf.comparing.cells import Cell

RESAMPLES, LEVEL = 2000, 0.95
SPLITS = ("val", "fuzzy", "test")
_COLUMNS = (
    *("image", "split", "certain", "reference_class", "normal_class"),
    *("cluster", "cluster_class"),
)
PROTOCOLS = ("train", "crossfit", "oracle")


def parse_path(path: str) -> tuple[str, str]:
    """("normal" or a protocol, name of `bootstrap.SCORES`) of a score's path in a split.

    Raises:
      ValueError: if predictions.csv does not hold what the score is made of.
    """
    *head, score = path.split(".")
    known = [["normal"], *(["over", protocol] for protocol in PROTOCOLS)]
    if head not in known or score not in bootstrap.SCORES:
        raise ValueError(
            "bootstrap: expected paths of scores that predictions.csv holds, normal or over.train, "
            f"over.crossfit, over.oracle with .macro_f1 or .accuracy, found {path!r}."
        )
    return head[-1], score


def check(reference: str, rows: Mapping[str, Any], paths: Iterable[str], split: str) -> None:
    """Raises ValueError if a comparison is asked for that cannot be made."""
    if reference not in rows:
        raise ValueError(f"reference: no row {reference!r}; rows are {', '.join(rows)}.")
    for path in paths:
        parse_path(path)
    if split not in SPLITS:
        raise ValueError(
            f"split: differences are made on {', '.join(SPLITS)}; predictions.csv does not say "
            f"which images belong to {split!r}. Leave out --reference, or give another --split."
        )


class Predictions:
    """What one run predicts for the images of a split.

    Args:
      workdir: pathlib.Path of the run.
      classes: C names, in the order of the report.
      split: a name of `SPLITS`.
    """

    def __init__(self, workdir: pathlib.Path, classes: Iterable[str], split: str) -> None:
        """See the class."""
        self.classes = list(classes)
        self._path = workdir / "predictions.csv"
        table = run_tables.read(self._path, _COLUMNS)
        certain = table["certain"] == "True"
        in_split = certain & (table["split"] == split) if split != "fuzzy" else ~certain
        self._table = table[in_split & (table["reference_class"] != "")]
        self.images = self._table["image"].tolist()
        self.labels = self._ids("reference_class")
        self.has_clusters = bool(len(table)) and (table["cluster"] != "").all()

    def _ids(self, column):
        return run_tables.ids(self._path, self._table[column], self.classes)

    def of(self, head: str) -> np.ndarray:
        """[N] int predicted classes of "normal" or of the clusters under a protocol; -1 = none."""
        if head == "normal":
            return self._ids("normal_class")
        if head == "train":
            return self._ids("cluster_class")
        clusters = self._table["cluster"].to_numpy(np.int64)
        sizes = int(clusters.max(initial=0)) + 1, len(self.classes)
        if head == "crossfit":
            return mapping.crossfit(clusters, self.labels, *sizes)
        return mapping.apply(mapping.majority(clusters, self.labels, *sizes), clusters)


def differences(
    cells: "Mapping[str, Sequence[Cell]]", reference: str, split: str, paths: Sequence[str]
) -> dict[str, dict[str, dict[str, Any]]]:
    """Differences of all rows to the reference row.

    A row without clusters is compared by its normal head, also where the reference has clusters.

    Args:
      cells: {row: list of `cells.Cell` of the table}.
      reference: name of a row.
      split: a name of `SPLITS`.
      paths: scores of the reference, see `parse_path`.

    Returns:
      {row: {path: {"of": the row's own path, "difference", "low", "high": row minus reference with
      its 95 % interval, "seeds", "images"} or {"reason": why there is none}}}.
    """
    known = {row: _read(row_cells, split) for row, row_cells in cells.items()}
    return {
        row: {path: _difference(runs, known[reference], path) for path in paths}
        for row, runs in known.items()
        if row != reference
    }


def _read(cells, split):
    """{seed: `Predictions`} of the runs that came to their end."""
    result = {}
    for cell in cells:
        if (report := cell.report()) is not None:
            result[cell.seed] = Predictions(cell.workdir, report["classes"], split)
    return result


def _difference(ours, theirs, path):
    seeds = [seed for seed in ours if seed in theirs]
    if not seeds:
        return {"reason": "no seed that both rows have"}
    own, first = [ours[seed] for seed in seeds], theirs[seeds[0]]
    others = [theirs[seed] for seed in seeds]
    for run in (*own, *others):
        same = run.images == first.images and run.classes == first.classes
        if not same or (run.labels != first.labels).any():
            return {"reason": "scored on other images"}
    head, score = parse_path(path)
    if head != "normal" and not all(run.has_clusters for run in others):
        return {"reason": "the reference has no clusters"}
    if not len(first.labels):
        return {"reason": "no images"}
    own_head = head if all(run.has_clusters for run in own) else "normal"
    predictions = np.stack([run.of(own_head) for run in own] + [run.of(head) for run in others])
    arguments = first.labels, predictions, len(first.classes), score
    resampled = _mean_differences(bootstrap.resampled(*arguments, RESAMPLES))
    low, high = bootstrap.interval(resampled, LEVEL)
    return {
        "of": path if own_head == head else f"normal.{score}",
        "difference": float(_mean_differences(bootstrap.point(*arguments))),
        "low": low,
        "high": high,
        "seeds": seeds,
        "images": len(first.labels),
    }


def _mean_differences(scores):
    """[..., 2 S] scores, S seeds of a row and of the reference, to [...]; equal ones give 0."""
    own, others = np.split(scores, 2, axis=-1)
    return (own - others).mean(axis=-1)
