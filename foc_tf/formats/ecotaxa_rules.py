"""EcoTaxa's own rules for imported tables, to check what is sent to it before it is sent.

Source: ecotaxa_back's bundle and TSV readers as of 2024. Nothing here raises on damaged input: what
is wrong becomes a `Problem`.
"""

import csv
import io
import pathlib
import re
from typing import NamedTuple

from foc_tf.formats.text import number
from foc_tf.formats.tree import Tree, folder_of, suffix

_TABLE = re.compile(r"(.*/)?ecotaxa[^/]*\.(txt|tsv)")
_MAX_TABLES = 2000
_PREFIXES = ("object", "sample", "acq", "process")
_FLOATS = ("object_lat", "object_lon", "object_depth_min", "object_depth_max")
_TEXTS = (
    *("object_id", "object_date", "object_time", "object_link"),
    *(f"object_annotation_{x}" for x in ("status", "category", "category_id", "date", "time")),
    *(f"object_annotation_{x}" for x in ("person_name", "person_email", "hierarchy")),
    *("img_file_name", "img_rank", "sample_id", "acq_id", "process_id", "acq_instrument"),
    *("sample_dataportal_descriptor", "complement_info"),
)
_STATUSES = ("predicted", "dubious", "validated", "discarded")
_MAX_FREE = {"[f]": 500, "[t]": 20}
_MAX_TEXT, _MAX_ID = 250, 255
_IMAGES = (".png", ".jpg", ".jpeg", ".gif")
_DATE = re.compile(r"\d{4}-?(0[1-9]|1[0-2])-?(0[1-9]|[12]\d|3[01])")
_TIME = re.compile(r"\d{1,2}:?\d{2}(:?\d{2})?|\d{3,6}")
_DEGREES = re.compile(r"-?\d+°\d+ \d+(\.\d+)?")
_NULL = ("", "na", "nan")


class Problem(NamedTuple):
    """A breach of a rule.

    Attributes:
      file: name of the table.
      line: number from 1, None if the file as a whole is meant.
      column: name, "" if no single one is meant.
      message: what is wrong.
    """

    file: str
    line: int | None
    column: str
    message: str

    def __str__(self):
        """One line of text."""
        place = f", line {self.line}" if self.line else ""
        column = f", {self.column}" if self.column else ""
        return f"{self.file}{place}{column}: {self.message}"


def check(path, update=False):
    """Checks a table, or all tables of a folder or zip, against EcoTaxa's import rules.

    Args:
      path: of a .tsv or .txt file, a folder or a zip archive.
      update: the rules of the "update" import: no images, only object_id is needed.

    Returns:
      List of `Problem`; empty if EcoTaxa would take it.
    """
    path = pathlib.Path(path)
    if path.is_file() and suffix(path.name) in (".tsv", ".txt"):
        tree = None if update else Tree(path.parent)
        return _named(path.name) + _check_table(path.name, path.read_bytes(), tree, update, set())
    try:
        tree = Tree(path)
    except ValueError as error:
        return [Problem(str(path), None, "", str(error))]
    tables = [name for name in tree.names if suffix(name) in (".tsv", ".txt")]
    good = [name for name in tables if _TABLE.fullmatch(name)]
    problems = [problem for name in tables for problem in _named(name)]
    if not good or len(good) > _MAX_TABLES:
        message = f"expected 1 to {_MAX_TABLES} files ecotaxa*.tsv or .txt, found {len(good)}"
        problems.append(Problem(str(path), None, "", message))
    seen = set()
    for name in good:
        problems += _check_table(name, tree.read(name), tree, update, seen)
    return problems


def _named(name):
    if _TABLE.fullmatch(name):
        return []
    return [Problem(name, None, "", "the name must begin with ecotaxa in lower case")]


def _check_table(name, content, tree, update, seen):
    """Problems of one table; `seen` is the set of (object, image) of all tables so far."""
    if b"\0" in content:
        return [Problem(name, None, "", "NUL bytes")]
    encoding = "utf-8-sig" if content.startswith(b"\xef\xbb\xbf") else "latin-1"
    problems = []
    if encoding == "latin-1" and not content.isascii() and _is_utf8(content):
        message = "UTF-8 without a byte order mark would be read as latin-1"
        problems.append(Problem(name, None, "", message))
    text = content.decode(encoding, "replace")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter="\t")
    try:
        rows = [(reader.line_num, row) for row in reader if row]
    except csv.Error as error:
        return [*problems, Problem(name, reader.line_num, "", str(error))]
    if len(rows) < 3:
        return [*problems, Problem(name, None, "", "expected column names, types and rows")]
    header = [cell.strip().lower() for cell in rows[0][1]]
    types = dict(zip(header, (cell.strip().lower() for cell in rows[1][1])))
    problems += [Problem(name, 1, c, m) for c, m in _header(header, update)]
    problems += [Problem(name, rows[1][0], c, m) for c, m in _types(header, types)]
    for line, cells in rows[2:]:
        if len(cells) != len(header):
            message = f"{len(cells)} fields, the header has {len(header)}"
            problems.append(Problem(name, line, "", message))
            continue
        row = {column: cell.strip() for column, cell in zip(header, cells)}
        found = [*_values(row, types), *_annotation(row), *_image(row, name, tree, update, seen)]
        problems += [Problem(name, line, c, m) for c, m in found]
    return problems


def _is_utf8(content):
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _free(column):
    return column.startswith("object_") and column not in (*_TEXTS, *_FLOATS)


def _header(header, update):
    """Yields (column, message)."""
    for column in sorted({c for c in header if header.count(c) > 1}):
        yield column, "the column stands twice"
    for column in header:
        prefix = column.partition("_")[0]
        if prefix not in (*_PREFIXES, "img") and column not in _TEXTS:
            yield column, "no known prefix (object_, sample_, acq_, process_, img_)"
    used = {column.partition("_")[0] for column in header if column not in ("acq_id", "sample_id")}
    for prefix in _PREFIXES:
        if prefix in used and f"{prefix}_id" not in header:
            yield f"{prefix}_id", f"missing, but there are columns {prefix}_..."
    needed = ("object_id",) if update else ("object_id", "img_file_name")
    for column in needed:
        if column not in header:
            yield column, "missing"


def _types(header, types):
    for column in header:
        if _free(column) and types.get(column) not in ("[t]", "[f]"):
            yield column, f"the type must be [t] or [f], found {types.get(column)!r}"
    for kind, most in _MAX_FREE.items():
        count = sum(_free(column) and types.get(column) == kind for column in header)
        if count > most:
            yield "", f"{count} free columns of type {kind}, at most {most}"


def _values(row, types):
    """Yields (column, message) of the cells by themselves."""
    for column, cell in row.items():
        is_float = column in _FLOATS or (_free(column) and types.get(column) == "[f]")
        degrees = column in ("object_lat", "object_lon") and _DEGREES.fullmatch(cell)
        value = number(cell)
        if is_float and not degrees and cell.lower() not in _NULL and value is None:
            yield column, f"not a number: {cell[:40]!r}"
        limit = {"object_lat": 90, "object_lon": 180}.get(column)
        if limit and value is not None and abs(value) > limit:
            yield column, f"{cell} is not within {limit} degrees"
        if column in ("object_id", "object_link") and len(cell) > _MAX_ID:
            yield column, f"{len(cell)} characters, at most {_MAX_ID}"
        if _free(column) and not is_float and len(cell) > _MAX_TEXT:
            yield column, f"{len(cell)} characters, at most {_MAX_TEXT}"
        if column.endswith("_date") and cell and not _DATE.fullmatch(cell):
            yield column, f"expected YYYYMMDD or YYYY-MM-DD, found {cell[:40]!r}"
        if column in ("object_time", "object_annotation_time") and cell:
            if not _TIME.fullmatch(cell):
                yield column, f"expected HHMMSS or HH:MM:SS, found {cell[:40]!r}"
        if column == "img_rank" and cell and not cell.isdigit():
            yield column, f"expected a whole number, found {cell[:40]!r}"


def _annotation(row):
    status = row.get("object_annotation_status", "").lower()
    category = row.get("object_annotation_category", "")
    category = category or row.get("object_annotation_category_id", "")
    if status and status not in _STATUSES:
        yield "object_annotation_status", f"expected one of {', '.join(_STATUSES)}, found {status}"
    if bool(status) != bool(category):
        lacking = "category" if status else "status"
        yield "", f"status and category must come together; there is no {lacking}"
    number_of = row.get("object_annotation_category_id", "")
    if number_of and not number_of.isdigit():
        yield "object_annotation_category_id", f"expected a number, found {number_of[:40]!r}"


def _image(row, name, tree, update, seen):
    if not row.get("object_id"):
        yield "object_id", "empty"
    pair = (row.get("object_id"), row.get("img_file_name", ""))
    if pair in seen:
        yield "img_file_name", f"object {pair[0]!r} has this image already"
    seen.add(pair)
    if update or "img_file_name" not in row:
        return
    if suffix(pair[1]) not in _IMAGES:
        yield "img_file_name", f"expected PNG, JPEG or GIF, found {pair[1][:60]!r}"
        return
    try:
        if tree.find(folder_of(name), pair[1], name) is None:
            yield "img_file_name", f"{pair[1]!r} is not there"
    except ValueError as error:
        yield "img_file_name", str(error)
