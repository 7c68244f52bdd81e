"""compare: a grid of real small runs, and what it says of wrong rows."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time

import pytest

from foc_tf import compare
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
    base, rows = values.base, compare.parse_rows(values.row)
    assert values.root == f"runs/{path.stem}"
    for arguments in rows.values():
        for name in flags.FLAGS:
            flags.FLAGS[name].unparse()
        flags.FLAGS(["train", f"--flagfile={ROOT / base}", *arguments])
        from_flags.check_method_flags(flags.FLAGS._flags())
        assert from_flags.make_stages(flags.FLAGS)
        assert from_flags.make_schedule(flags.FLAGS)


def test_mean_and_deviation_by_hand():
    # Mean of .5 and .7 is .6; deviation with n - 1: sqrt(.01 + .01) = .1414.
    summary = {"a": {"seeds": 2, "x": [0.5, 0.7]}, "b": {"seeds": 1, "x": [0.25]}}
    summary["c"] = {"seeds": 0, "x": []}
    lines = compare.table(summary, ["x"], "val").splitlines()
    assert lines[2:] == ["| a | 2 | 0.600 ± 0.141 |", "| b | 1 | 0.250 |", "| c | 0 | - |"]


def test_scores_that_are_not_there_are_none():
    report = {"splits": {"val": {"normal": {"macro_f1": 0.5, "kl": None}}}}
    assert compare.score(report, "val", "normal.macro_f1") == 0.5
    for path in ("normal.kl", "over.train.macro_f1", "normal", "normal.macro_f1.more"):
        assert compare.score(report, "val", path) is None
    assert compare.score(report, "test", "normal.macro_f1") is None


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "at least one"),
        (["no colon"], "name: --flag"),
        ([": --k=1"], "name: --flag"),
        (["a: k=1"], "name: --flag"),
        (["a b: --k=1", "A-b: --k=2"], "stands twice"),
    ],
)
def test_rows_that_are_wrong(rows, message):
    with pytest.raises(ValueError, match=message):
        compare.parse_rows(rows)


def test_every_cell_has_its_own_command(tmp_path):
    arguments = compare.command("b.flags", ["--k=3"], "1", tmp_path / "a b", "d")
    compare.claim(tmp_path / "a b", arguments)
    assert shlex.split((tmp_path / "a b.command").read_text()) == arguments
    with pytest.raises(ValueError, match="root: .*--k=3.*--k=4"):
        compare.claim(tmp_path / "a b", [a.replace("--k=3", "--k=4") for a in arguments])


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
