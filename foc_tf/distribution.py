"""Replicas: which strategy a run uses, and sums and means over the global batch."""

import tensorflow as tf


def make_strategy(name="auto"):
    """Returns the distribution strategy of a run.

    Args:
      name: "auto" (mirrored when several GPUs are visible, else one device), "one" or "mirrored".

    Raises:
      ValueError: if `name` is none of these.
    """
    if name == "auto":
        name = "mirrored" if len(tf.config.list_logical_devices("GPU")) > 1 else "one"
    if name == "one":
        return tf.distribute.get_strategy()
    if name == "mirrored":
        return tf.distribute.MirroredStrategy()
    raise ValueError(f"strategy: expected auto, one or mirrored, found {name!r}.")


def num_replicas():
    """Number of replicas that share a training step (1 outside a strategy)."""
    return tf.distribute.get_strategy().num_replicas_in_sync


def replica_id():
    """Index of this replica in 0 .. `num_replicas()` - 1 (0 outside a strategy)."""
    context = tf.distribute.get_replica_context()
    return context.replica_id_in_sync_group if context is not None else 0


def global_sum(x):
    """Sum of a per-replica tensor over all replicas; the tensor itself on one replica."""
    context = tf.distribute.get_replica_context()
    if context is None or num_replicas() == 1:
        return x
    return context.all_reduce(tf.distribute.ReduceOp.SUM, x)


def global_mean(x):
    """Mean of a per-replica tensor over all replicas (replicas hold equally many rows)."""
    return global_sum(x) / num_replicas()
