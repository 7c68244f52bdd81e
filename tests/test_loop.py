"""The staged run: what stops it, which epoch is the best."""

import types

import pytest

from foc_tf import failures, loop
from foc_tf.stages import Schedule, Stage


def make_run(tmp_path, monkeypatch, epochs=6, ramp_up=0.0, alternate_epochs=0, **schedule):
    model = types.SimpleNamespace(head_names=("normal", "over"), ramp_up=ramp_up)
    stages = (Stage("pretext", 2, 0.1, use_labels=False), Stage("fine_tune", epochs, 0.1))
    how = Schedule(alternate_epochs, **schedule)
    run = loop.Run(model, None, stages, how, dict, tmp_path, {})
    saved = []
    monkeypatch.setattr(loop.checkpoints, "save_best", lambda *a: saved.append(a[2]["epoch"]))
    return run, saved


def test_a_collapse_and_nan_are_named(tmp_path, monkeypatch):
    run, _ = make_run(tmp_path, monkeypatch)
    block = run.blocks[1]
    run.check(block, 3, {"loss": 1.0, "normal_largest": 0.2, "over_largest": 0.9})
    with pytest.raises(failures.TrainingFailed, match="over head puts 100.0% .* one cluster"):
        run.check(block, 3, {"loss": 1.0, "normal_largest": 0.2, "over_largest": 1.0})
    with pytest.raises(failures.TrainingFailed, match=r"over_mi is nan in epoch 4 \(fine_tune\)"):
        run.check(block, 3, {"over_mi": float("nan")})


def test_the_best_epoch_is_one_of_the_last_stage(tmp_path, monkeypatch):
    run, saved = make_run(tmp_path, monkeypatch)
    for epoch, stage, scores in (
        (0, 0, (0.9, 0.9)),
        (2, 1, (0.5, 0.7)),
        (3, 1, ()),
        (4, 1, (0.7, 0.7)),
        (5, 1, (0.8, 0.5)),
    ):
        names = ("val_normal_accuracy", "val_over_accuracy")
        run._keep_best({"epoch": epoch, "stage_index": stage} | dict(zip(names, scores)))
    assert saved == [2, 4]
    assert run.best == {"epoch": 4, "score": pytest.approx(0.7)}


def test_without_validation_the_last_epoch_is_the_best(tmp_path, monkeypatch):
    run, saved = make_run(tmp_path, monkeypatch)
    for epoch in (2, 3, 4):
        run._keep_best({"epoch": epoch, "stage_index": 1})
    assert saved == [2, 3, 4]


def test_a_stage_stops_after_its_share_without_a_new_minimum(tmp_path, monkeypatch):
    run, _ = make_run(tmp_path, monkeypatch, early_stopping_share=1 / 3)
    block = run.blocks[1]
    # a third of 6 epochs: 2 may pass without a minimum
    stops = stops_after(run, [block] * 5, [3.0, 2.0, 2.5, 2.4, 2.3])
    assert stops == [False, False, False, True, True]


def stops_after(run, blocks, losses):
    """What each epoch of stage 1 says to the question whether the stage ends with it."""
    stops = []
    for number, (block, loss) in enumerate(zip(blocks, losses)):
        row = {"stage_index": 1, "heads": "+".join(block.heads), "epoch": 2 + number}
        run.history.append(row | {"loss": loss})
        stops.append(run._should_stop(block))
    return stops


def test_a_weight_that_rises_is_no_plateau(tmp_path, monkeypatch):
    """MixMatch: the sum grows with its ramp while all of its parts fall."""
    options = {"epochs": 10, "ramp_up": 0.4, "plateau_epochs": 2}
    run, _ = make_run(tmp_path, monkeypatch, early_stopping_share=0.2, **options)
    block = run.blocks[-1]
    assert stops_after(run, [block] * 4, [1.0, 2.0, 3.0, 4.0]) == [False] * 4
    assert run.learning_rate(block, 6) == 0.1
    for loss in (3.9, 4.0, 4.1):  # two epochs without a new minimum, the ramp is over
        row = {"stage_index": 1, "heads": "normal+over", "epoch": 2 + len(run.history)}
        run.history.append(row | {"loss": loss})
    assert run.learning_rate(block, 9) == pytest.approx(0.01)


def test_heads_that_take_turns_wait_as_long_as_heads_that_do_not(tmp_path, monkeypatch):
    """A third of 90 epochs: 30, of which 15 are the clusters' own."""
    options = {"epochs": 90, "alternate_epochs": 5, "plateau_epochs": 1000}
    run, _ = make_run(tmp_path, monkeypatch, **options)
    turns = [b for b in run.blocks if b.stage_index == 1 for _ in range(5)]
    losses = [1.0 if block.heads == ("over",) else -float(n) for n, block in enumerate(turns)]
    stops = stops_after(run, turns, losses)
    # Its minimum is the first epoch of all; own epochs are 1 to 5, 11 to 15, 21 to 25, 31 to 35.
    assert stops.index(True) == 30
    assert run._own(turns[0], 75) == 38


@pytest.mark.parametrize(
    "wrong",
    [
        {"alternate_epochs": -1},
        {"alternate_steps": -1},
        {"plateau_epochs": 0},
        {"evaluate_every": 0},
        {"early_stopping_share": 1.5},
    ],
)
def test_numbers_out_of_range_are_named(tmp_path, monkeypatch, wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        make_run(tmp_path, monkeypatch, **wrong)
