"""Folders of runs: their names, and that no run overwrites another."""

import contextlib
import pathlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from foc_tf import files, locks, program
from foc_tf import flags as foc_flags

_FREE = {name for run_only in foc_flags.RUN_ONLY for name in (run_only, f"no{run_only}")}


def run_name(argv: Sequence[str], dataset: str, data_dir: str | None) -> str:
    """Name of a run: its flagfile's, else its data set's."""
    # absl does not say afterwards which flagfile was read.
    words = [*argv, ""]
    for word, following in zip(words, words[1:]):
        if word.lstrip("-").startswith("flagfile"):
            return pathlib.Path(word.partition("=")[2] or following).stem
    return dataset if data_dir is None else pathlib.Path(data_dir).resolve().name


def claim(workdir: pathlib.Path, values: Mapping[str, Any]) -> None:
    """Writes flags.txt, or checks that the run that is there had the same flags.

    Raises:
      ValueError: if the workdir holds a run with other flags; names them.
    """
    stored = workdir / "flags.txt"
    text = foc_flags.as_flagfile(values)
    if stored.exists():
        old, new = (
            {line for line in t.splitlines() if line.lstrip("-").split("=")[0] not in _FREE}
            for t in (files.read_text(stored), text)
        )
        if old != new:
            there, now = (
                " ".join(sorted(lines))[:400] or "defaults" for lines in (old - new, new - old)
            )
            raise ValueError(
                f"workdir: {workdir} holds a run with other flags (there: {there}; now: {now}). "
                "Give another --workdir."
            )
        return
    others = {foc_flags.CACHE, locks.NAME}
    if workdir.exists() and any(path.name not in others for path in workdir.iterdir()):
        raise ValueError(
            f"workdir: {workdir} is not empty and not a run of foc_tf. Give another --workdir."
        )
    with files.replacing(stored, "w") as file:
        file.write(text)


@contextlib.contextmanager
def locked(workdir: pathlib.Path, chief: bool) -> Iterator[None]:
    """No other run writes to the workdir meanwhile; of several workers the chief holds the lock.

    What a killed run left half written is removed.

    Raises:
      ValueError: if another run holds it; names its process and host.
    """
    if not chief:
        yield
        return
    made = not workdir.exists()
    workdir.mkdir(parents=True, exist_ok=True)
    try:
        with locks.held(workdir, program.log):
            files.remove_leftovers(workdir)
            yield
    finally:
        if made:  # a run that was refused leaves nothing
            with contextlib.suppress(OSError):
                (workdir / locks.NAME).unlink(missing_ok=True)
                workdir.rmdir()


@contextlib.contextmanager
def written_by(workdir: pathlib.Path, chief: bool) -> Iterator[pathlib.Path]:
    """The folder that this worker writes to: the workdir, or one that is thrown away.

    Saving reads variables that live on all workers, so all have to save; only the chief's is kept.
    """
    if chief:
        yield workdir
        return
    with tempfile.TemporaryDirectory(prefix="foc_tf_worker_") as folder:
        yield pathlib.Path(folder)
