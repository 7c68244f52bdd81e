"""What TensorBoard reads of a run, read back with TensorBoard's own readers."""

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from google.protobuf import text_format
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import plugin_data_pb2
from tensorboard.plugins.projector import projector_config_pb2

from tests.small_run import read_report


@pytest.fixture(scope="module")
def events(trained):
    folder = trained[0] / "tensorboard"
    sizes = {"tensors": 0, "images": 0}
    return EventAccumulator(str(folder), size_guidance=sizes).Reload()


def values(events, tag):
    return {e.step: float(tf.make_ndarray(e.tensor_proto)) for e in events.Tensors(tag)}


def test_curves_are_the_history(trained, events):
    history = pd.read_csv(trained[0] / "history.csv")
    for tag, column in (
        ("loss/loss", "loss"),
        ("loss/over_mi", "over_mi"),
        ("validation/normal_accuracy", "val_normal_accuracy"),
        ("clusters/over_used", "over_used"),
        ("run/learning_rate", "learning_rate"),
    ):
        wanted = history.set_index("epoch")[column].dropna()
        found = values(events, tag)
        assert list(found) == wanted.index.tolist()
        np.testing.assert_allclose(list(found.values()), wanted, rtol=1e-4)


def test_every_used_cluster_has_its_images(trained, events):
    predictions = pd.read_csv(trained[0] / "predictions.csv")
    tags = [tag for tag in events.Tags()["tensors"] if tag.startswith("cluster/")]
    assert tags == [f"cluster/{c:03}" for c in sorted(predictions["cluster"].unique())]
    _, _, png = tf.make_ndarray(events.Tensors(tags[0])[0].tensor_proto)
    sheet = tf.io.decode_png(png).numpy()
    assert sheet.shape[1:] == (8 * 50 + 2, 3)
    assert sheet.std() > 10


def test_settings_stand_beside_scores(trained, events):
    content = events.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    hparams = plugin_data_pb2.HParamsPluginData.FromString(content).session_start_info.hparams
    assert hparams["k"].number_value == 20
    assert hparams["backbone"].string_value == "small_cnn"
    report = read_report(trained[0])["splits"]["fuzzy"]
    found = values(events, "score/fuzzy_over_crossfit_macro_f1")
    assert found[0] == pytest.approx(report["over"]["crossfit"]["macro_f1"], abs=1e-6)


def test_the_projector_has_a_point_a_row_and_a_picture_for_each_image(trained):
    folder = trained[0] / "tensorboard"
    config = text_format.Parse(
        (folder / "projector_config.pbtxt").read_text(), projector_config_pb2.ProjectorConfig()
    )
    (embedding,) = config.embeddings
    points = np.loadtxt(folder / embedding.tensor_path, delimiter="\t")
    table = pd.read_csv(folder / embedding.metadata_path, sep="\t")
    assert points.shape == (1797, 64)
    assert len(table) == 1797
    assert {"image", "certain", "cluster", "normal_class"} <= set(table)
    sprite = tf.io.decode_png(tf.io.read_file(str(folder / embedding.sprite.image_path)))
    assert sprite.shape == (43 * 32, 43 * 32, 3)  # 43 * 43 = 1849 places
