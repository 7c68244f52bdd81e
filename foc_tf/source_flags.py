"""Flags that say what a source is and how to read it, for the programs that take one."""

import pathlib
import sys
from typing import Any

from absl import flags

from foc_tf.formats import FORMATS
from foc_tf.formats.listing import Listing, is_listing
from foc_tf.formats.tree import Tree, suffix
from foc_tf.formats.votes import FORMS


def define(values: flags.FlagValues, format_name: str = "source_format") -> None:
    """Defines the flags in `values`, an `absl.flags.FlagValues`."""

    def add(define, name, default, text, *choices):
        define(name, default, *choices, text, flag_values=values)

    enum, integer, string = flags.DEFINE_enum, flags.DEFINE_integer, flags.DEFINE_string
    add(
        string,
        "source",
        None,
        "Folder, zip archive, table of votes, or text file with a path of an image a line; for "
        "prepare also tfds:NAME.",
    )
    add(
        enum,
        format_name,
        "auto",
        "Whose annotations the source has; auto tells it from the names of the files.",
        ["auto", *FORMATS],
    )
    add(string, "images", None, "Folder of the images, if not the table's. (votes, ecotaxa, list)")
    add(
        enum,
        "votes_form",
        "auto",
        "Table's form: image,annotator,label | image,class,votes | a column a class | a column an "
        "annotator. (votes)",
        ["auto", *FORMS],
    )
    text = "Turns the shares of a table into whole votes; 0 if they are counts. (votes, dcic)"
    add(integer, "votes_per_image", 0, text)
    text = "Annotations that are votes: validated, predicted, dubious, discarded. (ecotaxa)"
    add(flags.DEFINE_list, "statuses", ["validated"], text)
    text = "Images of an object: the first by rank, or all. (ecotaxa)"
    add(enum, "object_images", "first", text, ["first", "all"])
    add(integer, "v_fold", 1, "Slice 1 to 5: validation and test folds. (dcic)")
    text = "Which of nested folders is the class. (folder)"
    add(enum, "folder_class", "first", text, ["first", "last", "path"])
    megapixels = "Images with more millions of pixels are left out."
    add(flags.DEFINE_float, "max_image_megapixels", 100.0, megapixels)
    add(integer, "max_file_mb", 1024, "Largest table or image, in megabytes.")
    add(integer, "max_total_gb", 1024, "Most that a zip unpacks to, in gigabytes.")


def open_source(f: Any, kind: str = "auto") -> tuple[Tree | Listing, pathlib.Path | None]:
    """(tree, path of the table or None) that the flags mean.

    Args:
      f: the flags.
      kind: name of the source's format, or auto.

    Raises:
      ValueError: if no source is given or it cannot be opened.
    """
    if not f.source:
        raise ValueError("source: give --source=<folder, zip archive, table or list>.")
    limits = (f.max_file_mb * 2**20, f.max_total_gb * 2**30)
    path = pathlib.Path(f.source)
    if kind == "list" or (kind == "auto" and is_listing(path)):
        return Listing(path, f.images, limits[0]), None
    if path.is_file() and suffix(path.name) in (".csv", ".tsv", ".txt"):
        return Tree(f.images or path.parent, *limits), path
    return Tree(path, *limits), None


def reader_options(f: Any, kind: str, table: pathlib.Path | None) -> dict[str, Any]:
    """Keyword arguments of the reader of format `kind`."""
    return {
        "votes": {"table": table, "form": f.votes_form, "votes_per_image": f.votes_per_image},
        "ecotaxa": {"table": table, "statuses": f.statuses, "object_images": f.object_images},
        "dcic": {"v_fold": f.v_fold, "votes_per_image": f.votes_per_image},
        "folder": {"folder_class": f.folder_class},
    }.get(kind, {})


def progress(done: int, total: int) -> None:
    """A counter on the terminal."""
    end = "\n" if done == total else ""
    print(f"\r{done:,} of {total:,} images", end=end, file=sys.stderr, flush=True)
