"""Intervals of scores and of their differences: the bootstrap over images.

Efron (1979): images are drawn again with replacement, and every prediction is scored on the same
draws, so that what is hard for all of them does not widen the interval of a difference. The
predictions stay as they are; an interval says what other images would have changed, and nothing
about other seeds of training. Confusion counts of all resamples come from one `bincount`.
"""

import numpy as np

# Entries of the largest array held at once.
_CHUNK = 4_000_000


def draws(count: int, first: int, stop: int, seed: int = 0) -> np.ndarray:
    """[stop - first, N] int64 images of resamples first .. stop - 1, each a function of its number.

    Args:
      count: N, images.
      first: number of the first resample.
      stop: number after the last one.
      seed: of all resamples.
    """
    rows = [np.random.default_rng([seed, r]).integers(0, count, count) for r in range(first, stop)]
    return np.stack(rows)


def confusions(
    labels: np.ndarray, predictions: np.ndarray, drawn: np.ndarray, num_classes: int
) -> np.ndarray:
    """[R, C, C + 1] counts of each resample: label by prediction, no prediction last.

    Args:
      labels: [N] int in 0 .. C - 1.
      predictions: [N] int, -1 = none.
      drawn: [R, N] int, images of each resample.
      num_classes: C.
    """
    width = num_classes + 1
    codes = labels * width + np.where(predictions < 0, num_classes, predictions)
    places = codes[drawn] + np.arange(len(drawn))[:, None] * (num_classes * width)
    counts = np.bincount(places.ravel(), minlength=len(drawn) * num_classes * width)
    return counts.reshape(len(drawn), num_classes, width)


def accuracy(confusion: np.ndarray) -> np.ndarray:
    """[R, C, C + 1] counts to [R] accuracies, as `metrics.accuracy`."""
    hit = np.trace(confusion[:, :, :-1], axis1=1, axis2=2)
    return hit / confusion.sum(axis=(1, 2))


def macro_f1(confusion: np.ndarray) -> np.ndarray:
    """[R, C, C + 1] counts to [R] macro F1, as `metrics.macro_f1`: over the classes drawn."""
    hit = np.diagonal(confusion[:, :, :-1], axis1=1, axis2=2)
    actual, guessed = confusion.sum(axis=2), confusion[:, :, :-1].sum(axis=1)
    present = actual > 0
    f1 = np.where(present, 2 * hit / np.maximum(guessed + actual, 1), 0)
    return f1.sum(axis=1) / present.sum(axis=1)


SCORES = {"accuracy": accuracy, "macro_f1": macro_f1}


def resampled(
    labels: np.ndarray,
    predictions: np.ndarray,
    num_classes: int,
    score: str = "macro_f1",
    resamples: int = 2000,
    seed: int = 0,
) -> np.ndarray:
    """Scores of several predictions on the same resamples of their images.

    Args:
      labels: [N] int in 0 .. C - 1.
      predictions: [P, N] int, -1 = none (an error).
      num_classes: C.
      score: a name of `SCORES`.
      resamples: R.
      seed: of the resamples.

    Returns:
      [R, P] float64.

    Raises:
      ValueError: if there is no image, lengths differ or an id is out of range.
    """
    labels, predictions = _checked(labels, predictions, num_classes)
    step = max(1, _CHUNK // max(len(labels), num_classes * (num_classes + 1)))
    parts = []
    for first in range(0, resamples, step):
        drawn = draws(len(labels), first, min(resamples, first + step), seed)
        columns = [SCORES[score](confusions(labels, p, drawn, num_classes)) for p in predictions]
        parts.append(np.stack(columns, axis=1))
    return np.concatenate(parts)


def point(
    labels: np.ndarray, predictions: np.ndarray, num_classes: int, score: str = "macro_f1"
) -> np.ndarray:
    """[P] scores on the images as they are; arguments as of `resampled`."""
    labels, predictions = _checked(labels, predictions, num_classes)
    own = np.arange(len(labels))[None]
    return np.array(
        [SCORES[score](confusions(labels, p, own, num_classes))[0] for p in predictions]
    )


def interval(values: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """(low, high), the percentiles between which a share `level` of [R] resampled values lies."""
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _checked(labels, predictions, num_classes):
    labels, predictions = np.asarray(labels), np.asarray(predictions)
    if predictions.ndim != 2 or predictions.shape[1:] != labels.shape:
        raise ValueError(
            f"predictions: expected [P, {len(labels)}], one for each label, found shape "
            f"{predictions.shape}."
        )
    if not len(labels):
        raise ValueError("labels: no image to draw from.")
    for name, values, lowest in (("labels", labels, 0), ("predictions", predictions, -1)):
        if values.size and not lowest <= values.min() <= values.max() < num_classes:
            raise ValueError(
                f"{name}: expected {lowest} to {num_classes - 1}, found {values.min()} to "
                f"{values.max()}."
            )
    return labels.astype(np.int64), predictions.astype(np.int64)
