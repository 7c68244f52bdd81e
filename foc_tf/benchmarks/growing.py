"""How a step grows with clusters, sub-heads and rows, on a small backbone that does not hide it."""

import dataclasses

from foc_tf.benchmarks.stepping import foc_step
from foc_tf.benchmarks.timing import interleaved, row

_SERIES = {
    "k": (60, 200, 600, 2000),
    "num_sub_heads": (1, 5, 20),
    "rows": (48, 240, 960, 1920),
}


def growth(options):
    """Seconds of a step / those of the series' first."""
    small = dataclasses.replace(options, backbone="small_resnet", image_size=16, rows=240)
    rows = []
    for name, values in _SERIES.items():
        functions = {}
        for value in values:
            if name == "rows":
                functions[value] = foc_step(dataclasses.replace(small, rows=value))
            else:
                functions[value] = foc_step(small, **{name: value})
        times = interleaved(functions, max(3, options.rounds // 3), warm_up=1)
        rows += [
            row(f"growth: {name} = {value}", times, value, values[0], note="small_resnet, 16 px")
            for value in values
        ]
    return rows
