"""Peak memory against the number of images, and over many batches; each in a process of its own."""

import json
import pathlib
import subprocess
import sys
import tempfile
import time

from foc_tf.benchmarks import holding, plotting
from foc_tf.benchmarks.timing import Row

COUNTS = (10_000, 30_000, 100_000, 300_000, 1_000_000)
STEPS = 20
# Batches of one longer run, on the first of the counts.
LONG = 1000
_MEGA = 1e6


def memory() -> tuple[list[Row], list[plotting.Plot]]:
    """Memory of training on N images, decoded when a batch needs them, beyond TensorFlow's own.

    Returns:
      (rows, `plotting.Plot`s); none where the system does not say what a process holds.
    """
    if not holding.STATUS.exists():
        return [], []
    with tempfile.TemporaryDirectory() as folder:
        holding.write_images(pathlib.Path(folder))
        found = [(count, *_held(folder, count, STEPS)) for count in COUNTS]
        many, seconds = _held(folder, COUNTS[0], LONG)
    rows = [
        Row(
            f"growth: memory of {count:,} images",
            None,
            None,
            seconds,
            note=f"{_beyond(one):,.0f} MB beyond TensorFlow's {one['alone'] / _MEGA:,.0f}; "
            f"the set's arrays hold {one['arrays'] / _MEGA:,.1f}",
        )
        for count, one, seconds in found
    ]
    (first, early), (last, late) = many["resident"][0], many["resident"][-1]
    note = f"{early / _MEGA:,.1f} MB after batch {first}, {late / _MEGA:,.1f} after {last}"
    rows.append(Row(f"growth: memory over {LONG:,} batches", None, None, seconds, note=note))
    lines = [
        plotting.Line("peak, TensorFlow's own left out", COUNTS, [_beyond(f[1]) for f in found]),
        plotting.Line("the set's own arrays", COUNTS, [f[1]["arrays"] / _MEGA for f in found]),
    ]
    title = "Memory of training on more images"
    note = "names, votes and splits in memory; pixels decoded for each batch (--cache=none)"
    return rows, [plotting.Plot("memory_images", title, note, "images", "megabytes", lines)]


def _held(folder, count, steps):
    """(JSON of `holding`, seconds)."""
    start = time.perf_counter()
    program = f"from foc_tf.benchmarks import holding; holding.main({folder!r}, {count}, {steps})"
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout), time.perf_counter() - start


def _beyond(one):
    return (one["peak"] - one["alone"]) / _MEGA
