"""Who found which image consistent with its cluster: experts, or a simulated one from votes."""

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from foc_tf.reviewing import clusters, state

if TYPE_CHECKING:
    from foc_tf.reviewing.run_data import RunData

ALL, FUZZY = "all", "fuzzy"


@dataclasses.dataclass(frozen=True)
class Rating:
    """One expert's rating of a run.

    Attributes:
      expert: who.
      cluster: [N] int, the run's cluster of each image.
      rated: [N] bool, whether the expert looked at the image.
      consistent: [N] bool, whether it fits its cluster; of no meaning where not rated.
      ignored: [K] bool, clusters that hold an ignored class (no-fit).
    """

    expert: str
    cluster: np.ndarray
    rated: np.ndarray
    consistent: np.ndarray
    ignored: np.ndarray


def chosen(run: "RunData", images: str) -> np.ndarray:
    """[N] bool: the images that count.

    Args:
      run: `run_data.RunData`.
      images: "all", or "fuzzy": those on which the annotators disagree.
    """
    return run.fuzzy if images == FUZZY else np.ones(len(run.ids), bool)


def voted_classes(run: "RunData", counted: np.ndarray) -> np.ndarray:
    """[K] int: class of each cluster by the votes on its counted images, -1 = none.

    Args:
      run: `run_data.RunData`.
      counted: [N] bool.
    """
    result = np.full(run.num_clusters, -1, np.int64)
    for cluster in np.unique(run.cluster[counted]):
        members = counted & (run.cluster == cluster)
        result[cluster] = clusters.of_votes(run.votes[members])["voted_class"]
    return result


def _is_ignored(run, classes):
    names = [*run.classes, ""]
    return np.array([names[c] in run.ignored_classes for c in classes], bool)


def of_expert(run: "RunData", found: state.State, expert: str, images: str = ALL) -> Rating:
    """What an expert's decisions say.

    An image is consistent unless she marked it or split it off; rated are the clusters that she
    looked through ("done", or a class accepted, or sent away). A cluster holds an ignored class by
    the class that she gave it, or else by vote, and if she sent it to "ignore".

    Args:
      run: `run_data.RunData`.
      found: her `state.State`.
      expert: her name.
      images: as in `chosen`.

    Returns:
      `Rating`.
    """
    counted = chosen(run, images)
    ignored = _is_ignored(run, voted_classes(run, counted))
    for cluster, home in enumerate(found.homes().tolist()):
        if home in found.accepted:
            ignored[cluster] = found.accepted[home] in run.ignored_classes
        if home in found.sent:
            ignored[cluster] = found.sent[home] == state.IGNORE
    return Rating(expert, run.cluster, found.rated() & counted, found.consistent(), ignored)


def simulated(run: "RunData", threshold: float, images: str = FUZZY) -> Rating:
    """A stand-in for an expert: the annotators of the images.

    An image is consistent if at least the threshold's share of its votes is for the class with most
    votes in its cluster, each image's votes weighted to 1; images without votes are not rated.

    Args:
      run: `run_data.RunData`; without clusters the predicted classes are the groups.
      threshold: above 0 to 1.
      images: as in `chosen`.

    Returns:
      `Rating`.

    Raises:
      ValueError: if the threshold is out of range.
    """
    if not 0 < threshold <= 1:
        raise ValueError(f"simulate: expected a share above 0 to 1, found {threshold}.")
    total = run.votes.sum(axis=1)
    rated = chosen(run, images) & (total > 0)
    voted = voted_classes(run, rated)
    votes = run.votes[np.arange(len(run.ids)), voted[run.cluster]]
    # Rounding of threshold * total must not decide: 0.55 * 100 is 55.00000000000001.
    consistent = votes >= threshold * total - 1e-9 * np.maximum(total, 1)
    return Rating(
        f"votes >= {threshold:g}", run.cluster, rated, consistent, _is_ignored(run, voted)
    )
