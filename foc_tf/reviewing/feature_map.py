"""All images as points on a plane, near where the network finds them alike."""

from typing import TYPE_CHECKING

import numpy as np

from foc_tf.reviewing import svg
from foc_tf.reviewing.markup import Html, element, name

if TYPE_CHECKING:
    from foc_tf.reviewing.run_data import RunData

POINTS = 2500
_SIDE = 700
_KINDS = ("certain", "fuzzy", "without votes")
_KIND_COLOURS = ("212 70%", "28 90%", svg.NO_COLOUR)


def coordinates(
    features: np.ndarray, points: int = POINTS, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Places of images on a plane by t-SNE (van der Maaten and Hinton 2008).

    Args:
      features: [N, D] float.
      points: images placed at most; of more a sample, as t-SNE's time grows faster than N.
      seed: of sample and t-SNE.

    Returns:
      ([M] int64 images in order, [M, 2] float in 0 to 1).
    """
    images = np.arange(len(features))
    if len(images) > points:
        images = np.sort(np.random.default_rng(seed).choice(images, points, replace=False))
    chosen = features[images].astype(np.float64)
    if len(images) < 8:  # too few neighbours to speak of
        plane = np.pad(chosen, ((0, 0), (0, 2)))[:, :2]
    else:
        import threadpoolctl
        from sklearn.manifold import TSNE

        perplexity = min(30, (len(images) - 1) / 3)
        start = chosen[:, :2] if chosen.shape[1] >= 2 else np.pad(chosen, ((0, 0), (0, 1)))
        # Small at first, as scikit-learn's own start from principal components is.
        start = 1e-4 * start / max(start[:, 0].std(), 1e-12)
        plane = TSNE(perplexity=perplexity, init=start.astype(np.float32), random_state=seed)
        # One thread: waiting for each other, many took minutes on busy cores for 7 s of work.
        with threadpoolctl.threadpool_limits(1):
            plane = plane.fit_transform(chosen)
    low, high = plane.min(axis=0, initial=0), plane.max(axis=0, initial=0)
    return images, (plane - low) / np.maximum(high - low, 1e-12)


def draw(run: "RunData", points: int = POINTS) -> tuple[Html, str]:
    """The map of a run, coloured by class, cluster or fuzziness as the reader chooses.

    Args:
      run: `run_data.RunData`.
      points: images in it at most.
    """
    images, plane = coordinates(run.features, points)
    plane = np.round(12 + plane * (_SIDE - 24), 1)
    kind = np.where(run.reference < 0, 2, np.where(run.fuzzy, 1, 0))[images]
    reference, cluster = run.reference[images], run.cluster[images]
    parts = [
        element("g", _points(run.classes, plane, reference, cluster, kind), class_="points"),
        element("g", _class_names(run.classes, plane, reference), class_="labels by-class"),
        element("g", _cluster_numbers(plane, cluster), class_="labels by-cluster"),
    ]
    count = (
        f"{len(images):,}"
        if len(images) == len(run.ids)
        else (f"{len(images):,} of {len(run.ids):,}, drawn at random with seed 0")
    )
    said = (
        f"t-SNE of the features' {run.features.shape[1]} largest principal components, "
        f"{run.explained.sum():.0%} of their variance. Images: {count}. What is near looks alike "
        "to the network; distances between far groups say nothing."
    )
    drawn = svg.drawing("map", _SIDE, _SIDE, "Map of the features", said, *parts, role="group")
    return element("div", _choice(), drawn, _legends(run, reference, kind), class_="map"), said


def _points(classes, plane, reference, cluster, kind):
    """One path for all points of a class, cluster and kind: dots are lines of no length."""
    keys, group = np.unique(np.stack([reference, cluster, kind], 1), axis=0, return_inverse=True)
    order = np.argsort(group.ravel(), kind="stable")
    ends = np.cumsum(np.bincount(group.ravel(), minlength=len(keys)))[:-1]
    for (c, k, z), own in zip(keys, np.split(order, ends)):
        said = f"{classes[c] if c >= 0 else 'no votes'}, cluster {k}, {_KINDS[z]}"
        tints = f"--c:{svg.colour(c)};--k:{svg.colour(k)};--z:{_KIND_COLOURS[z]}"
        dots = Html("".join(f"M{px:g} {py:g}h0" for px, py in plane[own]))
        yield element("path", element("title", said), d=dots, style=tints)


def _medians(plane, values):
    for value in np.unique(values[values >= 0]):
        x, y = np.median(plane[values == value], axis=0)
        yield int(value), round(float(x), 1), round(float(y), 1)


def _class_names(classes, plane, reference):
    return [svg.text(x, y, svg.isolated(classes[c])) for c, x, y in _medians(plane, reference)]


def _cluster_numbers(plane, cluster):
    return [
        element("a", svg.text(x, y, k), href=f"#cluster-{k}")
        for k, x, y in _medians(plane, cluster)
    ]


def _choice():
    """Three buttons that the page's style reads; no script."""
    made = []
    for value, label in (("class", "class"), ("cluster", "cluster"), ("kind", "fuzziness")):
        own = {"type": "radio", "name": "colour", "id": f"by-{value}", "checked": value == "class"}
        made += [
            element("input", **own),
            element("label", f"Colour by {label}", for_=f"by-{value}"),
        ]
    return made


def _legends(run, reference, kind):
    entries = [(svg.colour(c), name(n), (reference == c).sum()) for c, n in enumerate(run.classes)]
    if (reference < 0).any():
        entries.append((svg.NO_COLOUR, "without votes", (reference < 0).sum()))
    kinds = [(_KIND_COLOURS[z], _KINDS[z], (kind == z).sum()) for z in range(3)]
    return [
        element("ul", [_entry(*e) for e in entries], class_="legend by-class"),
        element(
            "p", "Numbers are clusters; they lead to their images.", class_="legend by-cluster"
        ),
        element("ul", [_entry(*e) for e in kinds if e[2]], class_="legend by-kind"),
    ]


def _entry(tint, label, count):
    swatch = element("span", class_="swatch", style=f"--c:{tint}")
    return element("li", swatch, label, f" {count:,}")
