"""The benchmark runs, its arithmetic is right; no test asserts a time of ours."""

import json
import re
import time

import numpy as np
import pytest

from foc_tf import benchmark
from foc_tf.benchmarks import FIGURES, augmenting, timing
from tests.small_run import call, run

SMALL = ["--backbone=small_resnet", "--image_size=16", "--rows=9", "--rounds=3"]


def test_every_figure_has_its_rows(tmp_path):
    only = ",".join(name for name in FIGURES if name != "growth")
    done = run("benchmark", *SMALL, f"--only={only}", f"--json={tmp_path / 'b.json'}")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    rows = json.loads((tmp_path / "b.json").read_text())["rows"]
    assert len(lines) == len(rows) + 2
    for line, row in zip(lines[2:], rows):
        assert line.startswith(f"| {row['figure']} |")
        assert row["seconds"] > 0
        for ratio in (row["ratio"], row["cpu_ratio"]):
            assert ratio is None or 0 < ratio[0] <= ratio[1] <= ratio[2]
    found = {row["figure"].split(":")[0] for row in rows}
    assert found == {"step", "augmentation", "input", "evaluation", "joint"}


def test_strong_stands_beside_keras_cv():
    *_, strong = augmenting.augmentation(timing.Options(rounds=1))
    assert strong.figure == "augmentation: strong, 96 -> 64 px, times keras-cv"
    number = r"([\d,]+)"
    found = re.fullmatch(rf"{number} .* images a CPU-second; keras-cv {number}", strong.note)
    ours, peer = (int(text.replace(",", "")) for text in found.groups())
    # Of one round, the ratio of the rates is the row's.
    assert strong.cpu_ratio[1] == pytest.approx(ours / peer, rel=0.01)


def test_keras_cv_changes_every_image():
    images = augmenting._photographs(4, 32)
    found = augmenting.keras_cv_operations(images)().numpy()
    assert found.shape == (4, 32, 32, 3)
    assert (np.abs(found - images).max(axis=(1, 2, 3)) > 1).all()


def test_rounds_are_interleaved_and_ratios_are_those_of_rounds():
    order = []

    def sleeps(name, seconds):
        return lambda: order.append(name) or time.sleep(seconds) or np.zeros(())

    functions = {"long": sleeps("long", 0.04), "short": sleeps("short", 0.02)}
    times = timing.interleaved(functions, 3, warm_up=1)
    assert order == ["long", "short"] * 4
    row = timing.row("x", times, "long", "short", target="<= 3")
    assert 1.2 < row.ratio[1] < 3.2
    assert row.seconds > 0.039
    half = timing.row("x", times, "long", "short", factor=0.5)
    assert half.ratio[1] == pytest.approx(row.ratio[1] / 2)


def test_the_table_by_hand():
    rows = [
        timing.Row("a", (1.0, 2.0, 3.0), None, 0.5, "<= 2"),
        timing.Row("b", None, (0.1, 0.25, 0.5), 2, note="n"),
    ]
    assert timing.markdown(rows).splitlines()[2:] == [
        "| a | <= 2 | 2 (1-3) | - | 0.5 |  |",
        "| b |  | - | 0.25 (0.1-0.5) | 2 | n |",
    ]


@pytest.mark.parametrize(
    ("flag", "message"),
    [("--only=speed", "expected some of step"), ("--rows=10", "multiple of 3")],
)
def test_wrong_flags_exit_with_2(flag, message):
    code, stderr = call(benchmark.main, flag, values=benchmark.FLAGS)
    assert code == 2
    assert message in stderr
