"""Text as people's programs write it: delimited rows with their line numbers, JSON."""

import codecs
import csv
import io
import json
import math
from collections.abc import Iterable, Iterator
from typing import Any

_FIRST_LINE_BYTES = 2**20
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_DELIMITERS = ("\t", ",", ";", "|")


def encoding_of(content: bytes) -> str:
    """Encoding of the bytes of a table: as its byte order mark says, else UTF-8, else latin-1."""
    for mark, encoding in _BYTE_ORDER_MARKS:
        if content.startswith(mark):
            return encoding
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return "latin-1"
    return "utf-8"


class Table:
    """Header and rows of a delimited text.

    Attributes:
      where: the file's name, for messages.
      header: the column names.
      encoding: in which the text was read.

    Args:
      content: bytes of the file.
      where: the file's name.
      delimiter: of the fields; None for the one that the first line has most of.

    Raises:
      ValueError: if there is no header or it has a column twice, or the text holds NUL bytes.
    """

    def __init__(self, content: bytes, where: str, delimiter: str | None = None) -> None:
        """See the class."""
        self.where = where
        self.encoding = encoding_of(content)
        zero = content.find(b"\0") if self.encoding != "utf-16" else -1
        if zero >= 0:
            line = content.count(b"\n", 0, zero) + 1
            raise ValueError(
                f"{where}, line {line}: a NUL byte; the file is damaged or not a text table. "
                "Save it again as UTF-8 text."
            )
        # Streamed: a million rows as one Python string take several times the file's size.
        text = io.TextIOWrapper(io.BytesIO(content), self.encoding, "replace", newline="")
        if delimiter is None:
            first = text.readline(_FIRST_LINE_BYTES)
            text.seek(0)
            delimiter = max(_DELIMITERS, key=first.count)
        # Strict: else a quote that is never closed swallows all later rows without a word.
        self._reader = csv.reader(text, delimiter=delimiter, strict=True)
        self.header = [cell.strip() for cell in self._next() or []]
        if not any(self.header):
            raise ValueError(f"{where}: the table is empty; expected a line of column names.")
        self._check_header()

    def _check_header(self):
        while self.header and not self.header[-1]:
            self.header.pop()
        seen = set()
        for name in self.header:
            if name in seen:
                raise ValueError(
                    f"{self.where}, line 1: the column {shortened(name)!r} stands twice; keep one."
                )
            seen.add(name)

    def _next(self):
        try:
            return next(self._reader, None)
        except csv.Error as error:
            raise ValueError(
                f"{self.where}, line {self._reader.line_num}: {error}; is a quote not closed?"
            ) from None

    def rows(self) -> Iterator[tuple[int, dict[str, str]]]:
        """Yields (line number, {column: text without outer blanks}) of every row that is not blank.

        Raises:
          ValueError: if a row has more or fewer fields than the header; names its line.
        """
        width = len(self.header)
        while (cells := self._next()) is not None:
            cells = [cell.strip() for cell in cells]
            if not any(cells):
                continue
            if len(cells) < width or any(cells[width:]):
                raise ValueError(
                    f"{self.where}, line {self._reader.line_num}: {len(cells)} fields, but the "
                    f"header has {width}; a delimiter is missing or too many, or a quote is open."
                )
            yield self._reader.line_num, dict(zip(self.header, cells))

    def column(self, *names: str) -> str | None:
        """The first of some column names that the header has, in any case; None if it has none."""
        lower = {name.lower(): name for name in reversed(self.header)}
        return next((lower[name] for name in names if name in lower), None)


def listed(names: Iterable[Any], count: int = 12, length: int = 40) -> str:
    """Some names for a message, which damage can make long: the first ones, each cut."""
    words = list(map(str, names))
    more = f" ({len(words)} in all)" if len(words) > count else ""
    return ", ".join(shortened(word, length) for word in words[:count]) + more


def shortened(text: str, length: int = 100) -> str:
    """The text, cut to some characters."""
    return text if len(text) <= length else text[:length] + "..."


def number(text: str) -> float | None:
    """A finite number with a decimal point or comma, or None if the text is none."""
    try:
        value = float(text.replace(",", "."))
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def load_json(content: bytes, where: str) -> Any:
    """The JSON value of some bytes; ValueError that names the file if they are not JSON."""
    try:
        return json.loads(content.decode("utf-8-sig"))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"{where}: not JSON ({error}).") from None
