"""Table 3's numbers, checked by hand; agreement of experts, against tensorflow-addons."""

import types

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

from foc_tf.reviewing import consistency, ratings, state
from foc_tf.reviewing.ratings import Rating


def rating(fits, rated=None, cluster=None, ignored=(False,), expert="anna"):
    fits = np.array(fits, bool)
    rated = np.ones(len(fits), bool) if rated is None else np.array(rated, bool)
    cluster = np.zeros(len(fits), int) if cluster is None else np.array(cluster)
    return Rating(expert, cluster, rated, fits, np.array(ignored))


def made(votes, cluster, classes=("a", "b", "no-fit"), ignored=("no-fit",)):
    votes = np.array(votes)
    ids = np.array([f"i{n}" for n in range(len(votes))], object)
    fuzzy = (votes.max(1) < votes.sum(1)) & (votes.sum(1) > 0)
    return types.SimpleNamespace(
        ids=ids,
        index={name: n for n, name in enumerate(ids)},
        votes=votes,
        cluster=np.array(cluster),
        num_clusters=4,
        classes=classes,
        ignored_classes=ignored,
        fuzzy=fuzzy,
    )


def test_consistency_by_hand():
    # cluster 0: 3 of 4 fit, cluster 1: 1 of 2, cluster 2 (no-fit): 0 of 2, cluster 3 not rated.
    # all: 4 of 8 = 0.5; shares 0.75, 0.5, 0: mean 1.25 / 3 = 0.41667,
    # sd = sqrt((0.33333^2 + 0.08333^2 + 0.41667^2) / 3) = sqrt(0.291667 / 3) = 0.311805.
    # without no-fit: 4 of 6; shares 0.75, 0.5: mean 0.625, sd 0.125.
    found = consistency.scores(
        rating(
            [1, 1, 1, 0, 1, 0, 0, 0, 1],
            rated=[1, 1, 1, 1, 1, 1, 1, 1, 0],
            cluster=[0, 0, 0, 0, 1, 1, 2, 2, 3],
            ignored=[False, False, True, False],
        )
    )
    assert found["all"] == pytest.approx(
        {
            "images": 8,
            "clusters": 3,
            "overall": 0.5,
            "per_cluster_mean": 1.25 / 3,
            "per_cluster_sd": 0.311805,
        },
        abs=1e-6,
    )
    assert found["without_ignored"] == pytest.approx(
        {
            "images": 6,
            "clusters": 2,
            "overall": 4 / 6,
            "per_cluster_mean": 0.625,
            "per_cluster_sd": 0.125,
        }
    )


def test_without_images_there_is_no_number():
    found = consistency.scores(rating([1, 0], rated=[0, 0]))["all"]
    nothing = {"overall": None, "per_cluster_mean": None, "per_cluster_sd": None}
    assert found == {"images": 0, "clusters": 0, **nothing}
    assert "| - |" in consistency.table([("r", "anna", {"all": found, "without_ignored": found})])


def test_the_simulated_expert_by_hand():
    run = made(
        [[3, 1, 0], [2, 2, 0], [1, 3, 0], [4, 0, 0], [0, 1, 3], [0, 0, 0]], [0, 0, 0, 0, 1, 1]
    )
    # Of the fuzzy images of cluster 0: shares of a are .75, .5, .25: mean .5, as that of b; the tie
    # goes to a. Image 3 is certain, image 5 has no votes.
    half = ratings.simulated(run, 0.5)
    assert half.rated.tolist() == [True, True, True, False, True, False]
    assert half.consistent[half.rated].tolist() == [True, True, False, True]
    assert half.ignored.tolist() == [False, True, False, False]  # cluster 1 is no-fit
    strict = ratings.simulated(run, 0.75, ratings.ALL)
    assert strict.rated.tolist() == [True] * 5 + [False]
    assert strict.consistent[strict.rated].tolist() == [True, False, False, True, True]
    with pytest.raises(ValueError, match="simulate: expected a share"):
        ratings.simulated(run, 0)


def test_what_an_expert_decided():
    run = made([[3, 1, 0]] * 3 + [[0, 1, 3]] * 3, [0, 0, 0, 1, 1, 2])
    found = state.start(run)
    for action, arguments in (
        ("mark", {"images": ["i0"], "fits": False}),
        ("done", {"group": 0}),
        ("accept", {"group": 1, "class": "b"}),
        ("send", {"group": 2, "to": "ignore"}),
    ):
        found = state.apply(found, action, arguments)
    own = ratings.of_expert(run, found, "anna")
    assert own.rated.all()
    assert own.consistent.tolist() == [False] + [True] * 5
    # Cluster 1 is no-fit by vote, but she says b.
    assert own.ignored.tolist() == [False, False, True, False]


def test_fleiss_kappa_by_hand():
    # Three experts, four images, (fit, not): (3, 0), (2, 1), (0, 3), (3, 0).
    # Agreeing pairs of each image: 1, 1/3, 1, 1: observed 10/12 = 0.83333.
    # 8 of 12 ratings are "fit": by chance (2/3)^2 + (1/3)^2 = 5/9.
    # kappa = (5/6 - 5/9) / (1 - 5/9) = (5/18) / (4/9) = 0.625.
    found = consistency.agreement(
        [rating([1, 1, 0, 1]), rating([1, 0, 0, 1], expert="b"), rating([1, 1, 0, 1], expert="c")]
    )
    assert found["fleiss"] == {"images": 4, "kappa": pytest.approx(0.625)}
    # a and b differ in one of four: observed 3/4; fit 3/4 and 2/4: chance 3/8 + 1/8 = 1/2.
    assert found["cohen"][0] == {"experts": ["anna", "b"], "images": 4, "kappa": pytest.approx(0.5)}
    assert found["cohen"][1]["kappa"] == 1.0
    assert len(consistency.agreement_lines(found)) == 4


def test_only_images_that_both_rated_count():
    one = rating([1, 0, 1, 0], rated=[1, 1, 1, 0])
    two = rating([0, 0, 1, 1], rated=[0, 1, 1, 1], expert="b")
    found = consistency.agreement([one, two])
    assert found["cohen"] == [{"experts": ["anna", "b"], "images": 2, "kappa": 1.0}]
    assert found["fleiss"] == {"images": 2, "kappa": 1.0}


def test_agreement_that_says_nothing():
    none = {"images": 0, "kappa": None}
    assert consistency.agreement([]) == {"cohen": [], "fleiss": none}
    assert consistency.agreement([rating([1])]) == {"cohen": [], "fleiss": none}
    same = consistency.agreement([rating([1, 1]), rating([1, 1], expert="b")])
    assert same["cohen"][0]["kappa"] is None
    assert same["fleiss"]["kappa"] is None


@hypothesis.settings(max_examples=10)
@hypothesis.given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=2, max_size=30))
def test_cohens_kappa_is_that_of_tensorflow_addons(pairs):
    addons = pytest.importorskip("tensorflow_addons")
    first, second = np.array(pairs).T
    mine = consistency.agreement([rating(first), rating(second, expert="b")])["cohen"][0]["kappa"]
    metric = addons.metrics.CohenKappa(num_classes=2, sparse_labels=True)
    metric.update_state(first.astype(int), second.astype(int))
    theirs = float(metric.result())
    if mine is not None:
        assert mine == pytest.approx(theirs, abs=1e-5)
    else:
        assert first.all() == second.all()
        assert first.any() == second.any()
