"""From flags to the semi-supervised methods: defaults, what is refused, whole runs."""

import types

import numpy as np
import pandas as pd
import pytest
from absl import flags

from foc_tf import build, files, from_flags, train
from foc_tf import flags as foc_flags
from foc_tf.methods import METHODS
from tests.small_run import SMALL, call, read_report, run
from tests.test_ssl_methods import UNLABELED

_OWN = ("--k", "--pretext_epochs", "--alternate_epochs", "--augment_positive")
FLAGS = [flag for flag in SMALL if not flag.startswith(_OWN)]


def flag_values(**given):
    names = {name for cls in METHODS.values() for name in cls.hyperparameters}
    values = dict.fromkeys((*names, *from_flags._MODEL_FLAGS)) | {"k": 60}
    return types.SimpleNamespace(**(values | given))


def test_flags_that_are_not_given_leave_the_methods_defaults(tmp_path):
    labels = np.array([0, 0, 0, 1, -1])
    found = from_flags.make_hyperparameters(flag_values(method="fixmatch", seed=3), labels, 2)
    assert found == {"seed": 3}
    f = flag_values(method="fixmatch", over_head=True, lambda_u=2.0, distribution_alignment=True)
    found = from_flags.make_hyperparameters(f, labels, 2)
    shares = {"class_shares": [0.75, 0.25]}
    wanted = {"k": 60, "lambda_u": 2.0, "distribution_alignment": True, **shares}
    assert found == wanted
    model = build.build_model("fixmatch", "small_cnn", 2, 8, 1, **found)
    files.write_json(tmp_path / "model.json", model.recipe)
    again = build.build_model(**files.read_json(tmp_path / "model.json"))
    assert again.recipe == model.recipe
    np.testing.assert_allclose(again.align.class_shares, [0.75, 0.25])
    assert from_flags.make_hyperparameters(flag_values(method="foc"), labels, 2) == {"k": 60}


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--method=fixmatch", "--k=20"], "--over_head"),
        (["--method=fixmatch", "--ema_decay=0.9"], "is a flag of method mean_teacher"),
        (["--method=supervised", "--lambda_u=3"], "is a flag of method"),
        (["--method=fixmatch", "--threshold=3"], "threshold: expected 0 to 1"),
        (["--method=scan", "--class_weights=inverse"], "--class_weights: method scan"),
    ],
)
def test_wrong_flags_exit_with_2(tmp_path, arguments, word):
    code, stderr = call(train.main, *FLAGS, *arguments, f"--workdir={tmp_path / 'run'}")
    assert code == 2, stderr
    assert word in stderr


@pytest.mark.parametrize("method", METHODS)
def test_the_flags_of_a_run_are_a_flagfile(method, tmp_path):
    values = flags.FLAGS
    for name in values:
        values[name].unparse()
    values(["program", f"--method={method}"])
    path = tmp_path / "flags.txt"
    path.write_text(foc_flags.as_flagfile(foc_flags.given()))
    values(["program", f"--flagfile={path}"])
    assert values["method"].value == method
    from_flags.check_method_flags(values)


@pytest.mark.parametrize("method", [m for m in UNLABELED if m != "mean_teacher"])
def test_a_whole_run(method, tmp_path):
    aligned = "distribution_alignment" in METHODS[method].hyperparameters
    more = ["--distribution_alignment", "--class_weights=inverse"] if aligned else []
    arguments = (*more, f"--method={method}", f"--workdir={tmp_path / 'r'}", "--noexport")
    done = run("train", *FLAGS, *arguments)
    assert done.returncode == 0, done.stderr
    history = pd.read_csv(tmp_path / "r" / "history.csv")
    assert history["stage"].tolist() == ["heads_only", "fine_tune", "fine_tune"]
    assert np.isfinite(history[["normal_ce", UNLABELED[method]]]).all().all()
    assert ("confident_share" in history) == (UNLABELED[method] == "normal_pseudo")
    assert "over" not in read_report(tmp_path / "r")["splits"]["val"]
