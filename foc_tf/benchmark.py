"""Times what costs time, each figure as a ratio inside one run.

    python -m foc_tf.benchmark
    python -m foc_tf.benchmark --only=step,input --backbone=efficientnet_lite0
    python -m foc_tf.benchmark --only=growth --plots=export/plots
    python -m foc_tf.benchmark --only=generations --other_python=.venv-keras3/bin/python

Rounds are interleaved, so that a busy machine slows all alike; medians and quartiles are printed as
Markdown and written to --json. `imgaug` (extra [bench]) is measured beside where it is installed.
"""

import dataclasses
import os
import sys
from collections.abc import Sequence

from foc_tf import program

# isort: split

import tensorflow as tf
from absl import flags

from foc_tf import evaluate, files
from foc_tf.benchmarks import DEFAULT, FIGURES, plotting
from foc_tf.benchmarks.timing import Options, Row, markdown

FLAGS = flags.FlagValues()
flags.DEFINE_list(
    "only",
    list(DEFAULT),
    f"Figures: {', '.join(FIGURES)}; default all but growth and generations.",
    flag_values=FLAGS,
)
flags.DEFINE_string("backbone", "resnet50v2", "Of step, input, evaluation.", flag_values=FLAGS)
flags.DEFINE_integer("image_size", 64, "Side of the images in pixels.", flag_values=FLAGS)
flags.DEFINE_integer("rows", 48, "Rows of a batch.", flag_values=FLAGS)
flags.DEFINE_integer("rounds", 15, "Timed rounds.", flag_values=FLAGS)
flags.DEFINE_string("plots", None, "Folder for growth's plots, as SVG.", flag_values=FLAGS)
flags.DEFINE_string(
    "other_python",
    None,
    "Of generations: a Python with foc_tf on the other generation of Keras.",
    flag_values=FLAGS,
)
flags.DEFINE_string("json", None, "File for the same numbers as JSON.", flag_values=FLAGS)


def main() -> None:
    """The program."""
    f = FLAGS
    unknown = [name for name in f.only if name not in FIGURES]
    if unknown:
        raise ValueError(f"only: expected some of {', '.join(FIGURES)}, found {unknown[0]!r}.")
    if f.rows % 3 or f.rows < 9:
        raise ValueError(f"rows: expected a multiple of 3 from 9 on, found {f.rows}.")
    if f.plots:
        plotting.check()
    options = Options(f.backbone, f.image_size, f.rows, f.rounds, f.plots, f.other_python)
    # Every function is traced once, on purpose.
    tf.get_logger().setLevel("ERROR")
    rows = []
    for name in f.only:
        program.log(f"timing {name}")
        rows += FIGURES[name](options)
    print(markdown(rows))
    if f.json:
        files.write_json(f.json, report(rows))


def report(rows: Sequence[Row]) -> dict:
    """JSON-able dict of the rows, the versions and the machine."""
    return {
        "command": " ".join(sys.argv),
        "cores": os.cpu_count(),
        "versions": evaluate.versions(),
        "rows": [dataclasses.asdict(row) for row in rows],
    }


if __name__ == "__main__":
    program.run(main, FLAGS)
