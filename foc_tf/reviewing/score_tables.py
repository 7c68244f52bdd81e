"""The numbers of report.json as tables, and who is taken for whom."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from foc_tf.reviewing.markup import Html, element, folded, joined, name, number, table

if TYPE_CHECKING:
    from foc_tf.reviewing.clusters import Cluster
    from foc_tf.reviewing.run_data import RunData

_SPLITS = {
    "fuzzy": "fuzzy images",
    "hidden": "images with hidden labels",
    "val": "certain validation images",
    "test": "certain test images",
}
_PROTOCOLS = ("train", "crossfit", "oracle")
_MANY_CLASSES = 30


def split_names(report: dict[str, Any]) -> dict[str, str]:
    """{split: what its images are called} of the splits that have images, fuzzy ones first."""
    splits = report["splits"]
    return {s: words for s, words in _SPLITS.items() if splits.get(s, {}).get("count")}


def scores(report: dict[str, Any]) -> Html:
    """The table of scores: every split under both heads and the three protocols."""
    rows = []
    for split, words in split_names(report).items():
        entry = report["splits"][split]
        rows += _rows(words, entry)
        if "original" in entry:
            rows += _rows(f"{words}, against the original labels", entry["original"])
    header = [
        "images",
        "count",
        *_words("head", "clusters named by"),
        "macro F1",
        "accuracy",
        "NMI",
    ]
    header += ["vote consistency", "KL (nats)", "Brier"]
    return table("Scores of the best sub-heads", header, rows)


def _rows(words, entry):
    if not entry.get("count"):
        return
    normal, over = entry["normal"], entry.get("over")
    span = 1 + len(_PROTOCOLS) * bool(over)
    yield [
        element("th", words, scope="rowgroup", rowspan=span),
        element("td", f"{entry['count']:,}", rowspan=span),
        *(element("td", "normal", class_="word"), "", *_both(normal), _of(normal, "nmi"), ""),
        *(_of(normal, key) if key in normal else "" for key in ("kl", "brier")),
    ]
    for protocol in _PROTOCOLS if over else ():
        words = [element("td", word, class_="word") for word in ("over", protocol)]
        consistency = _of(over, "vote_consistency") if "vote_consistency" in over else ""
        yield [*words, *_both(over[protocol]), _of(over, "nmi"), consistency, "", ""]


def _words(*texts):
    return [element("th", text, scope="col", class_="word") for text in texts]


def _both(values):
    return [_of(values, "macro_f1"), _of(values, "accuracy")]


def _of(values, key):
    return number(values[key], values.get(f"{key}_reason"))


def per_class(report: dict[str, Any], split: str) -> Html:
    """Precision, recall and F1 of the normal head for each class of one split."""
    entries = report["splits"][split]["per_class"]
    rows = [
        [name(label), f"{e['count']:,}"]
        + [number(e[key], "0 of 0") for key in ("precision", "recall", "f1")]
        for label, e in entries.items()
    ]
    caption = f"Normal head on {_SPLITS[split]}, class by class"
    return table(caption, ["class", "images", "precision", "recall", "F1"], rows)


def confusion(reference: np.ndarray, predicted: np.ndarray, num_classes: int) -> np.ndarray:
    """[C, C + 1] int64 counts: rows reference, columns predicted, the last one no class.

    Args:
      reference: [N] int in 0 .. C - 1.
      predicted: [N] int, -1 = none.
      num_classes: C.
    """
    column = np.where(predicted < 0, num_classes, predicted)
    flat = np.bincount(
        reference * (num_classes + 1) + column, minlength=num_classes**2 + num_classes
    )
    return flat.reshape(num_classes, num_classes + 1)


def confusions(run: "RunData", split: str) -> Html:
    """Confusion tables of both heads on one split, and the scores of its classes.

    Args:
      run: `run_data.RunData`.
      split: one that has images.
    """
    images = run.images(split)
    heads = {"normal head": run.normal_class}
    if run.overclustered:
        heads["clusters, named by labelled training images"] = run.cluster_class
    parts = []
    for words, predicted in heads.items():
        counts = confusion(run.reference[images], predicted[images], len(run.classes))
        caption = f"{_SPLITS[split].capitalize()}, {words}: rows are the most voted class"
        few = len(run.classes) <= _MANY_CLASSES
        parts.append((_matrix if few else _largest)(run.classes, counts, caption))
    parts.append(per_class(run.report, split))
    tables = element("div", parts, class_="side-by-side")
    return folded(_SPLITS[split].capitalize(), tables, open_=split == "fuzzy")


def _matrix(classes, counts, caption):
    names = [name(label) for label in classes] + ["no class"]
    shown = counts if counts[:, -1].any() else counts[:, :-1]
    total = np.maximum(counts.sum(axis=1, keepdims=True), 1)
    rows = [
        [names[r]]
        + [_shaded(shown[r, c], shown[r, c] / total[r, 0], r == c) for c in range(shown.shape[1])]
        for r in range(len(counts))
    ]
    return table(caption, ["", *names[: shown.shape[1]]], rows, class_="matrix")


def _shaded(count, share, right):
    text = f"{count:,}" if count else Html("·")
    tint = f"--share:{share:.2f}" if count else None
    return element("td", text, style=tint, class_="right" if right else None)


def _largest(classes, counts, caption):
    """The most frequent confusions, where a matrix would not fit any page."""
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:_MANY_CLASSES]
    names = [name(label) for label in classes] + ["no class"]
    rows = []
    for r, c in zip(*np.unravel_index(order, wrong.shape)):
        if wrong[r, c]:
            rows.append([names[r], names[c], f"{wrong[r, c]:,}", f"{counts[r].sum():,}"])
    title = f"{caption.split(':')[0]}: the {len(rows)} most frequent confusions"
    return table(title, ["most voted", "predicted", "images", "of"], rows, 2)


def clusters(run: "RunData", described: "Sequence[Cluster]", names: Mapping[int, str]) -> Html:
    """The table of clusters, each a link to its images.

    Args:
      run: `run_data.RunData`.
      described: list of `clusters.Cluster`, in the order of the rows.
      names: {cluster: an expert's name}.
    """
    rows = []
    for c in described:
        link = element("a", c.number, href=f"#cluster-{c.number}")
        label = joined([link, " ", name(names[c.number])]) if names.get(c.number) else link
        both = [
            element("td", name(run.classes[i]) if i >= 0 else "–", class_="word")
            for i in (c.trained_class, c.voted_class)
        ]
        consistency = number(c.consistency, "no two images with votes")
        rows.append([label, f"{c.size:,}", f"{c.fuzzy:,}", *both, consistency])
    words = _words("class by labels", "class by own votes")
    header = ["cluster", "images", "fuzzy", *words, "vote consistency"]
    return table("Clusters, the largest first", header, rows)
