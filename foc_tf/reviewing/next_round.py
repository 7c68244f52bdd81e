"""A data set for the next round of training: the old images with the votes of a review."""

import contextlib
import csv
import os
import pathlib
from typing import TYPE_CHECKING, Any

import numpy as np

from foc_tf import data, files, records
from foc_tf.data.prepared import EXTENSIONS
from foc_tf.formats import naming, writing

if TYPE_CHECKING:
    from foc_tf.data.images import ImageSet
    from foc_tf.reviewing.labels import NewVotes
    from foc_tf.reviewing.run_data import RunData


def settings(flags: str) -> dict[str, str]:
    """{name: value} of the text of a run's flags.txt."""
    pairs = (line.lstrip("-").partition("=") for line in flags.splitlines())
    return {name: value for name, _, value in pairs}


def image_set(
    run: "RunData", dataset: str | None = None, data_dir: pathlib.Path | str | None = None
) -> "ImageSet":
    """The data set of a run, read again.

    Args:
      run: `run_data.RunData`.
      dataset: instead of the run's --dataset.
      data_dir: instead of the run's --data_dir.

    Returns:
      `data.images.ImageSet`, its images in the run's order.

    Raises:
      ValueError: if it is not there any more or has other images or votes; says what to do.
    """
    known = settings(run.flags)
    dataset = dataset or known.get("dataset", "prepared")
    data_dir = data_dir or known.get("data_dir")
    if data_dir is None and data.needs_folder(dataset):
        raise ValueError(f"data_dir: {run.workdir}/flags.txt names none; give --data_dir.")
    threshold = known.get("certain_threshold")
    found = data.reader(dataset)(
        data_dir,
        certain_threshold=None if threshold is None else float(threshold),
        seed=int(known.get("seed", 0)),
    )
    places = {name: index for index, name in enumerate(found.ids)}
    missing = [name for name in run.ids if name not in places]
    if missing or found.classes != run.classes:
        lacking = f"image {missing[0]!r}" if missing else f"the classes {', '.join(run.classes)}"
        raise ValueError(
            f"data_dir: {data_dir or dataset} has not {lacking}; the run has. Give the data set "
            "that was reviewed as --data_dir."
        )
    order = np.array([places[name] for name in run.ids], np.int64)
    if not np.array_equal(found.votes[order], run.votes):
        raise ValueError(
            f"data_dir: the votes of {data_dir or dataset} have changed since the run. Evaluate it "
            "again (python -m foc_tf.evaluate) or give the old data set as --data_dir."
        )
    # What the run left out as unreadable stays out.
    rest = np.setdiff1d(np.arange(len(found.ids)), order)
    kept = found.without(rest)
    if list(kept.ids) != list(run.ids):
        raise ValueError(f"data_dir: {data_dir or dataset} has its images in another order.")
    return kept


def write(
    folder: pathlib.Path | str, images: "ImageSet", new: "NewVotes", about: dict[str, Any]
) -> int:
    """Writes a prepared dataset (contract: annotations.csv, splits.csv, dataset.json, images/).

    Images are hard links where the disk can, else copies. Images that an expert labelled are for
    training, whatever split they were in: a model's own clusters must not choose the next model.

    Args:
      folder: that is not there yet.
      images: `data.images.ImageSet`.
      new: `labels.NewVotes`.
      about: JSON-able dict, kept in dataset.json under "review".

    Returns:
      Number of images.

    Raises:
      ValueError: if the folder is there already.
    """
    kept = np.flatnonzero(~new.left_out)
    with writing.new_folder(folder) as temporary:
        names = _write_images(temporary, images, kept)
        rows = (
            (name, new.classes[c], new.votes[i, c])
            for name, i in zip(names, kept)
            for c in np.argsort(-new.votes[i], kind="stable")
            if new.votes[i, c]
        )
        _csv(temporary / "annotations.csv", ("image", "class", "votes"), rows)
        splits = np.where(new.labelled, "train", images.splits)[kept]
        _csv(temporary / "splits.csv", ("image", "split"), zip(names, splits))
        if images.original is not None:
            truth = [(n, images.original[i]) for n, i in zip(names, kept)]
            known = [(name, images.classes[c]) for name, c in truth if c >= 0]
            _csv(temporary / "original_labels.csv", ("image", "class"), known)
        files.write_json(temporary / "dataset.json", _info(images, new, about))
    return len(kept)


def _info(images, new, about):
    return {
        "name": f"{images.name} reviewed",
        "classes": list(new.classes),
        "certain_threshold": images.certain_threshold,
        "ignored_classes": list(images.ignored_classes),
        "licence": str(images.licence),
        "source": str(images.source),
        "review": about,
    }


def _write_images(folder, images, kept):
    names, taken = [], set()
    for index in kept:
        name = str(images.ids[index])
        extension = pathlib.PurePosixPath(name).suffix.lower()
        extension = extension if extension in EXTENSIONS else ".png"
        # Images without votes are found below images/ only.
        name = name if name.startswith("images/") else naming.image_name(name, extension, taken)
        _place(folder / name, images.sources[index])
        names.append(name)
    return names


def _place(target, source):
    target.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(source, str) and records.place_of(source) is None:
        with contextlib.suppress(OSError):  # another disk, or one without links
            os.link(os.path.realpath(source), target)
            return
    content = source if isinstance(source, bytes) else records.read([source])[0]
    with open(target, "xb") as file:
        file.write(content)


def _csv(path, header, rows):
    with files.replacing(path, "w") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
