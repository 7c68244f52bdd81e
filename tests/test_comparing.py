"""The parts of compare on made-up runs: order, choice, budget, tables."""

import json
import shlex

import pytest

from foc_tf.comparing import choosing, rows, running, summary, tables
from tests.fake_grid import grid, leave, report

CHOOSE = "learning_rate=1e-4,1e-3,1e-2"


def names(cells):
    return [cell.workdir.name for cell in cells]


class Trainer:
    """Leaves reports with given validation scores; None fails."""

    def __init__(self, scores):
        self.scores, self.started = scores, []

    def __call__(self, cell):
        self.started.append(cell.workdir.name)
        score = self.scores.get((cell.row, cell.value), 0.5)
        if score is None:
            cell.beside("failed").touch()
            return False
        leave(cell, report(val=score))
        return True


def test_seed_by_seed_with_the_choice_first_and_nothing_twice(tmp_path):
    made = grid(tmp_path, ["A: --k=3", "own: -learning_rate=5"], "70", CHOOSE)
    trainer = Trainer({("A", "1e-3"): 0.8, ("A", "1e-2"): 0.8})
    assert running.run_missing(made, start=trainer) == ([], 0)
    # Of equal scores the first value; the row that says the flag keeps its own.
    assert trainer.started == [
        *("a-learning_rate=1e-4-7", "a-learning_rate=1e-3-7", "a-learning_rate=1e-2-7"),
        *("own-7", "a-learning_rate=1e-3-0", "own-0"),
    ]
    assert running.run_missing(made, start=trainer) == ([], 0)
    assert len(trainer.started) == 6
    cells = summary.table_cells(made, summary.decide_all(made))
    assert names(cells["A"]) == ["a-learning_rate=1e-3-7", "a-learning_rate=1e-3-0"]
    words = cells["A"][1].arguments
    assert words.index("--learning_rate=1e-3") > words.index("--k=3")
    assert words[0] == "--flagfile=base.flags"
    assert {"--seed=0", "--noexport"} <= set(words)


def test_the_choice_reads_nothing_but_validation(tmp_path):
    made = grid(tmp_path, ["A:"], "0", CHOOSE)
    contents = {
        "1e-4": report(val=0.6, fuzzy=0.9, seconds=1.0),
        "1e-3": report(val=0.7, fuzzy=0.1, seconds=9.0),
        "1e-2": report(val=0.65, fuzzy=0.99, images=1),
    }
    for cell in made.candidates("A"):
        leave(cell, contents[cell.value])
    decision = choosing.decide(made.candidates("A"))
    assert decision.value == "1e-3"
    assert decision.scores == {"1e-4": 0.6, "1e-3": 0.7, "1e-2": 0.65}
    # Any change of all other splits changes nothing.
    for cell in made.candidates("A"):
        changed = contents[cell.value]
        changed["splits"] = {"val": changed["splits"]["val"]}
        leave(cell, changed)
    assert choosing.decide(made.candidates("A")) == decision


def test_validation_score_by_hand():
    assert choosing.validation_score(report(val=0.6)) == 0.6
    assert choosing.validation_score(report(val=0.6, over=0.8)) == pytest.approx(0.7)
    # Heads that the last stage did not train, and clusters without labels, do not count.
    assert choosing.validation_score(report(0.6, over=0.8, trained_heads=["normal"])) == 0.6
    assert choosing.validation_score(report(0.6, over=0.8, uses_labels=False)) == 0.9
    with pytest.raises(ValueError, match="no certain validation images"):
        choosing.validation_score(report(splits={"val": {"count": 0, "reason": "x"}}))
    old = report()
    del old["trained_heads"]
    with pytest.raises(ValueError, match="trained_heads.*remove that run"):
        choosing.validation_score(old)


def test_a_value_that_failed_is_out_and_one_that_is_missing_keeps_the_choice_open(tmp_path):
    made = grid(tmp_path, ["A:"], "01", CHOOSE)
    first, second, third = made.candidates("A")
    leave(first, report(val=0.6))
    second.beside("failed").touch()
    assert choosing.decide(made.candidates("A")) == choosing.Decision(
        False, None, {"1e-4": 0.6, "1e-3": None, "1e-2": None}
    )
    found = summary.summarise(made, summary.decide_all(made), "fuzzy", ["normal.macro_f1"])["A"]
    assert found["seeds"] == 0
    assert found["missing"] == [
        *("learning_rate=1e-3 at seed 0 (failed)", "learning_rate=1e-2 at seed 0", "seed 1")
    ]
    trainer = Trainer({("A", "1e-3"): None, ("A", "1e-2"): 0.5})
    failed, left = running.run_missing(made, start=trainer)
    assert (names(failed), left) == (["a-learning_rate=1e-3-0"], 0)
    assert trainer.started[-1] == "a-learning_rate=1e-4-1"
    decision = summary.decide_all(made)["A"]
    assert (decision.value, decision.scores["1e-3"]) == ("1e-4", None)
    assert third.report() is not None


def test_without_any_score_there_is_no_choice_and_no_other_seed(tmp_path):
    made = grid(tmp_path, ["A:"], "01", CHOOSE)
    trainer = Trainer({("A", value): None for value in made.choice.values})
    failed, _ = running.run_missing(made, start=trainer)
    assert len(failed) == len(trainer.started) == 3


def test_after_the_budget_no_run_is_started(tmp_path):
    made, trainer = grid(tmp_path, ["A:", "B:"]), Trainer({})
    assert running.run_missing(made, 0, trainer) == ([], 4)
    assert trainer.started == []

    def slow(cell):
        now[0] += 60
        return trainer(cell)

    now = [0.0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(running.time, "monotonic", lambda: now[0])
        # At 0 and 60 seconds there is time; 120 is not before 90.
        assert running.run_missing(made, 90, slow) == ([], 2)
    assert trainer.started == ["a-0", "b-0"]
    assert running.run_missing(made, start=trainer) == ([], 0)
    assert trainer.started == ["a-0", "b-0", "a-1", "b-1"]


def test_changed_rows_are_refused_before_any_run(tmp_path):
    running.run_missing(grid(tmp_path, ["A:", "B: --k=3"], "0"), start=Trainer({}))
    note = tmp_path / "grid/b-0.command"
    assert "--k=3" in shlex.split(note.read_text())
    trainer = Trainer({})
    with pytest.raises(ValueError, match="root: .*--k=3.*--k=4"):
        running.run_missing(grid(tmp_path, ["C:", "B: --k=4"], "0"), start=trainer)
    assert trainer.started == []


def test_tables_by_hand(tmp_path):
    made = grid(tmp_path, ["A:", "b|c:", "D: --k=1"], "01", "k=1,2")
    for seed, value, val, fuzzy in (("0", "1", 0.5, 0.9), ("0", "2", 0.75, 0.5)):
        leave(made.cell("A", seed, value), report(val, fuzzy))
    leave(made.cell("A", "1", "2"), report(0.75, 0.7, images=1100, seconds=13))
    leave(made.cell("D", "0", None), report(0.5, 0.25, images=1300))
    found = summary.summarise(made, summary.decide_all(made), "fuzzy", ["normal.macro_f1"])
    lines = tables.markdown(found, ["normal.macro_f1"], "fuzzy", "k").splitlines()
    # Mean of .5 and .7 is .6; deviation with n - 1: sqrt(.01 + .01) = .1414. Images 2 x 1000 and
    # 2 x 1100, seconds 10 and 13. Rows: 2,100 and 2,600 images, 24 % apart.
    assert lines == [
        "| fuzzy | runs | normal.macro_f1 | images passed | seconds | k, on validation |",
        "| --- | --- | --- | --- | --- | --- |",
        "| A | 2 | 0.600 ± 0.141 | 2,100 | 12 | 2 (1: 0.500, 2: 0.750) |",
        "| b\\|c | 0 | - | - | - | open (1: -, 2: -) |",
        "| D | 1 | 0.250 | 2,600 | 10 | the row's own |",
        "",
        "Warning: rows passed unlike numbers of images, from 2,100 (A) to 2,600 (D): not a fair "
        "comparison.",
        "",
        "Missing: b|c: k=1 at seed 0, k=2 at seed 0, seed 1; D: seed 1.",
    ]
    text = tables.columns(found, ["normal.macro_f1"], "k").to_csv(index=False)
    assert text.splitlines()[:3] == [
        "row,runs,images,seconds,k,validation,normal.macro_f1.mean,normal.macro_f1.sd",
        "A,2,2100.0,11.5,2,0.75,0.6,0.14142135623730948",
        "b|c,0,,,,,,",
    ]
    json.dumps(found, allow_nan=False)


def test_rows_that_differ_by_ten_percent_are_no_reason_for_a_warning():
    rows_of = {"a": {"images": [100, 100]}, "b": {"images": [110]}, "c": {"images": []}}
    assert summary.unequal_images(rows_of) is None
    rows_of["b"]["images"] = [111]
    assert "100 (a) to 111 (b)" in summary.unequal_images(rows_of)


def test_paths_of_scores():
    val = {"normal": {"macro_f1": 0.5, "kl": None, "vote_consistency": 0.2}, "kmeans": {"k": 3}}
    found = {"splits": {"val": val | {"original": {"normal": {"macro_f1": 0.7}}}}}
    assert summary.score(found, "val", "normal.macro_f1") == 0.5
    assert summary.score(found, "val", "original.normal.macro_f1") == 0.7
    for path in ("normal.kl", "over.train.macro_f1", "normal", "normal.macro_f1.more"):
        assert summary.score(found, "val", path) is None
    assert summary.score(found, "val", "kmeans.vote_consistency") is None
    assert summary.score(found, "test", "normal.macro_f1") is None


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: rows.parse_rows([]), "at least one"),
        (lambda: rows.parse_rows(["no colon"]), "name: --flag"),
        (lambda: rows.parse_rows([": --k=1"]), "name: --flag"),
        (lambda: rows.parse_rows(["a: k=1"]), "name: --flag"),
        (lambda: rows.parse_rows(["a b: --k=1", "A-b: --k=2"]), "stands twice"),
        (lambda: rows.parse_choice("k"), "choose: expected flag=value"),
        (lambda: rows.parse_choice("k=1,,2"), "choose: expected flag=value"),
        (lambda: rows.parse_choice("=1"), "choose: expected flag=value"),
        (lambda: rows.parse_choice("k=1,2,1"), "stands twice"),
        (lambda: rows.parse_choice("seed=1,2"), "--seed cannot be chosen"),
        (lambda: rows.parse_choice("certain_threshold=0.9,1"), "what is scored"),
        (lambda: rows.check_seeds(["0", "00"]), "seeds: one stands twice"),
        (lambda: rows.check_seeds([]), "seeds: expected"),
    ],
)
def test_wrong_questions(call, message):
    with pytest.raises(ValueError, match=message):
        call()
