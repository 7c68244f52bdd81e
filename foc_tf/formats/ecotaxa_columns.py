"""What EcoTaxa demands of a column's name, of its type and of the values in it."""

import datetime
import math
import re
from collections.abc import Callable, Iterator, Sequence

STATUSES = ("predicted", "dubious", "validated", "discarded")
TYPES = {"[f]": "number", "[t]": "text"}
PREFIXES = ("object", "sample", "acq", "process")
# Free columns of its tables (PostgreSQL columns n01.., t01..); all but object's are text.
FREE_LIMITS = {
    ("object", "number"): 500,
    ("object", "text"): 20,
    ("sample", "text"): 30,
    ("acq", "text"): 30,
    ("process", "text"): 30,
}
FREE_TEXT = 250
# EcoTaxa lower-cases the header, yet fetches these by the name that is in the file.
EXACT = (
    "object_id",
    "img_file_name",
    "object_annotation_status",
    "object_annotation_category",
    "object_annotation_category_id",
)
_DEGREES = re.compile(r"(-?\d+)°(\d+) (\d+)")


def number(value: str) -> str:
    """The complaint about a value of a number column, "" if there is none."""
    if value.lower() in ("nan", "na"):
        return ""
    try:
        # Python's own reading, as EcoTaxa's: a decimal comma is refused, 1e3 is not.
        return "-inf is refused" if float(value) == -math.inf else ""
    except ValueError:
        return f"{value[:40]!r} is not a number"


def whole(value: str) -> str:
    """The complaint about a rank or an id."""
    if number(value) or value.lower() in ("nan", "na"):
        return number(value)
    found = float(value)
    good = math.isfinite(found) and found == int(found)
    return "" if good else f"{value[:40]!r} is not a whole number"


def degrees(limit: float) -> Callable[[str], str]:
    """A rule for a latitude or longitude within +-limit."""

    def rule(value):
        if value.lower() in ("nan", "na"):
            return ""
        parts = _DEGREES.fullmatch(value)
        try:
            if parts:
                whole_degrees, minutes, seconds = map(float, parts.groups())
                found = whole_degrees + (minutes + seconds / 60) / 60
            else:
                found = float(value)
        except ValueError:
            return f"{value[:40]!r} is not a position in degrees"
        return "" if -limit <= found <= limit else f"{value[:40]!r} is outside -{limit}..{limit}"

    return rule


def date(value: str) -> str:
    """The complaint about a date; EcoTaxa would cut what follows the day, we report it."""
    if re.fullmatch(r"[0-9]{8}", value):
        value = f"{value[:4]}-{value[4:6]}-{value[6:]}"
    try:
        if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
            raise ValueError
        datetime.date.fromisoformat(value)
    except ValueError:
        return f"{value[:40]!r} is not a date YYYYMMDD or YYYY-MM-DD"
    return ""


def time(value: str) -> str:
    """The complaint about a time; spreadsheets cut zeros, so 420 is 04:20:00 as in EcoTaxa."""
    if re.fullmatch(r"[0-9]{1,6}", value):
        padded = value.zfill(4).ljust(6, "0")
        parts = [padded[:2], padded[2:4], padded[4:]]
    elif re.fullmatch(r"[0-9]{2}:[0-9]{2}:[0-9]{2}", value):
        parts = value.split(":")
    else:
        parts = ["99"]
    good = all(int(part) < limit for part, limit in zip(parts, (24, 60, 60)))
    return "" if good else f"{value[:40]!r} is not a time HHMM, HHMMSS or HH:MM:SS"


def status(value: str) -> str:
    """The complaint about an annotation's status."""
    return "" if value.lower() in STATUSES else f"{value[:40]!r} is none of {', '.join(STATUSES)}"


def text(limit: int) -> Callable[[str], str]:
    """A rule for text of at most `limit` characters."""

    def rule(value):
        # PostgreSQL's VARCHAR counts characters and refuses longer ones late, in the import.
        return "" if len(value) <= limit else f"{len(value)} characters, the limit is {limit}"

    return rule


# object_annotation_hierarchy is absent on purpose: the source we read maps it as a free column.
PREDEFINED: dict[str, Callable[[str], str] | None] = {
    "object_id": text(255),
    "object_lat": degrees(90),
    "object_lon": degrees(180),
    "object_date": date,
    "object_time": time,
    "object_link": text(255),
    "object_depth_min": number,
    "object_depth_max": number,
    "object_annotation_status": status,
    "object_annotation_category": None,
    "object_annotation_category_id": whole,
    "object_annotation_date": date,
    "object_annotation_time": time,
    "object_annotation_person_name": None,
    "object_annotation_person_email": None,
    "img_file_name": text(255),
    "img_rank": whole,
    "sample_id": text(255),
    "sample_dataportal_descriptor": text(8000),
    "acq_id": text(255),
    "acq_instrument": text(255),
    "process_id": text(255),
    "complement_info": None,
}


def clean(raw: str) -> str:
    """A header's name as EcoTaxa takes it."""
    return raw.strip(" \t").lower()


def valid(name: str) -> bool:
    """Whether a column may have this (cleaned) name."""
    prefix, _, rest = name.partition("_")
    return name in PREDEFINED or (prefix in PREFIXES and bool(rest) and "\n" not in name)


def header_problems(raw_names: Sequence[str], update: bool) -> Iterator[tuple[str | None, str]]:
    """Complaints about a header, (column or None, message) each.

    Args:
      raw_names: the names as they are in the file.
      update: whether the import is an update, which needs no image.
    """
    names = [clean(raw) for raw in raw_names]
    for number_, (raw, name) in enumerate(zip(raw_names, names), 1):
        if not valid(name):
            known = ", ".join((*PREFIXES, "img_file_name", "img_rank", "complement_info"))
            yield raw or f"number {number_}", f"not prefix_name of a known prefix ({known})"
        if name in names[: number_ - 1]:
            yield name, "the column is there twice, EcoTaxa would take the last"
        elif name in EXACT and raw != name:
            yield name, f"written {raw!r:.200}: EcoTaxa finds it only as {name!r:.200}"
    needed = {"object_id"} if update else {"object_id", "img_file_name"}
    used = {name.partition("_")[0] for name in names if valid(name)}
    needed |= {f"{prefix}_id" for prefix in PREFIXES if prefix in used}
    for name in sorted(needed.difference(names)):
        yield name, "the column is missing"
    if update and all(n == "object_id" or n.startswith("img_") for n in names):
        yield None, "nothing to update: no column besides object_id and the image's"


def register(
    names: Sequence[str], types: Sequence[str], free: dict[str, str]
) -> Iterator[tuple[str, str]]:
    """Adds a table's free columns to `free` (name -> kind); yields (column, message) complaints.

    Args:
      names: cleaned header.
      types: the cells of line 2.
      free: free columns of the tables before: the first one's type holds for all, as in EcoTaxa.
    """
    for name, type_ in zip(names, [*types, *[""] * len(names)]):
        prefix = name.partition("_")[0]
        if name in PREDEFINED or not valid(name):
            continue
        kind = TYPES.get(type_) if prefix == "object" else "text"
        if kind is None:
            yield name, f"line 2 gives the type {type_[:20]!r}, only [t] and [f] are known"
            continue
        if name in free:
            if free[name] != kind:
                yield name, f"type {type_}, but another table before has it as {free[name]}"
            continue
        free[name] = kind
        count = sum(k == kind and n.partition("_")[0] == prefix for n, k in free.items())
        if count > FREE_LIMITS[prefix, kind]:
            yield (
                name,
                f"free {kind} column {count} of {prefix}, the limit is {FREE_LIMITS[prefix, kind]}",
            )


def rules(
    names: Sequence[str], free: dict[str, str]
) -> Iterator[tuple[int, str, Callable[[str], str]]]:
    """For each column that has one: (index, name, rule)."""
    kinds = {"number": number, "text": text(FREE_TEXT)}
    for index, name in enumerate(names):
        rule = PREDEFINED[name] if name in PREDEFINED else kinds.get(free.get(name, ""))
        if rule:
            yield index, name, rule


def annotation_problem(cells: dict[str, str]) -> tuple[str | None, str]:
    """(column, message) if status and category do not come together, else (None, "").

    Args:
      cells: column name -> stripped value of one row.
    """
    state = cells.get("object_annotation_status", "")
    category_id = cells.get("object_annotation_category_id", "")
    # EcoTaxa looks at the id only where the text column is absent, filled or not.
    category = cells.get("object_annotation_category", category_id)
    if state and not category:
        message = "a status without a category"
        if category_id:
            message = "a status and an id but no name: EcoTaxa wants the name if it has the column"
        return "object_annotation_category", message
    if (category or category_id) and not state:
        return "object_annotation_status", "a category without a status"
    return None, ""
