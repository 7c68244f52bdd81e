"""Memory of training on N images, decoded when a batch needs them: `main`, in a fresh process.

A thousand small images are seen through as many symbolic links as N distinct paths need. Linux.
"""

import json
import os
import pathlib
import sys
import tempfile
from typing import Any

import numpy as np
import tensorflow as tf

from foc_tf.data import pipeline
from foc_tf.data.batches import BatchSampler
from foc_tf.data.images import ImageSet
from foc_tf.views import View

STATUS = pathlib.Path("/proc/self/status")
FILES = 1000
_CLASSES, _ROWS, _SIDE = 10, 48, 16


def write_images(folder: pathlib.Path) -> None:
    """Writes `FILES` small images of noise."""
    noise = np.random.default_rng(0).integers(0, 256, (FILES, 20, 20, 3), np.uint8)
    for index, image in enumerate(noise):
        (folder / f"{index:03}.png").write_bytes(tf.io.encode_png(image).numpy())


def linked_set(folder: pathlib.Path, count: int, links: pathlib.Path) -> ImageSet:
    """`ImageSet` of `count` distinct paths to the images of `folder`, through links in `links`."""
    places = -(-count // FILES)
    for place in range(places):
        os.symlink(folder, links / f"{place:05}", target_is_directory=True)
    paths = [f"{place:05}/{index:03}.png" for place in range(places) for index in range(FILES)]
    names = np.array(paths[:count], object)
    votes = np.zeros((count, _CLASSES), np.int64)
    votes[np.arange(count), np.arange(count) % _CLASSES] = 2
    votes[::3, 0] += 1  # a third is fuzzy, but for class 0
    root = f"{links}/"
    return ImageSet(
        name="linked",
        classes=tuple(map(str, range(_CLASSES))),
        ids=names,
        sources=np.array([root + name for name in names], object),
        votes=votes,
        splits=np.full(count, "train", object),
    )


def batches(image_set: ImageSet) -> tf.data.Dataset:
    """Endless training batches of the set, images decoded when needed."""
    labels = image_set.training_labels()
    sampler = BatchSampler(labels, image_set.roles().unlabeled, _ROWS, 0.5, 3)
    loader = pipeline.make_loader(image_set.sources, 20, 3, cache="none")
    views = (View("anchor", "self", "crop"), View("positive", "same_class", "crop"))
    return pipeline.training_batches(sampler, views, loader, _SIDE)


def bytes_of_arrays(image_set: ImageSet) -> int:
    """Bytes of a set's own arrays: pointers and numbers, and every string once."""
    texts = [*image_set.ids, *image_set.sources]
    arrays = (image_set.ids, image_set.sources, image_set.votes, image_set.splits)
    return sum(map(sys.getsizeof, texts)) + sum(array.nbytes for array in arrays)


def status(name: str) -> int:
    """A line of /proc/self/status in bytes: "VmRSS" is resident now, "VmHWM" at most so far."""
    # getrusage's maximum would include the parent's from before the program was started.
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(name + ":"))
    return 1024 * int(line.split()[1])


def main(folder: pathlib.Path | str, count: int, steps: int) -> None:
    """Trains on nothing but takes batches; prints JSON in bytes.

    Args:
      folder: of `write_images`.
      count: N.
      steps: batches to take.

    `alone` is what TensorFlow and the imported modules hold, `peak` what was held at most, `arrays`
    what the set's own arrays hold; `resident` are ten [step, held after it].
    """
    tf.reduce_sum(tf.ones((64, 64)) @ tf.ones((64, 64)))
    result: dict[str, Any] = {"alone": status("VmRSS"), "resident": []}
    with tempfile.TemporaryDirectory() as links:
        image_set = linked_set(pathlib.Path(folder).absolute(), count, pathlib.Path(links))
        for step, _ in enumerate(batches(image_set).take(steps), 1):
            if step % max(1, steps // 10) == 0:
                result["resident"].append([step, status("VmRSS")])
        result |= {"peak": status("VmHWM"), "arrays": bytes_of_arrays(image_set)}
    print(json.dumps(result))
