"""Fuzzy Overclustering (FOC) for TensorFlow and Keras.

Public names load on first use, so that `import foc_tf` costs nothing:
`losses`, `heads`, `mapping`, `metrics`, `annotations`, `augment`, `backbones`, `data`, `methods`,
`stages`, `views` (modules), `build_model`, `load`, `feature_extractor`, `MultiHead`.

.. include:: recipes.md
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # what reads the code and does not run it knows no names that load on first use
    from foc_tf.build import build_model as build_model
    from foc_tf.build import load as load
    from foc_tf.features import feature_extractor as feature_extractor
    from foc_tf.heads import MultiHead as MultiHead

__version__ = "0.1.0"

_MODULES = (
    "annotations",
    "augment",
    "backbones",
    "data",
    "heads",
    "losses",
    "mapping",
    "methods",
    "metrics",
    "stages",
    "views",
)
_NAMES = {
    "build_model": "build",
    "load": "build",
    "feature_extractor": "features",
    "MultiHead": "heads",
}

__all__ = [*_MODULES, *_NAMES, "__version__"]


def __getattr__(name):
    if name in _MODULES:
        return importlib.import_module(f"foc_tf.{name}")
    if name in _NAMES:
        return getattr(importlib.import_module(f"foc_tf.{_NAMES[name]}"), name)
    raise AttributeError(f"module 'foc_tf' has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
