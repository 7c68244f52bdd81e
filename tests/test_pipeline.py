"""Pixels: batches show what the sampler names, evaluation and export decode alike."""

import numpy as np
import pytest

from foc_tf.data import decoding, digits, pipeline
from foc_tf.data.batches import BatchSampler
from foc_tf.views import View


@pytest.mark.parametrize("cache", ["memory", "disk", "none"])
def test_batches_show_the_images_that_the_sampler_names(cache, tmp_path):
    pixels = [np.full((8, 8), i, np.uint8) for i in range(40)]
    loader = pipeline.make_loader(
        [digits.encode_png(p) for p in pixels], 8, 1, cache, cache_dir=tmp_path
    )
    labels = np.array([0, 1, 2, -1] * 10)
    sampler = BatchSampler(labels, np.flatnonzero(labels < 0), 12, 0.25, 2, seed=4)
    views = [View(p, p, "center_crop") for p in ("self", "same_class", "other_class")]
    for start in (0, 5):  # a run that goes on at step 5 gets the batches it would have got
        batches = pipeline.training_batches(sampler, views, loader, 8, start_step=start)
        for step, batch in enumerate(batches.take(3), start):
            expected = sampler.batch(step)
            np.testing.assert_array_equal(batch["label"], expected["label"])
            for view in views:
                assert batch[view.name].shape == (12, 8, 8, 1)
                np.testing.assert_array_equal(batch[view.name][:, 0, 0, 0], expected[view.name])


def test_augmented_batches_are_the_same_again_and_differ_by_step():
    loader = pipeline.make_loader(list(digits.read().sources[:40]), 12, 3)
    sampler = BatchSampler(np.array([0, 1] * 20), [], 12, 0, seed=1)
    views = [View("x", "self", "affine_cutout"), View("y", "self", "affine_cutout")]
    one, two = (list(pipeline.training_batches(sampler, views, loader, 8, 3).take(2)) for _ in "ab")
    for a, b in zip(one, two):
        np.testing.assert_array_equal(a["x"], b["x"])
        assert not np.array_equal(a["x"], a["y"])


def test_unreadable_images_are_found_and_too_many_stop():
    good = digits.encode_png(np.zeros((8, 8), np.uint8))
    bad, reasons = decoding.unreadable([good] * 150 + [b"x"] + ["/nowhere.png"], max_share=0.02)
    assert bad.tolist() == [150, 151]
    assert len(reasons) == 2
    with pytest.raises(ValueError, match="2 of 3 images"):
        decoding.unreadable([good, b"x", b"y"])


def test_evaluation_batches_keep_the_order():
    pixels = [np.full((8, 8), i, np.uint8) for i in range(20)]
    loader = pipeline.make_loader([digits.encode_png(p) for p in pixels], 8, 3)
    order = [7, 3, 19, 0, 3]
    batches = list(pipeline.evaluation_batches(loader, order, 8, batch_size=2))
    assert [len(b) for b in batches] == [2, 2, 1]
    np.testing.assert_array_equal(np.concatenate(batches)[:, 0, 0, 0], order)
