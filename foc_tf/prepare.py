"""Prepares anybody's annotated images for training: a folder with images, votes and splits.

    python -m foc_tf.prepare --source=ecotaxa_export.zip --output=data/mine
    python -m foc_tf.prepare --source=votes.csv --images=photos --output=data/mine
    python -m foc_tf.train --data_dir=data/mine ...

README ("Your own images") has a short recipe for train; its defaults are the paper's 1,100 epochs.
Nothing appears under --output until all of it is there.
"""

import json
import sys

from foc_tf import program

# isort: split

from absl import flags

from foc_tf import source_flags
from foc_tf.formats import FORMATS, guess
from foc_tf.formats.preparing import prepare, table

FLAGS = flags.FlagValues()
source_flags.define(FLAGS, "format")


def _define(define, name, default, text, *choices):
    define(name, default, *choices, text, flag_values=FLAGS)


_define(flags.DEFINE_string, "output", None, "Folder of the prepared dataset; must not exist.")
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
    flags.DEFINE_integer, "min_annotators", 0, "Images with fewer votes are used without a label."
)
_define(
    flags.DEFINE_enum,
    "placing",
    "copy",
    "copy images, link them (hard links: no space, but the two are one file), or write records: a "
    "few large files, for data sets of millions.",
    ["copy", "link", "records"],
)
_define(flags.DEFINE_float, "val_share", 0.2, "Share for validation where the source has none.")
_define(flags.DEFINE_integer, "seed", 0, "Of the random split.")
_define(flags.DEFINE_bool, "json", False, "Print the summary as JSON.")
_define(flags.DEFINE_string, "tfds_dir", None, "TFDS's folder. (--source=tfds:NAME)")
_define(
    flags.DEFINE_string,
    "beam_runner",
    None,
    "Apache Beam's runner for TFDS builders that use it: DirectRunner, FlinkRunner ...",
)
_define(
    flags.DEFINE_list,
    "beam_options",
    [],
    "Beam's own flags: --direct_num_workers=2,--direct_running_mode=multi_processing",
)


def main() -> None:
    """The program."""
    f = FLAGS
    if not f.output:
        raise ValueError("output: give --output=<folder of the prepared dataset>.")
    if (f.source or "").startswith("tfds:"):
        from foc_tf.data import tfds_reader

        name = f.source.removeprefix("tfds:")
        folder = tfds_reader.prepare(name, f.tfds_dir, f.beam_runner, f.beam_options)
        f.source = str(folder)  # type: ignore[assignment]
    tree, given = source_flags.open_source(f, f.format)
    kind = f.format if f.format != "auto" else guess(tree, given)
    options = source_flags.reader_options(f, kind, given)
    result = prepare(
        tree,
        f.output,
        lambda tree: FORMATS[kind](tree, **options),
        f.placing,
        f.merge,
        f.certain_threshold,
        f.min_annotators,
        ignored=f.ignored_classes or (),
        info={key: getattr(f, key) for key in ("name", "licence") if getattr(f, key)},
        seed=f.seed,
        val_share=f.val_share,
        max_pixels=round(f.max_image_megapixels * 1e6),
        progress=source_flags.progress if sys.stderr.isatty() else None,
    )
    result = {"format": kind, "output": str(f.output), **result}
    for note in result["notes"]:
        program.log(f"read {note}")
    if not result["classes"]:
        program.log(
            "note: no votes: every image is unlabelled, which is enough to predict, not to train. "
            "EcoTaxa: --statuses says whose annotations count."
        )
    if f.json:
        print(json.dumps(result, indent=1))
    else:
        print(f"{'format':<26}{kind}\n{table(result)}\n\nprepared: {f.output}")


if __name__ == "__main__":
    program.run(main, FLAGS, "nothing was written under --output.")
