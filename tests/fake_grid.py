"""A grid whose runs are made up: reports and predictions as train would leave them."""

import numpy as np
import pandas as pd

from foc_tf import files, scoring
from foc_tf.comparing.cells import Grid
from foc_tf.comparing.rows import parse_choice, parse_rows

CLASSES = ["NA", "b", "c"]


def grid(folder, rows, seeds="01", choose=None):
    choice = parse_choice(choose)
    return Grid("base.flags", parse_rows(rows), tuple(seeds), folder / "grid", choice)


def report(val=0.5, fuzzy=0.5, over=None, images=1000, seconds=10.0, **changes):
    """A report of a run; `over` is the accuracy of its clusters on val."""
    heads = {"normal": {"accuracy": val, "hungarian_accuracy": 0.9}}
    if over is not None:
        heads["over"] = {"train": {"accuracy": over}}
    return {
        "classes": CLASSES,
        "trained_heads": list(heads),
        "uses_labels": True,
        "stages": [{"images": images, "seconds": seconds / 2}] * 2,
        "splits": {
            "val": {"count": 9, **heads},
            "fuzzy": {"count": 9, "normal": {"macro_f1": fuzzy}},
            "test": {"count": 9, "normal": {"accuracy": fuzzy, "macro_f1": fuzzy}},
        },
    } | changes


def leave(cell, content):
    """Writes a run's report."""
    files.write_json(cell.workdir / "report.json", content)


def predict(cell, seed, right, images=80, clusters=6):
    """Leaves predictions that are right on a share of the images, and the report's scores of them.

    The images and their classes are the same in all runs; each of the clusters (0 for none) is
    mostly of one class. Returns the report.
    """
    truth = np.random.default_rng(77)
    labels, certain = truth.integers(0, 3, images), truth.random(images) < 0.3
    rng = np.random.default_rng(seed)
    predicted = np.where(rng.random(images) < right, labels, rng.integers(0, 3, images))
    found = np.where(rng.random(images) < right, labels, rng.integers(0, 3, images))
    cluster = found + 3 * rng.integers(0, max(1, clusters // 3), images)
    names, no_cluster = np.array(CLASSES), [""] * images
    table = {
        "image": [f"{i}.png" for i in range(images)],
        "split": "train",
        "certain": certain,
        "reference_class": names[labels],
        "normal_class": names[predicted],
        "cluster": cluster if clusters else no_cluster,
        "cluster_class": names[cluster % 3] if clusters else no_cluster,
    }
    files.write_csv(cell.workdir / "predictions.csv", pd.DataFrame(table))
    fuzzy = ~certain
    probs = np.eye(3)[predicted[fuzzy]]
    scores = {"count": int(fuzzy.sum()), "normal": scoring.score_normal(probs, labels[fuzzy])}
    if clusters:
        # Each cluster's training images: one, of its own class.
        own = np.arange(clusters)
        scores["over"] = scoring.score_over(
            cluster[fuzzy], labels[fuzzy], own, own % 3, clusters, 3
        )
    content = report()
    content["splits"]["fuzzy"] = scores
    leave(cell, content)
    return content
