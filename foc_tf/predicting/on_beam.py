"""Predicting on a cluster: an Apache Beam pipeline that writes CSV in shards.

The workers read the images themselves, so these and the model must lie where all of them can read:
a shared file system, or URLs (gs://, hdfs://) in a list. foc_tf must be installed there.
"""

import csv
import io
import json
import pathlib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import apache_beam as beam
import numpy as np
from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems
from apache_beam.metrics import Metrics, MetricsFilter
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.utils.shared import Shared

from foc_tf.formats import image_check
from foc_tf.formats.predictions import Predictions, csv_header, csv_rows
from foc_tf.formats.tree import Tree
from foc_tf.predicting import models, streaming
from foc_tf.spreadsheets import safe

if TYPE_CHECKING:
    from foc_tf.formats.collection import Collection

_BAD = "unreadable"


def run(
    model: pathlib.Path | str,
    collection: "Collection",
    output: pathlib.Path | str,
    batch_size: int,
    max_pixels: int,
    options: Sequence[str],
) -> tuple[int, int]:
    """Predicts a collection with Beam: `<output>-00000-of-00004.csv` and so on.

    Args:
      model: path of a SavedModel or workdir that the workers can read.
      collection: `formats.collection.Collection`.
      output: `<name>.csv` whose shards are written; those of unreadable images are
        `<name>.unreadable-*.csv`. Beam gives them their names when all are complete.
      batch_size: images of a step.
      max_pixels: of `formats.image_check.usable`.
      options: Beam's flags.

    Returns:
      (rows, unreadable images); 0 where the runner has no counters.

    Raises:
      ValueError: if the model is none, the batch size is wrong, no image can be used, or shards of
        an earlier run are there.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size: expected at least 1, found {batch_size}.")
    _check_free(output)
    loaded = models.load(model)
    header = csv_header(_predictions(loaded, [], {"class_probs": np.zeros((0, 0))}))
    items = f"{output}.items.jsonl"
    _write_items(collection, items)
    try:
        pipeline = beam.Pipeline(options=PipelineOptions(list(options)))
        archive = str(collection.tree.path.absolute()) if _is_archive(collection.tree) else None
        read = Read(archive, max_pixels, collection.tree.max_file_bytes)
        _build(pipeline, items, read, Predict(str(model)), header, str(output), batch_size)
        result = _finished(pipeline)
    finally:
        FileSystems.delete([items])
    rows, unreadable = (_count(result, name) for name in ("rows", _BAD))
    if unreadable and not rows:
        raise ValueError(
            f"source: no image of {collection.tree} can be used; the reasons are in "
            f"{stem(output)}.unreadable-*.csv."
        )
    return rows, unreadable


def _finished(pipeline):
    try:
        result = pipeline.run()
        try:
            result.wait_until_finish()
        except KeyboardInterrupt:
            # The list of images goes now, so the work must not go on elsewhere.
            result.cancel()
            raise
    except RuntimeError as error:
        # DirectRunner's workers make Ctrl-C an error of theirs.
        if str(error).startswith("KeyboardInterrupt"):
            raise KeyboardInterrupt from None
        raise
    return result


def stem(output: pathlib.Path | str) -> str:
    """The output's name without `.csv`, which its shards have at their ends."""
    return str(output).removesuffix(".csv")


def _check_free(output):
    # Another number of shards has other names: old and new ones would stand side by side.
    patterns = [f"{stem(output)}-*-of-*.csv", f"{stem(output)}.unreadable-*-of-*.csv"]
    found = [entry.path for match in FileSystems.match(patterns) for entry in match.metadata_list]
    if found:
        raise ValueError(
            f"output: {len(found)} shards of an earlier run are there, first {found[0]}; remove "
            "them or give another --output."
        )


def _is_archive(tree):
    return getattr(tree, "is_archive", False)


def _write_items(collection, path):
    """A line an image; a file and not part of the pipeline, whose description must be small."""
    tree = collection.tree
    with FileSystems.create(path, compression_type=CompressionTypes.UNCOMPRESSED) as file:
        for item, name in enumerate(collection.files):
            place = name if _is_archive(tree) else tree.on_disk(name)
            place = str(place if isinstance(place, str) else place.absolute())
            row = [collection.source(item), collection.objects[item], place]
            file.write(json.dumps(row).encode() + b"\n")


def _build(pipeline, items, read, predict, header, output, batch_size):
    checked = (
        pipeline
        | "Items" >> beam.io.ReadFromText(items)
        # A short file is one split; without this all images would go to one worker.
        | "Spread" >> beam.Reshuffle()
        | "Read" >> beam.ParDo(read).with_outputs(_BAD, main="good")
    )
    predicted = (
        checked.good
        | "Batch" >> beam.BatchElements(batch_size, batch_size)
        | "Predict" >> beam.ParDo(predict).with_outputs(_BAD, main="rows")
    )
    endings = {"file_name_suffix": ".csv"}
    predicted.rows | "Write" >> beam.io.WriteToText(
        stem(output), header=header.rstrip("\n"), **endings
    )
    bad = (checked[_BAD], predicted[_BAD]) | "All unreadable" >> beam.Flatten()
    bad | "Write unreadable" >> beam.io.WriteToText(
        f"{stem(output)}.unreadable", header="image,reason", **endings
    )


class Read(beam.DoFn):
    """A line of the items to (name, object, checked bytes); what cannot be used is tagged.

    Args:
      archive: path of the zip archive that holds the images, None for files.
      max_pixels: of `formats.image_check.usable`.
      max_bytes: size up to which a file is read.
    """

    def __init__(self, archive: str | None, max_pixels: int, max_bytes: int) -> None:
        """See the class."""
        self._archive, self._max_pixels, self._max_bytes = archive, max_pixels, max_bytes
        self._unreadable = Metrics.counter("predict", _BAD)

    def setup(self) -> None:
        """Opens the archive, once a worker."""
        self._tree = Tree(self._archive, self._max_bytes) if self._archive else None

    def process(self, line: str) -> Iterable[Any]:
        """Yields the image or its reason."""
        name, object_id, place = json.loads(line)
        try:
            content = self._tree.read(place) if self._tree else self._file(place)
            yield name, object_id, image_check.usable(content, self._max_pixels)[0]
        except (ValueError, OSError) as error:
            self._unreadable.inc()
            yield beam.pvalue.TaggedOutput(_BAD, _line(name, str(error)))

    def _file(self, place):
        with FileSystems.open(place, compression_type=CompressionTypes.UNCOMPRESSED) as file:
            content = file.read(self._max_bytes + 1)
        if len(content) > self._max_bytes:
            raise ValueError(f"larger than {self._max_bytes / 2**20:.0f} MB (--max_file_mb)")
        return content


class Predict(beam.DoFn):
    """Batches of what `Read` gives to lines of the CSV.

    Args:
      model: path of a SavedModel or workdir.
    """

    def __init__(self, model: str) -> None:
        """See the class."""
        self._path, self._shared = model, Shared()
        self._rows = Metrics.counter("predict", "rows")
        self._unreadable = Metrics.counter("predict", _BAD)

    def setup(self) -> None:
        """Loads the model, once for all threads of a worker."""
        self._model = self._shared.acquire(lambda: models.load(self._path), tag=self._path)

    def process(self, batch: Any) -> Iterable[Any]:
        """Yields the lines of a batch as one string, and the images that cannot be decoded."""
        waiting = [((name, object_id), content) for name, object_id, content in batch]
        good, outputs, refused = streaming.asked(self._model, waiting)
        for (name, _), reason in refused:
            self._unreadable.inc()
            yield beam.pvalue.TaggedOutput(_BAD, _line(name, reason))
        if good:
            self._rows.inc(len(good))
            rows = csv_rows(_predictions(self._model, [item for item, _ in good], outputs))
            yield _text(rows)


def _predictions(model, items, outputs):
    count = len(items)
    return Predictions(
        images=[name for name, _ in items],
        objects=[object_id for _, object_id in items],
        splits=[""] * count,
        labelled=np.zeros(count, bool),
        class_probs=outputs["class_probs"],
        cluster_probs=outputs.get("cluster_probs"),
        classes=model.classes,
        cluster_classes=model.cluster_classes,
        cluster_names=model.cluster_names,
        category_ids={},
    )


def _line(*cells):
    buffer = io.StringIO(newline="")
    csv.writer(buffer, lineterminator="\n").writerow(map(safe, cells))
    return _text(buffer.getvalue())


def _text(lines):
    """UTF-8 has no half characters, names of files may; WriteToText ends the line itself."""
    return lines.rstrip("\n").encode("utf-8", "backslashreplace").decode()


def _count(result, name):
    found = result.metrics().query(MetricsFilter().with_name(name))["counters"]
    return sum(counter.result or 0 for counter in found)
