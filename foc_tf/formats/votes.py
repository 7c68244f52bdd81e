"""Tables of votes: long, counts, one column a class, one column an annotator.

long        image,annotator,label      a row a vote; the annotator may be missing
counts      image,class,votes          a row for every image and class with votes
wide        image,copepod,detritus...  a column a class: counts, or shares of --votes_per_image
annotators  image,anna,ben...          a column an annotator, empty or NaN = not annotated
"""

import pathlib

from foc_tf.formats import text
from foc_tf.formats.collection import Collection
from foc_tf.formats.text import load_json
from foc_tf.formats.tree import Tree, folder_of, read_file, suffix

FORMS = ("long", "counts", "wide", "annotators")
_IMAGE = (
    *("image", "image_path", "img_file_name", "image_fn", "file", "filename", "file_name"),
    *("path", "image_id", "object_id", "id"),
)
_LABEL = ("label", "class_label", "class", "category", "annotation")
_ANNOTATOR = ("annotator", "annotator_id", "worker", "rater", "user", "user_id", "expert")
_COUNT = ("votes", "count", "counts", "n")
_SPLIT = ("split",)
_MISSING = ("", "nan", "na", "none", "null", "<na>")
_SAMPLE_ROWS = 1000
_BESIDE = {"splits.csv": "split", "original_labels.csv": "class", "dataset.json": ""}


def read(
    tree: Tree,
    table: pathlib.Path | str | None = None,
    form: str = "auto",
    votes_per_image: int = 0,
) -> Collection:
    """Reads a table of votes and the images that it names.

    Args:
      tree: `tree.Tree` with the table and the images.
      table: path of the table, whose rows name images relative to the tree; or its name in the
        tree; None for annotations.csv or the only table there is.
      form: one of `FORMS`, or auto: told from the header and the first rows.
      votes_per_image: factor that turns shares of a wide table into whole votes; 0 if they are
        counts.

    Returns:
      `collection.Collection`; images that no row names are items without votes.

    Raises:
      ValueError: if the table cannot be understood; names its file, line and column.
    """
    if isinstance(table, pathlib.Path):
        content, where, base = read_file(table, tree.max_file_bytes), str(table), ""
    else:
        table = table or find_table(tree)
        content, where, base = tree.read(table), str(tree.path / table), folder_of(table)
    parsed = text.Table(content, where)
    image = parsed.column(*_IMAGE)
    if image is None:
        raise ValueError(
            f"{where}: no column for the image; expected one of {', '.join(_IMAGE[:7])}, found "
            f"{text.listed(parsed.header)}."
        )
    form = form if form != "auto" else _guess(parsed, image)
    collection = Collection(tree.path.stem, tree)
    collection.notes.append(f"{where}: {form} form, {parsed.encoding}")
    add = _ADDERS[form](text.Table(content, where), image, collection, votes_per_image)
    parsed, rows = text.Table(content, where), 0
    split = parsed.column(*_SPLIT)
    for line, row in parsed.rows():
        rows += 1
        item = _item(collection, base, row[image], f"{where}, line {line}")
        if item is not None:
            add(item, row, f"{where}, line {line}")
            if split:
                collection.splits[item] = _split(row[split], f"{where}, line {line}")
    _add_unvoted(collection, base, table)
    _check_found(collection, where, rows)
    if form != "wide":
        collection.order_classes(sorted(collection.classes))
    _add_beside(collection, base)
    return collection


def _add_beside(collection, base):
    """What a prepared dataset has beside its votes: splits, original labels, its own facts."""
    tree = collection.tree
    name = {what: f"{base}/{what}".lstrip("/") for what in _BESIDE}
    for what, kind in _BESIDE.items():
        if name[what] not in tree or not kind:
            continue
        table = text.Table(tree.read(name[what]), str(tree.path / name[what]))
        image, value = table.column(*_IMAGE), table.column(kind)
        if image is None or value is None:
            raise ValueError(f"{table.where}: expected image,{kind}, found {table.header}.")
        for line, row in table.rows():
            where = f"{table.where}, line {line}"
            item = collection.find(tree.find(base, row[image], where))
            if item is not None and kind == "split":
                collection.splits[item] = _split(row[value], where)
            elif item is not None:
                collection.originals[item] = row[value]
    _add_sources(collection, base)
    if name["dataset.json"] in tree:
        where = str(tree.path / name["dataset.json"])
        _add_facts(collection, load_json(tree.read(name["dataset.json"]), where), where)


def _add_sources(collection, base):
    """Names and objects that the images had before they were prepared."""
    name = f"{base}/sources.csv".lstrip("/")
    if name not in collection.tree:
        return
    table = text.Table(collection.tree.read(name), str(collection.tree.path / name))
    for line, row in table.rows():
        where = f"{table.where}, line {line}"
        item = collection.find(collection.tree.find(base, row.get("image", ""), where))
        if item is not None:
            collection.objects[item] = row.get("object_id", "")
            collection.sources[item] = row.get("source", "")


def _add_facts(collection, info, where):
    if not isinstance(info, dict):
        raise ValueError(f"{where}: expected a JSON object, found {type(info).__name__}.")
    kept = ("name", "licence", "source", "certain_threshold", "ignored_classes", "category_ids")
    collection.info |= {key: info[key] for key in kept if key in info}
    threshold = info.get("certain_threshold", 1.0)
    if isinstance(threshold, bool) or not isinstance(threshold, (int, float)):
        raise ValueError(f"{where}: certain_threshold must be a number, found {threshold!r:.200}.")
    ignored = info.get("ignored_classes", [])
    if not isinstance(ignored, list) or not all(isinstance(name, str) for name in ignored):
        raise ValueError(
            f"{where}: ignored_classes must be a list of names, found {ignored!r:.200}."
        )
    declared = info.get("classes", [])
    declared = [str(name) for name in declared] if isinstance(declared, list) else []
    if len(set(declared)) == len(declared) and set(collection.classes) <= set(declared):
        collection.order_classes(declared)


def find_table(tree: Tree) -> str:
    """Name of annotations.csv, or of the only table at the top of a tree.

    Raises:
      ValueError: if there is none or more than one.
    """
    if "annotations.csv" in tree:
        return "annotations.csv"
    tables = [n for n in tree.names if "/" not in n and suffix(n) in (".csv", ".tsv", ".txt")]
    if len(tables) != 1:
        raise ValueError(
            f"source: {tree} holds {len(tables)} tables ({', '.join(tables[:5]) or 'none'}); give "
            "the one with the votes as --source=<folder>/<table>.csv."
        )
    return tables[0]


def _item(collection, base, cell, where):
    if not cell:
        raise ValueError(f"{where}: no image; every row needs one.")
    file = collection.tree.find(base, cell, where)
    if file is None:
        if cell in collection.tree.outside:
            collection.skip(where, f"image {cell!r:.200} is a link that leads out of the source")
        else:
            collection.skip(where, f"image {cell!r:.200} is not there")
        return None
    return collection.item(file, file)


def _split(word, where):
    if word not in ("train", "val", "test"):
        raise ValueError(f"{where}: split must be train, val or test, found {word!r:.200}.")
    return word


def _check_found(collection, where, rows):
    if not len(collection) and not rows:
        raise ValueError(f"{where}: a header without rows.")
    if not len(collection):
        raise ValueError(
            f"{where}: none of the images of {rows} rows is there; first: "
            f"{collection.skipped[0][1]}. Paths are relative to the table's folder; for images "
            "elsewhere give --images=<folder>."
        )


def _add_unvoted(collection, base, table):
    """Images that no row names: those of images/, or of the folder given for a table elsewhere."""
    tree, folder = collection.tree, f"{base}/images/".lstrip("/")
    if isinstance(table, pathlib.Path) and table.parent.resolve() != tree.path.resolve():
        folder = ""
    for name in tree.images(folder):
        collection.item(name, name)


def _guess(parsed, image):
    label, count = parsed.column(*_LABEL), parsed.column(*_COUNT)
    if label:
        return "counts" if count else "long"
    others = _columns(parsed, image)
    if not others:
        raise ValueError(
            f"{parsed.where}: no column beside {image!r:.200}; expected {image},annotator,label or "
            f"{image},class,votes or a column for each class or annotator."
        )
    for count, (_, row) in enumerate(parsed.rows()):
        if count == _SAMPLE_ROWS:
            break
        if any(text.number(row[name]) is None for name in others):
            return "annotators"
    return "wide"


def _columns(parsed, image):
    """The columns of classes or annotators; one without a name is a row number."""
    return [c for c in parsed.header if c and c not in (image, parsed.column(*_SPLIT))]


def _long(parsed, image, collection, votes_per_image):
    label, annotator = parsed.column(*_LABEL), parsed.column(*_ANNOTATOR)
    _need(parsed, label, _LABEL)

    def add(item, row, where):
        if row[label]:
            collection.vote(item, row[label], row[annotator] if annotator else "")

    return add


def _counts(parsed, image, collection, votes_per_image):
    label, count = parsed.column(*_LABEL), parsed.column(*_COUNT)
    _need(parsed, label, _LABEL)
    _need(parsed, count, _COUNT)

    def add(item, row, where):
        if not row[label]:
            raise ValueError(f"{where}: no class in column {label!r:.200}.")
        collection.vote(item, row[label], count=whole_votes(row[count], where, count, 0))

    return add


def _wide(parsed, image, collection, votes_per_image):
    classes = _columns(parsed, image)
    for name in classes:
        collection.class_id(name)

    def add(item, row, where):
        for name in classes:
            votes = whole_votes(row[name] or "0", where, name, votes_per_image)
            if votes:
                collection.vote(item, name, count=votes)

    return add


def _annotators(parsed, image, collection, votes_per_image):
    people = _columns(parsed, image)

    def add(item, row, where):
        for name in people:
            if row[name].lower() not in _MISSING:
                collection.vote(item, row[name], name)

    return add


_ADDERS = {"long": _long, "counts": _counts, "wide": _wide, "annotators": _annotators}


def _need(parsed, column, names):
    if column is None:
        raise ValueError(
            f"{parsed.where}: expected a column {' or '.join(names[:4])}, found "
            f"{text.listed(parsed.header)}."
        )


def whole_votes(cell: str, where: str, column: str, votes_per_image: int = 0) -> int:
    """Votes that a cell means, a share times `votes_per_image`; ValueError if not whole."""
    value = text.number(cell)
    if value is not None and votes_per_image:
        value = round(value * votes_per_image)
    if value is None or not 0 <= value < 10**9 or value != int(value):
        hint = "; for shares give --votes_per_image" if value is not None and value < 1 else ""
        raise ValueError(
            f"{where}: {column!r:.200} must be a whole number of votes, found {cell!r:.200}{hint}."
        )
    return int(value)
