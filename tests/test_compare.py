"""compare: a grid of real small runs, and what it says of wrong rows."""

import csv
import json
import os
import signal
import subprocess
import sys
import time

import pytest

from foc_tf import compare
from tests.small_run import ROOT, SMALL

SCORES = ["normal.macro_f1", "over.crossfit.macro_f1"]
# One stage: a step is compiled once, which takes most of such a run's time.
SHORT = [*SMALL, "--pretext_epochs=0", "--heads_only_epochs=0"]


def run(folder, *arguments):
    command = [sys.executable, "-m", "foc_tf.compare", f"--base={folder / 'base.flags'}"]
    command += [f"--root={folder / 'grid'}", "--split=val", f"--scores={','.join(SCORES)}"]
    return subprocess.run([*command, *arguments], capture_output=True, text=True, cwd=ROOT)


def test_a_grid_is_run_once_and_its_table_is_the_reports(tmp_path):
    (tmp_path / "base.flags").write_text("\n".join(SHORT) + "\n")
    rows = ["--row=full:", "--row=no CE^-1, short: --lambda_ice=0 --fine_tune_epochs=1"]
    first = run(tmp_path, *rows, "--seeds=3")
    assert first.returncode == 0, first.stderr
    assert first.stderr.count("\n") == 2
    grid = tmp_path / "grid"
    reports = [grid / f"{name}-3" / "report.json" for name in ("full", "no_ce_1_short")]
    made = [path.stat().st_mtime_ns for path in reports]
    again = run(tmp_path, *rows, "--seeds=3")
    assert again.stdout == first.stdout == (grid / "table.md").read_text()
    assert [path.stat().st_mtime_ns for path in reports] == made
    for path, line in zip(reports, first.stdout.splitlines()[2:]):
        val = json.loads(path.read_text())["splits"]["val"]
        values = val["normal"]["macro_f1"], val["over"]["crossfit"]["macro_f1"]
        assert [f"{v:.3f}" for v in values] == [c.strip() for c in line.split("|")[3:5]]
    changed = run(tmp_path, "--row=full: --k=30", "--seeds=3")
    assert changed.returncode == 2
    assert "was made by" in changed.stderr
    failing = run(tmp_path, "--row=bad: --k=2", "--seeds=3")
    assert failing.returncode == 1
    assert "bad-3.log" in failing.stderr
    assert "more clusters than" in (grid / "bad-3.log").read_text()


def validation_by_hand(report):
    """Mean of the two heads' accuracies."""
    val = report["splits"]["val"]
    return (val["normal"]["accuracy"] + val["over"]["train"]["accuracy"]) / 2


def test_a_grid_chooses_on_validation_stops_in_time_and_compares_with_a_reference(tmp_path):
    (tmp_path / "base.flags").write_text("\n".join([*SHORT, "--fine_tune_epochs=1"]) + "\n")
    scores = "normal.macro_f1,over.crossfit.macro_f1,kmeans.vote_consistency,original.normal.kl"
    asked = ["--row=FOC:", "--row=own: --learning_rate=3e-4", "--choose=learning_rate=1e-4,3e-3"]
    asked += ["--seeds=5", "--split=fuzzy", f"--scores={scores}", "--reference=FOC"]
    grid = tmp_path / "grid"
    stopped = run(tmp_path, *asked, "--budget_minutes=0")
    assert stopped.returncode == 0, stopped.stderr
    assert "no time for 3 runs" in stopped.stderr
    assert "Missing: FOC: learning_rate=1e-4 at seed 5, " in stopped.stdout
    done = run(tmp_path, *asked)
    assert done.returncode == 0, done.stderr
    reports = {
        name: json.loads((grid / f"{name}-5/report.json").read_text())
        for name in ("foc-learning_rate=1e-4", "foc-learning_rate=3e-3", "own")
    }
    validation = {
        value: validation_by_hand(reports[f"foc-learning_rate={value}"])
        for value in ("1e-4", "3e-3")
    }
    rows = json.loads((grid / "table.json").read_text())["rows"]
    assert rows["FOC"]["validation"] == pytest.approx(validation)
    assert rows["FOC"]["chosen"] == max(validation, key=validation.get)
    assert "validation" not in rows["own"]
    foc, own = (
        reports[name]["splits"]["fuzzy"]
        for name in (f"foc-learning_rate={rows['FOC']['chosen']}", "own")
    )
    for path, ours, theirs in (
        ("normal.macro_f1", own["normal"], foc["normal"]),
        ("over.crossfit.macro_f1", own["over"]["crossfit"], foc["over"]["crossfit"]),
    ):
        entry = rows["own"]["differences"][path]
        expected = ours["macro_f1"] - theirs["macro_f1"]
        assert entry["difference"] == pytest.approx(expected, abs=1e-9)
        assert entry["low"] <= entry["difference"] <= entry["high"]
    with open(grid / "table.csv", newline="") as file:
        table = {row["row"]: row for row in csv.DictReader(file)}
    assert float(table["own"]["kmeans.vote_consistency.mean"]) == pytest.approx(
        own["kmeans"]["vote_consistency"], rel=1e-5
    )
    assert table["own"]["original.normal.kl.mean"] == ""
    assert int(table["own"]["images"]) == sum(s["images"] for s in reports["own"]["stages"])


@pytest.mark.parametrize("told", ["both", "compare"])
def test_a_stopped_grid_says_so_and_starts_no_other_run(tmp_path, told):
    """Ctrl-C, which a terminal tells both programs of, and SIGTERM, which only compare gets."""
    (tmp_path / "base.flags").write_text("\n".join([*SHORT, "--fine_tune_epochs=5000"]) + "\n")
    command = [sys.executable, "-m", "foc_tf.compare", f"--base={tmp_path / 'base.flags'}"]
    process = subprocess.Popen(
        [*command, f"--root={tmp_path / 'grid'}", "--row=a:", "--row=b:"],
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        # Like a terminal: both programs are told, and neither was born deaf to it.
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    until = time.time() + 120
    while not (tmp_path / "grid/a-0/history.csv").exists() and time.time() < until:
        time.sleep(0.1)
    if told == "both":
        os.killpg(process.pid, signal.SIGINT)
    else:
        process.terminate()
    assert "goes on where it stopped" in process.communicate(timeout=60)[1]
    assert process.returncode == {"both": 130, "compare": 143}[told]
    # The run itself has ended too, in order.
    assert "goes on where it stopped" in (tmp_path / "grid/a-0.log").read_text()
    assert not (tmp_path / "grid/a-0/lock").exists()
    assert not (tmp_path / "grid/a-0.failed").exists()
    assert not (tmp_path / "grid/b-0.log").exists()


GRIDS = [p for p in sorted((ROOT / "configs").glob("*.flags")) if "\n--row=" in p.read_text()]


def train_flags(path):
    """For every row of a grid's flagfile (name, flags of train as they would be parsed)."""
    from absl import flags

    from foc_tf import flags as foc_flags  # noqa: F401  defines them

    values = compare.FLAGS
    values.unparse_flags()
    values(["compare", f"--flagfile={path}"])
    grid = compare.make_grid(values)
    assert str(grid.root) == f"runs/{path.stem}"
    for row in grid.rows:
        for name in flags.FLAGS:
            flags.FLAGS[name].unparse()
        flags.FLAGS(["train", *grid.candidates(row)[0].arguments])
        yield row, flags.FLAGS


@pytest.mark.parametrize("path", GRIDS, ids=lambda path: path.name)
def test_every_row_of_a_flagfile_is_a_run_that_train_takes(path, monkeypatch):
    """Rows name flags that exist and that belong to the row's method."""
    from foc_tf import from_flags

    monkeypatch.chdir(ROOT)
    for _, f in train_flags(path):
        from_flags.check_method_flags(f._flags())
        assert from_flags.make_stages(f)
        assert from_flags.make_schedule(f)


def test_rows_of_the_small_table_pass_the_same_number_of_images(shared, tmp_path, monkeypatch):
    import tensorflow as tf

    from foc_tf import train
    from foc_tf.data import reading

    monkeypatch.chdir(ROOT)
    folder, passed = str(shared / "data/cifar10h-small"), {}
    image_set, labels, _ = reading.read("prepared", folder, None, 0, 0)
    for row, f in train_flags(ROOT / "configs/table2_small.flags"):
        f.backbone, f.backbone_weights, f.image_size = "small_resnet", "none", 16
        run = train.make_run(f, tmp_path, image_set, labels, None, tf.distribute.get_strategy())
        passed[row] = sum(
            run.images(block, epoch)
            for block in run.blocks
            for epoch in range(block.first_epoch, block.end_epoch)
        )
    assert passed["FOC"] == 6 * 28 * 96 * 2
    assert passed["Supervised"] == 20 * 17 * 96
    assert max(passed.values()) < 1.13 * min(passed.values()), passed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["--seeds=a"], "seeds"), (["--row=a:", "--base=none"], "base: no flagfile"), ([], "row")],
)
def test_wrong_calls_exit_with_2(tmp_path, arguments, message):
    rows = [] if message == "row" else ["--row=a:"]
    done = run(tmp_path, *rows[: 1 - ("--row=a:" in arguments)], *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert not (tmp_path / "grid").exists()
