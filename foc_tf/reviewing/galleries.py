"""The clusters as rows of images, like figure 3 of Schmarje et al. (2020).

Images stand in the order of their confidence, under each the votes of its three most voted classes;
a red frame where the most voted class is not the cluster's.
"""

import base64
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from foc_tf.review_data import thumbnails
from foc_tf.reviewing import svg
from foc_tf.reviewing.clusters import Cluster, top_votes
from foc_tf.reviewing.markup import Html, element, name, number, section

if TYPE_CHECKING:
    from foc_tf.reviewing.run_data import RunData

# Images of a cluster at most, tried in turn until page and pictures are small enough.
_STEPS = (24, 18, 12, 8, 6, 4, 3, 2, 1)
MAX_IMAGES, MAX_BYTES = 3000, 7_000_000  # bytes before base64, which makes 4 of 3


def chosen(run: "RunData", clusters: Sequence[Cluster]) -> dict[int, np.ndarray]:
    """The images to show of each cluster: all, or some from the most to the least confident.

    Args:
      run: `run_data.RunData`.
      clusters: iterable of `clusters.Cluster`.

    Returns:
      {cluster: [m] int64 images}; empty lists if there are too many clusters for a page.
    """
    sizes = run.pictures.sizes
    for step in _STEPS:
        picks = {c.number: _spread(c.members, step) for c in clusters}
        images = np.concatenate([*picks.values(), []]).astype(np.int64)
        if len(images) <= MAX_IMAGES and sizes[images].sum() <= MAX_BYTES:
            return picks
    return {c.number: c.members[:0] for c in clusters}


def _spread(members, count):
    """At most `count` of the members, evenly, the first and the last among them."""
    if len(members) <= count:
        return members
    return members[np.linspace(0, len(members) - 1, count).round().astype(int)]


def gallery(
    run: "RunData", cluster: Cluster, images: np.ndarray, given_name: str | None = None
) -> Html:
    """One cluster: its facts and some of its images.

    Args:
      run: `run_data.RunData`.
      cluster: `clusters.Cluster`.
      images: [m] int, the images to show.
      given_name: what an expert calls it, or None.
    """
    title = [f"Cluster {cluster.number}"]
    if given_name:
        title += [": ", name(given_name)]
    if cluster.named_class >= 0:
        swatch = element("span", class_="swatch", style=f"--c:{svg.colour(cluster.named_class)}")
        title += [" ", swatch, name(run.classes[cluster.named_class])]
    shown = element("ol", [_image(run, cluster, i) for i in images], class_="images")
    parts = [element("p", _facts(run, cluster), class_="facts"), _unshown(cluster, images), shown]
    return section(f"cluster-{cluster.number}", title, *parts, level=3)


def _facts(run, cluster):
    facts = [f"{cluster.size:,} images, {cluster.fuzzy:,} fuzzy"]
    if run.overclustered:
        facts.append([". By labelled training images: ", _class(run, cluster.trained_class)])
    facts.append([". By its own votes: ", _class(run, cluster.voted_class)])
    if cluster.voted_class >= 0:
        facts.append(f" ({cluster.vote_shares[cluster.voted_class]:.0%})")
    consistency = number(cluster.consistency, "no two images with votes")
    facts.append([". Vote consistency ", consistency])
    if len(cluster.similar):
        facts.append([". Most similar: ", similar_links(cluster)])
    return [*facts, "."]


def similar_links(cluster: Cluster, count: int = 3) -> list[Any]:
    """Links to the most similar clusters."""
    links = []
    for other, cosine in list(zip(cluster.similar, cluster.similarity))[:count]:
        links += [", ", element("a", other, href=f"#cluster-{other}", title=f"cosine {cosine:.2f}")]
    return links[1:]


def _class(run, index):
    return name(run.classes[index]) if index >= 0 else "none"


def _unshown(cluster, images):
    missing = cluster.size - len(images)
    if not missing:
        return None
    if not len(images):
        return element("p", f"Its {cluster.size:,} images are not shown here.", class_="facts")
    text = (
        f"{len(images)} of {cluster.size:,} images, evenly from the most to the least confident; "
        f"{missing:,} are not shown."
    )
    return element("p", text, class_="facts")


def _image(run, cluster, image):
    reference, votes = run.reference[image], run.votes[image]
    differs = reference >= 0 and cluster.named_class >= 0 and reference != cluster.named_class
    most = top_votes(votes)
    words = "; ".join(f"{run.classes[c]} {count}" for c, count in most) or "no votes"
    alt = f"{run.ids[image]}: {words}"
    said = f"{run.ids[image]}, confidence {run.cluster_prob[image]:.3f}, {run.split[image]}"
    lines = [element("li", name(run.classes[c]), " ", element("span", count)) for c, count in most]
    hidden = element("span", "not the cluster's class", class_="unseen")
    caption = [
        element("span", "≠", hidden, class_="differs") if differs else None,
        element("ul", lines) if lines else element("p", "no votes"),
    ]
    figure = element("figure", _picture(run, image, alt), element("figcaption", caption))
    return element("li", figure, class_="wrong" if differs else None, title=said)


def _picture(run, image, alt):
    content = run.pictures[image]
    if not content:
        return element("div", "no picture", class_="missing", role="img", aria_label=alt)
    source = f"data:{thumbnails.kind(content)};base64,{base64.b64encode(content).decode()}"
    return element("img", src=Html(source), alt=alt, decoding="async")
