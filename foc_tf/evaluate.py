"""Evaluates the best model of a workdir: report.json, predictions.csv and review_data anew.

    python -m foc_tf.evaluate --workdir=runs/digits
    python -m foc_tf.evaluate --workdir=runs/plankton --data_dir=other/dataset --output=other/scores

Writes into the workdir, or into --output where given (another data set, say). The best sub-heads
and the clusters' classes are those that the run chose on its own data, so that another data set
scores the model that was exported, and may be of test images alone.
"""

import pathlib
import platform
import sys
from collections.abc import Sequence

from foc_tf import program

# isort: split

import keras
import numpy as np
import tensorflow as tf
from absl import flags as absl_flags

import foc_tf
from foc_tf import build, checkpoints, files, picture, report, unsupervised
from foc_tf import flags as foc_flags
from foc_tf.data import pipeline, reading
from foc_tf.data.images import ImageSet
from foc_tf.review_data import keeping

_OUTPUT = absl_flags.DEFINE_string("output", None, "Folder of the results; default the workdir.")


def outputs(
    model: keras.Model,
    loader: pipeline.Loader,
    count: int,
    indices: np.ndarray,
    image_size: int,
) -> dict[str, np.ndarray]:
    """Outputs of a model on some images of a set, in arrays over the whole set.

    Args:
      model: a `model.SemiSupervisedModel`.
      loader: of `data.pipeline.make_loader`.
      count: N, images in the set.
      indices: [M] int, the images to pass; the others' rows stay 0.
      image_size: side of the centre crops.

    Returns:
      {"normal_probs": [N, S, C], "over_probs": [N, S, K], "features": [N, F]}.
    """
    batches = pipeline.evaluation_batches(loader, indices, image_size)
    parts = model.predict(batches, verbose=0)
    result = {}
    for name, values in parts.items():
        result[name] = np.zeros((count, *values.shape[1:]), np.float32)
        result[name][indices] = values
    return result


def name_clusters(
    model: keras.Model,
    image_set: ImageSet,
    loader: pipeline.Loader,
    image_size: int,
) -> None:
    """Puts an unsupervised run's clusters into the order of the validation images' classes."""
    roles, reference = image_set.roles(), image_set.annotations.reference
    images = roles.val if len(roles.val) else roles.labeled
    values = outputs(model, loader, len(reference), images, image_size)
    clusters = values["normal_probs"][images].argmax(-1)
    unsupervised.name_outputs(model, clusters, reference[images])


def keep_choices(workdir: pathlib.Path, model: keras.Model, scorer: report.Scorer) -> None:
    """Writes beside the best weights what the run chose on its own data, for other data sets."""
    model.details |= {"choices": scorer.choices()}
    checkpoints.save_best(workdir / "best", model, model.details)


def versions() -> dict[str, str]:
    """Versions of what a result depends on."""
    return {
        "foc_tf": foc_tf.__version__,
        "python": platform.python_version(),
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "numpy": np.__version__,
    }


def write_results(
    folder: str | pathlib.Path,
    model: keras.Model,
    image_set: ImageSet,
    labels: np.ndarray,
    loader: pipeline.Loader,
    image_size: int,
    extra: dict,
    kmeans_k: int = 0,
    chosen: dict | None = None,
) -> tuple[dict, report.Scorer]:
    """Scores all images and writes report.json, predictions.csv and what a review needs.

    Args:
      folder: where to.
      model: the model to score.
      image_set: `data.images.ImageSet`.
      labels: [N] int training labels, -1 = none.
      loader: of `data.pipeline.make_loader` on the set's sources.
      image_size: side of the centre crops.
      extra: JSON-able dict of further report entries.
      kmeans_k: groups of k-means on the features; 0 leaves it out.
      chosen: `report.Scorer.choices` of the run; None to choose on this data set.

    Returns:
      (report dict, `report.Scorer`).
    """
    count = len(image_set.ids)
    values = outputs(model, loader, count, np.arange(count), image_size)
    scorer = report.Scorer(image_set, labels, values, kmeans_k, chosen)
    result = extra | {
        "dataset": image_set.name,
        "images": count,
        "labeled": int((labels >= 0).sum()),
        "classes": list(image_set.classes),
        "versions": versions(),
        "device": _device(),
        "clusters": scorer.usage(),
        "splits": scorer.splits(),
    }
    if advice := scorer.advice():
        result["advice"] = advice
    if not len(scorer.roles.val) and not chosen:
        result["sub_head_reason"] = "no certain validation images: chosen on the labelled ones"
    folder = pathlib.Path(folder)
    files.write_csv(folder / "predictions.csv", scorer.predictions())
    _write_picture(folder / "clusters.png", scorer, loader)
    files.write_json(folder / "report.json", result)
    if failed := keeping.write(folder, scorer):
        program.log(f"note: {failed} images have no small picture in {folder / keeping.FOLDER}.")
    return result, scorer


def _write_picture(path, scorer, loader):
    """The fuzzy images of the largest clusters; all images where none is fuzzy."""
    if "over" not in scorer.heads:
        return
    probs = scorer.outputs["over_probs"][:, scorer.best["over"]]
    fuzzy = scorer.roles.fuzzy if len(scorer.roles.fuzzy) else None
    sheet = picture.contact_sheet(probs.argmax(1), probs.max(1), loader, images=fuzzy)
    with files.replacing(path) as file:
        file.write(sheet)


def _device():
    gpus = tf.config.list_physical_devices("GPU")
    return f"{len(gpus)} GPU" if gpus else f"CPU {platform.processor() or platform.machine()}"


def restore_flags(argv: Sequence[str]) -> pathlib.Path:
    """Sets the flags of a run from `<workdir>/flags.txt`; those on the command line win.

    Raises:
      ValueError: if --workdir is missing or not a run.
    """
    program.parse(argv)
    workdir = absl_flags.FLAGS.workdir
    if not workdir:
        raise ValueError("workdir: give --workdir=<folder of a training run>.")
    stored = pathlib.Path(workdir) / "flags.txt"
    if not stored.exists():
        raise ValueError(f"{stored}: no such file; is {workdir} the workdir of a training run?")
    absl_flags.FLAGS.unparse_flags()
    program.parse([argv[0], f"--flagfile={stored}", *argv[1:]])
    return pathlib.Path(workdir)


def main() -> None:
    """The program."""
    workdir = restore_flags(sys.argv)
    f = absl_flags.FLAGS
    model = build.load(workdir)
    chosen = model.details.get("choices")  # runs of before the first release have none
    image_set, labels, left_out = reading.read(
        *(f.dataset, f.data_dir, f.certain_threshold, f.labels_per_class, f.seed),
        for_training=not chosen,
    )
    if image_set.classes != model.classes:
        raise ValueError(
            f"data_dir: the model knows the classes {', '.join(model.classes)}; "
            f"{f.data_dir} has {', '.join(image_set.classes)}."
        )
    channels = model.recipe["channels"]
    loader = pipeline.make_loader(
        image_set.sources,
        f.load_size,
        channels,
        **foc_flags.loading(f, workdir),
        log=program.log,
    )
    kept = (
        "method",
        "seed",
        "stages",
        "images_per_second",
        "trained_heads",
        "uses_labels",
    )
    extra = {key: model.details[key] for key in kept if key in model.details}
    extra["best_epoch"] = model.details["epoch"]
    folder = pathlib.Path(_OUTPUT.value or workdir)
    previous = folder / "report.json"
    if previous.exists():
        old = report.read(previous)
        extra = {key: old[key] for key in (*kept, "flags") if key in old} | extra
    extra |= {"unreadable": left_out}
    groups = foc_flags.kmeans_k(f, model.k)
    result, _ = write_results(
        *(folder, model, image_set, labels, loader, f.image_size, extra, groups, chosen)
    )
    print(report.table(result["splits"]))
    print(f"report: {folder / 'report.json'}")


if __name__ == "__main__":
    foc_flags.given()
    program.run(main)
