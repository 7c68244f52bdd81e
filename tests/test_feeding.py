"""Where batches come from: the device's augmentation, shared negatives, kept features."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

import foc_tf
from foc_tf import feeding
from foc_tf.data import digits, frozen, pipeline
from foc_tf.data.batches import BatchSampler
from foc_tf.stages import blocks, warm_up_stages
from foc_tf.views import View
from tests.strategy_worker import smooth_backbone

VIEWS = (
    View("anchor", "self", "affine_cutout"),
    View("positive", "same_class", "iic"),
    View("negative", "other_class", "center_crop", each_draw=True),
)
LABELS = np.array([0, 1, 2, -1] * 15)


@pytest.fixture(scope="module")
def loader():
    return pipeline.make_loader(list(digits.read().sources[:60]), 12, 3)


def sampler(**changes):
    arguments = {"batch_size": 24, "unlabeled_ratio": 0.25, "repetitions": 3, "seed": 2} | changes
    return BatchSampler(LABELS, np.flatnonzero(LABELS < 0), **arguments)


def batch(loader, step=4, **options):
    return next(iter(pipeline.training_batches(sampler(), VIEWS, loader, 8, step, **options)))


@pytest.mark.parametrize("parts", [1, 2, 4])
def test_the_device_makes_the_pixels_that_the_host_makes(loader, parts):
    """Also of a part of the batch, of a quarter by a replica, and of views with fewer images."""
    whole = batch(loader)
    raw = batch(loader, part=(0, 1), augment_on="device")
    assert raw["anchor"].dtype == tf.uint8
    assert raw["anchor"].shape == (24, 12, 12, 3)
    assert raw["negative"].shape == (8, 12, 12, 3)
    for index in range(parts):
        cut = {
            key: value[index * len(value) // parts : (index + 1) * len(value) // parts]
            for key, value in raw.items()
        }
        made = tf.function(lambda b: pipeline.augmented(b, VIEWS, 2, 8))(cut)
        for key, value in whole.items():
            rows = slice(index * len(value) // parts, (index + 1) * len(value) // parts)
            np.testing.assert_allclose(made[key], value[rows], atol=1e-3)


def test_repetitions_of_a_draw_share_an_image_of_another_class(loader):
    rows = sampler().batch(4)
    shown = batch(loader)["negative"]
    every = next(
        iter(
            pipeline.training_batches(
                sampler(), [dataclasses.replace(VIEWS[2], each_draw=False)], loader, 8, 4
            )
        )
    )["negative"]
    assert shown.shape[0] == 8
    np.testing.assert_array_equal(shown, every[::3])
    assert (rows["self"].reshape(8, 3) == rows["self"][::3, None]).all()
    known = rows["label"] >= 0
    assert (LABELS[rows["other_class"]] != rows["label"])[known].all()


def test_a_replica_holds_whole_draws_or_is_refused(loader):
    divided = sampler(batch_size=12, replicas=4, repetitions=2)
    with pytest.raises(ValueError, match="no multiple of repetitions"):
        pipeline.training_batches(divided, VIEWS, loader, 8)
    pipeline.training_batches(divided, VIEWS[:2], loader, 8)


def model_of(**arguments):
    arguments = {"k": 6, "num_sub_heads": 2, "dropout": 0.0} | arguments
    model = foc_tf.build_model("foc", smooth_backbone(), k_gt=3, **arguments)
    model.compile(keras.optimizers.Adam(1e-2))
    return model


def numbers(seed=0):
    rng = np.random.default_rng(seed)
    images = {
        name: rng.uniform(0, 255, (12, 8, 8, 1)).astype(np.float32)
        for name in ("anchor", "positive", "negative")
    }
    return images | {"label": np.repeat(np.int32([0, 1, 2, -1]), 3)}


def test_shared_negatives_are_triplets_whose_repetitions_have_one_negative():
    given, model, other = numbers(), model_of(negatives="shared"), model_of()
    other.set_weights(model.get_weights())
    few = given | {"negative": given["negative"][::3]}
    repeated = given | {"negative": np.repeat(few["negative"], 3, axis=0)}
    one, two = (m.compute_losses(b, training=False) for m, b in ((model, few), (other, repeated)))
    for name, value in two.items():
        np.testing.assert_allclose(one[name], value, rtol=1e-5)


def feed_of(loader, frozen_views=2, gigabytes=1.0, views=VIEWS):
    samplers = [sampler()] * 3
    strategy = tf.distribute.get_strategy()
    return feeding.Feed(samplers, views, loader, 8, strategy, "host", frozen_views, gigabytes)


def heads_only(alternate=0):
    return [
        block
        for block in blocks(warm_up_stages(1, 4, 1), ("normal", "over"), alternate)
        if block.stage.name == "heads_only"
    ]


def rgb_model():
    images = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(5, 3, strides=2)(keras.layers.Rescaling(1 / 128, -1.0)(images))
    x = keras.layers.BatchNormalization()(x)
    backbone = keras.Model(images, keras.layers.GlobalAveragePooling2D()(x))
    model = foc_tf.build_model("foc", backbone, k_gt=3, k=6, num_sub_heads=2, negatives="shared")
    model.compile(keras.optimizers.Adam(1e-2))
    return model


def test_kept_features_are_those_of_the_images_that_the_sampler_names(loader):
    """Views without chance: what is kept is what would have passed."""
    still = tuple(dataclasses.replace(view, augmentation="center_crop") for view in VIEWS)
    feed, model = feed_of(loader, views=still), rgb_model()
    (block,) = heads_only()
    kept = next(iter(feed.batches(model, block, 5)))
    fresh = next(iter(feed_of(loader, 0, views=still).batches(model, block, 5)))
    np.testing.assert_array_equal(kept["label"], fresh["label"])
    for view in still:
        wanted = model.extract(fresh[view.name])
        np.testing.assert_allclose(kept[view.name], wanted, rtol=1e-5, atol=1e-5)
    assert kept["negative"].shape == (8, 5)


def test_two_views_of_an_image_are_never_one_kept_version():
    rows = np.arange(60)
    kept = {"weak": np.stack([np.full((60, 1), v, np.float32) for v in range(3)])}
    views = (View("a", "self", "weak"), View("b", "self", "weak"))
    batches = frozen.feature_batches(sampler(), views, kept, rows)
    seen = np.concatenate([np.stack([b["a"], b["b"]]) for b in batches.take(20)], axis=1)[..., 0]
    assert (seen[0] != seen[1]).all()
    # 480 draws among 3: 160 each, standard deviation 10
    assert (abs(np.bincount(seen[0].astype(int), minlength=3) - 160) < 50).all()


def test_features_pass_once_a_stage_and_are_the_same_after_a_stop(loader):
    model = rgb_model()
    first, second = heads_only(alternate=2)
    feed = feed_of(loader)
    one = next(iter(feed.batches(model, first, 5)))
    # recipes affine_cutout and iic in two versions, center_crop in one; 45 + 15 images
    assert feed.passes(first, begins=True) == 5 * 60
    assert feed.passes(first, begins=False) == 0
    model.backbone.set_weights([w + 1 for w in model.backbone.get_weights()])
    kept = next(iter(feed.batches(model, second, 5)))
    assert set(kept) == {"anchor", "positive", "label"}  # normal heads need no other class
    np.testing.assert_array_equal(one["anchor"], kept["anchor"])
    model.backbone.set_weights([w - 1 for w in model.backbone.get_weights()])
    again = next(iter(feed_of(loader).batches(model, first, 5)))
    for key, value in one.items():
        np.testing.assert_allclose(again[key], value, rtol=1e-5, atol=1e-6)


def test_kept_features_are_the_same_whichever_heads_have_their_turn_first(loader):
    """A run that goes on may begin in the middle of a stage, where clusters are not trained."""
    over, normal = heads_only(alternate=2)
    assert (over.heads, normal.heads) == (("over",), ("normal",))
    model, feed = rgb_model(), feed_of(loader)
    assert feed.passes(normal, begins=True) == feed.passes(over, begins=True)
    found = [next(iter(feed.batches(model, block, 5))) for block in (normal, over)]
    other = feed_of(loader)
    wanted = [next(iter(other.batches(model, block, 5))) for block in (over, normal)][::-1]
    for one, two in zip(found, wanted):
        assert set(one) == set(two)
        for key, value in one.items():
            np.testing.assert_array_equal(value, two[key])


def test_images_of_an_epoch(loader):
    """12 steps of 24 rows: 45 labelled, 6 labelled draws a batch -> 8 steps of 24 rows."""
    feed = feed_of(loader, frozen_views=0)
    steps = sampler().steps_per_epoch
    fine_tune = blocks(warm_up_stages(0, 0, 2), ("normal", "over"), 1)
    over, normal = fine_tune
    # two views of all rows, one image for each of 8 draws
    assert feed.passes(over, True) == steps * (24 + 24 + 8)
    assert feed.passes(normal, True) == steps * (24 + 24)
    (both,) = blocks(warm_up_stages(0, 0, 2), ("normal", "over"), 0)
    assert feed.passes(both, True, alternate_steps=1) == steps * (24 + 24 + 4)


def test_a_frozen_stage_trains_the_heads_on_features(loader):
    model, feed = rgb_model(), feed_of(loader)
    (block,) = heads_only()
    model.set_stage(block.stage, block.heads, block.stage_index)
    data = feed.batches(model, block, 0)
    losses = model.fit(data, steps_per_epoch=10, epochs=3, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


def test_features_that_do_not_fit_are_refused(loader):
    (block,) = heads_only()
    # 60 images x 5 numbers x 4 bytes x (2 + 2 + 1) versions = 6,000 bytes
    feed_of(loader, gigabytes=6001 / 2**30).batches(rgb_model(), block, 0)
    with pytest.raises(ValueError, match="frozen_views: features of 60 images"):
        feed_of(loader, gigabytes=5999 / 2**30).batches(rgb_model(), block, 0)


@pytest.mark.parametrize("frozen_views", [0, 2])
def test_two_replicas_that_augment_equal_one_whose_host_does(loader, two_replicas, frozen_views):
    """Weights after five steps of SGD; with kept features of a frozen backbone as well."""
    block = heads_only()[0] if frozen_views else blocks(warm_up_stages(0, 0, 1), ["over"], 0)[0]
    found = []
    for strategy, where in ((tf.distribute.get_strategy(), "host"), (two_replicas, "device")):
        keras.utils.set_random_seed(3)
        with strategy.scope():
            model = rgb_model()
            model.compile(keras.optimizers.SGD(0.05))
        samplers = [sampler(batch_size=24, replicas=2)] * 3
        feed = feeding.Feed(samplers, VIEWS, loader, 8, strategy, where, frozen_views)
        augment = feed.augment(block)
        assert (augment is None) == (where == "host" or frozen_views > 0)
        model.set_stage(block.stage, block.heads, block.stage_index, augment=augment)
        model.fit(feed.batches(model, block, 0), steps_per_epoch=5, verbose=0)
        found.append(model.over_head.get_weights())
    for one, two in zip(*found):
        np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-6)
