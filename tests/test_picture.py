"""The contact sheet shows the right images in the right places."""

import numpy as np
import tensorflow as tf

from foc_tf.picture import contact_sheet


def test_rows_are_clusters_by_size_and_columns_fall_in_confidence():
    clusters = np.array([1, 0, 1, 1, 0, 2])
    confidence = np.array([0.5, 0.6, 0.9, 0.7, 0.8, 1.0])

    def loader(indices):
        grey = tf.cast(tf.reshape(indices, [-1, 1, 1, 1]) * 10 + 5, tf.uint8)
        return tf.tile(grey, [1, 4, 4, 1])

    png = contact_sheet(clusters, confidence, loader, 2, 3, images=[0, 1, 2, 3, 4], side=4)
    sheet = tf.io.decode_png(png).numpy()
    assert sheet.shape == (2 * 6 + 2, 3 * 6 + 2, 3)
    centres = sheet[4::6, 4::6, 0][:2, :3]
    # cluster 1 has images 2, 3, 0 by confidence; cluster 0 has 4, 1 and a white place
    assert centres.tolist() == [[25, 35, 5], [45, 15, 255]]
    assert contact_sheet(clusters, confidence, loader, images=np.array([], int)) is None


def test_the_bench_measures_a_ratio():
    import time

    from foc_tf import benchmark

    def step(seconds):
        return lambda: time.sleep(seconds) or tf.zeros(())

    ratios = benchmark.compare(step(0.04), step(0.02), 3)
    assert len(ratios) == 3
    assert 1.2 < np.median(ratios) < 3.2
