"""Runs that go on for long: memory, file handles and threads stay; a bad batch is named.

FOC_LONG is the number of epochs, of 100 steps and more each; make faults sets 20. The slope of the
memory is judged from 10 on: before, TensorFlow's own caches still fill.
"""

import os
import pathlib
import threading

import numpy as np
import pytest
import tensorflow as tf

from foc_tf import augment, train
from tests.small_run import SMALL, call

EPOCHS = int(os.environ.get("FOC_LONG", "3"))
MEGABYTES_PER_100_STEPS = 1.0
STEPS = 141
# One image a row and 12 rows: more than a hundred steps an epoch.
SHORT_BATCHES = [
    *(flag for flag in SMALL if "_epochs" not in flag and "labels_per_class" not in flag),
    *("--backbone=small_cnn", "--batch_size=12", "--k=20", "--noexport", "--alternate_epochs=0"),
    *("--pretext_epochs=0", "--heads_only_epochs=0", "--early_stopping_share=0"),
]


def in_use():
    """(resident MB, open files, threads) of this process."""
    pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
    resident = pages * os.sysconf("SC_PAGE_SIZE") / 1e6
    return resident, len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="needs Linux's /proc")
def test_memory_files_and_threads_stay(tmp_path, monkeypatch):
    seen, make = [], train.make_validation

    def watched(*arguments):
        validate = make(*arguments)

        def wrapped():
            result = validate()
            seen.append((*in_use(), threading.active_count()))
            return result

        return wrapped

    monkeypatch.setattr(train, "make_validation", watched)
    code, stderr = call(
        train.main, *SHORT_BATCHES, f"--fine_tune_epochs={EPOCHS}", f"--workdir={tmp_path}/run"
    )
    assert code == 0, stderr
    rows = (tmp_path / "run/history.csv").read_text().count("\n") - 1
    assert rows == len(seen) == EPOCHS
    resident, handles, threads, own = (np.array(column) for column in zip(*seen))
    steps_an_epoch = STEPS
    later = resident[min(3, EPOCHS // 2) :]
    slope = np.polyfit(np.arange(len(later)) * steps_an_epoch / 100, later, 1)[0]
    print(
        f"\n{EPOCHS} evaluations, {EPOCHS * steps_an_epoch:,} steps: {slope:.3f} MB per 100 steps, "
        f"files {handles.tolist()}, threads {threads.tolist()}"
    )
    assert handles[-1] <= handles[1]
    assert own[-1] <= own[1]
    assert threads[-1] <= threads[1] + 1  # TensorFlow starts its own ones when they are needed
    if EPOCHS >= 10:
        assert slope < MEGABYTES_PER_100_STEPS


def test_a_bad_batch_is_found_and_its_image_named(tmp_path, monkeypatch):
    when, row, recipe = (1000 if EPOCHS >= 10 else 160), 5, augment.AUGMENTATIONS["digit"]

    def planted(images, seed, size, first=0):
        made = recipe(images, seed, size, first)
        here = (seed[1] == when) & (tf.range(tf.shape(made)[0]) == row)
        return tf.where(here[:, None, None, None], np.float32("nan"), made)

    monkeypatch.setitem(augment.AUGMENTATIONS, "planted", planted)
    own = [f for f in SHORT_BATCHES if not f.startswith("--augment_anchor")]
    code, stderr = call(
        train.main,
        *own,
        "--augment_anchor=planted",
        "--fine_tune_epochs=8",
        f"--workdir={tmp_path}/run",
    )
    assert code == 1, stderr
    print(stderr.splitlines()[-1])
    epoch, step = divmod(when, STEPS)
    assert f"loss is nan in step {step + 1} of epoch {epoch + 1} (fine_tune)" in stderr
    assert f"batch {when} of the run, pixels that are no numbers: " in stderr
    named = stderr.split("no numbers: ")[1].split(". Try")[0]
    assert named.count(",") == 0  # one image, not the batch
    assert f"epoch-{epoch:06}.npz" in os.listdir(tmp_path / "run" / "checkpoints")
