"""When runs reach a score: by hand from small histories."""

import pandas as pd
import pytest

from foc_tf.comparing import reaching, summary, tables
from tests.fake_grid import grid, leave, report


def history(path, scores, seconds=2.0, images=100):
    frame = pd.DataFrame({"epoch": range(len(scores)), "seconds": seconds, "images": images})
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.assign(val_over_accuracy=scores).to_csv(path, index=False)
    return path


def test_seconds_and_images_up_to_the_first_epoch_that_has_it(tmp_path):
    goal = reaching.parse("val_over_accuracy=0.5")
    # Epochs without a validation are empty; the third is the first at 0.5: 3 x 2 s, 3 x 100.
    path = history(tmp_path / "h.csv", [0.2, None, 0.5, 0.4, 0.9])
    assert reaching.reached(path, goal) == {"seconds": 6.0, "images": 300}
    assert reaching.reached(history(path, [0.2, 0.49]), goal) is None


def test_the_table_has_medians_of_the_runs_that_reached_it(tmp_path):
    rows = grid(tmp_path, ["a:", "b:", "c: --k=3"], seeds="012")
    goal = reaching.parse("val_over_accuracy=0.5")
    for row, runs in (("a", ([0.5], [0.1, 0.6], [0.1, 0.2, 0.7])), ("b", ([0.1], [0.5, 0.6]))):
        for seed, scores in zip("012", runs):
            cell = rows.cell(row, seed, None)
            leave(cell, report())
            history(cell.workdir / "history.csv", scores)
    found = summary.summarise(rows, summary.decide_all(rows), "fuzzy", [], goal)
    lines = tables.markdown(found, [], "fuzzy", goal=goal).splitlines()
    cells = [[cell.strip() for cell in line.split("|")] for line in lines[:5]]
    assert cells[0][-2] == "seconds / images to val_over_accuracy 0.5"
    # a: 2, 4 and 6 s; b: one run of two; c: none there
    assert [row[-2] for row in cells[2:]] == ["4 / 200 (3 of 3)", "2 / 100 (1 of 2)", "-"]
    columns = tables.columns(found, [], goal=goal)
    assert columns["reached"].tolist() == [3, 1, 0]
    assert columns["reached.seconds"].tolist()[:2] == [4.0, 2.0]


def test_what_is_wrong_is_named(tmp_path):
    assert reaching.parse(None) is None
    for text in ("val_over_accuracy", "val_over_accuracy=high"):
        with pytest.raises(ValueError, match="reach: expected a column"):
            reaching.parse(text)
    with pytest.raises(ValueError, match="no column 'x'; it has val_over_accuracy"):
        reaching.reached(history(tmp_path / "h.csv", [1.0]), reaching.Goal("x", 0.5))
