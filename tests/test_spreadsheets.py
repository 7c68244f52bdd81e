"""No cell of a table for people is a formula; nothing is lost on the way back."""

import csv
import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foc_tf import files
from foc_tf.comparing import significance
from foc_tf.formats import predictions
from foc_tf.predicting import models, partial
from foc_tf.serving import cluster_names
from foc_tf.spreadsheets import original, safe

EVIL = ['=cmd|" /C calc"!A0', "+1+1", "-2+3", "@SUM(1)", "\t=1", "\r=1", "\n=1", "=", "'=1", "''@x"]
PLAIN = ["copepod", "a-b", "x=1", "'quoted'", "", "-1", "+3.5e-4", "-.5", "1e9", "'", "''"]


@pytest.mark.parametrize("text", EVIL)
def test_formulas_get_an_apostrophe(text):
    assert safe(text) == "'" + text
    assert original(safe(text)) == text


@pytest.mark.parametrize("value", [*PLAIN, -1, -0.5, None, True])
def test_numbers_and_other_text_are_left_alone(value):
    assert safe(value) is value
    assert not isinstance(value, str) or original(value) == value


@given(st.text(alphabet="'=+-@\t\r\n1.e a", max_size=8))
def test_nothing_is_lost(text):
    assert original(safe(text)) == text
    shown = safe(text)
    number = shown[:1] in "+-" and shown.strip("+-.e1") == ""
    assert number or not shown.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))


def cells(path):
    with open(path, encoding="utf-8", newline="") as file:
        return [cell for row in csv.reader(file) for cell in row]


def some_predictions(names):
    count = len(names)
    return predictions.Predictions(
        images=list(names),
        objects=list(names),
        splits=[""] * count,
        labelled=np.zeros(count, bool),
        class_probs=np.eye(count),
        cluster_probs=np.eye(count),
        classes=list(names),
        cluster_classes=np.arange(count),
        cluster_names=list(names),
        category_ids={},
    )


def test_predictions_for_people_are_safe_and_those_for_ecotaxa_as_they_are(tmp_path):
    names = [text for text in EVIL if text.isprintable()]
    predictions.write_csv(tmp_path / "p.csv", some_predictions(names))
    found = cells(tmp_path / "p.csv")
    assert not [c for c in found if c.startswith(("=", "+", "@")) or c[:2] == "-2"]
    assert [original(c) for c in found[-len(names) - 9 :]][:2] == [names[-1]] * 2
    predictions.write_ecotaxa(tmp_path / "e.tsv", some_predictions(names))
    with open(tmp_path / "e.tsv", encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file, delimiter="\t"))
    assert [row[0] for row in rows[2:]] == names
    assert [row[2] for row in rows[2:]] == names


def test_tables_of_runs_are_safe_and_our_readers_see_the_names(tmp_path):
    names = ["=a", "@b", "'=c"]
    frame = pd.DataFrame(
        {
            "image": ["=x.png", "-1", "y.png"],
            "split": "test",
            "certain": True,
            "reference_class": names,
            "normal_class": names[::-1],
            "cluster": [0, 1, 2],
            "cluster_class": names,
            "delta": [-0.5, -1.5, 2.0],
        }
    )
    files.write_csv(tmp_path / "predictions.csv", frame)
    assert "'=x.png,test" in (tmp_path / "predictions.csv").read_text()
    assert pd.read_csv(tmp_path / "predictions.csv")["delta"].tolist() == [-0.5, -1.5, 2.0]
    found = significance.Predictions(tmp_path, names, "test")
    assert found.labels.tolist() == [0, 1, 2]
    assert found.of("normal").tolist() == [2, 1, 0]
    assert found.images == ["=x.png", "-1", "y.png"]
    assert models._cluster_classes(tmp_path, names, 3).tolist() == [0, 1, 2]


def test_names_of_clusters_come_back_from_a_table_of_ours(tmp_path):
    frame = pd.DataFrame({"cluster": [0, 1], "name": ["=eggs", "-"], "class": ["@b", "'=c"]})
    files.write_csv(tmp_path / "names.csv", frame)
    names, given = cluster_names.read(tmp_path / "names.csv", 2, ["@b", "'=c"])
    assert names == ["=eggs", "-"]
    assert given == {0: 0, 1: 1}


def test_lists_of_unreadable_images_are_safe(tmp_path):
    with partial.Partial(tmp_path / "o.csv", {"model": "m"}, b"image\n") as rows:
        rows.append(b"", 0, [('=HYPERLINK("x")', "torn"), ("-1", "@reason")], 2)
        rows.finish()
    found = cells(tmp_path / "o.csv.unreadable.csv")
    assert found == ["image", "reason", '\'=HYPERLINK("x")', "torn", "-1", "'@reason"]
    assert json.dumps(found)
