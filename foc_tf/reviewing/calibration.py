"""Whether a probability of 0.8 is right in 8 of 10 cases."""

import numpy as np

BINS = 15


def reliability(
    correct: np.ndarray, confidence: np.ndarray, bins: int = BINS
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float | None]:
    """Accuracy in bins of confidence, and the expected calibration error.

    Guo et al. (2017), "On Calibration of Modern Neural Networks", equation 3, bins of equal width.

    Args:
      correct: [N] bool, whether the predicted class is the reference class.
      confidence: [N] float in 0 to 1, the predicted class's probability.
      bins: M; bin m holds confidences above (m - 1) / M up to m / M.

    Returns:
      ([M] counts, [M] mean confidence, [M] accuracy, ECE): nan where a bin is empty; the error is 0
      (calibrated) to 1, None without images.

    Raises:
      ValueError: if the lengths differ or a confidence is not from 0 to 1.
    """
    correct, confidence = np.asarray(correct, bool), np.asarray(confidence, np.float64)
    if correct.shape != confidence.shape or correct.ndim != 1:
        raise ValueError(
            f"correct and confidence: expected [N] each, found {correct.shape} and "
            f"{confidence.shape}."
        )
    if not ((confidence >= 0) & (confidence <= 1)).all():
        raise ValueError("confidence: expected 0 to 1.")
    place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    counts = np.bincount(place, minlength=bins)
    filled = np.where(counts > 0, counts, np.nan)
    mean = np.bincount(place, confidence, bins) / filled
    accuracy = np.bincount(place, correct, bins) / filled
    if not len(correct):
        return counts, mean, accuracy, None
    gaps = np.nan_to_num(np.abs(accuracy - mean))
    return counts, mean, accuracy, float((counts * gaps).sum() / len(correct))
