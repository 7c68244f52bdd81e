"""Figures of speed, each a ratio inside one run: name -> function (options) -> rows of a table.

A figure is one function here and one line of `FIGURES`.
"""

from foc_tf.benchmarks.augmenting import augmentation
from foc_tf.benchmarks.evaluating import evaluation
from foc_tf.benchmarks.growing import growth
from foc_tf.benchmarks.joints import joint
from foc_tf.benchmarks.labelling import prediction
from foc_tf.benchmarks.pairing import generations
from foc_tf.benchmarks.stepping import step
from foc_tf.benchmarks.waiting import waiting

FIGURES = {
    "step": step,
    "augmentation": augmentation,
    "input": waiting,
    "evaluation": evaluation,
    "joint": joint,
    "prediction": prediction,
    "growth": growth,
    "generations": generations,
}
# What `benchmark` runs without --only; the others take longer or need another Python.
DEFAULT = tuple(name for name in FIGURES if name not in ("growth", "generations"))
