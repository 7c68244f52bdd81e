"""The flags that some methods have and others do not: their help says which. Part of `flags`."""

from absl import flags

flags.DEFINE_integer(
    "k",
    60,
    "Clusters of the overclustering heads: 5 to 10 times the classes. (foc, iic; with --over_head "
    "pi_model, mean_teacher, pseudo_label, fixmatch, mixmatch)",
    lower_bound=1,
)
flags.DEFINE_bool(
    "over_head",
    None,
    "Overclustering heads with FOC's losses beside the method's own. (pi_model, mean_teacher, "
    "pseudo_label, fixmatch, mixmatch)",
)
flags.DEFINE_float("lambda_s", 1.0, "Weight of the supervised losses. (foc)", lower_bound=0)
flags.DEFINE_float(
    "lambda_ice",
    1.0,
    "Weight of the inverse cross-entropy, times lambda_s; 0 for none. (foc)",
    lower_bound=0,
)
flags.DEFINE_float(
    "lambda_u",
    None,
    "Weight of the loss without labels: foc 1 (mutual information, but in pretext), pi_model 10, "
    "mean_teacher 50, pseudo_label 1, fixmatch 1, mixmatch 75 where it is not given.",
    lower_bound=0,
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
flags.DEFINE_enum(
    "partners",
    "same_class",
    ["same_class", "self"],
    "Second view of a labelled image: another image of its class (the paper), or the image itself. "
    "(foc)",
)
flags.DEFINE_integer(
    "alternate_epochs",
    5,
    "Epochs of each head kind in turn; 0 trains both in every step. (foc, iic)",
    lower_bound=0,
)
flags.DEFINE_integer(
    "alternate_steps",
    0,
    "Steps of each head kind in turn, in place of epochs; 0 for none. (foc, iic)",
    lower_bound=0,
)
flags.DEFINE_integer(
    "pretext_epochs",
    500,
    "Warm-up epochs without labels; 0 skips them. (foc, iic, scan, cmc, adc)",
    lower_bound=0,
)
flags.DEFINE_enum(
    "pretext_partners",
    "self",
    ["self", "same_class"],
    "Second view in pretext: the image itself, or another labelled image of its class (an upper "
    "bound: it uses labels). (foc)",
)
flags.DEFINE_float(
    "entropy_weight",
    5.0,
    "Weight of the entropy that wants clusters of one size. (scan)",
    lower_bound=0,
)
flags.DEFINE_integer(
    "num_neighbors",
    20,
    "Nearest images that should be in one cluster with an image. (scan)",
    lower_bound=1,
)
flags.DEFINE_float(
    "self_label_threshold",
    0.99,
    "Probability, 0 to 1, above which an image keeps its cluster as a label. (scan)",
)
flags.DEFINE_integer(
    "self_label_epochs",
    200,
    "Epochs of self-labelling after fine_tune; 0 skips them. (scan)",
    lower_bound=0,
)
flags.DEFINE_float(
    "visit_weight",
    0.5,
    "Weight of the loss that wants all images visited alike. (adc)",
    lower_bound=0,
)
