"""Which images a batch holds: integers only, a pure function of (seed, step).

A batch of B rows has D = B / repetitions distinct draws. Of these at most r * D are unlabelled;
where that is more than the unlabelled images' natural share U / (L + U), the natural share is used,
so that none is seen more often than a labelled one, but for whole draws: of very few there is still
one in every batch. An epoch is one pass over the L labelled images; the unlabelled order goes on
from epoch to epoch, so in time all of it is seen. r = 1 removes the cap: an epoch then passes all
images.

Rows are interleaved (labelled and unlabelled draws spread evenly, the repetitions of a draw side by
side), so that every replica gets the same share of labelled rows.
"""

import functools
from collections.abc import Sequence

import numpy as np

# Independent streams of random numbers.
_LABELED, _UNLABELED, _SAME, _OTHER, _VERSION, _NEIGHBOR = range(6)


class BatchSampler:
    """Draws the rows of batch t: anchors, their partners and labels.

    Args:
      labels: [N] int class ids, -1 = no training label.
      unlabeled: [U] int, images that are used without a label.
      batch_size: B, rows of a global batch.
      unlabeled_ratio: r in [0, 1], upper bound of the unlabelled share; 1 removes the cap.
      repetitions: how often each drawn image stands in the batch.
      seed: of all draws.
      replicas: rows are cut into so many equal parts.

    Attributes:
      pool: [P] int64, all images that are drawn, sorted.
      neighbors: [P, n] int, for each image of the pool the places in it of its n neighbours; None
        until a stage that needs them sets them.

    Raises:
      ValueError: if a number is out of range, the batch cannot hold one triplet, or there are no
        labelled images of two classes.
    """

    def __init__(
        self,
        labels: np.ndarray,
        unlabeled: Sequence[int] | np.ndarray,
        batch_size: int,
        unlabeled_ratio: float = 0.5,
        repetitions: int = 1,
        seed: int = 0,
        replicas: int = 1,
    ) -> None:
        """See the class."""
        self.labels = np.asarray(labels, np.int32)
        self.labeled = np.flatnonzero(self.labels >= 0)
        self.unlabeled = np.asarray(unlabeled, np.int64)
        self.seed, self.repetitions, self.batch_size = seed, repetitions, batch_size
        self.replicas = replicas
        _check(batch_size, unlabeled_ratio, repetitions, replicas)
        _check_labels(self.labels[self.labeled])
        self.draws = batch_size // repetitions
        self.unlabeled_draws = self._unlabeled_draws(unlabeled_ratio)
        drawn: Sequence[int] | np.ndarray = self.unlabeled if self.unlabeled_draws else []
        self.pool = np.union1d(self.labeled, drawn).astype(np.int64)
        self.neighbors: np.ndarray | None = None
        self.labeled_draws = self.draws - self.unlabeled_draws
        self.steps_per_epoch = self._steps(self.unlabeled_draws, unlabeled_ratio)
        self._members = [np.flatnonzero(self.labels == c) for c in range(self.labels.max() + 1)]
        self._rank = _rank_in_class(self.labels, self._members)
        self._by_class = np.concatenate(self._members)
        self._start = np.cumsum([0] + [len(m) for m in self._members])
        self._permutation = functools.lru_cache(maxsize=8)(self._permutation)  # type: ignore[method-assign]

    def _unlabeled_draws(self, ratio):
        total = len(self.labeled) + len(self.unlabeled)
        natural = -(-self.draws * len(self.unlabeled) // total)
        most = min(int(ratio * self.draws), natural, self.draws - 1)
        if ratio < 1:
            return most
        # Where all images are to be seen, whole numbers decide which split needs fewer batches.
        return min(most, max(most - 1, min(most, 1)), key=lambda draws: self._steps(draws, ratio))

    def _steps(self, unlabeled_draws, ratio):
        """Batches until all labelled images were drawn; with r = 1, all images."""
        steps = -(-len(self.labeled) // (self.draws - unlabeled_draws))
        if ratio < 1 or not len(self.unlabeled):
            return steps
        return max(steps, -(-len(self.unlabeled) // max(1, unlabeled_draws)))

    def _permutation(self, stream, index):
        pool = self.labeled if stream == _LABELED else self.unlabeled
        return np.random.default_rng([self.seed, stream, index]).permutation(pool)

    def _stream(self, stream, first, count):
        """Draws first .. first + count - 1 of an endless sequence of permutations."""
        size = len(self.labeled if stream == _LABELED else self.unlabeled)
        positions = np.arange(first, first + count)
        rounds = positions // size
        drawn = np.empty(count, np.int64)
        for index in np.unique(rounds):
            here = rounds == index
            drawn[here] = self._permutation(stream, int(index))[positions[here] % size]
        return drawn

    def anchors(self, step: int) -> np.ndarray:
        """[D] int64 image indices of the distinct draws of a batch, labelled ones spread evenly."""
        epoch, index = divmod(step, self.steps_per_epoch)
        # Every epoch begins a permutation of its own, so that it is one whole pass.
        rounds = -(-self.steps_per_epoch * self.labeled_draws // len(self.labeled))
        first = epoch * rounds * len(self.labeled) + index * self.labeled_draws
        labeled = self._stream(_LABELED, first, self.labeled_draws)
        if not self.unlabeled_draws:
            return labeled
        unlabeled = self._stream(_UNLABELED, step * self.unlabeled_draws, self.unlabeled_draws)
        position = np.arange(self.draws) * self.unlabeled_draws // self.draws
        is_unlabeled = np.diff(position, append=self.unlabeled_draws) > 0
        drawn = np.empty(self.draws, np.int64)
        drawn[is_unlabeled], drawn[~is_unlabeled] = unlabeled, labeled
        return drawn

    def batch(self, step: int) -> dict[str, np.ndarray]:
        """Rows of batch `step`.

        Returns:
          Dict of [B] arrays: "self", "same_class", "other_class" int64 image indices (a partner of
          an unlabelled row, or of the only image of its class, is the row's own image) and "label"
          int32, -1 = unlabelled. With `neighbors` also "neighbor", one of each row's neighbours.
        """
        rows = np.repeat(self.anchors(step), self.repetitions)
        labels = self.labels[rows]
        known = labels >= 0
        same, other = rows.copy(), rows.copy()
        same[known] = self._same_class(rows[known], labels[known], step)
        other[known] = self._other_class(labels[known], step)
        result = {"self": rows, "same_class": same, "other_class": other, "label": labels}
        return result | ({} if self.neighbors is None else {"neighbor": self._neighbor(rows, step)})

    def versions(self, step: int, count: int) -> np.ndarray:
        """[B] int64 in 0..count - 1, for every row of batch `step` one of `count` kept versions."""
        return self._draw(_VERSION, step, np.full(self.batch_size, count))

    def _draw(self, stream, step, high):
        rng = np.random.default_rng([self.seed, stream, step])
        return np.minimum((rng.random(len(high)) * high).astype(np.int64), high - 1)

    def _neighbor(self, rows, step):
        places = np.searchsorted(self.pool, rows)
        count = self.neighbors.shape[1]
        chosen = self._draw(_NEIGHBOR, step, np.full(len(rows), count))
        return self.pool[self.neighbors[places, chosen]]

    def _same_class(self, rows, labels, step):
        size = self._start[labels + 1] - self._start[labels]
        # A draw among the class's other members: skip over the image's own place.
        place = self._draw(_SAME, step, np.maximum(size - 1, 1))
        place += (place >= self._rank[rows]) & (size > 1)
        return self._by_class[self._start[labels] + place]

    def _other_class(self, labels, step):
        size = self._start[labels + 1] - self._start[labels]
        place = self._draw(_OTHER, step, len(self._by_class) - size)
        return self._by_class[place + np.where(place >= self._start[labels], size, 0)]


def _rank_in_class(labels, members):
    rank = np.full(len(labels), -1, np.int64)
    for member in members:
        rank[member] = np.arange(len(member))
    return rank


def _check_labels(labels):
    if len(np.unique(labels)) < 2:
        raise ValueError(
            "labels: expected labelled images of two classes or more, found "
            f"{len(labels)} of {len(np.unique(labels))}; see --certain_threshold."
        )


def _check(batch_size, ratio, repetitions, replicas):
    if not 0 <= ratio <= 1:
        raise ValueError(f"unlabeled_ratio: expected 0 to 1, found {ratio}.")
    if repetitions < 1:
        raise ValueError(f"repetitions: expected at least 1, found {repetitions}.")
    if batch_size < 3 * repetitions:
        raise ValueError(
            f"batch_size: {batch_size} rows hold no triplet of images {repetitions} times; "
            f"give at least {3 * repetitions}, better 2 to 3 times k times repetitions."
        )
    for name, parts in (("repetitions", repetitions), ("replicas", replicas)):
        if batch_size % parts:
            raise ValueError(
                f"batch_size: {batch_size} is not a multiple of {name} ({parts}); "
                f"give e.g. {batch_size // parts * parts}."
            )
