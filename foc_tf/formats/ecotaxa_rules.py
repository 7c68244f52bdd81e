"""EcoTaxa's own import rules, to prove that what we write back would be accepted.

After the public source of ecotaxa_back (py/BO/TSVFile.py, Bundle.py, Mappings.py, Image.py and
py/DB/Object.py). What needs EcoTaxa's data base stays unproven: whether a category, a category id
or a person exists, and how many free columns the project has already. UVP6 bundles
(`*Images.zip` in the source) are not looked into.
"""

import csv
import fnmatch
import io
import os
import pathlib
import posixpath
import zipfile
from collections.abc import Iterable
from typing import NamedTuple

from foc_tf.formats import ecotaxa_columns as columns

MAX_FILES = 2000
_BOM = b"\xef\xbb\xbf"
_EXTENSIONS = (".png", ".jpg", ".jpeg", ".gif")
_MAGIC = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a")


class Problem(NamedTuple):
    """Why EcoTaxa would refuse, misread or ignore something; `line` None: the whole file."""

    file: str
    line: int | None
    column: str | None
    message: str

    def __str__(self):
        line = "" if self.line is None else f", line {self.line}"
        column = "" if self.column is None else f", {self.column}"
        return f"{self.file}{line}{column}: {self.message}"


class _Folder:
    """A folder, or the one table of it that was given."""

    def __init__(self, root, only=None):
        self.root, self.only = root, only

    def names(self):
        if self.only:
            return [self.only]
        walked = os.walk(self.root)
        paths = [pathlib.Path(top, name) for top, _, names in walked for name in names]
        return sorted(path.relative_to(self.root).as_posix() for path in paths)

    def read(self, name):
        return (self.root / name).read_bytes()

    def head(self, name):
        """The first bytes of an image, None if there is no such file."""
        path = self.root / name
        if not os.path.exists(path):
            return None
        with open(path, "rb") as file:
            return file.read(8)


class _Zip:
    """A zip, read in place."""

    only = None

    def __init__(self, path):
        self.zip = zipfile.ZipFile(path)
        self.members = {i.filename for i in self.zip.infolist() if not i.filename.endswith("/")}

    def names(self):
        return sorted(self.members)

    def read(self, name):
        return self.zip.read(name)

    def head(self, name):
        """The first bytes of an image, None if there is no such member."""
        if name not in self.members:
            return None
        with self.zip.open(name) as file:
            return file.read(8)


class _Run:
    """One check: what the tables share."""

    def __init__(self, source, update, existing):
        self.source, self.update, self.existing = source, update, existing
        self.problems = []
        self.free = {}
        self.seen = {}
        self.images = {}

    def add(self, file, line, column, message):
        self.problems.append(Problem(file, line, column, message))


def check(
    path: pathlib.Path | str, update: bool = False, existing_objects: Iterable[str] | None = None
) -> list[Problem]:
    """Checks a table, or all tables and images of a folder or zip, by EcoTaxa's import rules.

    Args:
      path: a TSV file, a folder or a zip.
      update: by the rules of EcoTaxa's update import: images are optional, rows change objects
        that exist. (EcoTaxa takes annotations from an update only if that is ticked.)
      existing_objects: ids of the project's objects, None if not known; an update's others are
        reported.

    Returns:
      List of `Problem`, empty if the import would be accepted. Never raises for what is in `path`.
    """
    path = pathlib.Path(path)
    source: _Folder | _Zip
    try:
        if path.is_dir():
            source = _Folder(path)
        elif path.suffix.lower() == ".zip":
            source = _Zip(path)
        else:
            source = _Folder(path.parent, path.name)
    # zipfile raises whatever damaged bytes lead it to.
    except Exception as error:
        return [Problem(path.name, None, None, f"cannot be opened ({_say(error)})")]
    run = _Run(source, update, existing_objects)
    for name in _tables(run, path.name):
        _check_table(run, name)
    if isinstance(source, _Zip):
        source.zip.close()
    return run.problems


def _say(error):
    return f"{type(error).__name__}: {error}"[:200]


def _tables(run, where):
    """Names of the tables EcoTaxa would find, in its order; complains about near misses."""
    found, named = [], 0
    for name in run.source.names():
        last = posixpath.basename(name)
        near = last.lower().startswith("ecotaxa") and last.lower().endswith((".tsv", ".txt"))
        if posixpath.isabs(name) or ".." in name.split("/"):
            run.add(name, None, None, "a member whose name leads outside the zip")
        elif fnmatch.fnmatchcase(last, "ecotaxa*.tsv") or fnmatch.fnmatchcase(last, "ecotaxa*.txt"):
            found.append(name)
            named += 1
        elif run.source.only or near:
            run.add(name, None, None, "not found by EcoTaxa: name it ecotaxa*.tsv, lower case")
            found.append(name)
    if not found:
        run.add(where, None, None, "no table ecotaxa*.tsv or ecotaxa*.txt in it")
    if named > MAX_FILES:
        run.add(where, None, None, f"{named} tables, the limit is {MAX_FILES}")
    return sorted(found)


def _check_table(run, name):
    try:
        raw = run.source.read(name)
    # As above: a damaged, encrypted or unreadable member is a problem, not a crash.
    except Exception as error:
        return run.add(name, None, None, f"cannot be read ({_say(error)})")
    content = _decode(run, name, raw)
    if content is None:
        return None
    # Text mode's line ends and csv's dialect, as EcoTaxa opens it; strict, because a quote left
    # open would make it swallow lines in silence.
    lines = io.StringIO(content, newline=None)
    reader = csv.reader(lines, delimiter="\t", quotechar='"', strict=True)
    try:
        _check_rows(run, name, reader)
    except csv.Error as error:
        run.add(name, reader.line_num, None, f"not readable as tab separated text: {error}")
    return None


def _decode(run, name, raw):
    """The table's text; UTF-8 without BOM is reported and then read as it was meant."""
    if not raw.strip():
        return run.add(name, None, None, "the file is empty")
    if b"\0" in raw:
        line = raw.count(b"\n", 0, raw.index(b"\0")) + 1
        run.add(name, line, None, "a NUL byte (UTF-16?); EcoTaxa reads UTF-8 with BOM or latin-1")
    try:
        content = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if raw.startswith(_BOM):
            # utf-8-sig counts from behind the BOM, which holds no line end.
            line = raw.count(b"\n", 0, error.start + len(_BOM)) + 1
            return run.add(name, line, None, "begins with a UTF-8 BOM but is not UTF-8")
        return raw.decode("latin-1")
    if not raw.isascii() and not raw.startswith(_BOM):
        place = next(i for i, byte in enumerate(raw) if byte > 127)
        message = "UTF-8 without BOM: EcoTaxa reads it as latin-1 and garbles what is not ASCII"
        run.add(name, raw.count(b"\n", 0, place) + 1, None, message)
    return content


def _check_rows(run, name, reader):
    header = next(reader, [])
    if not header:
        return run.add(name, 1, None, "the first line is empty, it must be the header")
    for column, message in columns.header_problems(header, run.update):
        run.add(name, 1, column, message)
    names = [columns.clean(raw) for raw in header]
    types = next(filter(None, reader), None)
    if types is None:
        return run.add(name, None, None, "a header only: no line of types, no object")
    if any(cell.strip() in columns.TYPES for cell in types):
        _check_width(run, name, reader.line_num, types, names)
        for column, message in columns.register(names, types, run.free):
            run.add(name, reader.line_num, column, message)
    else:
        message = "no line of types ([t] or [f]): EcoTaxa takes this row for it and loses it"
        run.add(name, reader.line_num, None, message)
    rules = list(columns.rules(names, run.free))
    empty = True
    for row in filter(None, reader):
        empty = False
        _check_row(run, name, reader.line_num, row, names, rules)
    if empty:
        run.add(name, None, None, "no object: nothing follows the line of types")
    return None


def _check_width(run, name, line, row, names):
    if len(row) != len(names):
        run.add(name, line, None, f"{len(row)} cells, the header has {len(names)}")


def _check_row(run, name, line, row, names, rules):
    _check_width(run, name, line, row, names)
    for index, column, rule in rules:
        value = row[index].strip() if index < len(row) else ""
        message = rule(value) if value else ""
        if message:
            run.add(name, line, column, message)
    cells = {column: cell.strip() for column, cell in zip(names, row)}
    if "object_id" in names:
        _check_object(run, name, line, cells)
    if "img_file_name" in names:
        message = _image_message(run, name, cells.get("img_file_name", ""))
        if message:
            run.add(name, line, "img_file_name", message)
    column, message = columns.annotation_problem(cells)
    if message:
        run.add(name, line, column, message)


def _check_object(run, name, line, cells):
    object_id, image = cells.get("object_id", ""), cells.get("img_file_name", "")
    if not object_id:
        return run.add(name, line, "object_id", "the object has no id")
    if run.update and run.existing is not None and object_id not in run.existing:
        message = f"the project has no object {object_id[:80]!r}, its update would be ignored"
        run.add(name, line, "object_id", message)
    # Without image names (an update) the pair is EcoTaxa's too, so an object comes once.
    file, first = run.seen.setdefault((object_id, image), (name, line))
    if (file, first) != (name, line):
        message = f"object {object_id[:80]!r} with image {image[:80]!r} is already in {file}"
        run.add(name, line, "object_id", f"{message}, line {first}")
    return None


def _image_message(run, table, image):
    """The complaint about an image, "" if it is good."""
    if not image:
        # EcoTaxa takes the folder itself for the image and fails to open it, in an update too.
        return "no image"
    name = posixpath.normpath(posixpath.join(posixpath.dirname(table), image))
    if posixpath.isabs(name) or name.split("/")[0] == "..":
        return f"{image[:80]!r} is outside of the source"
    if name not in run.images:
        run.images[name] = _look(run.source, name)
    message = run.images[name]
    return "" if run.update and message == "is missing" else message and f"{image[:80]!r} {message}"


def _look(source, name):
    try:
        head = source.head(name)
    except Exception as error:
        return f"cannot be read ({_say(error)})"
    if head is None:
        return "is missing"
    if not name.lower().endswith(_EXTENSIONS):
        return "is not called .png, .jpg, .jpeg or .gif"
    return "" if head.startswith(_MAGIC) else "is no PNG, JPEG or GIF by its first bytes"
