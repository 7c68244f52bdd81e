"""The served program: preprocessing in the graph, SavedModel and what lies beside it."""

from foc_tf.serving.saved_model import write

__all__ = ["write"]
