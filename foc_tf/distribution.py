"""Replicas: which strategy a run uses, which worker this is, and sums over the global batch."""

import dataclasses
import json
import os
from collections.abc import Callable, Iterable

import tensorflow as tf

STRATEGIES = ("auto", "one", "mirrored", "multi_worker")


@dataclasses.dataclass(frozen=True)
class Worker:
    """The place of this process among the workers of a run.

    Attributes:
      index: 0 .. `count` - 1.
      count: number of workers, 1 without TF_CONFIG.
      chief: whether it is the one that writes results.
    """

    index: int = 0
    count: int = 1
    chief: bool = True


def worker() -> Worker:
    """The `Worker` that TF_CONFIG describes; the only one where that is not set.

    Raises:
      ValueError: if TF_CONFIG is not JSON of {"cluster": {"worker": ["host:port", ...]}, "task":
        {"type": "worker", "index": 0}}; says what is wrong.
    """
    text = os.environ.get("TF_CONFIG", "").strip()
    if not text:
        return Worker()
    try:
        config = json.loads(text)
        cluster = config.get("cluster", {})
        chiefs, workers = list(cluster.get("chief", [])), list(cluster.get("worker", []))
        task = config.get("task", {})
        kind, index = task.get("type", "worker"), int(task.get("index", 0))
    except (ValueError, AttributeError, TypeError) as error:
        raise ValueError(f"TF_CONFIG: expected JSON with cluster and task ({error}).") from None
    members = {"chief": chiefs, "worker": workers}
    if not chiefs + workers:
        return Worker()
    if kind not in members or not 0 <= index < len(members[kind]):
        raise ValueError(
            f"TF_CONFIG: task {kind} {index} is not in the cluster, which has {len(chiefs)} chief "
            f"and {len(workers)} worker addresses."
        )
    place = index + (len(chiefs) if kind == "worker" else 0)
    return Worker(place, len(chiefs) + len(workers), place == 0)


def make_strategy(name: str = "auto") -> tf.distribute.Strategy:
    """Returns the distribution strategy of a run; call it before any other TensorFlow operation.

    Args:
      name: "one" (device), "mirrored" (all GPUs of this machine), "multi_worker" (all machines of
        TF_CONFIG) or "auto": multi_worker where TF_CONFIG names several workers, mirrored where
        several GPUs are visible, else one.

    Raises:
      ValueError: if `name` is none of these, or several workers are wanted without TF_CONFIG.
    """
    if name not in STRATEGIES:
        raise ValueError(f"strategy: expected one of {', '.join(STRATEGIES)}, found {name!r}.")
    several = worker().count > 1
    if name == "multi_worker" and not several:
        raise ValueError(
            "strategy: multi_worker needs the environment variable TF_CONFIG with the addresses of "
            "at least two workers and this one's place; see README, Several machines."
        )
    if name == "multi_worker" or (name == "auto" and several):
        return tf.distribute.MultiWorkerMirroredStrategy()
    if name == "mirrored" or (name == "auto" and len(tf.config.list_logical_devices("GPU")) > 1):
        return tf.distribute.MirroredStrategy()
    return tf.distribute.get_strategy()


def distribute(
    strategy: tf.distribute.Strategy, make_batches: Callable[[tuple[int, int]], tf.data.Dataset]
) -> Iterable:
    """A dataset of global batches for `fit` under a strategy.

    Every worker builds only its own rows; its replicas get equal parts of them, in order.

    Args:
      strategy: a tf.distribute strategy.
      make_batches: function of (part index, number of parts) -> tf.data.Dataset of that part's rows
        of every batch: structures of [B / parts, ...] tensors of static shape.

    Returns:
      A tf.data.Dataset on one replica, else a distributed one.
    """
    if strategy.num_replicas_in_sync == 1:
        return make_batches((0, 1))

    def of_this_worker(context):
        parts = context.num_input_pipelines
        batches = make_batches((context.input_pipeline_id, parts))
        replicas = strategy.num_replicas_in_sync // parts
        return batches.map(lambda batch: _cut(batch, replicas)).unbatch().prefetch(2 * replicas)

    return strategy.distribute_datasets_from_function(of_this_worker)


def _cut(batch, parts):
    """Every [N, ...] tensor of a structure as [parts, N / parts, ...]."""
    return tf.nest.map_structure(
        lambda x: tf.reshape(x, (parts, x.shape[0] // parts, *x.shape[1:])), batch
    )


def same_everywhere(strategy: tf.distribute.Strategy, number: float) -> bool:
    """Whether all workers hold the same number."""
    if worker().count == 1:
        return True

    def squared_distance():
        mine = tf.constant(float(number))
        return tf.square(mine - global_mean(mine))

    distance = strategy.reduce("SUM", strategy.run(tf.function(squared_distance)), axis=None)
    return float(distance) == 0.0


def num_replicas() -> int:
    """Number of replicas that share a training step (1 outside a strategy)."""
    return tf.distribute.get_strategy().num_replicas_in_sync


def replica_id() -> tf.Tensor | int:
    """Index of this replica in 0 .. `num_replicas()` - 1 (0 outside a strategy)."""
    context = tf.distribute.get_replica_context()
    return context.replica_id_in_sync_group if context is not None else 0


def global_sum(x: tf.Tensor) -> tf.Tensor:
    """Sum of a per-replica tensor over all replicas; the tensor itself on one replica."""
    context = tf.distribute.get_replica_context()
    if context is None or num_replicas() == 1:
        return x
    return context.all_reduce(tf.distribute.ReduceOp.SUM, x)


def global_rows(x: tf.Tensor) -> tf.Tensor:
    """The rows of all replicas, in the order of the global batch: [B / replicas, ...] to [B, ...].

    Gradients run back to the rows' own replicas.
    """
    context = tf.distribute.get_replica_context()
    if context is None or num_replicas() == 1:
        return x
    gathered = context.all_gather(x, axis=0)
    # A distributed data set may have lost the number of its rows.
    rows = None if x.shape[0] is None else num_replicas() * x.shape[0]
    return tf.ensure_shape(gathered, (rows, *x.shape[1:]))


def global_mean(x: tf.Tensor) -> tf.Tensor:
    """Mean of a per-replica tensor over all replicas (replicas hold equally many rows)."""
    return global_sum(x) / num_replicas()
