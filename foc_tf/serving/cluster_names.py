"""What experts call the clusters: a table `cluster,name[,class]` -> names and classes by number."""

import pathlib

import pandas as pd

from foc_tf.formats import text
from foc_tf.spreadsheets import original


def read(
    path: pathlib.Path | str, num_clusters: int, classes: list[str]
) -> tuple[list[str], dict[int, int]]:
    """Reads a table of names.

    Args:
      path: CSV with the columns `cluster` and `name`, and perhaps `class`; clusters may be missing.
      num_clusters: K.
      classes: names of the classes.

    Returns:
      ([K] names, "" without one; {cluster: class number, -1 = of no class}, only those given).

    Raises:
      ValueError: if it is not such a table; names the row.
    """
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except FileNotFoundError:
        raise ValueError(f"cluster_names: no such file: {path}") from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise ValueError(f"cluster_names: {path} is no CSV table ({error}).") from None
    table.columns = table.columns.str.strip()
    if not {"cluster", "name"} <= set(table.columns):
        raise ValueError(
            f"cluster_names: {path} needs the columns cluster,name[,class]; it has "
            f"{text.listed(table.columns)}."
        )
    names, given = [""] * num_clusters, {}
    seen = set()
    for line, row in enumerate(table.map(original).to_dict("records"), start=2):
        where = f"cluster_names: {path}, line {line}"
        cluster = _cluster(where, row["cluster"].strip(), num_clusters)
        if cluster in seen:
            raise ValueError(f"{where}: cluster {cluster} is there twice; keep one row.")
        seen.add(cluster)
        names[cluster] = row["name"].strip()
        if "class" in row:
            given[cluster] = _class(where, row["class"].strip(), classes)
    return names, given


def _cluster(where, word, num_clusters):
    if not word.isdecimal() or int(word) >= num_clusters:
        raise ValueError(
            f"{where}: cluster: expected a whole number from 0 to {num_clusters - 1}, found "
            f"{text.shortened(word)!r}."
        )
    return int(word)


def _class(where, word, classes):
    if word and word not in classes:
        raise ValueError(
            f"{where}: class: expected one of {', '.join(classes)} or nothing, found "
            f"{text.shortened(word)!r}."
        )
    return classes.index(word) if word else -1


def find(path: pathlib.Path | str | None, workdir: pathlib.Path | str) -> pathlib.Path | None:
    """The table to read: the given path, else the review's in the workdir, else None."""
    reviewed = pathlib.Path(workdir) / "review" / "cluster_names.csv"
    if path:
        return pathlib.Path(path)
    return reviewed if reviewed.exists() else None
