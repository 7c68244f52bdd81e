"""Input for fuzzing: sound files with edits, and tables and JSON of nasty cells."""

import json
import time

from hypothesis import strategies as st

NASTY = [
    *("", " ", "0", "-1", "1e999", "nan", "9" * 30, "a.png", "b.png", "../a.png", "/etc/passwd"),
    *("images", "x.csv", "cat", "dog", "train", "val", "validated", "[t]", "[f]", "egg<other"),
    *('"', '"x', "'", "\t", "\0", "ü", "\ud83d\udc1f", "\u202e", "=1+1", "a,b", "a\nb", "\r", "|"),
    *("True", "null", "{}", "[]", "1", "2", "0.5", "20200101", "object_id", "image", "label"),
]
WORDS = [
    *(b"", b"\0", b"\t", b'"', b"\r", b"\n", b",", b"\xff\xfe", b"\xef\xbb\xbf", b"\xe4", b"{"),
    *(b"../../x.png", b"-1", b"1e999", b"nan", b"9" * 400, b"[" * 3000, b"null", b"\xf0\x9f\x90"),
    *(b"--seed=x", b"--flagfile=/etc/passwd", b"--undefok=a", b"\x89PNG\r\n\x1a\n", b"PK\x03\x04"),
]
_EDITS = st.tuples(
    st.sampled_from(("insert", "cut", "delete", "flip", "double")),
    st.floats(0, 1),
    st.integers(0, 2**16),
    st.sampled_from(WORDS),
)


def edited(content):
    """Strategy: the bytes with up to five edits."""
    return st.lists(_EDITS, max_size=5).map(lambda edits: _apply(content, edits))


def _apply(content, edits):
    content = bytearray(content)
    for action, share, number, word in edits:
        place = int(share * len(content))
        if action == "insert":
            content[place:place] = word
        elif action == "cut":
            del content[place:]
        elif action == "delete":
            del content[place : place + 1 + number % 20]
        elif action == "flip" and content:
            content[place % len(content)] ^= 1 + number % 255
        elif action == "double":
            content[place:place] = content[: number % 200]
    return bytes(content)


def tables(columns, delimiter=","):
    """Strategy: bytes of a table with some of the columns and nasty cells, as UTF-8 or latin-1."""
    cells = st.one_of(st.sampled_from(NASTY), st.text(max_size=6))
    header = st.one_of(st.just(columns), st.lists(st.sampled_from([*columns, "", "x"]), max_size=7))
    rows = st.lists(st.lists(cells, min_size=1, max_size=len(columns) + 1), max_size=6)

    def joined(header, rows, encoding):
        lines = [delimiter.join(map(str, row)) for row in [header, *rows]]
        return "\n".join(lines).encode(encoding, "replace")

    return st.builds(joined, header, rows, st.sampled_from(("utf-8", "utf-8-sig", "latin-1")))


def values(keys):
    """Strategy: JSON-able values whose objects have some of the keys."""
    leaves = st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.sampled_from(NASTY), st.text()
    )
    names = st.one_of(st.sampled_from(keys), st.text(max_size=4))
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=6),
        max_leaves=12,
    )


def documents(sound, keys):
    """Strategy: bytes of JSON, the sound value's with edits or a member replaced, or others'."""
    text = json.dumps(sound).encode()

    def replaced(path, value):
        """The sound value with what lies at a path of numbers exchanged."""
        root = place = json.loads(text)
        for number in path[:-1]:
            inner = place[_key(place, number)] if isinstance(place, dict | list) and place else None
            if not isinstance(inner, dict | list) or not inner:
                break
            place = inner
        if isinstance(place, dict | list) and place:
            place[_key(place, path[-1])] = value
        return root

    exchange = st.builds(
        replaced, st.lists(st.integers(0, 50), min_size=1, max_size=6), values(keys)
    )
    return st.one_of(edited(text), st.one_of(exchange, values(keys)).map(_as_json))


def _key(place, number):
    keys = list(place) if isinstance(place, dict) else range(len(place))
    return keys[number % len(keys)]


def _as_json(value):
    return json.dumps(value).encode("utf-8", "surrogatepass")


def outcome(read):
    """ "read" or "refused": a ValueError of ours with a short message; all else is a finding."""
    start, result, refusal = time.perf_counter(), "read", None
    try:
        read()
    except ValueError as error:
        result, refusal = "refused", error
    if refusal is not None:
        # UnicodeDecodeError and JSONDecodeError are ValueErrors too, but say nothing to people.
        assert type(refusal) is ValueError, repr(refusal)
        assert 0 < len(str(refusal)) < 1500, f"{len(str(refusal))}: {str(refusal)[:300]}"
    assert time.perf_counter() - start < 20
    return result
