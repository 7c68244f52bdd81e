"""JPEGs at reduced size: only where asked for, only where far larger, hardly another picture."""

import numpy as np
import pytest
import tensorflow as tf

from foc_tf.data import decoding, pipeline


def picture(height, width):
    """Smooth waves, as photographs mostly are."""
    y, x = np.mgrid[0:height, 0:width] / 40.0
    waves = [np.sin(x + y), np.cos(x - y / 2), np.sin(y) * np.cos(x)]
    return np.uint8(127.5 + 100 * np.stack(waves, axis=-1))


@pytest.mark.parametrize(
    ("height", "width", "reduced"), [(127, 400, False), (128, 400, True), (300, 260, True)]
)
def test_jpegs_of_four_times_the_size_are_decoded_reduced(height, width, reduced):
    encoded = tf.io.encode_jpeg(picture(height, width), quality=95)
    exact = decoding.decode(encoded, 32, 3).numpy().astype(int)
    fast = decoding.decode_fast(encoded, 32, 3).numpy().astype(int)
    assert (exact != fast).any() == reduced
    assert np.abs(exact - fast).mean() < 2


def test_other_images_stay_bit_for_bit():
    big = picture(300, 300)
    for encoded in (tf.io.encode_png(big), tf.io.encode_jpeg(big[:40, :50])):
        for channels in (1, 3):
            exact, fast = (
                decode(encoded, 16, channels) for decode in (decoding.decode, decoding.decode_fast)
            )
            np.testing.assert_array_equal(exact, fast)


def test_the_default_is_exact():
    encoded = tf.io.encode_jpeg(picture(300, 300)).numpy()
    exact, fast = (decode(encoded, 16, 3) for decode in (decoding.decode, decoding.decode_fast))
    for cache in ("memory", "none"):
        for given, expected in ((False, exact), (True, fast)):
            loader = pipeline.make_loader([encoded], 16, 3, cache, fast_jpeg=given)
            batch = next(iter(tf.data.Dataset.from_tensors([0]).map(loader)))
            np.testing.assert_array_equal(batch[0], expected)
