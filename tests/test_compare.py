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
from foc_tf.comparing import rows as rows_lib
from tests.small_run import ROOT, SMALL

SCORES = ["normal.macro_f1", "over.crossfit.macro_f1"]


def run(folder, *arguments):
    command = [sys.executable, "-m", "foc_tf.compare", f"--base={folder / 'base.flags'}"]
    command += [f"--root={folder / 'grid'}", "--split=val", f"--scores={','.join(SCORES)}"]
    return subprocess.run([*command, *arguments], capture_output=True, text=True, cwd=ROOT)


def test_a_grid_is_run_once_and_its_table_is_the_reports(tmp_path):
    (tmp_path / "base.flags").write_text("\n".join(SMALL) + "\n")
    rows = ["--row=full:", "--row=no CE^-1, short: --lambda_ice=0 --pretext_epochs=0"]
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


def test_a_grid_chooses_on_validation_stops_in_time_and_compares_with_a_reference(tmp_path):
    short = ["--pretext_epochs=0", "--heads_only_epochs=0", "--fine_tune_epochs=1"]
    (tmp_path / "base.flags").write_text("\n".join([*SMALL, *short]) + "\n")
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
        value: sum((val["normal"]["accuracy"], val["over"]["train"]["accuracy"])) / 2
        for value in ("1e-4", "3e-3")
        for val in [reports[f"foc-learning_rate={value}"]["splits"]["val"]]
    }
    rows = json.loads((grid / "table.json").read_text())["rows"]
    assert rows["FOC"]["validation"] == pytest.approx(validation)
    assert rows["FOC"]["chosen"] == max(validation, key=validation.get)
    assert "validation" not in rows["own"]
    foc, own = (
        reports[name]["splits"]["fuzzy"]
        for name in (f"foc-learning_rate={rows['FOC']['chosen']}", "own")
    )
    for head, path in ((("normal",), "normal"), (("over", "crossfit"), "over.crossfit")):
        values = [s["normal"] if len(head) == 1 else s["over"]["crossfit"] for s in (own, foc)]
        entry = rows["own"]["differences"][f"{path}.macro_f1"]
        expected = values[0]["macro_f1"] - values[1]["macro_f1"]
        assert entry["difference"] == pytest.approx(expected, abs=1e-9)
        assert entry["low"] <= entry["difference"] <= entry["high"]
    with open(grid / "table.csv", newline="") as file:
        table = {row["row"]: row for row in csv.DictReader(file)}
    assert float(table["own"]["kmeans.vote_consistency.mean"]) == pytest.approx(
        own["kmeans"]["vote_consistency"], rel=1e-5
    )
    assert table["own"]["original.normal.kl.mean"] == ""
    assert int(table["own"]["images"]) == sum(s["images"] for s in reports["own"]["stages"])


def test_a_stopped_grid_says_so_and_starts_no_other_run(tmp_path):
    (tmp_path / "base.flags").write_text("\n".join([*SMALL, "--fine_tune_epochs=5000"]) + "\n")
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
    os.killpg(process.pid, signal.SIGINT)
    assert "goes on where it stopped" in process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert "goes on from the last finished epoch" in (tmp_path / "grid/a-0.log").read_text()
    assert not (tmp_path / "grid/b-0.log").exists()


GRIDS = [p for p in sorted((ROOT / "configs").glob("*.flags")) if "\n--row=" in p.read_text()]


@pytest.mark.parametrize("path", GRIDS, ids=lambda path: path.name)
def test_every_row_of_a_flagfile_is_a_run_that_train_takes(path):
    """Rows name flags that exist and that belong to the row's method."""
    from absl import flags

    from foc_tf import flags as foc_flags  # noqa: F401  defines them
    from foc_tf import from_flags

    values = compare.FLAGS
    values.unparse_flags()
    values(["compare", f"--flagfile={path}"])
    base, rows = values.base, rows_lib.parse_rows(values.row)
    choice = rows_lib.parse_choice(values.choose)
    assert values.root == f"runs/{path.stem}"
    if values.reference:
        assert values.reference in rows
    for arguments in rows.values():
        if choice:
            arguments = [*arguments, f"--{choice.flag}={choice.values[0]}"]
        for name in flags.FLAGS:
            flags.FLAGS[name].unparse()
        flags.FLAGS(["train", f"--flagfile={ROOT / base}", *arguments])
        from_flags.check_method_flags(flags.FLAGS._flags())
        assert from_flags.make_stages(flags.FLAGS)
        assert from_flags.make_schedule(flags.FLAGS)


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
