"""The contact sheet shows the right images in the right places."""

import numpy as np
import tensorflow as tf

from foc_tf.picture import cluster_grid, contact_sheet, sprite


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


def test_a_grid_of_one_cluster_begins_with_the_most_confident():
    confidence = np.array([0.5, 0.9, 0.7, 0.2])
    sheet = cluster_grid(np.array([0, 1, 2, 3]), confidence, flat, rows=2, columns=2, side=4)
    assert sheet.shape == (2 * 6 + 2, 2 * 6 + 2, 3)
    # tiles are the image's number times 10; order by confidence is 1, 2, 0, 3
    assert sheet[4::6, 4::6, 0].tolist() == [[10, 20], [0, 30]]


def test_a_sprite_is_a_square_without_gaps():
    sheet = sprite(np.stack([np.full((4, 4, 3), i, np.uint8) for i in range(5)]), side=4)
    assert sheet.shape == (12, 12, 3)  # 3 x 3 places for 5 images
    assert sheet[2::4, 2::4, 0].tolist() == [[0, 1, 2], [3, 4, 255], [255, 255, 255]]


def flat(indices):
    return tf.stack([tf.fill((4, 4, 3), tf.cast(10 * i, tf.uint8)) for i in indices])
