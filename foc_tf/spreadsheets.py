"""Cells of tables for people: a spreadsheet must not take a file's name for a formula.

Excel, LibreOffice and Google's Sheets compute a cell that begins with = + - or @ (or a tab or line
break and then one of them), and a formula can send data away or start programs. Such text gets an
apostrophe in front (OWASP, CSV Injection); `original` takes it off, so that nothing is lost.
Numbers are left alone.

Machine formats are written as they are: EcoTaxa, MorphoCluster and DCIC would take the apostrophe
for a part of the name, and so would other readers of a prepared data set (annotations.csv ...).
"""

import re
from typing import Any

_FORMULA = re.compile(r"'*[=+\-@\t\r\n]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def safe(cell: Any) -> Any:
    """The cell, with an apostrophe in front if it is text that would be computed."""
    if isinstance(cell, str) and _FORMULA.match(cell) and not _NUMBER.fullmatch(cell):
        return "'" + cell
    return cell


def original(text: str) -> str:
    """What `safe` made `text` of."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text
