"""Every flag of the programs, grouped. Only programs import this; the library takes arguments."""

from absl import flags

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
flags.DEFINE_integer("labels_per_class", 0, "Labelled images kept for each class; 0 keeps all.")
flags.DEFINE_enum(
    "input",
    "rgb",
    ["rgb", "grey", "sobel", "sobel_rgb"],
    "What the network sees: 3 channels, 1, the 2 of Sobel's edges, or edges beside the colours.",
)
flags.DEFINE_integer("load_size", 96, "Side in pixels to which every image is resized.")
flags.DEFINE_integer("image_size", 64, "Side in pixels of the crops that the network sees.")
flags.DEFINE_enum(
    "cache",
    "auto",
    ["auto", "memory", "disk", "none"],
    "Where decoded images are kept; auto: in memory up to --cache_gigabytes, else on disk where it "
    "has room, else nowhere. The pixels are the same.",
)
flags.DEFINE_float("cache_gigabytes", 2.0, "Decoded images that memory may hold, in 2^30 bytes.")
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
    "foc, iic, supervised, pi_model, mean_teacher, pseudo_label, fixmatch or mixmatch.",
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
flags.DEFINE_integer("num_sub_heads", 5, "Copies of each head; the best on validation is used.")
flags.DEFINE_integer("hidden_units", 0, "Width of a hidden layer in each head; 0 for none.")
flags.DEFINE_float("dropout", 0.5, "Share of features dropped before the heads, 0 to 1.")

flags.DEFINE_enum(
    "class_weights",
    None,
    ["none", "inverse"],
    "Weights of the classes in the cross-entropy with labels; inverse: of their share of the "
    "labelled images. Default none.",
)

# --- methods
flags.DEFINE_integer(
    "k",
    60,
    "Clusters of the overclustering heads: 5 to 10 times the classes. (foc, iic; with --over_head "
    "pi_model, mean_teacher, pseudo_label, fixmatch, mixmatch)",
)
flags.DEFINE_bool(
    "over_head",
    None,
    "Overclustering heads with FOC's losses beside the method's own. (pi_model, mean_teacher, "
    "pseudo_label, fixmatch, mixmatch)",
)
flags.DEFINE_float("lambda_s", 1.0, "Weight of the supervised losses. (foc)")
flags.DEFINE_float(
    "lambda_ice", 1.0, "Weight of the inverse cross-entropy, times lambda_s; 0 for none. (foc)"
)
flags.DEFINE_float(
    "lambda_u",
    None,
    "Weight of the loss without labels: foc 1 (mutual information, but in pretext), pi_model 10, "
    "mean_teacher 50, pseudo_label 1, fixmatch 1, mixmatch 75 where it is not given.",
)
flags.DEFINE_float(
    "ramp_up",
    None,
    "Share of a stage's steps over which lambda_u rises from 0, 0 to 1: fixmatch 0, pi_model, "
    "mean_teacher, pseudo_label and mixmatch 0.4 where it is not given.",
)
flags.DEFINE_float(
    "threshold",
    None,
    "Smallest probability of a pseudo-label, 0 to 1; default 0.95. (pseudo_label, fixmatch)",
)
flags.DEFINE_float(
    "temperature",
    None,
    "Guesses are sharpened by the power 1 / temperature; default 0.5. (mixmatch)",
)
flags.DEFINE_float(
    "mixup_alpha", None, "Weights of MixUp are of Beta(a, a); default a = 0.75. (mixmatch)"
)
flags.DEFINE_float(
    "ema_decay",
    None,
    "Largest share of the teacher that a step keeps, 0 to 1; default 0.999. (mean_teacher)",
)
flags.DEFINE_bool(
    "distribution_alignment",
    None,
    "Guesses take the labelled images' proportions of classes. (pseudo_label, fixmatch, mixmatch)",
)
flags.DEFINE_float(
    "unlabeled_ratio",
    0.5,
    "r: at most this share of a batch is unlabelled; 1 removes the cap: an epoch passes all. mu "
    "unlabelled rows for each labelled one are r = mu / (mu + 1). (all but supervised)",
)
flags.DEFINE_enum(
    "negatives",
    "triplet",
    ["triplet", "shared", "in_batch"],
    "Images of other classes: a third view (the paper), one for all repetitions of an image, or "
    "the batch's other rows, which saves a third of the passes. (foc)",
)
flags.DEFINE_enum(
    "ce_views", "anchor", ["anchor", "both"], "Views that the cross-entropy learns from. (foc)"
)
flags.DEFINE_enum(
    "normal_mi_rows",
    "all",
    ["all", "labeled"],
    "Rows in the normal head's mutual information: all (paper) or labeled (authors' code). (foc)",
)
flags.DEFINE_integer(
    "alternate_epochs",
    5,
    "Epochs of each head kind in turn; 0 trains both in every step. (foc, iic)",
)
flags.DEFINE_integer(
    "alternate_steps",
    0,
    "Steps of each head kind in turn, in place of epochs; 0 for none. (foc, iic)",
)
flags.DEFINE_integer(
    "pretext_epochs", 500, "Warm-up epochs without labels; 0 skips them. (foc, iic)"
)

flags.DEFINE_enum(
    "pretext_partners",
    "self",
    ["self", "same_class"],
    "Second view in pretext: the image itself, or another labelled image of its class (an upper "
    "bound: it uses labels). (foc)",
)

# --- training
flags.DEFINE_integer("heads_only_epochs", 100, "Epochs with a frozen backbone; 0 skips them.")
flags.DEFINE_integer(
    "frozen_views",
    0,
    "Augmented versions of each image that pass the frozen backbone once, when heads_only begins, "
    "and are kept (in --cache_gigabytes): its epochs then cost nearly nothing. 0: fresh ones in "
    "every step. (foc, iic, supervised)",
)
flags.DEFINE_integer("fine_tune_epochs", 500, "Epochs that train everything with labels.")
flags.DEFINE_integer("batch_size", 390, "Rows of a global batch, repetitions counted.")
flags.DEFINE_integer("repetitions", 3, "How often each drawn image stands in a batch.")
flags.DEFINE_float("learning_rate", 1e-4, "Adam's, in pretext and fine_tune.")
flags.DEFINE_float("heads_learning_rate", 1e-3, "Adam's, in heads_only.")
flags.DEFINE_enum(
    "learning_rate_schedule",
    "plateau",
    ["plateau", "cosine", "constant"],
    "plateau: times 0.1 when the loss stands still; cosine: to 0 over each stage.",
)
flags.DEFINE_integer("plateau_epochs", 75, "Epochs without a new minimum, for plateau.")
flags.DEFINE_float(
    "early_stopping_share",
    1 / 3,
    "A stage ends after this share of its epochs without a new minimum, with plateau; 0 never.",
)
flags.DEFINE_string(
    "augment_anchor",
    None,
    "Recipe of the first view, a name of foc_tf.augment.AUGMENTATIONS; default the method's own.",
)
flags.DEFINE_string(
    "augment_positive",
    None,
    "Recipe of the second view. (foc, iic, pi_model, mean_teacher, mixmatch; pseudo_label with "
    "--over_head)",
)
flags.DEFINE_string("augment_strong", None, "Recipe of the strong view. (fixmatch)")
flags.DEFINE_string("augment_negative", None, "Recipe of the third view. (foc)")

# --- run
flags.DEFINE_string(
    "workdir", None, "Folder of the run; default runs/<flagfile's or dataset's name>."
)
flags.DEFINE_integer("seed", 0, "Of initial weights, batches, augmentation and dropout.")
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
flags.DEFINE_integer("evaluate_every", 1, "Epochs between two validations.")
flags.DEFINE_string("export_dir", None, "Folder of SavedModels; default export/models/<run name>.")
flags.DEFINE_bool("export", True, "Write a SavedModel at the end of training.")

flags.DEFINE_bool(
    "tensorboard", True, "Write <workdir>/tensorboard: curves, clusters, settings, projector."
)

RUN_ONLY = (
    *("workdir", "export_dir", "export", "strategy", "tensorboard"),
    *("cache", "cache_gigabytes", "cache_dir"),
)
# Below a workdir; there before the run is.
CACHE = "cache"


def given(module_name=__name__):
    """{name: value} of the flags defined here."""
    values = flags.FLAGS.flags_by_module_dict()[module_name]
    return {flag.name: flag.value for flag in values}


def loading(f, workdir):
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


def as_flagfile(values):
    """Lines that --flagfile takes; flags without a value are left out."""
    lines = []
    for name in sorted(values):
        value = values[name]
        if isinstance(value, bool):
            lines.append(f"--{'' if value else 'no'}{name}")
        elif value is not None:
            lines.append(f"--{name}={value}")
    return "\n".join(lines) + "\n"
