"""A training run of some seconds on the embedded digits, as a subprocess."""

import contextlib
import io
import json
import os
import pathlib
import sys
import time
from unittest import mock

from absl import flags

from foc_tf import program
from tests import warm

ROOT = pathlib.Path(__file__).parents[1]
SMALL = [
    "--dataset=digits",
    "--input=grey",
    "--load_size=8",
    "--image_size=8",
    "--backbone=small_cnn",
    "--k=20",
    "--num_sub_heads=2",
    "--batch_size=60",
    "--repetitions=1",
    "--labels_per_class=12",
    "--pretext_epochs=1",
    "--heads_only_epochs=1",
    "--fine_tune_epochs=2",
    "--alternate_epochs=0",
    "--learning_rate=1e-3",
    "--deterministic",
    "--augment_anchor=digit",
    "--augment_positive=digit",
    "--notensorboard",
]


def command(name, *arguments):
    return [sys.executable, "-m", f"foc_tf.{name}", *map(str, arguments)]


def run(name, *arguments, cwd=ROOT):
    return warm.run(name, arguments, cwd, os.environ | {"PYTHONPATH": str(ROOT)})


def start(name, *arguments):
    return warm.Child(f"foc_tf.{name}", arguments, ROOT, os.environ | {"PYTHONPATH": str(ROOT)})


@contextlib.contextmanager
def begun(arguments, when):
    """The process of a training run in which `when()` holds."""
    with start("train", *arguments) as process:
        until = time.monotonic() + 200
        while not when():
            assert process.poll() is None, process.output(1)
            assert time.monotonic() < until
            time.sleep(0.01)
        yield process


def read_report(workdir):
    return json.loads((workdir / "report.json").read_text())


def call(main, *arguments, values=flags.FLAGS):
    """Runs a program's main in this process, which spares the import: (exit code, stderr)."""
    for name in values:
        values[name].unparse()
    stderr, code = io.StringIO(), 0
    with (
        mock.patch.object(sys, "argv", ["program", *arguments]),
        contextlib.redirect_stderr(stderr),
    ):
        try:
            program.run(main, values)
        except SystemExit as stopped:
            code = stopped.code
    return code, stderr.getvalue()
