"""Whole programs as subprocesses on small real data, judged by the files that users read."""

import csv
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from foc_tf import train, workdirs
from tests.small_run import ROOT, SMALL, begun, call, read_report, run


def test_train_leaves_what_the_contract_names(trained):
    workdir, model, done = trained
    for name in ("flags.txt", "history.csv", "report.json", "predictions.csv", "clusters.png"):
        assert (workdir / name).stat().st_size
    history = pd.read_csv(workdir / "history.csv")
    assert history["epoch"].tolist() == [0, 1, 2, 3]
    assert history["stage"].tolist() == ["pretext", "heads_only", "fine_tune", "fine_tune"]
    assert history["over_used"].between(1, 20).all()
    assert history["normal_entropy"].between(0, 1).all()
    report = read_report(workdir)
    assert report["labeled"] == 120
    assert sum(report["clusters"]["over"]["confidence_histogram"]) == report["images"]
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
    again, before = read_report(tmp_path), read_report(workdir)
    assert again["splits"] == before["splits"]
    assert again["best_epoch"] == before["best_epoch"]
    assert "epoch" not in again


def test_evaluate_scores_the_runs_model_on_test_images_alone(trained, tmp_path):
    """Best sub-heads and classes of clusters are the run's own: here nothing could choose them."""
    from foc_tf.data import digits

    workdir, _, _ = trained
    image_set, before = digits.read(), read_report(workdir)
    images = image_set.roles().val
    (tmp_path / "held/images").mkdir(parents=True)
    lines = ["image,class,votes"]
    for index in images:
        name = f"images/{index}.png"
        (tmp_path / "held" / name).write_bytes(image_set.sources[index])
        lines += [
            f"{name},{image_set.classes[c]},{image_set.votes[index, c]}"
            for c in np.flatnonzero(image_set.votes[index])
        ]
    (tmp_path / "held/annotations.csv").write_text("\n".join(lines) + "\n")
    splits = ["image,split", *(f"images/{index}.png,test" for index in images)]
    (tmp_path / "held/splits.csv").write_text("\n".join(splits) + "\n")
    options = ["--dataset=prepared", f"--data_dir={tmp_path / 'held'}"]
    done = run("evaluate", f"--workdir={workdir}", *options, f"--output={tmp_path / 'scores'}")
    assert done.returncode == 0, done.stderr
    found = read_report(tmp_path / "scores")
    assert found["labeled"] == found["splits"]["val"]["count"] == 0
    test, val = found["splits"]["test"], before["splits"]["val"]
    assert test["normal"] == pytest.approx(val["normal"], rel=1e-6)
    assert test["over"]["sub_head"] == val["over"]["sub_head"]
    of_copies = [[copy["train"] for copy in s["sub_heads"]["over"]] for s in (test, val)]
    assert of_copies[0] == of_copies[1]
    assert "no labelled" in test["kmeans"]["train_reason"]
    assert "sub_head_reason" not in found


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


def test_predict_on_a_run_says_what_the_run_and_its_savedmodel_say(trained, tmp_path):
    from foc_tf.data import digits

    workdir, model, _ = trained
    for index, content in enumerate(digits.read().sources[:200]):
        (tmp_path / f"{index:04}.png").write_bytes(content)
    (tmp_path / "list.txt").write_text("".join(f"{i:04}.png\n" for i in range(200)))
    tables = []
    for source, which in (("list.txt", workdir), ("list.txt", model / "1")):
        output = tmp_path / f"{len(tables)}.csv"
        done = run(
            "predict", f"--model={which}", f"--source={tmp_path / source}", f"--output={output}"
        )
        assert done.returncode == 0, done.stderr
        tables.append(pd.read_csv(output, dtype={"class": str, "cluster_class": str}))
    kinds = {"normal_class": str, "cluster_class": str}
    own = pd.read_csv(workdir / "predictions.csv", dtype=kinds)[:200]
    shares = [f"prob_{c}" for c in range(10)]
    for table in tables:
        assert table["class"].tolist() == own["normal_class"].tolist()
        assert table["cluster"].tolist() == own["cluster"].tolist()
        assert table["cluster_class"].equals(own["cluster_class"])
        np.testing.assert_allclose(table[shares], own[shares], atol=2e-5)


def test_a_stopped_run_goes_on_as_if_it_had_not_been(trained, tmp_path):
    workdir, _, _ = trained
    resumed = tmp_path / "run"
    arguments = [*SMALL, f"--workdir={resumed}", "--noexport"]
    with begun(arguments, (resumed / "checkpoints/epoch-000002.npz").exists) as process:
        process.kill()
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
    assert workdirs.run_name(["x", "--flagfile=configs/a.flags"], "digits", None) == "a"
    assert workdirs.run_name(["x", "--flagfile", "b.flags", "--k=3"], "digits", None) == "b"
    assert workdirs.run_name(["x"], "digits", None) == "digits"
    assert workdirs.run_name(["x"], "prepared", "/data/my_images/") == "my_images"


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
        "import sys; from absl import flags; from foc_tf import compare, flags as f; "
        "values = compare.FLAGS if 'row' in sys.argv[2:] else flags.FLAGS; "
        "rest = values(['x', sys.argv[1]]); assert rest == ['x'], rest"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, f"--flagfile={path}"]
        + ["row"] * ("\n--row=" in path.read_text()),
        capture_output=True,
        text=True,
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
