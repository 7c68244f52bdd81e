"""Runs what a grid lacks, in an order in which a grid that is stopped is of use."""

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from foc_tf import program, stopping
from foc_tf.comparing import choosing

if TYPE_CHECKING:
    from foc_tf.comparing.cells import Cell, Grid

_SECONDS_TO_STOP = 20


def run_missing(
    grid: "Grid", seconds: float | None = None, start: "Callable[[Cell], bool] | None" = None
) -> "tuple[list[Cell], int]":
    """Runs all cells that have no report.

    The first seed comes first, row by row with all values among which a row chooses; then the other
    seeds one after the other, all rows of each.

    Args:
      grid: `cells.Grid`.
      seconds: after which no other run is started, or None.
      start: function of a `cells.Cell` that runs it and says whether it came to its end;
        None for `train`.

    Returns:
      (cells that failed, number of runs for which there was no time).

    Raises:
      ValueError: if a run that is there was made with other flags; then none is started.
    """
    grid.check()
    total = sum(len(grid.values(row)) + len(grid.seeds) - 1 for row in grid.rows)
    end = None if seconds is None else time.monotonic() + seconds
    failed, left = [], 0
    for number, cell in enumerate(_in_order(grid), start=1):
        if cell is not None and cell.report() is not None:
            continue
        if end is not None and time.monotonic() >= end:
            left += 1
            continue
        if cell is None:
            continue
        program.log(f"run {number} of {total}: {describe(cell, grid)}")
        cell.claim()
        if not (start or train)(cell):
            failed.append(cell)
    return failed, left


def _in_order(grid):
    """Cells in the order in which they are to be run; None where a row's choice is not made."""
    decisions = {}
    for row in grid.rows:
        yield from grid.candidates(row)
        decisions[row] = choosing.decide(grid.candidates(row))
    for seed in grid.seeds[1:]:
        for row, decision in decisions.items():
            yield grid.cell(row, seed, decision.value) if decision.made else None


def describe(cell: "Cell", grid: "Grid") -> str:
    """What messages call a cell: FOC, seed 0, learning_rate=1e-3."""
    if cell.value is None:
        return f"{cell.row}, seed {cell.seed}"
    flag = grid.choice.flag  # type: ignore[union-attr]
    return f"{cell.row}, seed {cell.seed}, {flag}={cell.value}"


def train(cell: "Cell") -> bool:
    """Whether a run of train came to its end; what it says is in <workdir>.log."""
    cell.beside("failed").unlink(missing_ok=True)
    command = [sys.executable, "-m", "foc_tf.train", *cell.arguments]
    with open(cell.beside("log"), "ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        try:
            code = process.wait()
        except stopping.STOPS as stop:
            # A terminal tells the run too of Ctrl-C, and it ends by itself; a scheduler may not.
            if isinstance(stop, stopping.Terminated):
                process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_SECONDS_TO_STOP)
            process.kill()
            raise
    if code in (program.EXIT_INTERRUPTED, -2):
        raise KeyboardInterrupt
    if code == program.EXIT_FAILED:
        # Wrong flags (2) and a kill (below 0) say nothing about the run itself.
        cell.beside("failed").touch()
    return code == 0
