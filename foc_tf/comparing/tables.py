"""A grid's numbers as Markdown for people and as columns for programs."""

import statistics
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from foc_tf.comparing import significance, summary

if TYPE_CHECKING:
    from foc_tf.comparing.reaching import Goal


def markdown(
    rows: Mapping[str, dict[str, Any]],
    scores: Sequence[str],
    split: str,
    flag: str | None = None,
    reference: str | None = None,
    paths: Sequence[str] = (),
    goal: "Goal | None" = None,
) -> str:
    """The Markdown table: mean and standard deviation over the seeds, and notes below it.

    Args:
      rows: of `summary.summarise`, with "differences" of `significance.differences` where there is
        a reference.
      scores: paths, columns of the table.
      split: whose scores they are.
      flag: that was chosen on validation, or None.
      reference: name of the row to which differences are, or None.
      paths: scores of the reference that are compared.
      goal: `reaching.Goal`, or None.
    """
    header = [split, "runs", *scores, "images passed", "seconds"]
    header += [f"seconds / images to {goal.column} {goal.value:g}"] if goal else []
    header += [f"{flag}, on validation"] if flag else []
    header += [f"{path} minus {reference}'s" for path in paths] if reference else []
    lines = [_line(header), _line(["---"] * len(header))]
    for name, found in rows.items():
        cells = [name, str(found["seeds"]), *(_spread(found[path]) for path in scores)]
        cells += [_number(found["images"], statistics.mean, ",.0f")]
        cells += [_number(found["seconds"], statistics.median, ".0f")]
        cells += [_reached(found["reached"])] if goal else []
        cells += [_choice(found)] if flag else []
        cells += [_difference(found.get("differences", {}).get(path), path) for path in paths]
        lines.append(_line(cells))
    notes = _notes(rows, reference if paths else None)
    return "\n".join([*lines, *(f"\n{note}" for note in notes)])


def _line(cells):
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _spread(values):
    if not values:
        return "-"
    spread = f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.3f}{spread}"


def _number(values, centre, form):
    return format(centre(values), form) if values else "-"


def _reached(runs):
    """Medians of the runs that did, and how many did."""
    there = [run for run in runs if run]
    if not there:
        return f"- (0 of {len(runs)})" if runs else "-"
    seconds, images = (
        statistics.median(run[key] for run in there) for key in ("seconds", "images")
    )
    return f"{seconds:.0f} / {images:,.0f} ({len(there)} of {len(runs)})"


def _choice(found):
    if "validation" not in found:
        return "the row's own"
    tried = (
        f"{value}: " + ("-" if score is None else f"{score:.3f}")
        for value, score in found["validation"].items()
    )
    return f"{found['chosen'] or 'open'} ({', '.join(tried)})"


def _difference(entry, path):
    if entry is None or "reason" in entry:
        return "-" if entry is None else f"- ({entry['reason']})"
    own = "" if entry["of"] == path else f" ({entry['of']})"
    return f"{entry['difference']:+.3f} [{entry['low']:+.3f}, {entry['high']:+.3f}]{own}"


def _notes(rows, reference):
    notes = [summary.unequal_images(rows)]
    entries = [e for v in rows.values() for e in v.get("differences", {}).values() if "low" in e]
    if reference and entries:
        notes.append(
            f"Differences: {significance.LEVEL:.0%} intervals of {significance.RESAMPLES:,} "
            f"resamples of the {entries[0]['images']:,} images, the same for both rows, means of "
            "the seeds both have; they say nothing about other seeds."
        )
    missing = [f"{name}: {', '.join(v['missing'])}" for name, v in rows.items() if v["missing"]]
    notes.append(f"Missing: {'; '.join(missing)}." if missing else None)
    return [note for note in notes if note]


def columns(
    rows: Mapping[str, dict[str, Any]],
    scores: Sequence[str],
    flag: str | None = None,
    paths: Sequence[str] = (),
    goal: "Goal | None" = None,
) -> pd.DataFrame:
    """One row a row, as a `pandas.DataFrame`; arguments as of `markdown`.

    Columns: row, runs, images (mean), seconds (median), with a goal `reached` (runs that did) and
    medians `reached.seconds` and `.images` of theirs, the chosen flag and its `validation` score,
    `<path>.mean` and `<path>.sd` (n - 1) of each score, and of each difference `<path>.difference`,
    `.low`, `.high`. What is not known is empty.
    """
    return pd.DataFrame([_record(n, v, scores, flag, paths, goal) for n, v in rows.items()])


def _record(name, found, scores, flag, paths, goal):
    def of(values, centre, least=1):
        return centre(values) if len(values) >= least else None

    record = {
        "row": name,
        "runs": found["seeds"],
        "images": of(found["images"], lambda values: round(statistics.mean(values))),
        "seconds": of(found["seconds"], statistics.median),
    }
    if goal:
        there = [run for run in found["reached"] if run]
        record["reached"] = len(there)
        for key in ("seconds", "images"):
            record[f"reached.{key}"] = of([run[key] for run in there], statistics.median)
    if flag:
        chosen = found.get("chosen")
        record |= {flag: chosen, "validation": found.get("validation", {}).get(chosen)}
    for path in scores:
        record[f"{path}.mean"] = of(found[path], statistics.mean)
        record[f"{path}.sd"] = of(found[path], statistics.stdev, 2)
    for path in paths:
        entry = found.get("differences", {}).get(path, {})
        record |= {f"{path}.{key}": entry.get(key) for key in ("difference", "low", "high")}
    return record
