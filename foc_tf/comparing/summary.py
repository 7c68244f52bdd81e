"""The numbers of a grid from the reports that are there: scores, cost, choice, what is missing."""

import statistics
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from foc_tf.comparing import choosing, reaching

if TYPE_CHECKING:
    from foc_tf.comparing.cells import Cell, Grid

# Rows whose runs passed more or fewer images than this share are not a fair comparison.
TOLERANCE = 0.1


def score(report: dict[str, Any], split: str, path: str) -> float | None:
    """A number of a report, None where the split, the head or the score is missing."""
    value = report["splits"].get(split, {})
    for key in path.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, (int, float)) else None


def _spent(report, what):
    try:
        return sum(stage[what] for stage in report["stages"])
    except (KeyError, TypeError):
        raise ValueError(
            f"a report.json does not say the {what} of its stages; damaged, or by another version. "
            "Remove that run."
        ) from None


def table_cells(
    grid: "Grid", decisions: Mapping[str, choosing.Decision]
) -> "dict[str, list[Cell]]":
    """{row: the `cells.Cell` of each seed}, empty while the row's choice is not made."""
    return {
        row: [grid.cell(row, seed, decisions[row].value) for seed in grid.seeds]
        if decisions[row].made
        else []
        for row in grid.rows
    }


def summarise(
    grid: "Grid",
    decisions: Mapping[str, choosing.Decision],
    split: str,
    scores: Sequence[str],
    goal: reaching.Goal | None = None,
) -> dict[str, dict[str, Any]]:
    """What table.json says of each row.

    Args:
      grid: `cells.Grid`.
      decisions: {row: `choosing.Decision`}.
      split: of the reports.
      scores: paths of numbers in the split.
      goal: `reaching.Goal`, or None.

    Returns:
      {row: {"seeds": runs that are there, "images": images passed by each, "seconds": of each,
      path: [values], "missing": texts, with a goal "reached" by each (None if not), and with a
      choice "chosen" and "validation"}}.
    """
    result = {}
    for row, cells in table_cells(grid, decisions).items():
        reports = [report for cell in cells if (report := cell.report()) is not None]
        values = {path: [score(r, split, path) for r in reports] for path in scores}
        result[row] = {
            "seeds": len(reports),
            "images": [_spent(r, "images") for r in reports],
            "seconds": [round(_spent(r, "seconds"), 1) for r in reports],
            **{path: [v for v in found if v is not None] for path, found in values.items()},
            "missing": _missing(grid, row, cells),
        }
        if goal:
            done = [cell for cell in cells if cell.report() is not None]
            found = [reaching.reached(cell.workdir / "history.csv", goal) for cell in done]
            result[row]["reached"] = found
        if grid.values(row) != (None,):
            decision = decisions[row]
            result[row] |= {"chosen": decision.value, "validation": decision.scores}
    return result


def decide_all(grid: "Grid") -> dict[str, choosing.Decision]:
    """{row: `choosing.Decision`} of a grid."""
    return {row: choosing.decide(grid.candidates(row)) for row in grid.rows}


def _missing(grid, row, cells):
    def text(cell, name):
        return f"{name} (failed)" if cell.failed() else name

    if not cells:
        first = [c for c in grid.candidates(row) if c.report() is None]
        found = [text(c, f"{grid.choice.flag}={c.value} at seed {c.seed}") for c in first]
        return found + [f"seed {seed}" for seed in grid.seeds[1:]]
    return [text(cell, f"seed {cell.seed}") for cell in cells if cell.report() is None]


def unequal_images(summary: Mapping[str, dict[str, Any]]) -> str | None:
    """A sentence if rows passed different numbers of images, by more than `TOLERANCE`, or None."""
    means = {row: statistics.mean(v["images"]) for row, v in summary.items() if v["images"]}
    if not means:
        return None
    fewest, most = min(means, key=means.__getitem__), max(means, key=means.__getitem__)
    if means[most] <= (1 + TOLERANCE) * means[fewest]:
        return None
    return (
        f"Warning: rows passed unlike numbers of images, from {means[fewest]:,.0f} ({fewest}) to "
        f"{means[most]:,.0f} ({most}): not a fair comparison."
    )
