"""File names that every system and every table can take."""

import re
import unicodedata

from foc_tf.formats.tree import IMAGE_EXTENSIONS, suffix

_MAX_PART_BYTES = 120
_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?")


def image_name(key: str, extension: str, taken: set[str]) -> str:
    """Name `images/...` of an item's file, unlike all in `taken`, to which it is added.

    Letters and digits of every script stay; what a shell, a URL or Windows would trip over becomes
    "_".

    Args:
      key: the item's name in its source, "/" separates folders.
      extension: of the new file, with its dot.
      taken: set of the lower-case names so far.
    """
    stem = key[: -len(suffix(key))] if suffix(key) in IMAGE_EXTENSIONS else key
    parts = [_part(p) for p in stem.split("/") if p not in ("", ".", "..")]
    if len(parts) > 1 and parts[0] == "images":
        parts = parts[1:]
    base = "/".join(["images", *(parts or ["image"])])
    name, number = base + extension, 1
    while name.lower() in taken:
        number += 1
        name = f"{base}_{number}{extension}"
    taken.add(name.lower())
    return name


def _part(text):
    text = unicodedata.normalize("NFC", text)
    text = re.sub(r"[^\w.+=@-]", "_", text).strip("_") or "_"
    if text.startswith(".") or _RESERVED.fullmatch(text):
        text = "_" + text
    return text.encode()[:_MAX_PART_BYTES].decode(errors="ignore").rstrip(".")
