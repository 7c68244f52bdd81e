"""Clusters of a normal head that never saw a label, put into the order of the classes.

Pretext alone is unsupervised clustering as IIC does it (Ji et al. 2019): as many clusters as
classes, scored under the one-to-one permutation that agrees best with the labels.
"""

from typing import Any

import numpy as np

from foc_tf import mapping


def best_orders(clusters: np.ndarray, labels: np.ndarray, num_classes: int) -> np.ndarray:
    """The output of each sub-head that stands for each class.

    Args:
      clusters: [N, S] int, output that each sub-head gives an image.
      labels: [N] int, -1 = does not count.
      num_classes: C.

    Returns:
      [S, C] int64: `order[s, c]` is the output for class c under the Hungarian matching.
    """
    columns = np.asarray(clusters).T
    return np.stack([np.argsort(mapping.hungarian(c, labels, num_classes)) for c in columns])


def name_outputs(model: Any, clusters: np.ndarray, labels: np.ndarray) -> None:
    """Puts the outputs of a model's normal head into the order of the classes.

    From then on the model's classes mean something to all that use it, also where it is served.

    Args:
      model: a `model.SemiSupervisedModel`.
      clusters: [N, S] int, its normal head's outputs for some images.
      labels: [N] int, their reference classes.
    """
    model.normal_head.reorder(best_orders(clusters, labels, model.k_gt))
