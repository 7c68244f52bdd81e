"""Trains a model from flags; wiring only.

    python -m foc_tf.train --flagfile=configs/digits.flags
    python -m foc_tf.train --flagfile=configs/digits.flags --workdir=runs/mine --seed=1

Started again with the same workdir it goes on from where it stopped.
"""

import dataclasses
import pathlib
import sys

from foc_tf import program

# isort: split

import keras
import numpy as np
import tensorflow as tf
from absl import flags as absl_flags

from foc_tf import (
    augment,
    build,
    checkpoints,
    distribution,
    evaluate,
    loop,
    report,
    stages,
    workdirs,
)
from foc_tf import export as export_lib
from foc_tf import flags as foc_flags
from foc_tf.data import batches, pipeline, reading
from foc_tf.methods import METHODS

_CHANNELS = {"rgb": 3, "grey": 1, "sobel": 3, "sobel_rgb": 3}


def check_method_flags(flag_values):
    """A flag of another method is an error: it would silently do nothing.

    Raises:
      ValueError: if the method is unknown or a flag that was given is not one of its own.
    """
    method = flag_values["method"].value
    if method not in METHODS:
        raise ValueError(f"method: expected one of {', '.join(METHODS)}, found {method!r}.")
    every = {name for cls in METHODS.values() for name in cls.hyperparameters}
    for name in sorted(every - set(METHODS[method].hyperparameters)):
        if flag_values[name].present:
            owners = [m for m, cls in METHODS.items() if name in cls.hyperparameters]
            raise ValueError(
                f"--{name} is a flag of method {', '.join(owners)}; --method={method} has no use "
                "for it. Remove it."
            )


def make_stages(f, method):
    """The stages that the flags ask for."""
    result = stages.warm_up_stages(
        f.pretext_epochs if "pretext_epochs" in METHODS[method].hyperparameters else 0,
        f.heads_only_epochs,
        f.fine_tune_epochs,
        f.learning_rate,
        f.heads_learning_rate,
        f.pretext_partners,
    )
    if not result:
        raise ValueError("fine_tune_epochs: all stages have 0 epochs; give at least one.")
    return result


def make_views(f, model):
    """The method's views with the recipes that the flags ask for."""
    result = []
    for view in model.views:
        recipe = getattr(f, f"augment_{view.name}")
        if recipe not in augment.AUGMENTATIONS:
            raise ValueError(
                f"augment_{view.name}: expected one of {', '.join(augment.AUGMENTATIONS)}, "
                f"found {recipe!r}."
            )
        result.append(dataclasses.replace(view, augmentation=recipe))
    return tuple(result)


_METHOD_FLAGS = (
    *("k", "lambda_s", "lambda_ice", "lambda_u"),
    *("negatives", "ce_views", "normal_mi_rows"),
)


def make_model(f, num_classes):
    """The compiled model that the flags ask for."""
    hyperparameters = {
        name: getattr(f, name)
        for name in ("num_sub_heads", "hidden_units", "dropout", "seed", "batch_statistics")
    }
    cls = METHODS[f.method]
    for name in _METHOD_FLAGS:
        if name in cls.hyperparameters:
            hyperparameters[name] = getattr(f, name)
    model = build.build_model(
        f.method,
        f.backbone,
        num_classes,
        f.image_size,
        _CHANNELS[f.input],
        f.backbone_weights,
        f.input if f.input.startswith("sobel") else "pixels",
        **hyperparameters,
    )
    if f.init_from:
        build.init_backbone(model, f.init_from)
    model.compile(keras.optimizers.Adam(f.learning_rate))
    return model


def make_sampler(f, image_set, labels, replicas):
    """The batch sampler that the flags ask for; warns where the batch is small for k."""
    uses_unlabeled = "unlabeled_ratio" in METHODS[f.method].hyperparameters
    roles = image_set.roles()
    certain_train = np.setdiff1d(roles.labeled, np.flatnonzero(labels >= 0))
    unlabeled = np.union1d(roles.unlabeled, certain_train) if uses_unlabeled else []
    if uses_unlabeled and f.batch_size < 2 * f.k * f.repetitions and f.repetitions > 1:
        program.log(
            f"note: batch_size {f.batch_size} is below 2 x k x repetitions = "
            f"{2 * f.k * f.repetitions}: the mutual information of {f.k} clusters is estimated "
            "from few images."
        )
    return batches.BatchSampler(
        labels,
        unlabeled,
        f.batch_size,
        f.unlabeled_ratio if uses_unlabeled else 0,
        f.repetitions,
        f.seed,
        replicas,
    )


def prepare_keras(f):
    """Seeds, precision and determinism of this process."""
    keras.utils.set_random_seed(f.seed)
    if f.deterministic:
        tf.config.experimental.enable_op_determinism()
    policy = "mixed_bfloat16" if f.mixed_precision == "bfloat16" else "float32"
    keras.mixed_precision.set_global_policy(policy)


def make_run(f, workdir, image_set, labels, loader, strategy):
    """Everything a training run needs, put together."""
    with strategy.scope():
        model = make_model(f, len(image_set.classes))
    sampler = make_sampler(f, image_set, labels, strategy.num_replicas_in_sync)
    run_stages = make_stages(f, f.method)
    shown = np.union1d(np.flatnonzero(labels >= 0), image_set.roles().val)

    def validate():
        values = evaluate.outputs(model, loader, len(labels), shown, f.image_size)
        scorer = report.Scorer(image_set, labels, values)
        return scorer.validation(not stages.use_labels(run_stages)) | scorer.spread(shown)

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
    return loop.Run(
        model,
        sampler,
        make_views(f, model),
        loader,
        f.image_size,
        run_stages,
        loop.Schedule(
            f.alternate_epochs if "alternate_epochs" in METHODS[f.method].hyperparameters else 0,
            f.learning_rate_schedule,
            f.plateau_epochs,
            f.early_stopping_share,
            f.evaluate_every,
        ),
        validate,
        workdir,
        details,
        strategy,
        verbose=1 if sys.stdout.isatty() else 2,
    )


def summary(run):
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
        "best_epoch": run.best["epoch"],
    }


def main():
    """The program."""
    f = absl_flags.FLAGS
    check_method_flags(f._flags())
    make_stages(f, f.method)
    if not 8 <= f.image_size <= f.load_size:
        raise ValueError(
            f"image_size: expected 8 to load_size ({f.load_size}) pixels, found {f.image_size}."
        )
    image_set, labels, left_out = reading.read(
        f.dataset, f.data_dir, f.certain_threshold, f.labels_per_class, f.seed
    )
    for entry in left_out:
        program.log(f"left out, unreadable: {entry['image']} ({entry['reason']})")
    prepare_keras(f)
    workdir = pathlib.Path(
        f.workdir or f"runs/{workdirs.run_name(sys.argv, f.dataset, f.data_dir)}"
    )
    loader = pipeline.make_loader(image_set.sources, f.load_size, _CHANNELS[f.input])
    run = make_run(f, workdir, image_set, labels, loader, distribution.make_strategy(f.strategy))
    workdirs.claim(workdir, foc_flags.given())
    done, damaged = run.resume()
    for path in damaged:
        program.log(f"damaged checkpoint passed over: {path}")
    if done:
        program.log(f"going on after epoch {done} of {run.total_epochs} in {workdir}")
    run.run(done)
    finish(f, workdir, run, image_set, labels, loader, left_out)


def finish(f, workdir, run, image_set, labels, loader, left_out):
    """Scores the best epoch, writes the report, exports, prints the table."""
    model = build.load(workdir)
    if not stages.use_labels(run.stages):
        evaluate.name_clusters(model, image_set, loader, f.image_size)
        checkpoints.save_best(workdir / "best", model, model.details)
    extra = {"method": f.method, "seed": f.seed, **summary(run), "unreadable": left_out}
    result, scorer = evaluate.write_results(
        workdir, model, image_set, labels, loader, f.image_size, extra
    )
    print(report.table(result["splits"]))
    if "advice" in result:
        program.log(f"note: {result['advice']}.")
    if f.export:
        folder = f.export_dir or f"export/models/{workdir.name}"
        print(f"SavedModel: {export_lib.write(folder, model, scorer, result)}")
    if "over" in scorer.heads:
        print(f"clusters: {workdir / 'clusters.png'}")
    print(f"report: {workdir / 'report.json'}")


if __name__ == "__main__":
    program.run(main, interrupted="the same command goes on from the last finished epoch.")
