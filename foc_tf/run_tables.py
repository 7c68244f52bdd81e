"""Reads the tables that a run has written; damaged ones are named."""

import pathlib
import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd

from foc_tf.spreadsheets import original


def read(path: str | pathlib.Path, columns: Sequence[str]) -> pd.DataFrame:
    """A table of a run, all cells as the text that they were (`spreadsheets.original`).

    Args:
      path: of predictions.csv or history.csv.
      columns: names of those that it must have.

    Raises:
      ValueError: if it is no such table; names it.
    """
    try:
        with warnings.catch_warnings():
            # Rows with more cells than the header are cut by pandas, with a warning.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            table = pd.read_csv(path, dtype=str, keep_default_na=False, index_col=False)
    # pandas raises whatever damaged bytes lead its parser to.
    except (ValueError, pd.errors.ParserError, pd.errors.ParserWarning, OverflowError) as error:
        raise ValueError(f"{path}: not a CSV table ({str(error)[:200]}).") from None
    missing = [name for name in columns if name not in table.columns]
    if missing:
        raise ValueError(
            f"{path}: no column {missing[0]!r}; damaged, or not written by foc_tf. The run's "
            "train or evaluate command writes it anew."
        )
    return table.map(original)


def ids(path: str | pathlib.Path, column: pd.Series, classes: Sequence[str]) -> np.ndarray:
    """[N] int: the classes of a column by their place in a list, -1 for an empty cell.

    Args:
      path: of the table, for the message.
      column: pandas Series of names.
      classes: C names.

    Raises:
      ValueError: if a name is not one of them.
    """
    numbers = {name: index for index, name in enumerate(classes)} | {"": -1}
    unknown = column[~column.isin(numbers)]
    if len(unknown):
        raise ValueError(
            f"{path}: {column.name}: {str(unknown.iloc[0])[:80]!r} is not one of the classes "
            f"{', '.join(map(str, classes))[:200]}."
        )
    return column.map(numbers).to_numpy("int64")
