"""Whole runs of the flags that save time: what they must not change, and stopping in between."""

import numpy as np
import pandas as pd
import pytest

from foc_tf import train
from tests.small_run import SMALL, begun, call, read_report, run


def weights(workdir):
    newest = sorted((workdir / "checkpoints").glob("epoch-*.npz"))[-1]
    with np.load(newest) as arrays:
        return {key: arrays[key] for key in arrays.files if key.startswith("weight")}


def test_where_images_are_augmented_changes_nothing(trained, tmp_path):
    done = run("train", *SMALL, "--augment_on=device", f"--workdir={tmp_path}/run", "--noexport")
    assert done.returncode == 0, done.stderr
    ours = weights(tmp_path / "run")
    for key, value in weights(trained[0]).items():
        np.testing.assert_allclose(ours[key], value, rtol=1e-3, atol=1e-4, err_msg=key)


def test_kept_features_are_made_again_after_a_kill(tmp_path):
    """Killed inside heads_only, a run ends with an undisturbed run's weights, bit for bit."""
    own = [*SMALL, "--frozen_views=2", "--noexport"]
    own += ["--pretext_epochs=0", "--heads_only_epochs=12", "--fine_tune_epochs=1"]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    done = run("train", *own, f"--workdir={whole}")
    assert done.returncode == 0, done.stderr
    third = "checkpoints/epoch-00000[3-9].npz"
    with begun([*own, f"--workdir={killed}"], lambda: any(killed.glob(third))) as process:
        process.kill()
    again = run("train", *own, f"--workdir={killed}")
    assert again.returncode == 0, again.stderr
    assert "going on after epoch" in again.stderr
    one, two = weights(whole), weights(killed)
    assert all(np.array_equal(one[key], two[key]) for key in one)
    history = pd.read_csv(whole / "history.csv")
    passes = history[history["stage"] == "heads_only"]["images"]
    # What passes once takes time too: the first epoch's.
    seconds = history[history["stage"] == "heads_only"]["seconds"]
    assert seconds[0] > 2 * seconds[5:].median()
    # Once every image but those of val: in two versions of x1 and x2, and one centre crop for x3.
    report = read_report(whole)
    assert passes.tolist() == [3 * (report["images"] - report["splits"]["val"]["count"])] + [0] * 11


def test_the_history_follows_the_fuzzy_images(trained):
    row = pd.read_csv(trained[0] / "history.csv").iloc[-1]
    fuzzy = read_report(trained[0])["splits"]["fuzzy"]
    best = pd.read_csv(trained[0] / "history.csv")
    best = best.iloc[read_report(trained[0])["best_epoch"]]
    assert best["fuzzy_normal_macro_f1"] == pytest.approx(fuzzy["normal"]["macro_f1"], abs=1e-5)
    crossfit = fuzzy["over"]["crossfit"]["macro_f1"]
    assert best["fuzzy_over_crossfit_macro_f1"] == pytest.approx(crossfit, abs=1e-5)
    assert 0 < row["fuzzy_over_train_macro_f1"] <= 1


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--frozen_views=-1"], "frozen_views"),
        (["--frozen_views=1000000"], "cache_gigabytes"),
        (["--augment_on=gpu"], "host|device"),
        (["--method=scan", "--frozen_views=2"], "scan"),
    ],
)
def test_wrong_flags_are_named(flags, message, tmp_path):
    code, stderr = call(train.main, *SMALL, *flags, f"--workdir={tmp_path / 'run'}")
    assert code == 2
    assert message in stderr
