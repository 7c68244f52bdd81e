"""scikit-learn's real handwritten digits, with annotators simulated by a rule.

The 1,797 images (8 x 8, grey) are real and embedded in scikit-learn. Their VOTES ARE SIMULATED: see
`digits_card.md` beside this file.
"""

import pathlib
import struct
import zlib

import numpy as np

from foc_tf.data.images import ImageSet
from foc_tf.splitting import stratified_splits

ANNOTATORS = 5
_NEIGHBOURS = 12
_SHARPNESS = 0.37
_SEED = 20201203  # of the simulated votes: the data set is the same for every run


def encode_png(pixels: np.ndarray) -> bytes:
    """[H, W] uint8 grey to PNG bytes."""
    height, width = pixels.shape

    def chunk(kind, body):
        check = zlib.crc32(kind + body)
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", check)

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def class_shares(images: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """[N, 10] how much each image looks like each class.

    A Gaussian kernel over the distances to the nearest other images of every class: a digit whose
    nearest 3 is as near as its nearest 8 gets equal shares of both.

    Args:
      images: [N, 64] float.
      labels: [N] int.
    """
    # |a|^2 + |b|^2 - 2ab is exact for whole-number pixels and spares the [N, N, 64] differences.
    squares = (images**2).sum(axis=1)
    distances = np.sqrt(squares[:, None] + squares[None] - 2 * images @ images.T)
    np.fill_diagonal(distances, np.inf)
    nearest = np.stack(
        [
            np.sort(
                np.partition(distances[:, labels == c], _NEIGHBOURS, axis=1)[:, :_NEIGHBOURS]
            ).mean(1)
            for c in range(10)
        ],
        axis=1,
    )
    logits = -_SHARPNESS * (nearest - nearest.min(axis=1, keepdims=True))
    shares = np.exp(logits)
    return shares / shares.sum(axis=1, keepdims=True)


def read(
    data_dir: str | pathlib.Path | None = None,
    certain_threshold: float | None = None,
    seed: int = 0,
) -> ImageSet:
    """The digits as an image set; certain means that all five simulated annotators agree.

    Args:
      data_dir: not used: the data are embedded.
      certain_threshold: 1.0 if None.
      seed: not used: votes and split are the same for every run.

    Returns:
      `images.ImageSet` with the true digit as `original`.
    """
    del data_dir, seed
    from sklearn.datasets import load_digits

    digits = load_digits()
    rng = np.random.default_rng(_SEED)
    votes = rng.multinomial(ANNOTATORS, class_shares(digits.data, digits.target))
    pixels = np.round(digits.images * (255 / 16)).astype(np.uint8)
    return ImageSet(
        name="digits",
        classes=tuple("0123456789"),
        ids=np.asarray([f"digit_{i:04}.png" for i in range(len(pixels))], object),
        sources=np.asarray([encode_png(p) for p in pixels], object),
        votes=votes.astype(np.int64),
        splits=stratified_splits(votes.argmax(axis=1) * 2 + (votes.max(1) == ANNOTATORS), _SEED),
        certain_threshold=1.0 if certain_threshold is None else float(certain_threshold),
        original=digits.target.astype(np.int64),
        licence="CC BY 4.0 (images); votes simulated",
        source="UCI Optical Recognition of Handwritten Digits, by way of scikit-learn",
    )
