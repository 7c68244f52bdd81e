"""Rows that survive kill -9: the file is byte for byte that of a run that nobody stopped."""

import csv
import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest

from foc_tf.predicting import partial
from foc_tf.predicting.partial import Partial
from tests.small_run import ROOT

ITEMS = 900
# Without TensorFlow, so that a process starts at once; item i is unreadable if i % 7 == 3.
WRITER = f"""
import os, sys, time
sys.path.insert(0, {str(ROOT)!r})
from foc_tf.predicting import partial
partial._COMMIT_SECONDS = 0.01
with partial.Partial(sys.argv[1], {{"model": "m"}}, b"image,class\\n") as rows:
    print(rows.done, flush=True)
    for start in range(rows.done, {ITEMS}, 5):
        items = range(start, start + 5)
        good = [i for i in items if i % 7 != 3]
        bad = [(f"ü,{{i}}.png", "torn\\nfile") for i in items if i % 7 == 3]
        text = "".join(f"{{i}}.png,{{i * 3}}\\n" for i in good).encode()
        rows.append(text, len(good), bad, start + 5)
        time.sleep(0.002)
    rows.finish()
"""


def start(output):
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(output)], stdout=subprocess.PIPE, text=True
    )


def test_kills_at_any_moment_lose_and_repeat_nothing(tmp_path):
    undisturbed, output = tmp_path / "a" / "x.csv", tmp_path / "b" / "x.csv"
    assert start(undisturbed).wait(60) == 0
    rng, begun = random.Random(0), []
    for attempt in range(60):
        with start(output) as process:
            begun.append(int(process.stdout.readline()))
            time.sleep(rng.uniform(0, 0.1 + 0.01 * attempt))
            process.send_signal(signal.SIGKILL)
        assert output.exists() != (output.parent / "x.csv.partial").exists()
        if output.exists():
            break
        # A torn line, as a power failure leaves it.
        with open(output.parent / "x.csv.partial", "ab") as file:
            file.write(b"17.png,5")
    else:
        pytest.fail(f"never done: {begun}")
    assert begun == sorted(begun)
    assert len({count for count in begun if count}) >= 3
    for name in ("x.csv", "x.csv.unreadable.csv"):
        assert (output.parent / name).read_bytes() == (undisturbed.parent / name).read_bytes()
    assert start(output).wait(60) == 0  # clears the last traces, or does it all again
    assert sorted(p.name for p in output.parent.iterdir()) == ["x.csv", "x.csv.unreadable.csv"]
    with open(output.parent / "x.csv.unreadable.csv", encoding="utf-8", newline="") as file:
        listed = [row["image"] for row in csv.DictReader(file)]
    assert listed == [f"ü,{i}.png" for i in range(3, ITEMS, 7)]


def begin(path, **work):
    return Partial(path, {"model": "m", "source": "s"} | work, b"head\n")


def half_done(tmp_path):
    with begin(tmp_path / "x.csv") as rows:
        rows.append(b"a\n", 1, [("b.png", "torn")], 2)
    return tmp_path / "x.csv"


def test_other_work_is_refused_and_named(tmp_path):
    path = half_done(tmp_path)
    assert not path.exists()
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    with pytest.raises(ValueError, match="another model .there: m; now: n"):
        begin(path, model="n")
    with pytest.raises(ValueError, match="another source"):
        begin(path, source="t")
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before
    with begin(path) as rows:
        assert (rows.done, rows.rows, rows.unreadable) == (2, 1, 1)
        rows.finish()
    assert path.read_bytes() == b"head\na\n"


def test_two_processes_do_not_write_one_file(tmp_path):
    path = half_done(tmp_path)
    with begin(path) as rows:
        with pytest.raises(ValueError, match="another process is writing"):
            begin(path)
        rows.append(b"c\n", 1, [], 3)
        rows.finish()
    assert path.read_bytes() == b"head\na\nc\n"


def test_a_second_process_leaves_the_first_ones_files_alone(tmp_path):
    path = tmp_path / "x.csv"
    with begin(path) as rows:
        # Within the first second nothing of it is in the state yet.
        rows.append(b"a\n", 1, [("b.png", "torn")], 2)
        with pytest.raises(ValueError, match="another process is writing"):
            begin(path)
        rows.finish()
    assert path.read_bytes() == b"head\na\n"
    assert (tmp_path / "x.csv.unreadable.csv").read_bytes() == b"image,reason\nb.png,torn\n"


def test_a_file_that_got_its_name_meanwhile_is_not_touched(tmp_path, monkeypatch):
    path = half_done(tmp_path)
    flock = partial.fcntl.flock

    def finished_meanwhile(file, how):
        if file.name.endswith(".partial"):
            os.replace(tmp_path / "x.csv.partial", path)
        flock(file, how)

    monkeypatch.setattr(partial.fcntl, "flock", finished_meanwhile)
    with pytest.raises(ValueError, match="another process is writing"):
        begin(path)
    assert path.read_bytes() == b"head\na\n"


def test_without_locks_it_works_too(tmp_path, monkeypatch):
    def none(file, how):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(partial.fcntl, "flock", none)
    with begin(half_done(tmp_path)) as rows:
        assert rows.done == 2
        rows.finish()


def test_files_that_somebody_changed_are_refused(tmp_path):
    path = half_done(tmp_path)
    listed = tmp_path / "x.csv.unreadable.csv"
    kept = listed.read_bytes()
    listed.unlink()
    with pytest.raises(ValueError, match="somebody changed"):
        begin(path)
    listed.write_bytes(kept)
    (tmp_path / "x.csv.partial").write_bytes(b"hea")
    with pytest.raises(ValueError, match="3 bytes and should have 7"):
        begin(path)
    (tmp_path / "x.csv.partial.json").unlink()
    with pytest.raises(ValueError, match="without x.csv.partial.json"):
        begin(path)
    (tmp_path / "dir").mkdir()
    with pytest.raises(ValueError, match="is a folder"):
        begin(tmp_path / "dir")


def test_a_kill_between_the_last_two_steps_leaves_nothing_to_do(tmp_path):
    path = half_done(tmp_path)
    with begin(path) as rows:
        rows.finish()
    state = {"done": 2, "rows": 1, "bytes": 7, "unreadable": 1, "unreadable_bytes": 24}
    state |= {"complete": True, "work": {"model": "m", "source": "s"}}
    traces = tmp_path / "x.csv.partial.json"
    traces.write_text(json.dumps(state))
    with begin(path) as rows:
        assert rows.complete
        assert rows.rows == 1
    assert not traces.exists()
    # Other work of the same name begins anew, and the old result stays until the new one is there.
    traces.write_text(json.dumps(state))
    with begin(path, model="n") as rows:
        assert (rows.complete, rows.done) == (False, 0)
        assert path.read_bytes() == b"head\na\n"


def test_an_interrupt_keeps_what_is_done(tmp_path):
    def stopped():
        with begin(tmp_path / "x.csv") as rows:
            rows.append(b"a\n", 1, [], 1)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    with begin(tmp_path / "x.csv") as rows:
        assert rows.done == 1
        rows.finish()
    assert (tmp_path / "x.csv").read_bytes() == b"head\na\n"
