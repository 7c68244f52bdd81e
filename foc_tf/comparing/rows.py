"""What a grid is asked for: rows of flags, seeds, the flag whose value is chosen for each row."""

import dataclasses
import re
import shlex
from collections.abc import Iterable, Sequence

# The grid's own flags, and flags that change which images validate: scores on other images say
# nothing about the value.
_NOT_CHOSEN = (
    *("seed", "workdir", "export", "flagfile", "kmeans_k"),
    *("dataset", "data_dir", "certain_threshold", "labels_per_class"),
)


@dataclasses.dataclass(frozen=True)
class Choice:
    """A flag of train and the values among which validation chooses."""

    flag: str
    values: tuple[str, ...]


def parse_rows(texts: Iterable[str]) -> dict[str, list[str]]:
    """{name: list of flags} of --row.

    Raises:
      ValueError: if a row has no name, no dash before a flag, or a name that another has.
    """
    rows: dict[str, list[str]] = {}
    for text in texts:
        name, colon, rest = text.partition(":")
        name, words = name.strip(), shlex.split(rest)
        if not name or not colon or not all(word.startswith("-") for word in words):
            raise ValueError(f"row: expected 'name: --flag=value ...', found {text!r}.")
        if slug(name) in map(slug, rows):
            raise ValueError(f"row: {name!r} stands twice (or differs in signs only); rename one.")
        rows[name] = words
    if not rows:
        raise ValueError("row: give at least one --row='name: --flag=value ...'.")
    return rows


def slug(name: str) -> str:
    """A row's name in letters, digits and underscores."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


def parse_choice(text: str | None) -> Choice | None:
    """`Choice` of --choose, None without one.

    Raises:
      ValueError: if it is not flag=value,value,..., a value stands twice, or the flag may not be
        chosen.
    """
    if not text:
        return None
    flag, _, rest = text.lstrip("-").partition("=")
    values = tuple(value.strip() for value in rest.split(","))
    if not re.fullmatch(r"\w+", flag) or not all(values):
        raise ValueError(f"choose: expected flag=value,value,..., found {text!r}.")
    if len(set(values)) < len(values):
        raise ValueError(f"choose: a value stands twice in {text!r}.")
    if flag in _NOT_CHOSEN:
        raise ValueError(
            f"choose: --{flag} cannot be chosen on validation scores: it says which run it is or "
            "what is scored. Make a row of each value."
        )
    return Choice(flag, values)


def says(words: Iterable[str], flag: str) -> bool:
    """Whether a row's own flags hold this one."""
    return any(word.lstrip("-").partition("=")[0] in (flag, f"no{flag}") for word in words)


def check_seeds(seeds: Sequence[str]) -> None:
    """Raises ValueError if a seed is not a whole number or stands twice."""
    if not seeds or not all(re.fullmatch(r"\d+", seed) for seed in seeds):
        raise ValueError(f"seeds: expected whole numbers, 0,1,2, found {','.join(seeds)!r}.")
    if len(set(map(int, seeds))) < len(seeds):
        raise ValueError(f"seeds: one stands twice in {','.join(seeds)!r}.")
