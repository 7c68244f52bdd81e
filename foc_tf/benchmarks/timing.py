"""Times functions against each other in one run: interleaved rounds, medians, spread."""

import dataclasses
import time
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class Options:
    """What all figures are told.

    Attributes:
      backbone: a name of `backbones.BACKBONES`.
      image_size: side of the images in pixels.
      rows: rows of a batch.
      rounds: timed rounds.
      plots: folder of `growth`'s plots, or None.
      other_python: the Python beside which `generations` puts this one, or None.
    """

    backbone: str = "resnet50v2"
    image_size: int = 64
    rows: int = 48
    rounds: int = 15
    plots: str | None = None
    other_python: str | None = None


@dataclasses.dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
      figure: what is compared, and with what.
      ratio: (lower quartile, median, upper quartile) of the rounds' ratios of wall seconds; None
        where only CPU seconds tell something.
      cpu_ratio: the same of CPU seconds; None where there is nothing to compare with.
      seconds: median wall seconds of what is timed; None where it is no time.
      cpu_seconds: the same of all threads' CPU seconds, in the JSON only; None where not measured.
      target: what the ratio should be at most, or at least with ">="; "" without one.
      note: anything else.
    """

    figure: str
    ratio: tuple[float, ...] | None
    cpu_ratio: tuple[float, ...] | None
    seconds: float | None
    target: str = ""
    note: str = ""
    cpu_seconds: float | None = None


def interleaved(
    functions: Mapping[Any, Callable[[], Any]], rounds: int, warm_up: int = 2
) -> dict[Any, tuple[np.ndarray, ...]]:
    """Runs functions in turn and times each.

    Args:
      functions: {name: function without arguments}; what they return is waited for.
      rounds: how often each is timed.
      warm_up: rounds before that do not count.

    Returns:
      {name: (wall [rounds], cpu [rounds])} in seconds; CPU seconds are those of all threads.
    """
    times: dict[Any, tuple[list[float], list[float]]] = {name: ([], []) for name in functions}
    for index in range(rounds + warm_up):
        for name, function in functions.items():
            cpu, wall = time.process_time(), time.perf_counter()
            tf.nest.map_structure(np.asarray, function())
            spent = time.perf_counter() - wall, time.process_time() - cpu
            if index >= warm_up:
                for kept, seconds in zip(times[name], spent):
                    kept.append(seconds)
    return {name: tuple(map(np.array, kept)) for name, kept in times.items()}


def row(
    figure: str,
    times: Mapping[Any, tuple[np.ndarray, ...]],
    name: Hashable,
    base: Hashable,
    factor: float = 1.0,
    **more: str,
) -> Row:
    """`Row` of the ratio of two of `interleaved`'s functions.

    Args:
      figure: text of the row.
      times: of `interleaved`.
      name: of the function in question.
      base: of the one it is compared with.
      factor: of the ratio, where the two do different amounts of work.
      **more: `target` and `note`.
    """
    (wall, cpu), (base_wall, base_cpu) = times[name], times[base]
    return Row(
        figure,
        quartiles(factor * wall / base_wall),
        quartiles(factor * cpu / base_cpu),
        float(np.median(wall)),
        cpu_seconds=float(np.median(cpu)),
        **more,
    )


def quartiles(values: np.ndarray) -> tuple[float, ...]:
    """(25 %, 50 %, 75 %) of values, as floats."""
    return tuple(float(q) for q in np.quantile(values, [0.25, 0.5, 0.75]))


def markdown(rows: Iterable[Row]) -> str:
    """Rows as a Markdown table."""
    lines = [
        "| figure | target | median (quartiles) | in CPU seconds | seconds | note |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for r in rows:
        seconds = "-" if r.seconds is None else f"{r.seconds:.4g}"
        texts = [_text(r.ratio), _text(r.cpu_ratio), seconds]
        lines.append(f"| {r.figure} | {r.target} | {' | '.join(texts)} | {r.note} |")
    return "\n".join(lines)


def _text(quantiles):
    if quantiles is None:
        return "-"
    low, median, high = quantiles
    return f"{median:.3g} ({low:.3g}-{high:.3g})"
