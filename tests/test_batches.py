"""Which rows a batch holds: property tests on integers."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foc_tf.data.batches import BatchSampler


@st.composite
def problems(draw):
    """(labels, unlabeled, sampler arguments) with at least two labelled images a class."""
    sizes = draw(st.lists(st.integers(2, 30), min_size=2, max_size=6))
    count = draw(st.integers(0, 200))
    labels = np.concatenate([np.full(n, c) for c, n in enumerate(sizes)] + [np.full(count, -1)])
    order = np.random.default_rng(draw(st.integers(0, 99))).permutation(len(labels))
    labels = labels[order]
    repetitions = draw(st.integers(1, 3))
    arguments = {
        "batch_size": repetitions * draw(st.integers(3, 40)),
        "unlabeled_ratio": draw(st.floats(0, 1)),
        "repetitions": repetitions,
        "seed": draw(st.integers(0, 9)),
    }
    return labels, np.flatnonzero(labels < 0), arguments


@settings(max_examples=150, deadline=None)
@given(problems(), st.integers(0, 500))
def test_rows_partners_cap_and_repetition(problem, step):
    labels, unlabeled, arguments = problem
    sampler = BatchSampler(labels, unlabeled, **arguments)
    batch = sampler.batch(step)
    size, repetitions = arguments["batch_size"], arguments["repetitions"]
    assert all(len(batch[key]) == size for key in batch)
    np.testing.assert_array_equal(batch["label"], labels[batch["self"]])
    known = batch["label"] >= 0
    assert known.any()
    # partners
    assert (labels[batch["same_class"]] == labels[batch["self"]])[known].all()
    assert (batch["same_class"] != batch["self"])[known].all()
    assert (labels[batch["other_class"]] != labels[batch["self"]])[known].all()
    assert (labels[batch["other_class"]] >= 0)[known].all()
    for key in ("same_class", "other_class"):
        np.testing.assert_array_equal(batch[key][~known], batch["self"][~known])
    # the cap
    if arguments["unlabeled_ratio"] < 1:
        assert (~known).sum() <= arguments["unlabeled_ratio"] * size
    # repetition
    np.testing.assert_array_equal(batch["self"], np.repeat(sampler.anchors(step), repetitions))


@settings(max_examples=60, deadline=None)
@given(problems(), st.integers(0, 5))
def test_an_epoch_is_one_pass_over_the_labelled_images(problem, epoch):
    labels, unlabeled, arguments = problem
    sampler = BatchSampler(labels, unlabeled, **arguments)
    steps = range(epoch * sampler.steps_per_epoch, (epoch + 1) * sampler.steps_per_epoch)
    seen = np.concatenate([sampler.anchors(t) for t in steps])
    counts = np.bincount(seen, minlength=len(labels))[labels >= 0]
    assert counts.min() >= 1
    if arguments["unlabeled_ratio"] < 1:
        # only what fills the last batch is seen again
        assert counts.sum() - len(counts) < sampler.labeled_draws


@settings(max_examples=60, deadline=None)
@given(st.integers(4, 60), st.integers(3, 60), st.integers(1, 4), st.data())
def test_all_unlabelled_images_are_seen_in_time(labeled, draws, quarter, data):
    # In the capped regime: at least as many unlabelled images as the ratio asks for.
    ratio = quarter / 5
    least = math.ceil(ratio / (1 - ratio) * labeled)
    unlabeled = data.draw(st.integers(least, least + 400))
    labels = np.array([0, 1] * labeled + [-1] * 2 * unlabeled)
    sampler = BatchSampler(labels, np.flatnonzero(labels < 0), 5 * draws, ratio, seed=1)
    bound = math.ceil(2 * unlabeled / (ratio * 5 * draws)) + 1
    first = np.concatenate([sampler.anchors(t) for t in range(bound)])
    assert set(np.flatnonzero(labels < 0)) <= set(first)


def test_without_a_cap_an_epoch_sees_everything():
    labels = np.array([0, 1] * 20 + [-1] * 700)
    sampler = BatchSampler(labels, np.flatnonzero(labels < 0), 30, unlabeled_ratio=1.0)
    seen = np.concatenate([sampler.anchors(t) for t in range(sampler.steps_per_epoch)])
    assert set(seen) == set(range(len(labels)))


def test_images_of_an_epoch_at_stl10s_counts():
    """5,000 labels, 100,000 without, batches of 420 = 140 images x 3: what the cap saves.

    r = 0: 36 batches of 140 = 5,040 images. r = 0.5: 72 batches of 70 + 70 = 10,080. r = 1: 7 + 133
    each, 752 batches = 105,280 images, 10.4 times as many (table 4's hours: 89 / 13 = 6.8).
    """
    labels = np.r_[np.repeat(np.arange(10), 500), np.full(100_000, -1)]
    images = {}
    for ratio in (0, 0.5, 1):
        sampler = BatchSampler(labels, np.arange(5000, 105_000), 420, ratio, 3)
        images[ratio] = sampler.steps_per_epoch * sampler.draws
    assert images == {0: 5040, 0.5: 10_080, 1: 105_280}


def test_ratio_zero_uses_no_unlabelled_image():
    labels = np.array([0, 1] * 20 + [-1] * 70)
    sampler = BatchSampler(labels, np.flatnonzero(labels < 0), 12, unlabeled_ratio=0.0)
    assert all((sampler.batch(t)["label"] >= 0).all() for t in range(50))


def test_ten_thousand_partners_are_right_with_shuffling_on():
    rng = np.random.default_rng(3)
    labels = rng.integers(-1, 10, 2000)
    sampler = BatchSampler(labels, np.flatnonzero(labels < 0), 390, 0.5, 3, seed=5)
    right = total = 0
    for step in range(60):
        batch = sampler.batch(step)
        known = batch["label"] >= 0
        same = labels[batch["same_class"]] == labels[batch["self"]]
        other = labels[batch["other_class"]] != labels[batch["self"]]
        right += (same & other & (batch["self"] != batch["same_class"]))[known].sum()
        total += known.sum()
    assert total > 10_000
    assert right == total


def test_partners_are_uniform_over_the_class():
    labels = np.array([0] * 5 + [1] * 3)
    sampler = BatchSampler(labels, [], 800, 0.0, seed=0)
    batches = [sampler.batch(t) for t in range(50)]
    mine = np.concatenate([b["same_class"][b["self"] == 0] for b in batches])
    counts = np.bincount(mine, minlength=8)
    assert counts[0] == 0
    # 4 others share 5,000 draws: 1,250 each, standard deviation 31
    assert (abs(counts[1:5] - len(mine) / 4) < 200).all()
    other = np.concatenate([b["other_class"][b["self"] == 0] for b in batches])
    assert (abs(np.bincount(other, minlength=8)[5:] - len(other) / 3) < 200).all()


@settings(max_examples=40, deadline=None)
@given(problems(), st.integers(0, 300))
def test_a_batch_is_a_function_of_seed_and_step_alone(problem, step):
    labels, unlabeled, arguments = problem
    one, two = (BatchSampler(labels, unlabeled, **arguments) for _ in range(2))
    for t in range(0, step, 7):
        one.batch(t)  # what was drawn before must not matter
    for key, value in one.batch(step).items():
        np.testing.assert_array_equal(value, two.batch(step)[key])


def test_another_seed_gives_another_batch():
    labels = np.array([0, 1] * 50)
    batches = [BatchSampler(labels, [], 30, 0, seed=s).batch(0)["self"] for s in (0, 1)]
    assert (batches[0] != batches[1]).any()


def test_each_half_of_a_batch_has_the_same_share_of_labels():
    labels = np.array([0, 1] * 500 + [-1] * 1000)
    sampler = BatchSampler(labels, np.flatnonzero(labels < 0), 96, 0.375, replicas=2)
    halves = np.split(sampler.batch(0)["label"] >= 0, 2)
    assert halves[0].sum() == halves[1].sum() == 30


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 2}, "batch_size"),
        ({"batch_size": 8, "repetitions": 3}, "batch_size"),
        ({"batch_size": 31, "repetitions": 3}, "multiple of repetitions"),
        ({"batch_size": 31, "replicas": 2}, "multiple of replicas"),
        ({"unlabeled_ratio": 1.2}, "unlabeled_ratio"),
        ({"repetitions": 0}, "repetitions"),
    ],
)
def test_numbers_out_of_range_are_named(changes, message):
    arguments = {"batch_size": 30} | changes
    with pytest.raises(ValueError, match=message):
        BatchSampler(np.array([0, 1] * 10), [], **arguments)


def test_labels_of_two_classes_are_needed():
    with pytest.raises(ValueError, match="found 0 of 0"):
        BatchSampler(np.array([-1, -1]), [0, 1], 30)
    # There is no image of another class: its index would be that of one of the same.
    with pytest.raises(ValueError, match="found 3 of 1"):
        BatchSampler(np.array([1, 1, -1, 1]), [2], 30)


def test_the_only_image_of_its_class_is_its_own_partner():
    labels = np.array([0, 0, 1, 2, 2])
    rows = BatchSampler(labels, [], 30).batch(3)
    assert (labels[rows["same_class"]] == rows["label"]).all()
    assert (rows["same_class"] == rows["self"])[rows["label"] == 1].all()
    assert (rows["same_class"] != rows["self"])[rows["label"] != 1].all()
    assert (labels[rows["other_class"]] != rows["label"]).all()


@pytest.mark.parametrize("count", [2, 40, 1000])
@pytest.mark.parametrize("others", [1, 3, 20])
@pytest.mark.parametrize("rows", [3, 10, 130])
def test_without_a_cap_few_unlabelled_images_are_seen_too(count, others, rows):
    labels = np.r_[np.arange(count) % 2, np.full(others, -1)]
    sampler = BatchSampler(labels, np.flatnonzero(labels < 0), rows, 1.0)
    steps = [sampler.anchors(step) for step in range(sampler.steps_per_epoch)]
    assert set(np.concatenate(steps)) == set(range(count + others))
