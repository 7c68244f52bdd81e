"""Mean Teacher: the average, where it is kept, and who answers."""

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

import foc_tf
from foc_tf import backbones, build
from foc_tf.methods import mean_teacher
from tests.small_run import SMALL, read_report, run
from tests.strategy_worker import smooth_backbone
from tests.test_model import batch, dataset, tiny_model

FLAGS = [f for f in SMALL if not f.startswith(("--k", "--pretext_epochs", "--alternate_epochs"))]


def normed_model(**kwargs):
    model = foc_tf.build_model("mean_teacher", smooth_backbone(), 3, num_sub_heads=2, **kwargs)
    model.compile(keras.optimizers.SGD(0.1))
    return model


def test_the_average_by_hand_batch_statistics_too():
    model = normed_model(ema_decay=0.6)
    student, teacher = model.student_and_teacher()
    assert any("moving_variance" in weight.name for weight in student)
    # n = 0: nothing is kept, 1. n = 1: half, (1 + 3) / 2 = 2. n = 2: 1 - 1/3 is more than the
    # largest share .6: .6 * 2 + .4 * 5 = 3.2.
    for value, wanted in ((1.0, 1.0), (3.0, 2.0), (5.0, 3.2)):
        for weight in student:
            weight.assign(tf.fill(weight.shape, value))
        model.after_step()
        for weight in teacher:
            np.testing.assert_allclose(weight, np.full(weight.shape, wanted), rtol=1e-6)
    assert float(model.steps_taught) == 3


def test_training_moves_the_teacher_behind_the_student():
    model = normed_model(ema_decay=0.5)
    model.fit(dataset(), steps_per_epoch=4, verbose=0)
    student, teacher = model.student_and_teacher()
    assert not set(map(id, teacher)) & set(map(id, model.trainable_variables))
    moved = [np.abs(s.numpy() - t.numpy()).max() for s, t in zip(student, teacher)]
    assert min(moved) > 0
    assert float(model.steps_taught) == 4


def test_the_teachers_weights_are_weights_of_the_model():
    model = normed_model(k=6)
    _, teacher = model.student_and_teacher()
    assert {id(weight) for weight in (*teacher, model.steps_taught)} <= {
        id(weight) for weight in model.weights
    }


def test_the_teacher_answers_and_the_student_learns():
    model = normed_model(k=6, dropout=0.0)
    images = batch()["anchor"]
    before = model(images)
    for weight in model.student_and_teacher()[0]:
        weight.assign(weight * 0.5)
    for name, value in model(images).items():
        np.testing.assert_allclose(value, before[name], rtol=1e-6)
    predicted = model.predict(images, verbose=0)["features"]
    np.testing.assert_allclose(predicted, before["features"], rtol=1e-5)
    student = model.forward(batch(), ["anchor"], training=False)[0]
    assert np.abs(student["features"] - before["features"]).max() > 1e-3
    extractor = foc_tf.feature_extractor(model)
    np.testing.assert_allclose(extractor(images), before["features"], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("inputs", ["pixels", "sobel_rgb"])
@pytest.mark.parametrize("name", backbones.BACKBONES)
def test_every_backbone_can_be_copied(name, inputs):
    backbone = backbones.build(name, 32, inputs=inputs)
    # Statistics that differ from the initial ones.
    backbone.set_weights([w + 0.01 for w in backbone.get_weights()])
    copy = mean_teacher._frozen_copy(backbone)
    images = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3)).astype(np.float32)
    wanted = backbone(images, training=False)
    np.testing.assert_allclose(copy(images, training=True), wanted, rtol=1e-4, atol=1e-4)
    assert not copy.trainable_variables
    assert backbone.trainable_variables
    assert len(copy.weights) == len(backbone.weights)
    assert not set(map(id, copy.weights)) & set(map(id, backbone.weights))


def test_losses_by_hand_from_student_and_teacher():
    model, data = tiny_model("mean_teacher", dropout=0.0), batch()
    for weight in model.student_and_teacher()[1]:
        weight.assign(weight * 0.7)
    student = model.forward(data, ["anchor"], training=False)[0]["normal_probs"].numpy()
    teacher = model(data["positive"])["normal_probs"].numpy()
    found = model.compute_losses(data, training=False)
    # 50 times the mean over 12 rows, 2 sub-heads and 3 classes.
    wanted = 50 * np.square(student - teacher).sum() / (12 * 2 * 3)
    assert wanted > 1e-4
    np.testing.assert_allclose(found["normal_consistency"], wanted, rtol=1e-4)
    known = np.flatnonzero(data["label"] >= 0)
    right = student[known, :, data["label"][known]]
    np.testing.assert_allclose(found["normal_ce"], -np.log(right).mean(), rtol=1e-5)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A small run with clusters: (workdir, export folder)."""
    folder = tmp_path_factory.mktemp("mean_teacher")
    more = ("--method=mean_teacher", "--over_head", "--k=20", "--ema_decay=0.9")
    done = run(
        "train", *FLAGS, *more, f"--workdir={folder / 'run'}", f"--export_dir={folder / 'model'}"
    )
    assert done.returncode == 0, done.stderr
    return folder / "run", folder / "model"


def test_load_evaluate_and_export_are_the_teachers(finished, tmp_path):
    from foc_tf.data import digits, pipeline

    workdir, exported = finished
    model = build.load(workdir)
    student, teacher = model.student_and_teacher()
    assert np.abs(student[0].numpy() - teacher[0].numpy()).max() > 0
    assert 0 < float(model.steps_taught) == pd.read_csv(workdir / "history.csv").shape[0] * 4
    done = run("evaluate", f"--workdir={workdir}", f"--output={tmp_path}")
    assert done.returncode == 0, done.stderr
    assert read_report(tmp_path)["splits"] == read_report(workdir)["splits"]
    encoded = list(digits.read().sources[:20])
    loader = pipeline.make_loader(encoded, 8, 1)
    images = next(iter(pipeline.evaluation_batches(loader, np.arange(20), 8)))
    taught = model.teacher[0](images, training=False)
    served = tf.saved_model.load(str(exported / "1"))
    outputs = served.signatures["image_bytes"](tf.constant(encoded))
    np.testing.assert_allclose(outputs["features"], taught, rtol=1e-4, atol=1e-4)
    learned = model.backbone(images, training=False)
    assert np.abs(outputs["features"] - learned).max() > 1e-2


def test_init_from_takes_the_teacher_and_gives_it_to_both(finished):
    workdir, _ = finished
    new = build.build_model("mean_teacher", "small_cnn", 10, 8, 1, num_sub_heads=1, seed=9)
    build.init_backbone(new, workdir)
    old = build.load(workdir).served_backbone.get_weights()
    for backbone in (new.backbone, new.served_backbone):
        for one, two in zip(backbone.get_weights(), old):
            np.testing.assert_array_equal(one, two)
