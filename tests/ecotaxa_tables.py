"""A good table of EcoTaxa to break, and what the checker says of it."""

PNG = b"\x89PNG\r\n\x1a\n"
GOOD = {
    "object_id": ("[t]", "o1"),
    "img_file_name": ("[t]", "a.png"),
    "object_annotation_status": ("[t]", "predicted"),
    "object_annotation_category": ("[t]", "Copepoda"),
    "object_foc_prob": ("[f]", "0.5"),
    "object_foc_group": ("[t]", "g1"),
}


def table(extra=(), without=(), **changed):
    """A good table of one object as text, with some columns changed, added or left out."""
    cells = {**GOOD, **dict(extra)}
    cells.update({name: (GOOD.get(name, ("[t]",))[0], value) for name, value in changed.items()})
    kept = [name for name in cells if name not in without]
    lines = [kept, [cells[name][0] for name in kept], [cells[name][1] for name in kept]]
    return "\n".join("\t".join(line) for line in lines) + "\n"


def lines_of(*rows):
    return "".join("\t".join(row) + "\n" for row in rows)


def only(problems, message, column=None, line=None):
    """Whether there is one problem and it says this; it is printed for a test that fails."""
    print(*problems, sep="\n")
    return (
        len(problems) == 1
        and message in problems[0].message
        and column in (None, problems[0].column)
        and line in (None, problems[0].line)
    )
