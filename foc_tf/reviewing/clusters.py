"""What is known of each cluster: size, class by vote, vote consistency, clusters like it."""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from foc_tf import mapping, metrics

if TYPE_CHECKING:
    from foc_tf.reviewing.run_data import RunData


@dataclasses.dataclass(frozen=True)
class Cluster:
    """One cluster of a run.

    Attributes:
      number: 0 .. K - 1.
      members: [M] int64, its images, the most confident first.
      fuzzy: number of its images on which the annotators disagree.
      trained_class: its class by the labelled training images (protocol `train`), -1 = none.
      voted_class: the class with most votes among its own images, each image's votes weighted to
        1 in all (ties to the lower class), -1 without votes.
      vote_shares: [C] float64, mean of its voted images' shares of votes, 0 without votes.
      consistency: `metrics.vote_consistency` of its images, 0 to 1, None if no two have votes.
      similar: [at most 5] int, clusters with images, the most similar first.
      similarity: [same] float, cosine of the two clusters' mean features, -1 to 1.
      similar_first: [same] int, their most confident images.
    """

    number: int
    members: np.ndarray
    fuzzy: int
    trained_class: int
    voted_class: int
    vote_shares: np.ndarray
    consistency: float | None
    similar: np.ndarray
    similarity: np.ndarray
    similar_first: np.ndarray

    @property
    def size(self) -> int:
        """Number of images."""
        return len(self.members)

    @property
    def named_class(self) -> int:
        """Its class: by the labelled training images, else by its own votes, else -1."""
        return self.trained_class if self.trained_class >= 0 else self.voted_class


def describe(run: "RunData", similar: int = 5) -> dict[int, Cluster]:
    """The clusters of a run that have images.

    Args:
      run: `run_data.RunData`.
      similar: number of similar clusters to name at most.

    Returns:
      {number: `Cluster`} in the order of the numbers.
    """
    trained = mapping.majority(
        run.cluster[run.labels >= 0],
        run.labels[run.labels >= 0],
        run.num_clusters,
        len(run.classes),
    )
    members = ordered_members(run.cluster, run.cluster_prob)
    numbers = np.array(sorted(members), np.int64)
    cosines = similarities(run.features, [members[c] for c in numbers])
    result = {}
    for place, number in enumerate(numbers):
        own, others = members[number], np.delete(np.arange(len(numbers)), place)
        near = others[np.argsort(-cosines[place, others], kind="stable")][:similar]
        result[int(number)] = Cluster(
            number=int(number),
            members=own,
            fuzzy=int(run.fuzzy[own].sum()),
            trained_class=int(trained[number]),
            **of_votes(run.votes[own]),
            similar=numbers[near],
            similarity=cosines[place, near],
            similar_first=np.array([members[c][0] for c in numbers[near]], np.int64),
        )
    return result


def ordered_members(cluster: np.ndarray, confidence: np.ndarray) -> dict[int, np.ndarray]:
    """{cluster: [M] int64, its images, the most confident first}; ties in the images' order.

    Args:
      cluster: [N] int.
      confidence: [N] float.
    """
    order = np.lexsort((-np.asarray(confidence), cluster))
    numbers, starts = np.unique(np.asarray(cluster)[order], return_index=True)
    return dict(zip(numbers.tolist(), np.split(order, starts[1:])))


def of_votes(votes: np.ndarray) -> dict[str, Any]:
    """What the votes on the images of one group say: three attributes of `Cluster`.

    Args:
      votes: [M, C] counts.

    Returns:
      {"vote_shares", "voted_class", "consistency"}.
    """
    total = votes.sum(axis=1)
    voted = votes[total > 0] / total[total > 0][:, None]
    shares = voted.mean(axis=0) if len(voted) else np.zeros(votes.shape[1])
    consistency = metrics.vote_consistency(np.zeros(len(votes), np.int64), votes)
    return {
        "vote_shares": shares,
        # Rounding of the mean must not decide a tie.
        "voted_class": int(shares.round(12).argmax()) if len(voted) else -1,
        "consistency": None if np.isnan(consistency) else consistency,
    }


def similarities(features: np.ndarray, groups: Sequence[np.ndarray]) -> np.ndarray:
    """[G, G] cosine of the groups' mean features, -1 to 1.

    The features are principal components, so measured from the mean of all images: two groups that
    only share what all images share are not similar.

    Args:
      features: [N, D] float.
      groups: G lists of images.
    """
    means = (
        np.stack([features[g].mean(axis=0, dtype=np.float64) for g in groups])
        if groups
        else (np.zeros((0, features.shape[1])))
    )
    norms = np.linalg.norm(means, axis=1, keepdims=True)
    means = means / np.where(norms > 0, norms, 1)
    return means @ means.T


def top_votes(votes: np.ndarray, count: int = 3) -> list[tuple[int, int]]:
    """The most voted classes of one image: [(class, votes)], most first, without those of 0 votes.

    Args:
      votes: [C] counts.
      count: classes at most.
    """
    order = np.argsort(-votes, kind="stable")[:count]
    return [(int(c), int(votes[c])) for c in order if votes[c] > 0]
