"""Every flag of the programs, grouped. Only programs import this; the library takes arguments."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from absl import flags

from foc_tf import method_flags

# --- data
flags.DEFINE_string(
    "dataset", "prepared", "Reader: prepared, folder, digits, or tfds:NAME[:LABEL]."
)
flags.DEFINE_string(
    "data_dir",
    None,
    "Folder of a prepared dataset or of class folders; TFDS's folder for tfds:NAME.",
)
flags.DEFINE_float(
    "certain_threshold",
    None,
    "Smallest share of the most-voted class that makes an image certain, above 0.5 to 1. "
    "Default: the dataset's own, else 1.0 (all annotators agree).",
)
flags.DEFINE_integer(
    "labels_per_class", 0, "Labelled images kept for each class; 0 keeps all.", lower_bound=0
)
flags.DEFINE_enum(
    "input",
    "rgb",
    ["rgb", "grey", "sobel", "sobel_rgb"],
    "What the network sees: 3 channels, 1, the 2 of Sobel's edges, or edges beside the colours.",
)
flags.DEFINE_integer(
    "load_size", 96, "Side in pixels to which every image is resized.", lower_bound=1
)
flags.DEFINE_integer(
    "image_size", 64, "Side in pixels of the crops that the network sees.", lower_bound=1
)
flags.DEFINE_enum(
    "cache",
    "auto",
    ["auto", "memory", "disk", "none"],
    "Where decoded images are kept; auto: in memory up to --cache_gigabytes, else on disk where it "
    "has room, else nowhere. The pixels are the same.",
)
flags.DEFINE_float(
    "cache_gigabytes", 2.0, "Decoded images that memory may hold, in 2^30 bytes.", lower_bound=0
)
flags.DEFINE_string(
    "cache_dir", None, "Folder of decoded images, shared by runs; default <workdir>/cache."
)
flags.DEFINE_bool(
    "fast_jpeg",
    False,
    "Read JPEGs of at least four times --load_size at 1/2 to 1/8 of their size: faster, slightly "
    "other pixels than those of an exported model.",
)

# --- model
flags.DEFINE_string(
    "method",
    "foc",
    "foc, iic, supervised, pi_model, mean_teacher, pseudo_label, fixmatch, mixmatch, scan, cmc or "
    "adc.",
)
flags.DEFINE_string(
    "backbone",
    "resnet50v2",
    "resnet50v2, resnet50v2_keras_cv, resnet34_iic (IIC's variant), wide_resnet28_2, "
    "efficientnet_lite0, small_resnet or small_cnn.",
)
flags.DEFINE_string("backbone_weights", "none", "Initial weights: none, imagenet or a file.")
flags.DEFINE_string("init_from", None, "Workdir of a run whose backbone this one starts with.")
flags.DEFINE_enum(
    "batch_statistics",
    "shared",
    ["shared", "per_view"],
    "Batch normalisation over all views of a batch at once, or each by itself (authors' code).",
)
flags.DEFINE_integer(
    "num_sub_heads", 5, "Copies of each head; the best on validation is used.", lower_bound=1
)
flags.DEFINE_integer(
    "hidden_units", 0, "Width of a hidden layer in each head; 0 for none.", lower_bound=0
)
flags.DEFINE_float(
    "dropout",
    0.5,
    "Share of features dropped before the heads, 0 to less than 1.",
    lower_bound=0,
)

flags.DEFINE_enum(
    "class_weights",
    None,
    ["none", "inverse"],
    "Weights of the classes in the cross-entropy with labels; inverse: of their share of the "
    "labelled images. Default none. (all but scan, adc)",
)

# --- training
flags.DEFINE_integer(
    "heads_only_epochs", 100, "Epochs with a frozen backbone; 0 skips them.", lower_bound=0
)
flags.DEFINE_integer(
    "frozen_views",
    0,
    "Augmented versions of each image that pass the frozen backbone once, when heads_only begins, "
    "and are kept (in --cache_gigabytes): its epochs then cost nearly nothing. 0: fresh ones in "
    "every step. (foc, iic, supervised, pi_model, pseudo_label, fixmatch)",
    lower_bound=0,
)
flags.DEFINE_integer(
    "fine_tune_epochs",
    500,
    "Epochs that train everything: with labels, or clustering (scan, adc).",
    lower_bound=0,
)
flags.DEFINE_integer(
    "batch_size", 390, "Rows of a global batch, repetitions counted.", lower_bound=1
)
flags.DEFINE_integer(
    "repetitions", 3, "How often each drawn image stands in a batch.", lower_bound=1
)
flags.DEFINE_float("learning_rate", 1e-4, "Adam's, in pretext and fine_tune.", lower_bound=0)
flags.DEFINE_float("heads_learning_rate", 1e-3, "Adam's, in heads_only.", lower_bound=0)
flags.DEFINE_enum(
    "learning_rate_schedule",
    "plateau",
    ["plateau", "cosine", "constant"],
    "plateau: times 0.1 when the loss stands still; cosine: to 0 over each stage.",
)
flags.DEFINE_integer(
    "plateau_epochs",
    75,
    "Epochs of a stage, also those of other heads' turns, without a new minimum of the loss, for "
    "plateau. Epochs in which the weight of a loss still rises (--ramp_up) do not count.",
    lower_bound=1,
)
flags.DEFINE_float(
    "early_stopping_share",
    1 / 3,
    "A stage ends after this share of its epochs without a new minimum, with plateau; 0 never. "
    "Epochs count as for --plateau_epochs.",
    lower_bound=0,
    upper_bound=1,
)
flags.DEFINE_string(
    "augment_anchor",
    None,
    "Recipe of the first view, a name of foc_tf.augment.AUGMENTATIONS; default the method's own.",
)
flags.DEFINE_string(
    "augment_positive",
    None,
    "Recipe of the second view. (foc, iic, scan, adc, pi_model, mean_teacher, mixmatch; "
    "pseudo_label with --over_head)",
)
flags.DEFINE_string("augment_strong", None, "Recipe of the strong view. (fixmatch)")
flags.DEFINE_string("augment_negative", None, "Recipe of the third view. (foc)")
flags.DEFINE_string("augment_neighbor", None, "Recipe of the neighbour's view. (scan)")
flags.DEFINE_string("augment_weak", None, "Recipe of the view that gives labels. (scan)")

# --- run
flags.DEFINE_string(
    "workdir", None, "Folder of the run; default runs/<flagfile's or dataset's name>."
)
flags.DEFINE_integer(
    "seed", 0, "Of initial weights, batches, augmentation and dropout.", lower_bound=0
)
flags.DEFINE_enum(
    "strategy",
    "auto",
    ["auto", "one", "mirrored", "multi_worker"],
    "Devices: one, all GPUs here, or all machines of TF_CONFIG; auto takes what there is.",
)
flags.DEFINE_enum(
    "mixed_precision",
    "none",
    ["none", "bfloat16", "float16", "auto"],
    "Layers in 16 bits (float16 with loss scaling); weights, softmax and losses stay float32. "
    "auto: bfloat16 where a probe of some seconds finds it faster.",
)
flags.DEFINE_enum(
    "augment_on",
    "host",
    ["host", "device"],
    "Where images are augmented: on the CPUs, beside training, or where the model runs (a GPU that "
    "waits for its images). The draws are the same.",
)
flags.DEFINE_bool("deterministic", False, "Bitwise repeatable on a CPU; slower.")
flags.DEFINE_integer("evaluate_every", 1, "Epochs between two validations.", lower_bound=1)
flags.DEFINE_integer(
    "kmeans_k",
    None,
    "Groups of the k-means on features that the report scores too. Default: as many as "
    "the overclustering heads have clusters, 60 without.",
    lower_bound=1,
)
flags.DEFINE_string("export_dir", None, "Folder of SavedModels; default export/models/<run name>.")
flags.DEFINE_bool("export", True, "Write a SavedModel at the end of training.")

flags.DEFINE_bool(
    "tensorboard", True, "Write <workdir>/tensorboard: curves, clusters, settings, projector."
)

RUN_ONLY = (
    *("workdir", "export_dir", "export", "strategy", "tensorboard", "kmeans_k"),
    *("cache", "cache_gigabytes", "cache_dir"),
)
# Below a workdir; there before the run is.
CACHE = "cache"


def given(modules: Sequence[str] = (__name__, method_flags.__name__)) -> dict[str, Any]:
    """{name: value} of the flags of a run: those defined here and those of the methods."""
    defined = flags.FLAGS.flags_by_module_dict()
    return {flag.name: flag.value for module in modules for flag in defined[module]}


def kmeans_k(f: Any, k: int) -> int:
    """Groups of k-means in the report.

    Args:
      f: object with the flags' values.
      k: clusters of the model's overclustering heads, 0 without them.
    """
    # --k has its default where the method has no use for it.
    return f.kmeans_k or k or f.k


def loading(f: Any, workdir: pathlib.Path) -> dict[str, Any]:
    """How images are loaded, for `data.pipeline.make_loader`.

    Args:
      f: object with the flags' values.
      workdir: pathlib.Path of the run.
    """
    return {
        "cache": f.cache,
        "cache_gigabytes": f.cache_gigabytes,
        "cache_dir": f.cache_dir or workdir / CACHE,
        "fast_jpeg": f.fast_jpeg,
    }


def as_flagfile(values: Mapping[str, Any]) -> str:
    """Lines that --flagfile takes; flags without a value are left out."""
    lines = []
    for name in sorted(values):
        value = values[name]
        if isinstance(value, bool):
            lines.append(f"--{'' if value else 'no'}{name}")
        elif value is not None:
            lines.append(f"--{name}={value}")
    return "\n".join(lines) + "\n"
