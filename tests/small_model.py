"""An untrained network with 10 classes and 20 clusters, exported as any other."""

import numpy as np

import foc_tf
from foc_tf import export, report
from foc_tf.data import digits


def exported(folder):
    """Path of a SavedModel in a new folder."""
    image_set = digits.read()
    network = foc_tf.build_model("foc", "small_resnet", 10, 16, 3, k=20, num_sub_heads=1)
    network.details = {
        **dict.fromkeys(("dataset", "licence", "method", "seed", "versions"), ""),
        **{"classes": list(image_set.classes), "load_size": 16, "image_size": 16},
    }
    rng = np.random.default_rng(0)
    outputs = {
        f"{head}_probs": rng.dirichlet(np.ones(width), (len(image_set.ids), 1))
        for head, width in (("normal", 10), ("over", 20))
    }
    scorer = report.Scorer(image_set, image_set.training_labels(), outputs)
    return export.write(folder / "m", network, scorer, {"splits": {}})
