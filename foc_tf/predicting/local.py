"""Predicting in this process: rows as they come, and on with them after a stop."""

import dataclasses
import pathlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from foc_tf.formats import image_check
from foc_tf.formats.predictions import WRITERS, csv_header, csv_rows
from foc_tf.predicting import streaming
from foc_tf.predicting.partial import Partial

if TYPE_CHECKING:
    from foc_tf.formats.collection import Collection
    from foc_tf.predicting.models import Model, RunModel


@dataclasses.dataclass(frozen=True)
class Job:
    """What is predicted and how it is written.

    Attributes:
      model: of `models.load`.
      collection: `formats.collection.Collection`.
      output: file to write.
      kind: a name of `formats.predictions.WRITERS`.
      batch_size: images of a step.
      max_pixels: of `formats.image_check.usable`.
      include_labelled: write also what the annotators agree on. (ecotaxa)
    """

    model: "Model | RunModel"
    collection: "Collection"
    output: pathlib.Path
    kind: str = "csv"
    batch_size: int = 64
    max_pixels: int = image_check.MAX_PIXELS
    include_labelled: bool = False


def run(
    job: Job,
    begin: Callable[[int, int], Any] | None = None,
    progress: Callable[[int], Any] | None = None,
) -> tuple[int, int, pathlib.Path]:
    """Predicts what is left of a job and writes its output.

    Args:
      job: `Job`.
      begin: function of (images done by an earlier run, images in all) that is called once.
      progress: function of the number of images done.

    Returns:
      (rows of the output, what was left out, path of its list).

    Raises:
      ValueError: if the format cannot be written of this source or model, no image can be used, or
        the output was begun by another job.
    """
    agreed = streaming.labelled(job.collection)
    agreed &= not job.include_labelled
    _check(job, agreed)
    header = csv_header(_empty(job, agreed)).encode("utf-8", "backslashreplace")
    with Partial(job.output, work(job, agreed), header if job.kind == "csv" else b"") as partial:
        rows = partial.rows
        if begin:
            begin(partial.done, len(job.collection))
        if not partial.complete:
            _fill(job, agreed, partial, progress)
            rows = _finish(job, agreed, partial)
        return rows, partial.unreadable, partial.unreadable_path


def work(job: Job, agreed: np.ndarray) -> dict[str, Any]:
    """{what: value} that two runs of one job have in common."""
    return {
        "model": job.model.digest(),
        "source": f"{len(job.collection)} images {streaming.digest(job.collection, agreed)}",
        "format": job.kind,
        "batch_size": job.batch_size,
        "max_image_megapixels": job.max_pixels / 1e6,
    }


def _check(job, agreed):
    """What can be known to fail before the first image is read."""
    if job.batch_size < 1:
        raise ValueError(f"batch_size: expected at least 1, found {job.batch_size}.")
    if job.kind in ("ecotaxa", "morphocluster"):
        _empty(job, agreed, range(len(job.collection))).check_objects()
    if job.kind == "morphocluster" and not job.model.cluster_names:
        raise ValueError("format: morphocluster needs a model with overclustering heads.")
    if job.kind == "ecotaxa" and agreed.all():
        raise ValueError(
            "format: annotators agree on all objects of the source; none needs a prediction. "
            "--include_labelled writes them too."
        )


def _empty(job, agreed, items=()):
    classes, clusters = len(job.model.classes), len(job.model.cluster_names)
    outputs = {"class_probs": np.zeros((0, classes))}
    if clusters:
        outputs["cluster_probs"] = np.zeros((0, clusters))
    return streaming.predictions(job.model, job.collection, list(items), outputs, agreed)


def _fill(job, agreed, partial, progress):
    if not partial.done and not partial.unreadable:
        # Images that a table names and that are not there, by file and line.
        partial.append(b"", 0, job.collection.skipped, 0)
    record = _record(job.model)
    settings = (job.batch_size, job.max_pixels)
    for step in streaming.steps(job.model, job.collection, partial.done, *settings):
        content = b""
        if step.items:
            _check_width(job.model, step.outputs)
            if job.kind == "csv":
                p = streaming.predictions(
                    job.model, job.collection, step.items, step.outputs, agreed
                )
                content = csv_rows(p).encode("utf-8", "backslashreplace")
            else:
                content = _spooled(record, step)
        listed = [(job.collection.source(item), reason) for item, reason in step.unreadable]
        partial.append(content, len(step.items), listed, step.end)
        if progress:
            progress(step.end)


def _record(model):
    """dtype of one image's outputs in the spool of a format that needs all images at once."""
    fields = [("item", "<i8"), ("class_probs", "<f4", (len(model.classes),))]
    if model.cluster_names:
        fields.append(("cluster_probs", "<f4", (len(model.cluster_names),)))
    return np.dtype(fields)


def _check_width(model, outputs):
    expected = {"class_probs": len(model.classes), "cluster_probs": len(model.cluster_names)}
    for name, values in outputs.items():
        if values.shape[1:] != (expected[name],):
            raise ValueError(
                f"model: {model.folder} gives {name} of shape {values.shape}; its lists of classes "
                f"and clusters have {expected[name]} names. Export it again."
            )


def _spooled(record, step):
    rows = np.zeros(len(step.items), record)
    rows["item"] = step.items
    for name, values in step.outputs.items():
        rows[name] = values
    return rows.tobytes()


def _finish(job, agreed, partial):
    if not partial.rows:
        partial.discard()
        raise ValueError(
            f"source: no image of {job.collection.tree} can be used; the reasons are in "
            f"{partial.unreadable_path}."
        )
    if job.kind == "csv":
        partial.finish()
        return partial.rows
    counts = []
    partial.finish(lambda: counts.append(_write(job, agreed, partial.path)))
    return counts[0]


def _write(job, agreed, path):
    table = np.memmap(path, _record(job.model), mode="r")
    outputs = {name: table[name] for name in table.dtype.names if name != "item"}
    p = streaming.predictions(job.model, job.collection, np.array(table["item"]), outputs, agreed)
    return WRITERS[job.kind](job.output, p)
