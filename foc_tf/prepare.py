"""Prepares anybody's annotated images for training: a folder with images, votes and splits.

    python -m foc_tf.prepare --source=ecotaxa_export.zip --output=data/mine
    python -m foc_tf.prepare --source=votes.csv --images=photos --output=data/mine --certain_threshold=0.9
    python -m foc_tf.train --dataset=prepared --data_dir=data/mine --backbone=resnet50v2

Nothing appears under --output until all of it is there.
"""

import json
import pathlib
import sys

from foc_tf import program

# isort: split

from absl import flags

from foc_tf.formats import FORMATS, guess
from foc_tf.formats.preparing import prepare, table
from foc_tf.formats.tree import Tree, suffix
from foc_tf.formats.votes import FORMS

FLAGS = flags.FlagValues()


def _define(define, name, default, text, *rest):
    define(name, default, *rest, text, flag_values=FLAGS)


_define(flags.DEFINE_string, "source", None, "Folder, zip archive or table of votes.")
_define(flags.DEFINE_string, "output", None, "Folder of the prepared dataset; must not exist.")
_define(
    flags.DEFINE_enum,
    "format",
    "auto",
    "Whose annotations they are; auto tells it from the names of the files.",
    ["auto", *FORMATS],
)
_define(flags.DEFINE_string, "images", None, "Folder of the images, if not the table's. (votes)")
_define(flags.DEFINE_string, "name", None, "Name of the data set; default the source's.")
_define(flags.DEFINE_string, "licence", None, "Licence of images and votes, for the model card.")
_define(
    flags.DEFINE_string,
    "merge",
    None,
    "CSV table from,to of classes that become one; an empty `to` drops the votes for a class.",
)
_define(
    flags.DEFINE_list, "ignored_classes", None, "Classes that consistency leaves out (no-fit), a,b."
)
_define(
    flags.DEFINE_float,
    "certain_threshold",
    None,
    "Smallest share of the most-voted class that makes an image certain, above 0.5 to 1. "
    "Default: the source's own, else 1.0 (all annotators agree).",
)
_define(
    flags.DEFINE_integer,
    "min_annotators",
    0,
    "Images with fewer votes are used without a label.",
)
_define(
    flags.DEFINE_enum,
    "votes_form",
    "auto",
    "Table's form: image,annotator,label | image,class,votes | a column a class | a column an "
    "annotator. (votes)",
    ["auto", *FORMS],
)
_define(
    flags.DEFINE_integer,
    "votes_per_image",
    0,
    "Factor that turns the shares of a table into whole votes; 0 if they are counts. (votes)",
)
_define(
    flags.DEFINE_list,
    "statuses",
    ["validated"],
    "Annotations that count as votes: validated, predicted, dubious, discarded. (ecotaxa)",
)
_define(
    flags.DEFINE_enum,
    "object_images",
    "first",
    "Images of an object: the first by rank, or all. (ecotaxa)",
    ["first", "all"],
)
_define(flags.DEFINE_integer, "v_fold", 1, "Slice 1 to 5: validation and test folds. (dcic)")
_define(
    flags.DEFINE_enum,
    "folder_class",
    "first",
    "Which of nested folders is the class. (folder)",
    ["first", "last", "path"],
)
_define(
    flags.DEFINE_enum,
    "placing",
    "copy",
    "copy images, or link them (hard links: no space, but the two are one file).",
    ["copy", "link"],
)
_define(flags.DEFINE_float, "val_share", 0.2, "Share for validation where the source has none.")
_define(flags.DEFINE_integer, "seed", 0, "Of the random split.")
_define(flags.DEFINE_float, "max_image_megapixels", 100.0, "Larger images are left out.")
_define(flags.DEFINE_integer, "max_file_mb", 1024, "Largest table or image, in megabytes.")
_define(flags.DEFINE_integer, "max_total_gb", 1024, "Most that a zip unpacks to, in gigabytes.")
_define(flags.DEFINE_bool, "json", False, "Print the summary as JSON.")


def open_source(f):
    """(tree, table or None) that the flags mean."""
    if not f.source:
        raise ValueError("source: give --source=<folder, zip archive or table>.")
    limits = (f.max_file_mb * 2**20, f.max_total_gb * 2**30)
    path = pathlib.Path(f.source)
    if path.is_file() and suffix(path.name) in (".csv", ".tsv", ".txt"):
        root = pathlib.Path(f.images) if f.images else path.parent
        return Tree(root, *limits), path
    return Tree(path, *limits), None


def main():
    """The program."""
    f = FLAGS
    if not f.output:
        raise ValueError("output: give --output=<folder of the prepared dataset>.")
    tree, given = open_source(f)
    kind = guess(tree, given.name if given else None) if f.format == "auto" else f.format
    options = {
        "votes": {"table": given, "form": f.votes_form, "votes_per_image": f.votes_per_image},
        "ecotaxa": {"table": given, "statuses": f.statuses, "object_images": f.object_images},
        "dcic": {"v_fold": f.v_fold},
        "folder": {"folder_class": f.folder_class},
    }.get(kind, {})
    info = {key: getattr(f, key) for key in ("name", "licence") if getattr(f, key)}
    result = prepare(
        tree,
        f.output,
        lambda tree: FORMATS[kind](tree, **options),
        f.placing == "link",
        f.merge,
        f.certain_threshold,
        f.min_annotators,
        ignored=f.ignored_classes or (),
        info=info,
        seed=f.seed,
        val_share=f.val_share,
        max_pixels=round(f.max_image_megapixels * 1e6),
        progress=_progress if sys.stderr.isatty() else None,
    )
    result = {"format": kind, "output": str(f.output), **result}
    for note in result["notes"]:
        program.log(f"read {note}")
    print(json.dumps(result, indent=1) if f.json else f"format{kind:>24}\n{table(result)}")
    if not f.json:
        print(f"\nprepared: {f.output}")


def _progress(done, total):
    print(f"\r{done:,} of {total:,} images", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    program.run(main, FLAGS, "nothing was written under --output.")
