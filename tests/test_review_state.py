"""What decisions mean: groups, merges, splits, undo; properties of random histories."""

import types

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

from foc_tf.reviewing import actions, book
from foc_tf.reviewing import state as states
from foc_tf.reviewing.decisions import Decision

IDS = [f"i{n}" for n in range(12)]
RUN = types.SimpleNamespace(
    ids=np.array(IDS, object),
    cluster=np.repeat([0, 1, 2, 3], 3),
    num_clusters=4,
    index={name: n for n, name in enumerate(IDS)},
)


def log(*steps, expert="anna"):
    return [Decision(n, "", expert, action, args) for n, (action, args) in enumerate(steps, 1)]


def replay(*steps):
    return states.replay(RUN, log(*steps), "anna")


def same(a, b):
    kept = ("merged", "parents", "names", "accepted", "sent", "done")
    arrays = np.array_equal(a.groups, b.groups) and np.array_equal(a.misfit, b.misfit)
    return arrays and all(getattr(a, key) == getattr(b, key) for key in kept)


def test_merges_chain():
    found = replay(("merge", {"group": 0, "into": 1}), ("merge", {"group": 1, "into": 3}))
    assert found.groups.tolist() == [3, 3, 3, 3, 3, 3, 2, 2, 2, 3, 3, 3]
    assert found.homes().tolist() == [3, 3, 2, 3]
    assert found.existing() == [2, 3]
    assert found.consistent().all()


def test_a_merge_cannot_close_a_circle():
    first = ("merge", {"group": 0, "into": 1})
    for second in ({"group": 1, "into": 0}, {"group": 0, "into": 2}, {"group": 2, "into": 2}):
        with pytest.raises(ValueError, match=r"decision 2 \(merge\)"):
            replay(first, ("merge", second))


def test_a_split_takes_images_out_of_their_cluster():
    found = replay(
        ("mark", {"images": ["i0"], "fits": False}),
        ("split", {"group": 0, "images": ["i0", "i1"], "into": 4}),
        ("mark", {"images": ["i5"], "fits": False}),
    )
    assert found.groups.tolist()[:3] == [4, 4, 0]
    assert not found.misfit[:3].any()  # they fit where they are now
    assert np.flatnonzero(~found.consistent()).tolist() == [0, 1, 5]
    back = states.apply(found, "merge", {"group": 4, "into": 0})
    assert np.flatnonzero(~back.consistent()).tolist() == [5]


def test_rated_are_the_clusters_looked_through():
    steps = [("done", {"group": 1}), ("accept", {"group": 3, "class": "a"})]
    assert replay(*steps).rated().tolist() == [False] * 3 + [True] * 3 + [False] * 3 + [True] * 3
    # What cluster 1 went into was not looked through.
    assert replay(*steps, ("merge", {"group": 1, "into": 0})).rated().sum() == 3


def test_accept_and_send_exclude_each_other():
    accept, send = ("accept", {"group": 1, "class": "a"}), ("send", {"group": 1, "to": "ignore"})
    assert (replay(accept, send).accepted, replay(accept, send).sent) == ({}, {1: "ignore"})
    assert (replay(send, accept).accepted, replay(send, accept).sent) == ({1: "a"}, {})


def test_where_she_stopped():
    split = ("split", {"group": 0, "images": ["i0"], "into": 4})
    steps = [("visit", {"group": 2}), split, ("visit", {"group": 4})]
    assert replay(*steps).visited == 4
    # The undone split's group is no more; the visit before it counts.
    assert replay(*steps, ("undo", {"number": 2})).visited == 2


def test_an_empty_name_takes_the_name_away():
    name = ("name", {"group": 1, "name": " ostracod "})
    assert replay(name).names == {1: "ostracod"}
    assert replay(name, ("name", {"group": 1, "name": ""})).names == {}


@pytest.mark.parametrize(
    ("action", "arguments", "word"),
    [
        ("paint", {}, "action"),
        ("name", {"group": 9, "name": "x"}, "no cluster 9"),
        ("name", {"group": True, "name": "x"}, "no cluster True"),
        ("name", {"group": -1, "name": "x"}, "no cluster -1"),
        ("name", {"group": 1, "name": 3}, "name"),
        ("split", {"group": 0, "images": ["i5"], "into": 4}, "not all of them"),
        ("split", {"group": 0, "images": ["i0"], "into": 2}, "into"),
        ("split", {"group": 0, "images": [], "into": 4}, "images"),
        ("mark", {"images": ["../../etc"], "fits": True}, "no image '../../etc'"),
        ("mark", {"images": ["i0"], "fits": 1}, "fits"),
        ("send", {"group": 0, "to": "heaven"}, "new_class or ignore"),
    ],
)
def test_impossible_decisions_are_refused(action, arguments, word):
    with pytest.raises(ValueError, match=word):
        states.apply(states.start(RUN), action, arguments)


def test_undo_takes_back_ones_own_last():
    mine = Decision(1, "", "anna", "name", {"group": 0, "name": "x"})
    hers = Decision(2, "", "berta", "name", {"group": 0, "name": "y"})
    undo = Decision(3, "", "anna", "undo", {"number": 1})
    entries = [mine, hers, undo]
    assert states.replay(RUN, entries, "anna").names == {}
    assert states.replay(RUN, entries, "berta").names == {0: "y"}
    assert states.experts(entries) == ["anna", "berta"]
    wrong = Decision(3, "", "anna", "undo", {"number": 2})
    with pytest.raises(ValueError, match="undo of 2"):
        states.replay(RUN, [mine, hers, wrong], "anna")


@st.composite
def histories(draw):
    """Decisions that are possible one after another, without undo."""
    state, steps = states.start(RUN), []
    for _ in range(draw(st.integers(0, 12))):
        group = draw(st.sampled_from(state.existing()))
        members = [IDS[i] for i in np.flatnonzero(state.groups == group)]
        action = draw(st.sampled_from(list(states.ACTIONS)))
        some = st.lists(st.sampled_from(members or IDS), min_size=1, unique=True)
        arguments = {
            "name": lambda g=group: {"group": g, "name": draw(st.text(max_size=3))},
            "merge": lambda g=group, s=state: {
                "group": g,
                "into": draw(st.sampled_from(s.existing())),
            },
            "split": lambda g=group, i=some, s=state: {
                "group": g,
                "images": draw(i),
                "into": max([3, *s.parents]) + 1,
            },
            "mark": lambda i=some: {"images": draw(i), "fits": draw(st.booleans())},
            "accept": lambda g=group: {"group": g, "class": "a"},
            "send": lambda g=group: {"group": g, "to": draw(st.sampled_from(["ignore"]))},
        }.get(action, lambda g=group: {"group": g})()
        try:
            state = states.apply(state, action, arguments)
        except ValueError:
            continue
        steps.append((action, arguments))
    return log(*steps)


@hypothesis.given(histories(), st.data())
def test_undo_of_the_last_n_restores(history, data):
    n = data.draw(st.integers(0, len([d for d in history if d.action != "visit"])))
    entries = list(history)
    for _ in range(n):
        last = states.last_standing(states.standing(entries, "anna"))
        entries.append(Decision(len(entries) + 1, "", "anna", "undo", {"number": last.number}))
    counted = [d for d in history if d.action != "visit"]
    assert same(
        states.replay(RUN, entries, "anna"),
        states.replay(RUN, counted[: len(counted) - n], "anna"),
    )


@hypothesis.given(histories())
def test_every_image_is_in_one_group_that_exists(history):
    found = states.replay(RUN, history, "anna")
    assert found.groups.shape == RUN.cluster.shape
    assert set(found.groups.tolist()) <= set(found.existing())
    # An image is where its cluster is, unless a split took it out.
    if not found.parents:
        assert np.array_equal(found.groups, found.homes()[RUN.cluster])


@hypothesis.given(histories(), st.data())
def test_a_truncated_log_is_the_state_at_that_time(history, data):
    n = data.draw(st.integers(0, len(history)))
    before = states.replay(RUN, history[:n], "anna")
    after = before
    for decision in history[n:]:
        after = states.apply(after, decision.action, decision.arguments)
    whole = states.replay(RUN, history, "anna")
    assert same(after, whole)
    assert after.visited == whole.visited
    assert same(before, states.replay(RUN, history[:n], "anna"))  # nothing was changed in place


def test_undo_in_two_browsers_at_once():
    """The other browser takes the last decision back between finding it and undoing it."""
    only = Decision(1, "", "anna", "mark", {})
    session = types.SimpleNamespace(
        run=types.SimpleNamespace(cluster=np.zeros(2, np.int64)),
        last=lambda expert: only,
        undo=lambda expert: None,
    )
    pages = book.Book([session])
    with pytest.raises(ValueError, match="nothing to undo"):
        actions.undo(pages, book.Place("anna", group=0))
