"""Exports the best model of a workdir as a SavedModel with preprocessing inside.

    python -m foc_tf.export --workdir=runs/digits
    python -m foc_tf.export --workdir=runs/digits --onnx --export_precision=bfloat16

The version is the next free whole number under the export folder; it appears there by a rename,
complete.
"""

import pathlib
import sys

from foc_tf import program

# isort: split

import keras
import numpy as np
from absl import flags as absl_flags

from foc_tf import build, evaluate, report
from foc_tf import flags as foc_flags
from foc_tf.data import pipeline, reading
from foc_tf.serving import cluster_names, conversion, saved_model
from foc_tf.serving.saved_model import write

_PRECISION = absl_flags.DEFINE_enum(
    "export_precision",
    "float32",
    ["float32", "bfloat16", "float16"],
    "In what the served layers compute; weights, softmax and outputs stay float32.",
)
_HEADS = absl_flags.DEFINE_enum(
    "include_heads",
    "best",
    ["best", "all"],
    "all: outputs all_class_probs and all_cluster_probs of every sub-head beside the best ones'.",
)
_NAMES = absl_flags.DEFINE_string(
    "cluster_names",
    None,
    "CSV cluster,name[,class] with what experts call the clusters; default the workdir's "
    "review/cluster_names.csv where there is one.",
)
_ONNX = absl_flags.DEFINE_bool(
    "onnx", False, "Also model.onnx: pixels in, any size; needs foc_tf[onnx]."
)
_TFLITE = absl_flags.DEFINE_bool(
    "tflite", False, "Also model.tflite: pixels in, of the side load_size."
)


def load(workdir: pathlib.Path, precision: str) -> keras.Model:
    """The best model of a workdir, computing in `precision`: float32, bfloat16 or float16."""
    before = keras.mixed_precision.global_policy()
    keras.mixed_precision.set_global_policy(
        "float32" if precision == "float32" else f"mixed_{precision}"
    )
    try:
        return build.load(workdir)
    finally:
        keras.mixed_precision.set_global_policy(before)


def largest_difference(values: dict[str, np.ndarray], exact: dict[str, np.ndarray]) -> float:
    """Largest difference of two models' probabilities on the same images."""
    probs = [name for name in exact if name.endswith("_probs")]
    return max(float(np.abs(values[name] - exact[name]).max()) for name in probs)


def main() -> None:
    """The program."""
    workdir = evaluate.restore_flags(sys.argv)
    f = absl_flags.FLAGS
    conversions = conversion.wanted(f.onnx, f.tflite, f.export_precision)
    model = load(workdir, f.export_precision)
    chosen = model.details.get("choices")
    image_set, labels, _ = reading.read(
        *(f.dataset, f.data_dir, f.certain_threshold, f.labels_per_class, f.seed),
        for_training=not chosen,
    )
    everything = np.arange(len(image_set.ids))
    loader = pipeline.make_loader(
        image_set.sources,
        f.load_size,
        model.recipe["channels"],
        **foc_flags.loading(f, workdir),
        log=program.log,
    )

    def outputs(network):
        return evaluate.outputs(network, loader, len(everything), everything, f.image_size)

    values, card = outputs(model), {"precision": f.export_precision}
    if f.export_precision != "float32":
        difference = largest_difference(values, outputs(build.load(workdir)))
        card["largest_difference_to_float32"] = difference
        program.log(f"{f.export_precision}: probabilities differ by at most {difference:.2g}")
    scorer = report.Scorer(image_set, labels, values, chosen=chosen)
    options = saved_model.Options(
        f.include_heads == "all",
        cluster_names.find(f.cluster_names, workdir),
        card,
        conversions,
    )
    folder = f.export_dir or f"export/models/{workdir.name}"
    target = write(folder, model, scorer, {"splits": scorer.splits()}, options)
    print(f"SavedModel: {target}")


if __name__ == "__main__":
    program.run(main)
