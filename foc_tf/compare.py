"""`python -m foc_tf.compare`: a table of rows of flags by seeds, each cell a run of `train`.

Every run has its own workdir below --root and goes on where it was stopped; a run whose report is
there is not run again. The table is made from the reports, so it can be looked at in between.
"""

import pathlib
from typing import Any

from absl import flags

from foc_tf import files, program
from foc_tf.comparing import reaching, running, significance, summary, tables
from foc_tf.comparing import rows as rows_lib
from foc_tf.comparing.cells import Cell, Grid

FLAGS = flags.FlagValues()


def _define(define, name, default, text, **kwargs):
    define(name, default, text, flag_values=FLAGS, **kwargs)


_define(flags.DEFINE_string, "base", None, "Flagfile of train that all rows share.")
_define(
    flags.DEFINE_multi_string,
    "row",
    [],
    'A row: its name, a colon and the flags of train that it adds, "no MI: --lambda_u=0". Repeat.',
)
_define(
    flags.DEFINE_list,
    "seeds",
    ["0", "1", "2"],
    "Seeds of every row; the first one decides --choose.",
)
_define(
    flags.DEFINE_string,
    "choose",
    None,
    "A flag of train and values, learning_rate=3e-4,1e-3,3e-3: every row takes the value with the "
    "best validation score at the first seed, and the other seeds run with it. The score, the same "
    "for all rows, is the mean accuracy on the certain validation images of the heads that the "
    "last stage trained (clusters named by the labelled training images); of a run without labels "
    "the normal head's under the best one-to-one matching. A row that says the flag keeps its own.",
)
_define(
    flags.DEFINE_float,
    "budget_minutes",
    None,
    "After so many minutes no other run is started; the table says what is missing, and the same "
    "command goes on. Default: no limit.",
    lower_bound=0,
)
_define(
    flags.DEFINE_string, "root", None, "Folder of the runs and of table.md, table.csv, table.json."
)
_define(flags.DEFINE_string, "data_dir", None, "Given to every run, instead of the base's own.")
_define(flags.DEFINE_string, "split", "fuzzy", "Whose scores the table shows: fuzzy, val, test ...")
_define(
    flags.DEFINE_list,
    "scores",
    ["normal.macro_f1", "over.train.macro_f1", "over.crossfit.macro_f1", "over.oracle.macro_f1"],
    "Columns: paths of numbers in the report's split, also over.vote_consistency, "
    "kmeans.vote_consistency, original.normal.macro_f1 ...",
)
_define(
    flags.DEFINE_string,
    "reference",
    None,
    "A row's name: the table then shows the others' differences to it, with a 95 % interval by "
    "resampling the images.",
)
_define(
    flags.DEFINE_list,
    "bootstrap",
    ["normal.macro_f1", "over.crossfit.macro_f1"],
    "Scores of the reference that the others are compared with, by the same score or, in rows "
    "without clusters, by their normal head's: normal, over.train, over.crossfit, over.oracle with "
    ".macro_f1 or .accuracy.",
)
_define(
    flags.DEFINE_string,
    "reach",
    None,
    "A column of history.csv and a value, fuzzy_over_crossfit_macro_f1=0.5: the table then shows "
    "after how many seconds of training and images passed the runs first had it, medians. Give "
    "the runs --evaluate_every=1.",
)
_define(flags.DEFINE_bool, "run", True, "Run what is missing; --norun only makes the table.")


def make_grid(f: Any) -> Grid:
    """The grid that the flags ask for.

    Raises:
      ValueError: if a flag is missing or wrong; names it.
    """
    rows = rows_lib.parse_rows(f.row)
    rows_lib.check_seeds(f.seeds)
    for name in ("base", "root"):
        if not getattr(f, name):
            raise ValueError(f"{name}: give --{name}.")
    if not pathlib.Path(f.base).is_file():
        raise ValueError(f"base: no flagfile {f.base}.")
    if f.reference is not None:
        significance.check(f.reference, rows, f.bootstrap, f.split)
    reaching.parse(f.reach)
    choice = rows_lib.parse_choice(f.choose)
    return Grid(f.base, rows, tuple(f.seeds), pathlib.Path(f.root), choice, f.data_dir)


def make_tables(f: Any, grid: Grid) -> tuple[str, Any, dict]:
    """(text of table.md, columns of table.csv, content of table.json) of the reports so far."""
    decisions = summary.decide_all(grid)
    goal = reaching.parse(f.reach)
    found = summary.summarise(grid, decisions, f.split, f.scores, goal)
    paths = f.bootstrap if f.reference else []
    if paths:
        cells = summary.table_cells(grid, decisions)
        compared = significance.differences(cells, f.reference, f.split, paths)
        for row, entries in compared.items():
            found[row]["differences"] = entries
    flag = grid.choice.flag if grid.choice else None
    content = {"split": f.split, "choose": flag, "reference": f.reference, "rows": found}
    text = tables.markdown(found, f.scores, f.split, flag, f.reference, paths, goal)
    return text, tables.columns(found, f.scores, flag, paths, goal), content


def main() -> None:
    """The program."""
    f = FLAGS
    grid = make_grid(f)
    failed: list[Cell] = []
    if f.run:
        seconds = None if f.budget_minutes is None else 60 * f.budget_minutes
        failed, left = running.run_missing(grid, seconds)
        if left:
            program.log(f"--budget_minutes: no time for {left} runs; the same command goes on.")
    text, columns, content = make_tables(f, grid)
    if f.run or grid.root.is_dir():
        files.write_json(grid.root / "table.json", content)
        files.write_csv(grid.root / "table.csv", columns)
        with files.replacing(grid.root / "table.md", "w") as file:
            file.write(text + "\n")
    print(text)
    if failed:
        raise program.Failed(
            f"{len(failed)} runs failed; the reason is in {failed[0].beside('log')}."
        )


if __name__ == "__main__":
    program.run(main, FLAGS, "the same command goes on where it stopped.")
