"""Differences between rows, from made-up predictions and from the report's own scores."""

import pytest

from foc_tf import bootstrap
from foc_tf.comparing import significance
from tests.fake_grid import grid, leave, predict, report

PATHS = ["normal.macro_f1", "over.crossfit.macro_f1"]


def cells_of(made):
    return {row: [made.cell(row, seed, None) for seed in made.seeds] for row in made.rows}


def differences(made, paths=PATHS):
    return significance.differences(cells_of(made), "FOC", "fuzzy", paths)


@pytest.mark.parametrize("protocol", ["normal", *significance.PROTOCOLS])
@pytest.mark.parametrize("score", sorted(bootstrap.SCORES))
def test_without_resampling_it_is_the_reports_own_score(tmp_path, protocol, score):
    (cell,) = cells_of(grid(tmp_path, ["FOC:"], "0"))["FOC"]
    scores = predict(cell, seed=1, right=0.6)["splits"]["fuzzy"]
    run = significance.Predictions(cell.workdir, report()["classes"], "fuzzy")
    assert len(run.images) == scores["count"]
    (found,) = bootstrap.point(run.labels, run.of(protocol)[None], 3, score)
    own = scores["normal"] if protocol == "normal" else scores["over"][protocol]
    assert found == pytest.approx(own[score], abs=1e-12)


def test_rows_with_equal_predictions_do_not_differ(tmp_path):
    made = grid(tmp_path, ["FOC:", "same:"])
    for cells in cells_of(made).values():
        for seed, cell in enumerate(cells):
            predict(cell, seed, 0.6)
    for path, entry in differences(made)["same"].items():
        assert (entry["difference"], entry["low"], entry["high"]) == (0, 0, 0)
        assert (entry["of"], entry["seeds"]) == (path, ["0", "1"])


def test_differences_are_of_means_over_the_seeds_that_both_have(tmp_path):
    made = grid(tmp_path, ["FOC:", "plain:", "none:"], "012")
    cells, scores = cells_of(made), {}
    for row, clusters, right, seeds in (("FOC", 6, 0.9, "012"), ("plain", 0, 0.4, "02")):
        for cell in cells[row]:
            if cell.seed in seeds:
                number = int(cell.seed) + 10 * (row == "plain")
                content = predict(cell, number, right, clusters=clusters)
                scores[row, cell.seed] = content["splits"]["fuzzy"]
    found = differences(made)
    assert set(found) == {"plain", "none"}
    assert found["none"]["normal.macro_f1"] == {"reason": "no seed that both rows have"}
    plain, foc = ([scores[row, seed] for seed in "02"] for row in ("plain", "FOC"))
    own = sum(s["normal"]["macro_f1"] for s in plain) / 2
    for path, theirs in (
        ("normal.macro_f1", sum(s["normal"]["macro_f1"] for s in foc) / 2),
        # A row without clusters is compared by its classes.
        ("over.crossfit.macro_f1", sum(s["over"]["crossfit"]["macro_f1"] for s in foc) / 2),
    ):
        entry = found["plain"][path]
        assert entry["difference"] == pytest.approx(own - theirs, abs=1e-12)
        assert entry["low"] < entry["difference"] < entry["high"] < 0
        assert (entry["of"], entry["seeds"]) == ("normal.macro_f1", ["0", "2"])
        assert entry["images"] == plain[0]["count"]


def test_what_cannot_be_paired_says_why(tmp_path):
    made = grid(tmp_path, ["FOC:", "other:"], "0")
    cells = cells_of(made)
    predict(cells["FOC"][0], 0, 0.6, clusters=0)
    predict(cells["other"][0], 1, 0.6)
    found = differences(made)["other"]
    assert found["over.crossfit.macro_f1"] == {"reason": "the reference has no clusters"}
    assert "low" in found["normal.macro_f1"]
    predict(cells["other"][0], 1, 0.6, images=90)
    assert differences(made)["other"]["normal.macro_f1"] == {"reason": "scored on other images"}
    predict(cells["other"][0], 1, 0.6)
    leave(cells["other"][0], report(classes=["b", "NA", "c"]))
    assert differences(made)["other"]["normal.macro_f1"] == {"reason": "scored on other images"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("X", ["FOC"], PATHS, "fuzzy"), "reference: no row 'X'; rows are FOC"),
        (("FOC", ["FOC"], ["kmeans.oracle.macro_f1"], "fuzzy"), "bootstrap: .*'kmeans"),
        (("FOC", ["FOC"], ["normal.kl"], "fuzzy"), "bootstrap: .*normal.kl"),
        (("FOC", ["FOC"], ["over.macro_f1"], "fuzzy"), "bootstrap: "),
        (("FOC", ["FOC"], PATHS, "hidden"), "split: .*'hidden'"),
    ],
)
def test_wrong_questions(arguments, message):
    with pytest.raises(ValueError, match=message):
        significance.check(*arguments)
