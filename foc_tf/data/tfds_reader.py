"""Reads TFDS data sets (`--dataset=tfds:NAME`): written once as a prepared dataset, read as such.

The encoded images are copied from TFDS's records to files, so nothing but paths and votes is in
memory, and an image can be looked at, left out and annotated again like any other.
"""

import contextlib
import csv
import dataclasses
import pathlib
from collections.abc import Sequence

import numpy as np

from foc_tf import files
from foc_tf.data import prepared
from foc_tf.data.images import ImageSet
from foc_tf.datasets import examples, finding
from foc_tf.datasets.voting import VOTES, Votes
from foc_tf.splitting import stratified_splits

_SUFFIXES = {b"\x89PNG": ".png", b"\xff\xd8": ".jpg", b"GIF8": ".gif", b"BM": ".bmp"}


def read(
    name: str,
    data_dir: str | pathlib.Path | None = None,
    certain_threshold: float | None = None,
    seed: int = 0,
    beam_runner: str | None = None,
    beam_options: Sequence[str] = (),
) -> ImageSet:
    """Reads an image classification data set of TFDS, or a builder of foc_tf.datasets.

    Args:
      name: as TFDS has it, `cifar10`, `fuzzy_plankton/slice2`, `stl10_semi`; of several class
        labels one after a colon, `cifar100:coarse_label`.
      data_dir: TFDS's folder, its own default if None. Files that are fetched by hand
        (Plankton.zip, stl10_binary.tar.gz) lie here or in downloads/manual of it.
      certain_threshold: overrides that of the data set.
      seed: of the stratified 80/20 split where TFDS has no validation split.
      beam_runner: of builders that generate with Apache Beam, e.g. "DirectRunner".
      beam_options: Beam's flags, e.g. ["--direct_num_workers=2"].

    Returns:
      `images.ImageSet`; images of unlabelled splits or with label -1 have no votes.

    Raises:
      ValueError: if the data set is unknown, not there and not to be had, or not of images with a
        class; says what to do.
    """
    folder = prepare(name, data_dir, beam_runner, beam_options)
    image_set = prepared.read(folder, certain_threshold, seed)
    if (image_set.splits == "val").any():
        return image_set
    known = image_set.annotations
    pool = np.flatnonzero((image_set.splits == "train") & (known.reference >= 0))
    splits = image_set.splits.copy()
    splits[pool] = stratified_splits((known.reference * 2 + known.certain)[pool], seed)
    return dataclasses.replace(image_set, splits=splits)


def prepare(
    name: str,
    data_dir: str | pathlib.Path | None = None,
    beam_runner: str | None = None,
    beam_options: Sequence[str] = (),
) -> pathlib.Path:
    """The folder of the prepared dataset, `<data_dir>/foc_tf/<name>/<version>`; made if missing.

    Args:
      name: as in `read`.
      data_dir: as in `read`.
      beam_runner: as in `read`.
      beam_options: as in `read`.

    Raises:
      ValueError: as `read`.
    """
    name, _, label = name.partition(":")
    with finding.quiet():
        builder = finding.find(name, data_dir)
        root = pathlib.Path(data_dir or builder.data_dir_root).expanduser()
        folder = root / "foc_tf" / label / builder.info.full_name
        if not folder.is_dir():
            finding.obtain(builder, beam_runner, beam_options)
            _write(builder, folder, label)
    return folder


def _write(builder, folder, label):
    votes = VOTES.get(builder.name) or Votes((), None)
    keys = examples.keys(builder, label)
    roles = examples.roles(builder, votes.splits)
    classes = [str(name).strip() for name in builder.info.features[keys[1]].names]
    info = {
        "name": builder.name,
        "classes": classes,
        "certain_threshold": votes.certain_threshold,
        "ignored_classes": list(votes.ignored_classes),
        "licence": builder.info.redistribution_info.license,
        "source": f"tfds:{builder.info.full_name} ({', '.join(roles)}), {builder.info.homepage}",
    }
    try:
        with files.new_folder(folder) as temporary:
            _write_images(builder, temporary, votes, roles, keys, classes)
            files.write_json(temporary / "dataset.json", info)
    except OSError:
        # Another process was first: its folder is as good.
        if not (folder / "dataset.json").is_file():
            raise


def _write_images(builder, folder, votes, roles, keys, classes):
    """Writes images and tables; ValueError if no image has a vote."""
    index, truths, voted = 0, [], 0
    with contextlib.ExitStack() as stack:
        annotations = stack.enter_context(
            _table(folder / "annotations.csv", ("image", "class", "votes"))
        )
        splits = stack.enter_context(_table(folder / "splits.csv", ("image", "split", "name")))
        for split, role in roles.items():
            for example in examples.read(builder, split, *keys, votes.keys):
                name = _write_image(folder, index, example[keys[0]])
                counts = _counts(example, votes, keys[1], role, len(classes))
                rows = [(name, classes[c], counts[c]) for c in np.flatnonzero(counts)]
                annotations.writerows(rows)
                known = examples.name_of(example)
                splits.writerow((name, (role or "train") if rows else "train", known))
                if votes.truth and example[keys[1]] >= 0:
                    truths.append((name, classes[example[keys[1]]]))
                voted, index = voted + bool(rows), index + 1
    if truths:
        with _table(folder / "original_labels.csv", ("image", "class")) as original:
            original.writerows(truths)
    if not voted:
        raise ValueError(
            f"dataset: tfds:{builder.name}: expected labelled images in {', '.join(roles)}, found "
            f"none among {index} images. Choose a data set with labels."
        )


@contextlib.contextmanager
def _table(path, columns):
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        yield writer


def _write_image(folder, index, encoded):
    suffix = next((s for magic, s in _SUFFIXES.items() if encoded.startswith(magic)), None)
    if suffix is None:
        raise ValueError(
            f"dataset: image {index}: expected PNG, JPEG, GIF or BMP, found bytes that begin with "
            f"{encoded[:8]!r}. Write a prepared dataset (annotations.csv) of converted images."
        )
    name = f"images/{index // 1000:03}/{index:06}{suffix}"
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(encoded)
    return name


def _counts(example, votes, label_key, role, num_classes):
    if votes.keys:
        return votes.counts([example[key] for key in votes.keys], num_classes)
    counts = np.zeros(num_classes, np.int64)
    if role and example[label_key] >= 0:
        counts[example[label_key]] = 1
    return counts
