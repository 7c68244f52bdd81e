"""What train says of wrong data and flags: exit 2, a few lines, nothing written."""

import pytest

from foc_tf import train
from tests.small_run import SMALL, call, read_report, run


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


_COUNTS = ("load_size", "image_size", "num_sub_heads", "batch_size", "repetitions")
_NOT_NEGATIVE = (
    *("labels_per_class", "hidden_units", "frozen_views", "seed", "cache_gigabytes"),
    *("pretext_epochs", "heads_only_epochs", "fine_tune_epochs", "alternate_epochs"),
    *("alternate_steps", "learning_rate", "heads_learning_rate", "lambda_u", "lambda_s"),
    *("lambda_ice", "early_stopping_share", "unlabeled_ratio", "dropout"),
)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, 0) for name in (*_COUNTS, "k", "plateau_epochs", "evaluate_every")),
        *((name, -1) for name in _NOT_NEGATIVE),
        *((name, 2) for name in ("early_stopping_share", "unlabeled_ratio", "dropout")),
    ],
)
def test_a_number_out_of_range_is_named_before_anything_is_trained(tmp_path, name, value):
    """With --evaluate_every=0 a run said so after its first epoch, with a traceback."""
    assert name in refused(tmp_path, *SMALL, f"--{name}={value}", base=())


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
        (["--augment_anchor=stronger"], "augment_anchor"),
        (["--image_size=9"], "9"),
        (["--certain_threshold=0.2"], "certain_threshold"),
    ],
)
def test_a_wrong_flag_exits_with_2_and_is_named(tmp_path, arguments, word):
    assert word in refused(tmp_path, *arguments, base=SMALL)
