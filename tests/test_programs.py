"""Whole programs as subprocesses on small real data, judged by the files that users read."""

import contextlib
import csv
import io
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time
from unittest import mock

import numpy as np
import pandas as pd
import pytest
from absl import flags

from foc_tf import program, train

ROOT = pathlib.Path(__file__).parents[1]
SMALL = [
    "--dataset=digits",
    "--input=grey",
    "--load_size=8",
    "--image_size=8",
    "--backbone=small_resnet",
    "--k=20",
    "--num_sub_heads=2",
    "--batch_size=60",
    "--repetitions=1",
    "--labels_per_class=12",
    "--pretext_epochs=1",
    "--heads_only_epochs=1",
    "--fine_tune_epochs=2",
    "--alternate_epochs=0",
    "--learning_rate=1e-3",
    "--deterministic",
    "--augment_anchor=digit",
    "--augment_positive=digit",
]


def command(name, *arguments):
    return [sys.executable, "-m", f"foc_tf.{name}", *map(str, arguments)]


def run(name, *arguments, cwd=ROOT):
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(
        command(name, *arguments), capture_output=True, text=True, cwd=cwd, env=environment
    )


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """A finished small run: (workdir, export folder, what the program printed)."""
    folder = tmp_path_factory.mktemp("trained")
    done = run("train", *SMALL, f"--workdir={folder / 'run'}", f"--export_dir={folder / 'model'}")
    assert done.returncode == 0, done.stderr
    return folder / "run", folder / "model", done


def read_report(workdir):
    return json.loads((workdir / "report.json").read_text())


def test_train_leaves_what_the_contract_names(trained):
    workdir, model, done = trained
    for name in ("flags.txt", "history.csv", "report.json", "predictions.csv", "clusters.png"):
        assert (workdir / name).stat().st_size
    history = pd.read_csv(workdir / "history.csv")
    assert history["epoch"].tolist() == [0, 1, 2, 3]
    assert history["stage"].tolist() == ["pretext", "heads_only", "fine_tune", "fine_tune"]
    report = read_report(workdir)
    assert report["labeled"] == 120
    assert [s["name"] for s in report["stages"]] == ["pretext", "heads_only", "fine_tune"]
    for split in ("val", "fuzzy"):
        scores = report["splits"][split]
        assert 0 <= scores["normal"]["macro_f1"] <= 1
        assert set(scores["over"]) >= {"train", "oracle", "crossfit", "clusters_used", "nmi"}
        assert len(scores["sub_heads"]["over"]) == 2
        assert scores["over"]["oracle"]["accuracy"] >= scores["over"]["crossfit"]["accuracy"]
    assert report["splits"]["test"]["reason"]
    assert "original" in report["splits"]["fuzzy"]
    assert "report: " in done.stdout
    assert (model / "1" / "saved_model.pb").exists()


def test_predictions_say_what_the_report_says(trained):
    workdir, _, _ = trained
    with open(workdir / "predictions.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 1797
    fuzzy = [r for r in rows if r["certain"] == "False"]
    right = np.mean([r["normal_class"] == r["reference_class"] for r in fuzzy])
    assert right == pytest.approx(read_report(workdir)["splits"]["fuzzy"]["normal"]["accuracy"])
    mapped = np.mean([r["cluster_class"] == r["reference_class"] for r in fuzzy])
    scores = read_report(workdir)["splits"]["fuzzy"]["over"]["train"]
    assert mapped == pytest.approx(scores["accuracy"])


def test_evaluate_gives_the_same_scores_again(trained, tmp_path):
    workdir, _, _ = trained
    done = run("evaluate", f"--workdir={workdir}", f"--output={tmp_path}")
    assert done.returncode == 0, done.stderr
    assert read_report(tmp_path)["splits"] == read_report(workdir)["splits"]


def test_export_takes_the_next_version_and_serves_what_predictions_say(trained, tmp_path):
    import tensorflow as tf

    from foc_tf.data import digits

    workdir, model, _ = trained
    shutil.copytree(model, tmp_path / "model")
    done = run("export", f"--workdir={workdir}", f"--export_dir={tmp_path / 'model'}")
    assert done.returncode == 0, done.stderr
    assert sorted(p.name for p in (tmp_path / "model").iterdir()) == ["1", "2"]
    loaded = tf.saved_model.load(str(tmp_path / "model" / "2"))
    table = pd.read_csv(workdir / "predictions.csv", dtype={"normal_class": str})
    encoded = list(digits.read().sources[:20])
    served = loaded.signatures["image_bytes"](tf.constant(encoded))
    predicted = served["class_probs"].numpy().argmax(1)
    assert [str(c) for c in predicted] == table["normal_class"][:20].tolist()
    assert served["cluster"].numpy().tolist() == table["cluster"][:20].tolist()
    pixels = np.stack([tf.io.decode_png(e, channels=3).numpy() for e in encoded])
    floats = loaded.signatures["serving_default"](tf.constant(pixels, tf.float32))
    for name, value in served.items():
        np.testing.assert_allclose(floats[name], value, rtol=1e-5, atol=1e-6)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"row.*1"):
        loaded.signatures["image_bytes"](tf.constant([encoded[0], b"no image"]))
    assert (tmp_path / "model" / "2" / "assets" / "classes.txt").read_text().split() == list(
        "0123456789"
    )


def test_a_stopped_run_goes_on_as_if_it_had_not_been(trained, tmp_path):
    workdir, _, _ = trained
    resumed = tmp_path / "run"
    arguments = [*SMALL, f"--workdir={resumed}", "--noexport"]
    with subprocess.Popen(
        command("train", *arguments), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        deadline = time.monotonic() + 240
        while not list(resumed.glob("checkpoints/epoch-000002.npz")):
            assert process.poll() is None, process.stderr.read().decode()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
    done = run("train", *arguments)
    assert done.returncode == 0, done.stderr
    assert "going on after epoch" in done.stderr
    one, two = (pd.read_csv(w / "history.csv") for w in (workdir, resumed))
    assert one["epoch"].tolist() == two["epoch"].tolist()
    for column in ("loss", "normal_mi", "over_mi", "val_normal_accuracy", "val_over_accuracy"):
        np.testing.assert_array_equal(one[column], two[column])
    assert read_report(resumed)["splits"] == read_report(workdir)["splits"]


def test_running_a_finished_run_again_trains_nothing(trained, tmp_path):
    workdir, _, _ = trained
    shutil.copytree(workdir, tmp_path / "run")
    done = run("train", *SMALL, f"--workdir={tmp_path / 'run'}", "--noexport")
    assert done.returncode == 0, done.stderr
    assert "epoch 1/" not in done.stdout
    assert read_report(tmp_path / "run")["splits"] == read_report(workdir)["splits"]


def test_supervised_needs_no_flag_of_foc(tmp_path):
    foc = ("--k", "--pretext_epochs", "--alternate_epochs", "--augment_positive")
    own = [f for f in SMALL if not f.startswith(foc)]
    done = run("train", *own, "--method=supervised", f"--workdir={tmp_path}/r", "--noexport")
    assert done.returncode == 0, done.stderr
    assert "over" not in read_report(tmp_path / "r")["splits"]["val"]


def folder_of(tmp_path, rows, splits=None):
    """A prepared dataset of the embedded digits with given (image number, class, votes) rows."""
    from foc_tf.data import digits

    sources = digits.read().sources
    (tmp_path / "images").mkdir(parents=True)
    for number in {r[0] for r in rows}:
        (tmp_path / f"images/{number}.png").write_bytes(sources[number])
    lines = ["image,class,votes"] + [f"images/{n}.png,{c},{v}" for n, c, v in rows]
    (tmp_path / "annotations.csv").write_text("\n".join(lines) + "\n")
    if splits:
        lines = ["image,split"] + [f"images/{n}.png,{s}" for n, s in splits]
        (tmp_path / "splits.csv").write_text("\n".join(lines) + "\n")
    return tmp_path


GOOD = [(i, "ab"[i % 2], 3) for i in range(40)]
FROM_FOLDER = [f for f in SMALL if not f.startswith(("--dataset", "--labels_per_class"))]


def call(main, *arguments):
    """Runs a program's main in this process, which spares the import: (exit code, stderr)."""
    for name in flags.FLAGS:
        flags.FLAGS[name].unparse()
    stderr = io.StringIO()
    with (
        mock.patch.object(sys, "argv", ["program", *arguments]),
        contextlib.redirect_stderr(stderr),
        pytest.raises(SystemExit) as stopped,
    ):
        program.run(main)
    return stopped.value.code, stderr.getvalue()


def refused(tmp_path, *arguments, base=FROM_FOLDER):
    """Runs train, which must exit with 2, say so in a few lines and leave no workdir."""
    code, stderr = call(train.main, *base, f"--workdir={tmp_path / 'run'}", *arguments)
    assert code == 2, stderr
    assert not (tmp_path / "run" / "flags.txt").exists()
    assert 1 <= stderr.count("\n") <= 6
    return stderr


def test_bad_data_exits_with_2_and_names_the_thing(tmp_path):
    data = folder_of(tmp_path / "a", GOOD)
    (data / "images/7.png").unlink()
    assert "images/7.png" in refused(tmp_path, f"--data_dir={data}")
    (data / "annotations.csv").unlink()
    assert "annotations.csv" in refused(tmp_path, f"--data_dir={data}")
    data = folder_of(
        tmp_path / "b",
        [(i, "ab"[i % 2], 1) for i in range(20)] * 1 + [(i, "ab"[1 - i % 2], 1) for i in range(20)],
    )
    assert "no certain image" in refused(tmp_path, f"--data_dir={data}")
    data = folder_of(
        tmp_path / "c",
        [*GOOD, (99, "c", 3)],
        [*((i, "val" if i < 4 else "train") for i in range(40)), (99, "train")],
    )
    message = refused(tmp_path, f"--data_dir={data}")
    assert "'c'" in message
    assert "partner" in message
    data = folder_of(tmp_path / "d", GOOD)
    (data / "dataset.json").write_text('{"classes": ["a", "x"]}')
    assert "found 'b'" in refused(tmp_path, f"--data_dir={data}")
    assert "data_dir" in refused(tmp_path)


def test_unreadable_images_are_left_out_or_stop_the_run(tmp_path):
    data = folder_of(tmp_path / "a", [(i, "ab"[i % 2], 3) for i in range(300)])
    (data / "images/7.png").write_bytes(b"not an image")
    done = run(
        "train",
        *FROM_FOLDER,
        f"--data_dir={data}",
        f"--workdir={tmp_path / 'ok'}",
        "--noexport",
        "--heads_only_epochs=0",
        "--fine_tune_epochs=1",
        "--pretext_epochs=0",
    )
    assert done.returncode == 0, done.stderr
    assert [u["image"] for u in read_report(tmp_path / "ok")["unreadable"]] == ["images/7.png"]
    for number in range(10, 20):
        (data / f"images/{number}.png").write_bytes(b"not an image")
    message = refused(tmp_path, f"--data_dir={data}")
    assert "11 of 300" in message


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--k=10"], "k:"),
        (["--batch_size=2"], "batch_size"),
        (["--method=supervised"], "is a flag of method foc"),
        (["--method=fok"], "method"),
        (["--no_such_flag=1"], "no_such_flag"),
        (["stray"], "stray"),
        (["--flagfile=/nowhere/a.flags"], "a.flags"),
        (["--backbone=resnet"], "backbone"),
        (["--backbone_weights=/nowhere/w.h5"], "/nowhere/w.h5"),
        (["--augment_anchor=strong"], "augment_anchor"),
        (["--image_size=9"], "9"),
        (["--certain_threshold=0.2"], "certain_threshold"),
    ],
)
def test_a_wrong_flag_exits_with_2_and_is_named(tmp_path, arguments, word):
    assert word in refused(tmp_path, *arguments, base=SMALL)


def test_a_workdir_of_another_run_is_not_touched(trained, tmp_path):
    workdir, _, _ = trained
    shutil.copytree(workdir, tmp_path / "run")
    before = {p: p.read_bytes() for p in (tmp_path / "run").rglob("*") if p.is_file()}
    code, stderr = call(train.main, *SMALL, f"--workdir={tmp_path / 'run'}", "--k=30")
    assert code == 2
    assert "--k=20" in stderr
    assert "--k=30" in stderr
    assert {p: p.read_bytes() for p in (tmp_path / "run").rglob("*") if p.is_file()} == before


def test_a_loss_that_is_not_finite_stops_the_run_and_says_what_to_try(tmp_path):
    code, stderr = call(train.main, *SMALL, f"--workdir={tmp_path / 'run'}", "--learning_rate=1e38")
    assert code == 1, stderr
    assert "Try" in stderr
    assert "learning_rate" in stderr


def test_a_run_is_named_after_its_flagfile_or_its_data():
    assert train.run_name(["x", "--flagfile=configs/a.flags"], "digits", None) == "a"
    assert train.run_name(["x", "--flagfile", "b.flags", "--k=3"], "digits", None) == "b"
    assert train.run_name(["x"], "digits", None) == "digits"
    assert train.run_name(["x"], "prepared", "/data/my_images/") == "my_images"


def test_without_a_workdir_the_run_lies_in_runs(tmp_path):
    flagfile = tmp_path / "mine.flags"
    flagfile.write_text("# a small run\n" + "\n".join(SMALL) + "\n--pretext_epochs=0\n")
    done = run("train", f"--flagfile={flagfile}", "--heads_only_epochs=0", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert read_report(tmp_path / "runs" / "mine")["stages"][0]["name"] == "fine_tune"
    assert (tmp_path / "export" / "models" / "mine" / "1" / "saved_model.pb").exists()


def test_help_reads_like_documentation():
    done = run("train", "--helpfull")
    assert done.returncode == 0
    assert "--unlabeled_ratio" in done.stdout + done.stderr


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*.flags")), ids=lambda p: p.name)
def test_every_config_holds_flags_and_comments_only(path):
    script = (
        "import sys; from absl import flags; from foc_tf import flags as f; "
        "rest = flags.FLAGS(['x', sys.argv[1]]); assert rest == ['x'], rest"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, f"--flagfile={path}"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    lines = path.read_text().splitlines()
    assert lines[0].startswith("# ")
    assert all(line.startswith(("#", "--")) for line in lines if line.strip())


def test_import_prints_nothing_and_loads_no_tensorflow():
    script = "import sys, foc_tf; assert 'tensorflow' not in sys.modules; foc_tf.metrics.nmi"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
