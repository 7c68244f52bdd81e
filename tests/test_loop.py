"""The staged run: what stops it, which epoch is the best."""

import types

import pytest

from foc_tf import failures, loop
from foc_tf.stages import Stage


def make_run(tmp_path, monkeypatch, epochs=6, **schedule):
    model = types.SimpleNamespace(head_names=("normal", "over"))
    stages = (Stage("pretext", 2, 0.1, use_labels=False), Stage("fine_tune", epochs, 0.1))
    run = loop.Run(model, None, stages, loop.Schedule(0, **schedule), dict, tmp_path, {})
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
    row = {"stage_index": 1, "heads": "normal+over"}
    stops = []
    for loss in (3.0, 2.0, 2.5, 2.4, 2.3):  # a third of 6 epochs: 2 may pass without a minimum
        run.history.append(row | {"loss": loss})
        stops.append(run._should_stop(block))
    assert stops == [False, False, False, True, True]
