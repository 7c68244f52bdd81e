"""When a run first reached a score: seconds of training and images passed until then."""

import dataclasses
import pathlib

import numpy as np
import pandas as pd

from foc_tf import run_tables


@dataclasses.dataclass(frozen=True)
class Goal:
    """A column of history.csv and what it is to reach."""

    column: str
    value: float


def parse(text: str | None) -> Goal | None:
    """`Goal` of "fuzzy_over_crossfit_macro_f1=0.5"; None of None.

    Raises:
      ValueError: if it is not a name, = and a number.
    """
    if text is None:
        return None
    column, _, value = text.partition("=")
    try:
        return Goal(column.strip(), float(value))
    except ValueError:
        raise ValueError(
            f"reach: expected a column of history.csv and a number, val_over_accuracy=0.8, found "
            f"{text!r}."
        ) from None


def reached(history: pathlib.Path | str, goal: Goal) -> dict[str, float] | None:
    """When the column was first at the value or above.

    Args:
      history: path of a run's history.csv.
      goal: `Goal`.

    Returns:
      {"seconds": of training alone, "images": passed}, None if it never was.

    Raises:
      ValueError: if the history has no such column; names those it has.
    """
    table = run_tables.read(history, ("seconds", "images"))
    if goal.column not in table:
        known = ", ".join(c for c in table if c.startswith(("val_", "fuzzy_")))
        raise ValueError(f"reach: {history} has no column {goal.column!r}; it has {known:.400}.")
    table = table[["seconds", "images", goal.column]].apply(pd.to_numeric, errors="coerce")
    rows = table.index[table[goal.column] >= goal.value]
    if not len(rows):
        return None
    until = table.loc[: rows[0]]
    spent = until[["seconds", "images"]].sum(skipna=False)
    if not np.isfinite(spent).all():
        raise ValueError(f"reach: {history}: seconds or images are no numbers; it is damaged.")
    return {"seconds": float(spent["seconds"]), "images": int(spent["images"])}
