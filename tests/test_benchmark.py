"""The benchmark runs, its arithmetic is right; no test asserts a time of ours."""

import json
import re
import shutil
import subprocess
import sys
import time
from xml.etree import ElementTree

import keras
import numpy as np
import pytest

from foc_tf import benchmark
from foc_tf.benchmarks import (
    FIGURES,
    augmenting,
    growing,
    holding,
    plotting,
    remembering,
    timing,
)
from foc_tf.keras_compat import KERAS_3
from tests.small_run import call, run

# The others have tests of their own below.
SHORT = ("step", "input", "evaluation", "joint", "prediction")
SMALL = ["--backbone=small_cnn", "--image_size=16", "--rows=9", "--rounds=1"]


def test_every_figure_has_its_rows(tmp_path):
    only = ",".join(name for name in FIGURES if name in SHORT)
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
    assert found == set(SHORT)


def test_two_pythons_stand_side_by_side():
    options = timing.Options("small_resnet", 16, 9, 3, other_python=sys.executable)
    rows = FIGURES["generations"](options)
    assert [row.figure.split(",")[0] for row in rows] == [
        "generations: FOC step",
        "generations: FOC step",
        "generations: 10 batches of three views",
        *2 * ["generations: memory"],
    ]
    for row in rows[:3]:
        # One machine, one pair: whatever is slower, it is not three times slower.
        assert 1 / 3 < row.ratio[1] < 3
        assert keras.__version__ in row.figure
    for row in rows[3:]:
        megabytes = int(row.note.removesuffix(" MB at most").replace(",", ""))
        assert 200 < megabytes < 5000


def test_keras_core_stands_beside_strong_where_there_is_one():
    assert list(augmenting.rand_augments()) == ["Keras core"] * KERAS_3 + ["keras-cv"]
    if KERAS_3:
        images = augmenting._photographs(4, 32)
        found = augmenting.keras_core_operations(images)().numpy()
        assert found.shape == (4, 32, 32, 3)
        assert (np.abs(found - images).max(axis=(1, 2, 3)) > 1).any()


@pytest.mark.parametrize("python", [None, "/no/such/python", shutil.which("false")])
def test_a_python_that_cannot_answer_is_named_and_none_goes_on(python, monkeypatch):
    started, start = [], subprocess.Popen

    def recorded(*arguments, **options):
        started.append(start(*arguments, **options))
        return started[-1]

    monkeypatch.setattr(subprocess, "Popen", recorded)
    with pytest.raises(ValueError, match=f"other_python: .*{python or '--other_python'}"):
        FIGURES["generations"](timing.Options("small_resnet", 16, 9, 1, other_python=python))
    assert len(started) <= 2
    assert all(process.returncode is not None for process in started)


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


def test_growth_and_its_plots(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(growing, "_BACKBONE", "small_cnn")
    monkeypatch.setattr(growing, "SERIES", {"k": (12, 20), "num_sub_heads": (1,), "rows": (9,)})
    monkeypatch.setattr(remembering, "COUNTS", (1000,))
    monkeypatch.setattr(remembering, "LONG", 20)
    flags = [*SMALL, "--only=growth", f"--plots={tmp_path}", f"--json={tmp_path / 'b.json'}"]
    assert call(benchmark.main, *flags, values=benchmark.FLAGS)[0] == 0
    figures = [row["figure"] for row in json.loads((tmp_path / "b.json").read_text())["rows"]]
    steps = [f"growth: k = {k}, step / its matrix products" for k in (12, 20)]
    assert figures[:2] == steps
    assert len(figures) == 2 + 1 + 1 + 1 + 1
    assert len(capsys.readouterr().out.splitlines()) == 2 + len(figures)
    names = {"step_k", "step_num_sub_heads", "step_rows", "memory_images"}
    assert {path.stem for path in tmp_path.glob("*.svg")} == names
    for name in names:
        assert ElementTree.parse(tmp_path / f"{name}.svg").getroot().tag.endswith("svg")


def test_more_images_hold_more_and_their_files_are_found(tmp_path):
    holding.write_images(tmp_path)
    few, many = (remembering._held(str(tmp_path), count, 2)[0] for count in (1000, 200_000))
    # 200,000 names twice, of 62 bytes or more each.
    assert many["arrays"] > 200_000 * 2 * 62
    # Whatever memory the system kept at hand before: names cannot hide.
    assert many["peak"] - few["peak"] > many["arrays"] / 2
    assert [step for step, _ in many["resident"]] == [1, 2]


def test_the_products_of_a_step_are_as_large_as_its_own():
    # 2 views of 6 rows, 3 sub-heads of 10 + 7 outputs on 128 features: forward, to the features,
    # to the weights; the joints of 10 and 7 clusters, to either view; CE^-1 and its gradient.
    graph = growing.products(6, 7, 3).get_concrete_function().graph
    shapes = [tuple(op.outputs[0].shape) for op in graph.get_operations() if op.type == "Einsum"]
    heads = [(12, 3, 17), (12, 128), (128, 3, 17)]
    joints = [(3, 10, 10), (6, 3, 10), (6, 3, 10), (3, 7, 7), (6, 3, 7), (6, 3, 7)]
    assert [sorted(s) for s in shapes] == [
        sorted(s) for s in heads + joints + 2 * [(10, 3, 7), (12, 3, 7)]
    ]


def test_a_plot_is_the_same_for_the_same_numbers(tmp_path):
    lines = [
        plotting.Line("measured", (1, 10), [(1.0, 2.0, 3.0), (9.0, 10.0, 12.0)]),
        plotting.Line("demanded", (1, 10), [1.0, 10.0]),
    ]
    plot = plotting.Plot("p", "Title", "held fixed", "clusters", "milliseconds", lines)
    texts = []
    for name in ("one", "two"):
        plotting.write(plot, tmp_path / name)
        texts.append((tmp_path / name / "p.svg").read_text())
    assert texts[0] == texts[1]
    for word in ("Title", "held fixed", "clusters", "milliseconds", "measured", "demanded"):
        assert word in texts[0]
    assert plotting.COMMAND in texts[0]
    assert "<dc:date>" not in texts[0]


@pytest.mark.skipif(not augmenting.imgaug_recipes(), reason="imgaug is not installed ([bench])")
@pytest.mark.parametrize("name", ["affine_cutout", "iic"])
def test_imgaug_does_the_same_recipes(name):
    images = augmenting._photographs(4, 96)
    made = np.stack(augmenting.imgaug_recipes()[name](images=list(images)))
    assert made.shape == (4, 64, 64, 3)
    assert made.dtype == np.uint8


@pytest.mark.parametrize(
    ("flag", "message"),
    [("--only=speed", "expected some of step"), ("--rows=10", "multiple of 3")],
)
def test_wrong_flags_exit_with_2(flag, message):
    code, stderr = call(benchmark.main, flag, values=benchmark.FLAGS)
    assert code == 2
    assert message in stderr
