"""The runs of a grid: where each one is, what it is run with, what it left."""

import dataclasses
import pathlib
import re
import shlex
from typing import Any

from foc_tf import files, report
from foc_tf.comparing.rows import Choice, says, slug


@dataclasses.dataclass(frozen=True)
class Cell:
    """One run of train.

    Attributes:
      row: name of its row.
      seed: as on the command line.
      value: of the flag that is chosen, None where the row has no choice.
      workdir: of the run.
      arguments: of train.
    """

    row: str
    seed: str
    value: str | None
    workdir: pathlib.Path
    arguments: tuple[str, ...]

    def report(self) -> dict[str, Any] | None:
        """The run's report.json, None before its end."""
        path = self.workdir / "report.json"
        return report.read(path) if path.exists() else None

    def beside(self, ending: str) -> pathlib.Path:
        """A file beside the workdir: "command", "log", "failed"."""
        return self.workdir.with_name(f"{self.workdir.name}.{ending}")

    def failed(self) -> bool:
        """Whether the last attempt came to an end without a report."""
        return self.beside("failed").exists() and self.report() is None

    def check(self) -> None:
        """Raises ValueError if the run was made with other arguments."""
        note = self.beside("command")
        if note.exists() and (before := note.read_text(encoding="utf-8")) != self._text():
            raise ValueError(
                f"root: {self.workdir} was made by {before.strip()!r}, the row now says "
                f"{self._text().strip()!r}. Give another --root, or remove that run."
            )

    def claim(self) -> None:
        """Notes what the run is made with, or checks that it is what it was made with."""
        self.check()
        with files.replacing(self.beside("command"), "w") as file:
            file.write(self._text())

    def _text(self):
        return " ".join(map(shlex.quote, self.arguments)) + "\n"


@dataclasses.dataclass(frozen=True)
class Grid:
    """Rows by seeds.

    Attributes:
      base: flagfile of train that all rows share.
      rows: {name: list of flags}.
      seeds: sequence of str; the first one decides the choice.
      root: folder of the runs.
      choice: `rows.Choice`, or None.
      data_dir: given to every run, or None.
    """

    base: str
    rows: dict[str, list[str]]
    seeds: tuple[str, ...]
    root: pathlib.Path
    choice: Choice | None = None
    data_dir: str | None = None

    def values(self, row: str) -> tuple[str | None, ...]:
        """Values among which the row chooses; (None,) if there is nothing to choose."""
        if self.choice is None or says(self.rows[row], self.choice.flag):
            return (None,)
        return self.choice.values

    def cell(self, row: str, seed: str, value: str | None) -> Cell:
        """The run of a row with a seed and a value of the chosen flag."""
        words, name = list(self.rows[row]), slug(row)
        if value is not None:
            flag = self.choice.flag  # type: ignore[union-attr]
            words.append(f"--{flag}={value}")
            name += f"-{flag}={re.sub(r'[^A-Za-z0-9_.+-]+', '_', value)}"
        workdir = self.root / f"{name}-{seed}"
        if self.data_dir:
            words.append(f"--data_dir={self.data_dir}")
        run = (f"--seed={seed}", f"--workdir={workdir}", "--noexport")
        return Cell(row, seed, value, workdir, (f"--flagfile={self.base}", *words, *run))

    def candidates(self, row: str) -> list[Cell]:
        """The runs of the first seed, one for each value."""
        return [self.cell(row, self.seeds[0], value) for value in self.values(row)]

    def check(self) -> None:
        """Raises ValueError if any run that is there was made with other arguments."""
        for row in self.rows:
            for seed in self.seeds:
                for value in self.values(row):
                    self.cell(row, seed, value).check()
