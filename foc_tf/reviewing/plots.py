"""The report's drawings: reliability, sizes and consistency of the clusters."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from foc_tf.reviewing import calibration, svg
from foc_tf.reviewing.markup import Html, element, folded, number, table

if TYPE_CHECKING:
    from foc_tf.reviewing.clusters import Cluster


def reliability(anchor: str, split: str, correct: np.ndarray, confidence: np.ndarray) -> Html:
    """Reliability diagram of the normal head on some images, with its numbers below.

    Args:
      anchor: unique in the page.
      split: what the images are called.
      correct: [N] bool, N at least 1.
      confidence: [N] float.
    """
    counts, mean, accuracy, error = calibration.reliability(correct, confidence)
    box, bins = (52, 12, 312, 272), len(counts)
    x, y = svg.scale(0, 1, 52, 312), svg.scale(0, 1, 272, 12)
    fifths = [0, 0.2, 0.4, 0.6, 0.8, 1]
    parts = svg.axes(box, x, y, fifths, fifths, ("confidence", "accuracy"))
    parts.append(element("path", d=f"M{x(0)} {y(0)}L{x(1)} {y(1)}", class_="ideal"))
    filled = np.flatnonzero(counts)
    for m in filled:
        said = f"confidence {mean[m]:.3f}, accuracy {accuracy[m]:.3f}, {counts[m]} images"
        parts.append(_bar(x(m / bins), y(accuracy[m]), 260 / bins - 1, y(0), said))
        # Area by the number of images: a bin of three images says little.
        radius = round(2 + 7 * (counts[m] / counts.max()) ** 0.5, 1)
        dot = {"cx": x(mean[m]), "cy": y(accuracy[m]), "r": radius}
        parts.append(element("circle", element("title", said), class_="dot", **dot))
    said = (
        f"Accuracy against confidence in {bins} bins on {len(correct)} images; expected "
        f"calibration error {error:.3f}. The closer to the diagonal the better."
    )
    drawn = svg.drawing(anchor, 330, 320, f"Reliability on {split}", said, *parts)
    rows = [
        [f"{m / bins:.2f} to {(m + 1) / bins:.2f}", int(counts[m])]
        + [number(float(values[m])) for values in (mean, accuracy)]
        for m in filled
    ]
    header = ["confidence", "images", "mean confidence", "accuracy"]
    caption = element(
        "figcaption",
        *(element("strong", split), f", {len(correct):,} images: expected calibration error "),
        number(error),
    )
    numbers = folded("Numbers", table(f"Reliability on {split}", header, rows))
    return element("figure", caption, drawn, numbers)


def _bar(left, top, width, bottom, said, class_="bar", tint=None):
    return element(
        "rect",
        element("title", said),
        x=left,
        y=top,
        width=round(max(width, 0.5), 2),
        height=round(max(bottom - top, 0), 1),
        class_=class_,
        style=tint and f"--c:{tint}",
    )


def sizes(anchor: str, clusters: "Sequence[Cluster]") -> Html:
    """Bars of the clusters' sizes, their fuzzy images darker.

    Args:
      anchor: unique in the page.
      clusters: list of `clusters.Cluster`, in the order of the bars.
    """
    largest = max(c.size for c in clusters)

    def bars(x, y, width):
        for place, c in enumerate(clusters):
            said = f"cluster {c.number}: {c.size} images, {c.fuzzy} fuzzy"
            yield _bar(x(place), y(c.size), width, y(0), said, "bar")
            yield _bar(x(place), y(c.fuzzy), width, y(0), said, "bar fuzzy")

    middle = int(np.median([c.size for c in clusters]))
    said = (
        f"{len(clusters)} clusters, the largest first: {largest} images in the largest, "
        f"{middle} in the middle one, {clusters[-1].size} in the smallest."
    )
    return _cluster_bars(anchor, clusters, "Sizes of the clusters", said, bars, largest, "images")


def consistencies(anchor: str, clusters: "Sequence[Cluster]", overall: float | None) -> Html:
    """Bars of the clusters' vote consistency, with a line at that of all pairs.

    Args:
      anchor: unique in the page.
      clusters: list of `clusters.Cluster`, in the order of the bars.
      overall: vote consistency of all images, or None.
    """
    known = [c for c in clusters if c.consistency is not None]

    def bars(x, y, width):
        for place, c in enumerate(clusters):
            if c.consistency is not None:
                said = f"cluster {c.number}: vote consistency {c.consistency:.3f}"
                tint = svg.colour(c.named_class)
                yield _bar(x(place), y(c.consistency), width, y(0), said, "bar tinted", tint)
        if overall is not None:
            ends = x(0), y(overall), x(len(clusters))
            yield element("path", d="M{} {}H{}".format(*ends), class_="ideal")

    lowest = min(known, key=lambda c: c.consistency or 0.0, default=None)
    said = "Vote consistency of each cluster, in the same order, coloured by class."
    if lowest:
        said += f" The lowest is {lowest.consistency:.3f}, of cluster {lowest.number}."
    if overall is not None:
        said += f" The dashed line, {overall:.3f}, is that of all pairs of images in one cluster."
    title = "Vote consistency of the clusters"
    return _cluster_bars(anchor, clusters, title, said, bars, 1.0, "vote consistency")


def _cluster_bars(anchor, clusters, title, said, bars, high, label):
    box = (58, 12, 698, 212)
    x, y = svg.scale(0, len(clusters), 58, 698), svg.scale(0, high, 212, 12)
    parts = svg.axes(box, x, y, [], svg.ticks(high), ("clusters, the largest first", label))
    width = 640 / len(clusters)
    parts += bars(x, y, width - min(2, width / 4))
    if width >= 9:  # else the numbers would overlap
        parts += [
            svg.text(x(place + 0.5), 226, c.number, class_=None if width >= 24 else "small")
            for place, c in enumerate(clusters)
        ]
    drawn = svg.drawing(anchor, 710, 250, title, said, *parts)
    return element("figure", element("figcaption", element("strong", title), ". ", said), drawn)
