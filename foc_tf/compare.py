"""`python -m foc_tf.compare`: a table of rows of flags by seeds, each cell a run of `train`.

Every run has its own workdir below --root and goes on where it was stopped; a run whose report is
there is not run again. The table is made from the reports, so it can be looked at in between.
"""

import contextlib
import pathlib
import re
import shlex
import statistics
import subprocess
import sys

from absl import flags

from foc_tf import files, program

FLAGS = flags.FlagValues()
_SECONDS_TO_STOP = 20


def _define(define, name, default, text):
    define(name, default, text, flag_values=FLAGS)


_define(flags.DEFINE_string, "base", None, "Flagfile of train that all rows share.")
_define(
    flags.DEFINE_multi_string,
    "row",
    [],
    'A row: its name, a colon and the flags of train that it adds, "no MI: --lambda_u=0". Repeat.',
)
_define(flags.DEFINE_list, "seeds", ["0", "1", "2"], "Seeds of every row.")
_define(flags.DEFINE_string, "root", None, "Folder of the runs and of table.md and table.json.")
_define(flags.DEFINE_string, "data_dir", None, "Given to every run, instead of the base's own.")
_define(flags.DEFINE_string, "split", "fuzzy", "Whose scores the table shows: fuzzy, val, test ...")
_define(
    flags.DEFINE_list,
    "scores",
    ["normal.macro_f1", "over.train.macro_f1", "over.crossfit.macro_f1", "over.oracle.macro_f1"],
    "Columns: paths of numbers in the report's split.",
)
_define(flags.DEFINE_bool, "run", True, "Run what is missing; --norun only makes the table.")


def parse_rows(texts):
    """{name: list of flags} of --row.

    Raises:
      ValueError: if a row has no name, no dash before a flag, or a name that another has.
    """
    rows = {}
    for text in texts:
        name, colon, rest = text.partition(":")
        name, words = name.strip(), shlex.split(rest)
        if not name or not colon or not all(word.startswith("-") for word in words):
            raise ValueError(f"row: expected 'name: --flag=value ...', found {text!r}.")
        if _slug(name) in map(_slug, rows):
            raise ValueError(f"row: {name!r} stands twice (or differs in signs only); rename one.")
        rows[name] = words
    if not rows:
        raise ValueError("row: give at least one --row='name: --flag=value ...'.")
    return rows


def _slug(name):
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


def command(base, words, seed, workdir, data_dir=None):
    """Arguments of the run of a cell."""
    extra = [f"--data_dir={data_dir}"] if data_dir else []
    return [
        *(f"--flagfile={base}", *words, *extra),
        *(f"--seed={seed}", f"--workdir={workdir}", "--noexport"),
    ]


def claim(workdir, arguments):
    """Notes what a cell is run with, or checks that it is what the cell was run with.

    Raises:
      ValueError: if the cell was made with other arguments.
    """
    note = workdir.with_name(f"{workdir.name}.command")
    text = " ".join(map(shlex.quote, arguments)) + "\n"
    if note.exists() and note.read_text(encoding="utf-8") != text:
        raise ValueError(
            f"root: {workdir} was made by {note.read_text(encoding='utf-8').strip()!r}, the row "
            f"now says {text.strip()!r}. Give another --root, or remove that run."
        )
    with files.replacing(note, "w") as file:
        file.write(text)


def score(report, split, path):
    """A number of a report, None where the split, the head or the score is missing."""
    value = report["splits"].get(split, {})
    for key in path.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, (int, float)) else None


def summarise(rows, workdirs, split, scores):
    """{row: {"seeds": n, score: [values]}} of the reports that are there."""
    result = {}
    for name in rows:
        reports = [
            files.read_json(w / "report.json")
            for w in workdirs[name]
            if (w / "report.json").exists()
        ]
        values = {path: [score(r, split, path) for r in reports] for path in scores}
        result[name] = {"seeds": len(reports)} | {
            path: [v for v in found if v is not None] for path, found in values.items()
        }
    return result


def table(summary, scores, split):
    """The Markdown table: mean and standard deviation over the seeds."""
    lines = [
        f"| {split} | runs | " + " | ".join(scores) + " |",
        "| --- | --- |" + " --- |" * len(scores),
    ]
    for name, found in summary.items():
        cells = [_cell(found[path]) for path in scores]
        lines.append(f"| {name} | {found['seeds']} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(values):
    if not values:
        return "-"
    spread = f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.3f}{spread}"


def _check_seeds(seeds):
    if not seeds or not all(re.fullmatch(r"\d+", seed) for seed in seeds):
        raise ValueError(f"seeds: expected whole numbers, 0,1,2, found {','.join(seeds)!r}.")


def main():
    """The program."""
    f = FLAGS
    rows = parse_rows(f.row)
    _check_seeds(f.seeds)
    for name in ("base", "root"):
        if not getattr(f, name):
            raise ValueError(f"{name}: give --{name}.")
    if not pathlib.Path(f.base).is_file():
        raise ValueError(f"base: no flagfile {f.base}.")
    root = pathlib.Path(f.root)
    workdirs = {name: [root / f"{_slug(name)}-{seed}" for seed in f.seeds] for name in rows}
    # Seed by seed: a grid that is stopped early has all rows.
    cells = [(name, i) for i in range(len(f.seeds)) for name in rows] if f.run else []
    failed = []
    for number, (name, i) in enumerate(cells, start=1):
        workdir = workdirs[name][i]
        arguments = command(f.base, rows[name], f.seeds[i], workdir, f.data_dir)
        claim(workdir, arguments)
        if (workdir / "report.json").exists():
            continue
        program.log(f"run {number} of {len(cells)}: {name}, seed {f.seeds[i]}")
        if not _run(arguments, workdir):
            failed.append(workdir)
    summary = summarise(rows, workdirs, f.split, f.scores)
    text = table(summary, f.scores, f.split)
    if f.run or root.is_dir():
        files.write_json(root / "table.json", {"split": f.split, "rows": summary})
        with files.replacing(root / "table.md", "w") as file:
            file.write(text + "\n")
    print(text)
    if failed:
        raise program.Failed(f"{len(failed)} runs failed; the reason is in {failed[0]}.log.")


def _run(arguments, workdir):
    """Whether a run of train came to its end; what it says is in <workdir>.log."""
    command = [sys.executable, "-m", "foc_tf.train", *arguments]
    with open(workdir.with_name(f"{workdir.name}.log"), "ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        try:
            code = process.wait()
        except KeyboardInterrupt:
            # The terminal has told the run too, which then ends by itself.
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_SECONDS_TO_STOP)
            process.kill()
            raise
    if code in (program.EXIT_INTERRUPTED, -2):
        raise KeyboardInterrupt
    return code == 0


if __name__ == "__main__":
    program.run(main, FLAGS, "the same command goes on where it stopped.")
