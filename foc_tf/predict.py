"""Predicts classes and clusters of images, and writes them back.

    python -m foc_tf.predict --model=export/models/mine/1 --source=photos --output=mine.csv
    python -m foc_tf.predict --model=runs/mine --source=list.txt --output=mine.csv
    python -m foc_tf.predict --model=export/models/mine/1 --source=data/mine \\
        --format=ecotaxa --output=ecotaxa_update.tsv

--model is a SavedModel or the workdir of a training run; --source is anything that foc_tf.prepare
reads, a prepared dataset, or a text file with a path of an image a line. Rows go to
<output>.partial as they come; stopped and started again, it goes on there. Images that cannot be
read are in <output>.unreadable.csv.
"""

import pathlib
import sys

from foc_tf import program

# isort: split

from absl import flags

from foc_tf import source_flags
from foc_tf.formats import FORMATS, dcic, guess
from foc_tf.formats.predictions import WRITERS
from foc_tf.predicting import local, models
from foc_tf.predicting.models import Model
from foc_tf.predicting.progress import Progress
from foc_tf.predicting.streaming import predict

__all__ = ["Model", "main", "predict"]

FLAGS = flags.FlagValues()
source_flags.define(FLAGS)
flags.DEFINE_string(
    "model", None, "SavedModel: <name>/<version>, or workdir of a run.", flag_values=FLAGS
)
flags.DEFINE_string(
    "output", None, "File to write; for dcic the folder of the file.", flag_values=FLAGS
)
flags.DEFINE_enum("format", "csv", list(WRITERS), "Whose table to write.", flag_values=FLAGS)
flags.DEFINE_integer("batch_size", 64, "Images of a step.", flag_values=FLAGS)
flags.DEFINE_enum(
    "runner",
    "local",
    ["local", "beam"],
    "This process, or Apache Beam, which writes <output>-00000-of-00004.csv ... (csv)",
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "beam_runner", "DirectRunner", "Or FlinkRunner, DataflowRunner ... (beam)", flag_values=FLAGS
)
flags.DEFINE_list(
    "beam_options",
    [],
    "Beam's own flags: --direct_num_workers=2,--direct_running_mode=multi_processing (beam)",
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "dcic_name", None, "DCIC's name of the data set; default its own. (dcic)", flag_values=FLAGS
)
flags.DEFINE_integer(
    "dcic_annotations", 1, "Annotations an image that were used. (dcic)", flag_values=FLAGS
)
flags.DEFINE_float(
    "dcic_labelled", 1.0, "Share of the images that was labelled. (dcic)", flag_values=FLAGS
)
flags.DEFINE_bool(
    "include_labelled",
    False,
    "Write also the objects on which the annotators agree. (ecotaxa)",
    flag_values=FLAGS,
)


def main() -> None:
    """The program."""
    f = FLAGS
    for name in ("model", "output"):
        if not getattr(f, name):
            raise ValueError(f"{name}: give --{name}.")
    tree, table = source_flags.open_source(f, f.source_format)
    tree.hide(f.output)
    kind = f.source_format if f.source_format != "auto" else guess(tree, table)
    collection = FORMATS[kind](tree, **source_flags.reader_options(f, kind, table))
    if f.runner == "beam":
        _run_on_beam(f, collection)
        return
    output = _output(f, collection)
    job = local.Job(
        models.load(f.model),
        collection,
        output,
        f.format,
        f.batch_size,
        round(f.max_image_megapixels * 1e6),
        f.include_labelled,
    )
    rows, unreadable, listed = _run(job)
    if unreadable:
        program.log(f"{unreadable:,} left out, with reasons: {listed}")
    print(f"{rows:,} rows: {output}")


def _output(f, collection):
    if f.format != "dcic":
        return pathlib.Path(f.output)
    name = f.dcic_name or str(collection.info.get("name", collection.name))
    known = (f.dcic_annotations, f.dcic_labelled, f.v_fold)
    return pathlib.Path(f.output) / dcic.predictions_name("foc_tf", name, *known)


def _run_on_beam(f, collection):
    if f.format != "csv":
        raise ValueError(f"format: --runner=beam writes csv, found {f.format}.")
    try:
        from foc_tf.predicting import on_beam
    except ImportError:
        raise ValueError(
            "runner: expected Apache Beam, found none. Run: pip install foc_tf[beam]"
        ) from None
    settings = (f.batch_size, round(f.max_image_megapixels * 1e6))
    options = [f"--runner={f.beam_runner}", *f.beam_options]
    try:
        rows, unreadable = on_beam.run(f.model, collection, f.output, *settings, options)
    except KeyboardInterrupt:
        program.log("\nstopped; no shard has its name yet, the same command starts anew.")
        raise SystemExit(program.EXIT_INTERRUPTED) from None
    for where, reason in collection.skipped:
        program.log(f"left out: {where} ({reason})")
    print(f"{rows:,} rows, {unreadable:,} unreadable: {on_beam.stem(f.output)}-*.csv")


def _run(job):
    shown = []

    def begin(done, total):
        if done:
            program.log(f"going on after {done:,} of {total:,} images")
        shown.append(Progress(total, done, sys.stderr))

    try:
        return local.run(job, begin, lambda done: shown[0](done))
    finally:
        for progress in shown:
            progress.close()


if __name__ == "__main__":
    program.run(main, FLAGS, "the same command goes on where it stopped.")
