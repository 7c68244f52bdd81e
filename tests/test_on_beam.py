"""predict on Beam's DirectRunner: the rows of the local run, in shards."""

import csv
import zipfile

import numpy as np
import pytest

from foc_tf import predict
from foc_tf.data import digits
from tests.small_model import exported
from tests.small_run import call

pytest.importorskip("apache_beam", reason="the extra [beam] is not installed")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An exported model, 300 images in a folder, a zip and a list; 3 unreadable, one not there."""
    folder = tmp_path_factory.mktemp("source")
    exported(folder)
    images = {f"ü {i:03}.png": c for i, c in enumerate(digits.read().sources[:300])}
    images |= {f"ü {i:03}.png": b"?" for i in (5, 77, 290)}
    (folder / "in").mkdir()
    with zipfile.ZipFile(folder / "in.zip", "w") as archive:
        for name, content in images.items():
            (folder / "in" / name).write_bytes(content)
            archive.writestr(name, content)
    lines = [f"in/{name}" for name in images]
    (folder / "list.txt").write_text("\n".join([*lines, "in/gone.png"]), encoding="utf-8")
    return folder


def called(folder, source, output, *arguments):
    return call(
        predict.main,
        f"--model={folder / 'm' / '1'}",
        f"--source={folder / source}",
        f"--output={output}",
        *arguments,
        values=predict.FLAGS,
    )


def rows_of(paths):
    rows = []
    for path in paths:
        with open(path, encoding="utf-8", newline="") as file:
            rows += csv.DictReader(file)
    return sorted(rows, key=lambda row: row["image"])


MANY = "--beam_options=--direct_num_workers=2,--direct_running_mode=multi_processing"


@pytest.mark.parametrize(
    ("source", "unreadable", "options"),
    [("in", 3, []), ("in.zip", 3, []), ("list.txt", 4, []), ("list.txt", 4, [MANY])],
)
def test_shards_hold_the_rows_of_the_local_run(folder, tmp_path, source, unreadable, options):
    code, stderr = called(folder, source, tmp_path / "a.csv")
    assert code == 0, stderr
    arguments = ("--runner=beam", "--batch_size=32", *options)
    code, stderr = called(folder, source, tmp_path / "b" / "x.csv", *arguments)
    assert code == 0, stderr
    local, found = (
        rows_of([tmp_path / "a.csv"]),
        rows_of((tmp_path / "b").glob("x-?????-of-?????.csv")),
    )
    assert len(found) == 297
    assert list(found[0]) == list(local[0])
    numbers = [name for name in local[0] if name.startswith(("prob_", "entropy"))]
    for one, other in zip(local, found):
        for name in ("image", "object_id", "class", "cluster", "group", "cluster_class"):
            assert one[name] == other[name]
        values = [[float(row[name]) for name in numbers] for row in (one, other)]
        np.testing.assert_allclose(*values, atol=2e-4)
    bad = rows_of((tmp_path / "b").glob("x.unreadable-*.csv"))
    listed = rows_of([tmp_path / "a.csv.unreadable.csv"])
    assert [row["image"] for row in bad] == [row["image"] for row in listed]
    assert len(bad) == unreadable
    assert all(row["reason"] for row in bad)
    others = {p.name for p in (tmp_path / "b").iterdir() if not p.name.startswith("x")}
    assert not others
    assert not list((tmp_path / "b").glob("*.jsonl"))
    code, stderr = called(folder, source, tmp_path / "b" / "x.csv", *arguments)
    assert code == 2
    assert "shards of an earlier run" in stderr


def test_without_a_usable_image_it_says_where_the_reasons_are(folder, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").write_bytes(b"?")
    code, stderr = called(folder, tmp_path / "in", tmp_path / "x.csv", "--runner=beam")
    assert code == 2
    assert "no image of" in stderr
    assert len(list(tmp_path.glob("x.unreadable-*.csv"))) == 1


def test_an_interrupt_ends_with_130_and_no_shard(folder, tmp_path, monkeypatch):
    def interrupted(self, encoded):
        raise KeyboardInterrupt

    monkeypatch.setattr(predict.Model, "predict", interrupted)
    code, stderr = called(folder, "in", tmp_path / "x.csv", "--runner=beam")
    assert code == 130
    assert "the same command starts anew" in stderr
    assert not [p for p in tmp_path.iterdir() if p.name.startswith("x")]


def test_wrong_calls_are_said(folder, tmp_path):
    for words, arguments in {
        "format: --runner=beam writes csv": ["--format=ecotaxa"],
        "batch_size: expected at least 1": ["--batch_size=0"],
        "neither saved_model.pb": [f"--model={tmp_path}"],
    }.items():
        code, stderr = called(folder, "in", tmp_path / "x.csv", "--runner=beam", *arguments)
        assert code == 2
        assert words in stderr
    assert not list(tmp_path.iterdir())
