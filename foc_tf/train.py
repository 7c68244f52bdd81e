"""Trains a model from flags; wiring only.

    python -m foc_tf.train --flagfile=configs/digits.flags
    python -m foc_tf.train --flagfile=configs/digits.flags --workdir=runs/mine --seed=1

Started again with the same workdir it goes on from where it stopped. --helpfull explains all flags;
most needed: --data_dir, --workdir, --method, --backbone, --backbone_weights, --k, --batch_size,
--heads_only_epochs, --fine_tune_epochs, --learning_rate, --seed.
"""

import pathlib
import sys
from collections.abc import Callable, Sequence
from typing import Any

from foc_tf import program

# isort: split

import keras
import numpy as np
import tensorflow as tf
from absl import flags as absl_flags

from foc_tf import (
    build,
    checkpoints,
    distribution,
    evaluate,
    feeding,
    from_flags,
    loop,
    precision,
    report,
    serving,
    stages,
    summaries,
    workdirs,
)
from foc_tf import flags as foc_flags
from foc_tf.data import pipeline, reading
from foc_tf.data.images import ImageSet


def prepare_keras(f: Any, workdir: pathlib.Path, worker: distribution.Worker) -> dict | None:
    """Seeds, determinism and precision of this process; returns the choice of "auto", or None."""
    choice = None
    if f.mixed_precision == "auto":
        if worker.count > 1:
            raise ValueError(
                "mixed_precision: several workers need one that is said, none, bfloat16 or "
                "float16; found auto."
            )
        inputs = f.input if f.input.startswith("sobel") else "pixels"
        network = (f.backbone, f.image_size, from_flags.CHANNELS[f.input], inputs)
        choice = precision.of_run(workdir, *network)
        program.log(f"note: mixed_precision is {choice['chosen']}, the faster one here")
    precision.use(choice["chosen"] if choice else f.mixed_precision)
    keras.utils.set_random_seed(f.seed)
    if f.deterministic:
        tf.config.experimental.enable_op_determinism()
    return choice


def make_run(
    f: Any,
    workdir: pathlib.Path,
    image_set: ImageSet,
    labels: np.ndarray,
    loader: pipeline.Loader,
    strategy: tf.distribute.Strategy,
) -> loop.Run:
    """Everything a training run needs, put together."""
    with strategy.scope():
        model = from_flags.make_model(f, len(image_set.classes), labels)
    predictor = make_predictor(model)
    run_stages = from_flags.make_stages(f)
    details = {
        "model": model.recipe,
        "classes": list(image_set.classes),
        "load_size": f.load_size,
        "image_size": f.image_size,
        "dataset": image_set.name,
        "licence": image_set.licence,
        "method": f.method,
        "seed": f.seed,
        "versions": evaluate.versions(),
    }
    feed = feeding.Feed(
        from_flags.make_samplers(f, image_set, labels, strategy.num_replicas_in_sync, run_stages),
        from_flags.make_views(f, model),
        *(loader, f.image_size, strategy, f.augment_on, f.frozen_views, f.cache_gigabytes),
        names=image_set.ids,
    )
    return loop.Run(
        model,
        feed,
        run_stages,
        from_flags.make_schedule(f),
        make_validation(f, predictor, image_set, labels, loader, run_stages),
        workdir,
        details,
        make_features(f, predictor, loader),
        summaries.EpochWriter(workdir / "tensorboard") if f.tensorboard else None,
        verbose=1 if sys.stdout.isatty() else 2,
        keeps_steps=distribution.worker().count == 1,
    )


def make_predictor(model: keras.Model) -> Callable[[], keras.Model]:
    """Function () -> a model with the current weights that this process can predict with alone."""
    if distribution.worker().count == 1:
        return lambda: model
    # Several workers would have to predict in step; each has a copy of its own instead.
    own = build.build_model(**model.recipe)

    def current():
        own.set_weights(model.get_weights())
        return own

    return current


def make_features(
    f: Any, predictor: Callable[[], keras.Model], loader: pipeline.Loader
) -> Callable:
    """Function ([M] image indices) -> [M, F] float32 features of their centre crops."""

    def features(indices):
        batches = pipeline.evaluation_batches(loader, indices, f.image_size)
        return predictor().predict(batches, verbose=0)["features"]

    return features


def make_validation(
    f: Any,
    predictor: Callable[[], keras.Model],
    image_set: ImageSet,
    labels: np.ndarray,
    loader: pipeline.Loader,
    run_stages: Sequence[stages.Stage],
) -> Callable[[], dict[str, float]]:
    """Function () -> scores and spread of the clusters on the validation images."""
    roles = image_set.roles()
    shown = np.unique(np.concatenate([np.flatnonzero(labels >= 0), roles.val, roles.fuzzy]))

    def validate():
        values = evaluate.outputs(predictor(), loader, len(labels), shown, f.image_size)
        scorer = report.Scorer(image_set, labels, values)
        found = scorer.validation(not stages.use_labels(run_stages)) | scorer.spread(shown)
        return found | (scorer.fuzzy() if stages.use_labels(run_stages) else {})

    return validate


def summary(run: loop.Run) -> dict[str, Any]:
    """What the report says about the course of training."""
    spent = []
    for index, stage in enumerate(run.stages):
        rows = [row for row in run.history if row["stage_index"] == index]
        spent.append(
            {
                "name": stage.name,
                "epochs": len(rows),
                "seconds": round(sum(row["seconds"] for row in rows), 1),
                "images": sum(row["images"] for row in rows),
            }
        )
    seconds = sum(s["seconds"] for s in spent)
    return {
        "stages": spent,
        "images_per_second": round(sum(s["images"] for s in spent) / max(seconds, 1e-9), 1),
        "best_epoch": run.best["epoch"],  # type: ignore[index]
        "trained_heads": list(run.stages[-1].heads or run.model.head_names),
        "uses_labels": stages.use_labels(run.stages),
    }


def main() -> None:
    """The program."""
    f = absl_flags.FLAGS
    from_flags.check_method_flags(f._flags())
    from_flags.make_stages(f)
    if not 8 <= f.image_size <= f.load_size:
        raise ValueError(
            f"image_size: expected 8 to load_size ({f.load_size}) pixels, found {f.image_size}."
        )
    if f.frozen_views < 0:
        raise ValueError(f"frozen_views: expected 0 or more, found {f.frozen_views}.")
    worker = distribution.worker()
    if worker.count > 1 and f.frozen_views:
        raise ValueError("frozen_views: is for one machine; several workers need 0.")
    if worker.count > 1:
        program.log(f"worker {worker.index} of {worker.count}: waiting for the others")
    strategy = distribution.make_strategy(f.strategy)
    image_set, labels, left_out = reading.read(
        f.dataset, f.data_dir, f.certain_threshold, f.labels_per_class, f.seed
    )
    for entry in left_out:
        program.log(f"left out, unreadable: {entry['image']} ({entry['reason']})")
    name = workdirs.run_name(sys.argv, f.dataset, f.data_dir)
    workdir = pathlib.Path(f.workdir or f"runs/{name}")
    with workdirs.locked(workdir, worker.chief):
        work(f, workdir, worker, strategy, image_set, labels, left_out)


def work(
    f: Any,
    workdir: pathlib.Path,
    worker: distribution.Worker,
    strategy: tf.distribute.Strategy,
    image_set: ImageSet,
    labels: np.ndarray,
    left_out: list[dict],
) -> None:
    """Trains in a workdir that is this process's own, and scores what came out."""
    choice = prepare_keras(f, workdir, worker)
    loader = pipeline.make_loader(
        image_set.sources,
        f.load_size,
        from_flags.CHANNELS[f.input],
        **foc_flags.loading(f, workdir),
        log=program.log,
    )
    with workdirs.written_by(workdir, worker.chief) as written:
        run = make_run(f, written, image_set, labels, loader, strategy)
        if worker.chief:
            workdirs.claim(workdir, foc_flags.given())
            if choice:
                precision.keep(workdir, choice)
        train(run, workdir, worker)
    if worker.chief:
        finish(f, workdir, run, image_set, labels, loader, left_out)


def train(run: loop.Run, workdir: pathlib.Path, worker: distribution.Worker) -> None:
    """Trains from the workdir's newest checkpoint to the end."""
    done, damaged = run.resume(workdir)
    for path in damaged:
        program.log(f"damaged checkpoint passed over: {path}")
    if not distribution.same_everywhere(run.feed.strategy, done):
        raise program.Failed(
            f"this worker begins after epoch {done} of {workdir}, another elsewhere: all need the "
            "same folder (a shared disk). Start all workers again."
        )
    if done or run.begun:
        step = f", step {run.begun['step']} of the next," if run.begun else ""
        program.log(f"going on after epoch {done}{step} of {run.total_epochs} in {workdir}")
    try:
        run.run(done)
    except tf.errors.OpError as error:
        if worker.count == 1:
            raise
        raise program.Failed(
            f"worker {worker.index}: lost the others ({str(error.message)[:200]}). Start all "
            "workers again with the same command: they go on from the last finished epoch."
        ) from None


def finish(
    f: Any,
    workdir: pathlib.Path,
    run: loop.Run,
    image_set: ImageSet,
    labels: np.ndarray,
    loader: pipeline.Loader,
    left_out: list[dict],
) -> None:
    """Scores the best epoch, writes the report, exports, prints the table."""
    precision.use("none")  # as it is evaluated and served later
    model = build.load(workdir)
    if not stages.use_labels(run.stages):
        evaluate.name_clusters(model, image_set, loader, f.image_size)
        checkpoints.save_best(workdir / "best", model, model.details)
    extra = {"method": f.method, "seed": f.seed, **summary(run), "unreadable": left_out}
    groups = foc_flags.kmeans_k(f, model.k)
    result, scorer = evaluate.write_results(
        workdir, model, image_set, labels, loader, f.image_size, extra, groups
    )
    evaluate.keep_choices(workdir, model, scorer)
    print(report.table(result["splits"]))
    if "advice" in result:
        program.log(f"note: {result['advice']}.")
    if f.tensorboard:
        values = {**foc_flags.given(), "images": result["images"]}
        summaries.write_results(workdir / "tensorboard", values, result, scorer, loader)
    if f.export:
        folder = f.export_dir or f"export/models/{workdir.name}"
        print(f"SavedModel: {serving.write(folder, model, scorer, result)}")
    if "over" in scorer.heads:
        print(f"clusters: {workdir / 'clusters.png'}")
    print(f"report: {workdir / 'report.json'}")


if __name__ == "__main__":
    program.run(main, interrupted="the same command goes on where it stopped.")
