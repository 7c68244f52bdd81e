"""kill -9 at random moments of a run: started again it ends as if nothing had happened.

A run is killed over and over, on its way through all stages and its last scores, until it comes to
its end; then the next one, until there were as many kills as asked. Half of the kills come within
milliseconds after a file event, so that many fall inside writes; the others within a second.
"""

import collections
import contextlib
import json
import os
import pathlib
import re
import signal
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from foc_tf import files
from tests.cluster_runs import assert_alike_to_the_bit
from tests.small_run import ROOT, SMALL, read_report

KILLS = int(os.environ.get("FOC_KILLS", "2"))
_TIMES = ("seconds", "images_per_second")


@contextlib.contextmanager
def victims(log):
    """Function (workdir, event=None, delay=0) -> (status, events) of a run in that workdir."""
    with (
        open(log, "w") as errors,
        subprocess.Popen(
            [sys.executable, "-m", "tests.faults.victim"],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        ) as process,
    ):

        def one(workdir, event=None, delay=0.0):
            export = f"--export_dir={workdir.parent / 'export' / workdir.name}"
            arguments = [*SMALL, export, f"--workdir={workdir}"]
            order = {"arguments": arguments, "root": str(workdir.parent)}
            print(
                json.dumps(order | {"event": event, "delay": delay}),
                file=process.stdin,
                flush=True,
            )
            line = process.stdout.readline()
            assert line, pathlib.Path(log).read_text()[-3000:]
            answer = json.loads(line)
            return answer["status"], answer["events"]

        yield one
        process.stdin.close()


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("kills")


@pytest.fixture(scope="module")
def victim(place):
    with victims(place / "log.txt") as one:
        yield one


@pytest.fixture(scope="module")
def undisturbed(place, victim):
    """(workdir, events) of a run that nobody kills."""
    status, events = victim(place / "whole")
    assert status == 0, (place / "log.txt").read_text()
    return place / "whole", events


def timeless(value):
    """A report without what takes another time when it is done again."""
    if isinstance(value, dict):
        return {k: timeless(v) for k, v in value.items() if k not in _TIMES}
    return [timeless(each) for each in value] if isinstance(value, list) else value


def check_in_between(workdir):
    """A killed run's history is a whole table without a double or a missing epoch."""
    if (workdir / "history.csv").exists():
        epochs = pd.read_csv(workdir / "history.csv")["epoch"].tolist()
        assert epochs == list(range(epochs[0], epochs[0] + len(epochs)))
    for path in workdir.glob("*.json"):
        files.read_json(path)


def where(events, workdir):
    """What a kill interrupted: a file that was being written, else what the last event was."""
    left = sorted(workdir.parent.rglob(".*.tmp"))
    if left:
        return f"inside {re.sub(r'[0-9]+', 'n', left[0].name.strip('.'))}"
    return f"after {pathlib.PurePath(events[-1][2]).name.strip('.').split('.')[0][:6]}"


def test_all_writes_of_a_run_have_temporary_names(undisturbed):
    workdir, events = undisturbed
    opened = {path for _, name, path in events if name == "open"}
    assert len(opened) > 15
    direct = {
        path
        for path in opened
        if not re.search(r"/\.[^/]+\.\d+\.tmp(/|$)", path) and not path.endswith("/lock")
    }
    assert not direct
    assert not list(workdir.parent.rglob(".*.tmp"))


def test_killed_runs_end_like_the_undisturbed_one(place, victim, undisturbed):
    whole, all_events = undisturbed
    rng, kills, places, run = np.random.default_rng(0), 0, collections.Counter(), 0
    while kills < KILLS:
        workdir, status = place / f"run{run}", signal.SIGKILL
        while status:
            assert status == signal.SIGKILL, (place / "log.txt").read_text()[-3000:]
            # What is left of a run has fewer events, so that it comes to its end now and then.
            event = int(rng.integers(len(all_events) // 2)) if kills < KILLS else None
            delay = float(rng.uniform(0, (0.004, 1.0)[kills % 2]))
            status, events = victim(workdir, event, delay)
            if status:
                kills += 1
                places[where(events, workdir)] += 1
                check_in_between(workdir)
        assert_alike_to_the_bit(whole, workdir)
        assert timeless(read_report(workdir)) == timeless(read_report(whole))
        names = [
            {str(path.relative_to(folder)) for path in folder.rglob("*")}
            for folder in (whole, workdir)
        ]
        assert names[0] == names[1]
        for name in ("predictions.csv", "clusters.png"):
            assert (workdir / name).read_bytes() == (whole / name).read_bytes()
        assert [p.name for p in (place / "export" / workdir.name).iterdir()] == ["1"]
        assert not list(workdir.rglob(".*.tmp"))
        run += 1
        print(f"{kills} kills of {run} runs, which ended like the undisturbed one: {dict(places)}")
