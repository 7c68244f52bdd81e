"""How a step grows with clusters, sub-heads and rows, and memory with images, against the least.

What a step has to do is its matrix products: the bare backbone's step, and those of the heads, the
joints and the in-batch CE^-1 with their gradients. Both are timed, in the same rounds.
"""

import dataclasses
import pathlib
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from foc_tf import backbones
from foc_tf.benchmarks import plotting
from foc_tf.benchmarks.remembering import memory
from foc_tf.benchmarks.stepping import bare_step, foc_step
from foc_tf.benchmarks.timing import Options, Row, interleaved, quartiles, row

SERIES = {
    "k": (60, 200, 600, 2000),
    "num_sub_heads": (1, 2, 5, 10, 20),
    "rows": (48, 240, 960, 1920),
}
# What of a step is not varied; a backbone of 8 px hides little of the rest.
_USUAL = {"k": 60, "num_sub_heads": 5, "rows": 240}
_BACKBONE, _SIDE, _CLASSES = "small_resnet", 8, 10
_LABELS = {"k": "clusters k", "num_sub_heads": "sub-heads of each kind", "rows": "rows of a batch"}


def growth(options: Options) -> list[Row]:
    """A step / its matrix products for each value; memory for each number of images."""
    rows: list[Row] = []
    plots: list[plotting.Plot] = []
    for name in SERIES:
        found, plot = _steps(options, name)
        rows, plots = rows + found, [*plots, plot]
    found, plot = memory()
    if options.plots:
        for each in (*plots, *plot):
            plotting.write(each, pathlib.Path(options.plots))
    return rows + found


def _steps(options, name):
    """Rows and the `plotting.Plot` of one series."""
    functions = {}
    for value in SERIES[name]:
        settings = _USUAL | {name: value}
        rows = settings.pop("rows")
        small = dataclasses.replace(options, backbone=_BACKBONE, image_size=_SIDE, rows=rows)
        functions["step", value] = foc_step(small, "in_batch", **settings)
        least = bare_step(small, 2 * rows), products(rows, **settings)
        functions["products", value] = lambda least=least: [each() for each in least]
    times = interleaved(functions, max(3, options.rounds // 3), warm_up=1)
    usual = ", ".join(f"{key} = {value}" for key, value in _USUAL.items() if key != name)
    note = f"{_BACKBONE}, {_SIDE} px, in_batch, {usual}"
    result = [
        row(
            f"growth: {name} = {value}, step / its matrix products",
            times,
            ("step", value),
            ("products", value),
            note=note,
        )
        for value in SERIES[name]
    ]
    lines = [
        plotting.Line(label, SERIES[name], [_milliseconds(times[key, v]) for v in SERIES[name]])
        for key, label in (("step", "training step"), ("products", "its matrix products alone"))
    ]
    title = f"A training step with more {_LABELS[name].split()[0]}"
    labels = (_LABELS[name], "CPU milliseconds a step")
    return result, plotting.Plot(f"step_{name}", title, note, *labels, lines)


def _milliseconds(times):
    return tuple(1e3 * value for value in quartiles(times[1]))


def products(rows: int, k: int, num_sub_heads: int) -> Callable[[], list[tf.Tensor]]:
    """Function that does a FOC step's matrix products behind the backbone, on noise.

    Args:
      rows: B of each of two views.
      k: clusters.
      num_sub_heads: S of each kind of head.
    """
    features = backbones.build(_BACKBONE, _SIDE).output_shape[-1]

    def noise(*shape):
        return tf.random.stateless_uniform(shape, [sum(shape), len(shape)])

    x, kernel = noise(2 * rows, features), noise(num_sub_heads, features, _CLASSES + k)
    signal = noise(2 * rows, num_sub_heads, _CLASSES + k)
    is_class = tf.one_hot(np.arange(2 * rows) % _CLASSES, _CLASSES)
    heads = [(noise(rows, num_sub_heads, n), noise(num_sub_heads, n, n)) for n in (_CLASSES, k)]
    logs = [noise(2 * rows, num_sub_heads, k) for _ in range(2)]

    @tf.function
    def run():
        found = [
            tf.einsum("bf,sfk->bsk", x, kernel),
            tf.einsum("bsk,sfk->bf", signal, kernel),
            tf.einsum("bf,bsk->sfk", x, signal),
        ]
        for probs, q in heads:
            found += [
                tf.einsum("bsk,bsl->skl", probs, probs),
                tf.einsum("skl,bsl->bsk", q, probs),
                tf.einsum("skl,bsk->bsl", q, probs),
            ]
        for each in logs:  # forward, and the gradient of both products
            sums = tf.einsum("bc,bsk->csk", is_class, each)
            found += [tf.einsum("bc,csk->bsk", is_class, sums)]
        # Something small of each, lest the graph leave it out.
        return [tf.reshape(each, [-1])[0] for each in found]

    return run
