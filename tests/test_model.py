"""The model, its heads and the one train step."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import foc_tf
from foc_tf.heads import MultiHead
from foc_tf.methods import METHODS
from foc_tf.stages import Stage, blocks, learning_rate_at, warm_up_stages
from foc_tf.views import View, stage_views, without_labels


def tiny_backbone(channels=1):
    images = keras.Input((8, 8, channels))
    x = keras.layers.Rescaling(1 / 128, -1.0)(images)
    x = keras.layers.Conv2D(4, 3, strides=2, activation="relu")(x)
    return keras.Model(images, keras.layers.GlobalAveragePooling2D()(x))


def channels_of(method):
    return 3 if method == "cmc" else 1


def tiny_model(method="foc", **kwargs):
    kwargs = ({"k": 6} if method == "foc" else {}) | {"num_sub_heads": 2} | kwargs
    model = foc_tf.build_model(method, tiny_backbone(channels_of(method)), k_gt=3, **kwargs)
    model.compile(keras.optimizers.Adam(1e-2))
    return model


def batch(rows=12, seed=0, channels=1):
    rng = np.random.default_rng(seed)
    images = {
        view: rng.uniform(0, 255, (rows, 8, 8, channels)).astype(np.float32)
        for view in ("anchor", "positive", "negative", "strong", "neighbor", "weak")
    }
    return images | {"label": np.tile(np.int32([0, 1, 2, -1]), rows // 4)}


def dataset(**kwargs):
    return tf.data.Dataset.from_tensors(batch(**kwargs)).repeat()


@pytest.mark.parametrize("method", METHODS)
def test_keras_entry_points_work(method, tmp_path):
    model, channels = tiny_model(method), channels_of(method)
    data = dataset(channels=channels)
    history = model.fit(data, steps_per_epoch=3, epochs=2, verbose=0)
    assert set(history.history) & set(METHODS[method].loss_names)
    assert np.isfinite(history.history["loss"]).all()
    assert np.isfinite(model.evaluate(data, steps=1, verbose=0)).all()
    images = batch(channels=channels)["anchor"]
    outputs = model.predict(images, verbose=0)
    assert outputs["normal_probs"].shape == (12, 2, 3)
    np.testing.assert_allclose(outputs["normal_probs"].sum(-1), 1, rtol=1e-5)
    model.save_weights(tmp_path / "a.weights.h5")
    other = tiny_model(method, seed=5)
    assert not np.allclose(other(images)["features"], outputs["features"])
    other.load_weights(tmp_path / "a.weights.h5")
    np.testing.assert_allclose(other(images)["normal_probs"], outputs["normal_probs"], rtol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_losses_are_those_that_the_method_names(method):
    model, seen = tiny_model(method), set()
    for stages in (warm_up_stages(1, 1, 1, self_label_epochs=1), warm_up_stages(1, 0, 0)):
        for stage in model.schedule(stages):
            model.set_stage(stage, stage.heads)
            data = batch(channels=channels_of(method))
            losses = model.compute_losses(data, training=True)
            assert all(value.shape == () for value in losses.values())
            seen |= set(losses)
    assert seen == set(model.loss_names)


def test_training_lowers_the_loss():
    model = tiny_model(dropout=0.0)
    history = model.fit(dataset(), steps_per_epoch=20, epochs=3, verbose=0).history["loss"]
    assert history[-1] < history[0]


def snapshot(variables):
    return [np.asarray(v).copy() for v in variables]


def test_frozen_and_inactive_variables_do_not_move():
    model = tiny_model()
    model.fit(dataset(), steps_per_epoch=2, verbose=0)  # Adam has moments of everything now
    backbone, normal = (
        snapshot(m.trainable_variables) for m in (model.backbone, model.normal_head)
    )
    over = snapshot(model.over_head.trainable_variables)
    model.set_stage(Stage("heads_only", 1, 1e-2, train_backbone=False), ("over",))
    model.fit(dataset(), steps_per_epoch=2, verbose=0)
    for old, module, still in (
        (backbone, model.backbone, True),
        (normal, model.normal_head, True),
        (over, model.over_head, False),
    ):
        new = snapshot(module.trainable_variables)
        assert all(np.array_equal(a, b) for a, b in zip(old, new)) == still


def test_a_second_fit_runs_the_second_stage_and_the_first_step_is_kept():
    model = tiny_model()
    first = Stage("fine_tune", 1, 1e-2)
    model.set_stage(first, ("normal",))
    assert "normal_ce" in model.fit(dataset(), steps_per_epoch=1, verbose=0).history
    compiled = model.train_function
    model.set_stage(first, ("over",))
    history = model.fit(dataset(), steps_per_epoch=1, verbose=0).history
    assert "over_ice" in history
    assert "normal_ce" not in history
    model.set_stage(first, ("normal",))
    model.fit(dataset(), steps_per_epoch=1, verbose=0)
    assert model.train_function is compiled


def test_pretext_uses_no_labels():
    model = tiny_model(dropout=0.0)
    model.set_stage(Stage("pretext", 1, 1e-2, use_labels=False))
    data = batch()
    losses = model.compute_losses(data, training=True)
    assert set(losses) == {"normal_mi", "over_mi"}
    other = data | {"label": np.roll(data["label"], 1)}
    for name, value in model.compute_losses(other, training=True).items():
        np.testing.assert_allclose(value, losses[name], rtol=1e-6)


def test_losses_by_hand_from_the_outputs():
    model = tiny_model(dropout=0.0, lambda_s=2.0, lambda_u=0.5)
    data = batch()
    p = [model(data[v])["over_probs"] for v in ("anchor", "positive", "negative")]
    n = [model(data[v])["normal_probs"].numpy() for v in ("anchor", "positive")]
    losses = model.compute_losses(data, training=False)
    known = data["label"] >= 0
    triplets = foc_tf.losses.triplet_inverse_cross_entropy(*p).numpy()
    # Means over all 12 rows, of which 9 are labelled; weights 2 and 0.5.
    np.testing.assert_allclose(losses["over_ice"], 2 * triplets[known].sum() / (12 * 2), rtol=1e-5)
    information = foc_tf.losses.mutual_information(p[0], p[1])
    np.testing.assert_allclose(losses["over_mi"], -0.5 * np.mean(information), rtol=1e-4, atol=1e-7)
    right = n[0][np.flatnonzero(known), :, data["label"][known]]
    np.testing.assert_allclose(losses["normal_ce"], -2 * np.log(right).sum() / 24, rtol=1e-5)


def test_cross_entropy_on_both_views_and_information_of_labelled_rows():
    data = batch()
    model = tiny_model(dropout=0.0, ce_views="both", normal_mi_rows="labeled")
    losses = model.compute_losses(data, training=False)
    known = data["label"] >= 0
    a, b = (model(data[v][known])["normal_probs"] for v in ("anchor", "positive"))
    wanted = -np.mean(foc_tf.losses.mutual_information(a, b))
    np.testing.assert_allclose(losses["normal_mi"], wanted, rtol=1e-4, atol=1e-6)
    rows = [foc_tf.losses.cross_entropy(p, data["label"][known]) for p in (a, b)]
    np.testing.assert_allclose(losses["normal_ce"], np.sum(rows) / (2 * 12 * 2), rtol=1e-5)


def test_dropout_is_one_mask_for_all_heads_and_a_function_of_the_step():
    model = tiny_model(dropout=0.5)
    data = batch()
    one, two = (model.forward(data, ["anchor", "positive"], True) for _ in range(2))
    np.testing.assert_array_equal(one[0]["features"], two[0]["features"])
    features = model(data["anchor"])["features"].numpy()
    dropped = one[0]["features"].numpy()
    kept = dropped != 0
    np.testing.assert_allclose(dropped[kept], 2 * features[kept], rtol=1e-5)
    model.optimizer.iterations.assign_add(1)
    assert not np.array_equal(model.forward(data, ["anchor"], True)[0]["features"], dropped)


def test_heads_have_their_own_weights_and_can_be_mlps():
    layer = MultiHead(5, num_sub_heads=3, hidden_units=7, seed=1)
    probs = layer(np.ones((2, 4), np.float32)).numpy()
    assert probs.shape == (2, 3, 5)
    np.testing.assert_allclose(probs.sum(-1), 1, rtol=1e-6)
    assert len({tuple(p) for p in probs[0].round(6)}) == 3
    assert MultiHead.from_config(layer.get_config()).get_config() == layer.get_config()


def test_one_sub_head_is_a_dense_softmax():
    layer = MultiHead(5, num_sub_heads=1, seed=1)
    x = np.random.default_rng(0).standard_normal((2, 4)).astype(np.float32)
    probs = layer(x).numpy()[:, 0]
    kernel, bias = (w[0] for w in layer.get_weights())
    logits = x @ kernel + bias
    expected = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    np.testing.assert_allclose(probs, expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"k": 3}, "more clusters than the 3 classes"),
        ({"negatives": "none"}, "negatives"),
        ({"ce_views": "all"}, "ce_views"),
        ({"normal_mi_rows": "some"}, "normal_mi_rows"),
        ({"dropout": 1.0}, "dropout: expected 0 to less than 1"),
        ({"dropout": -0.5}, "dropout"),
        ({"partners": "other"}, "partners"),
        ({"num_sub_heads": 0}, "num_sub_heads"),
        ({"colour": 1}, "colour"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        tiny_model(**arguments)
    with pytest.raises(ValueError, match="method"):
        foc_tf.build_model("fok", tiny_backbone(), 3)


def test_what_the_second_view_of_a_labelled_row_shows():
    for partners in ("same_class", "self"):
        views = stage_views(tiny_model(partners=partners).views, Stage("fine_tune", 1, 0.1))
        assert [view.partner for view in views] == ["self", partners, "other_class"]
    assert [view.partner for view in tiny_model().views][1] == "same_class"  # the paper's


def test_a_stage_that_trains_one_head_has_no_turns():
    stages = (Stage("fine_tune", 4, 0.1, heads=("normal",)),)
    (block,) = blocks(stages, ("normal", "over"), 1)
    assert (block.heads, block.first_epoch, block.end_epoch) == (("normal",), 0, 4)


def test_blocks_cover_every_epoch_once_and_alternate():
    stages = warm_up_stages(7, 0, 12)
    assert [s.name for s in stages] == ["pretext", "fine_tune"]
    cut = blocks(stages, ("normal", "over"), 5)
    assert [(b.stage.name, b.heads, b.first_epoch, b.end_epoch) for b in cut] == [
        ("pretext", ("over",), 0, 5),
        ("pretext", ("normal",), 5, 7),
        ("fine_tune", ("over",), 7, 12),
        ("fine_tune", ("normal",), 12, 17),
        ("fine_tune", ("over",), 17, 19),
    ]
    assert [b.heads for b in blocks(stages, ("normal", "over"), 0)] == [("normal", "over")] * 2


def test_heads_take_turns_by_steps():
    """Two steps of one kind, two of the other; stopped after three, the fourth comes next."""
    whole, stopped = (tiny_model(dropout=0.0) for _ in range(2))
    stopped.set_weights(whole.get_weights())
    moved = []
    for model, parts in ((whole, [6]), (stopped, [3, 3])):
        model.set_stage(Stage("fine_tune", 1, 1e-2), turn_steps=2)
        for steps in parts:
            model.fit(dataset(), steps_per_epoch=steps, verbose=0)
        moved.append(snapshot(model.trainable_variables))
    for one, two in zip(*moved):
        np.testing.assert_allclose(one, two, rtol=1e-6)
    model = tiny_model()
    model.set_stage(Stage("fine_tune", 1, 1e-2), turn_steps=2)
    old = [snapshot(m.trainable_variables) for m in (model.normal_head, model.over_head)]
    model.fit(dataset(), steps_per_epoch=2, verbose=0)
    new = [snapshot(m.trainable_variables) for m in (model.normal_head, model.over_head)]
    assert all(np.array_equal(a, b) for a, b in zip(old[0], new[0]))
    assert not any(np.array_equal(a, b) for a, b in zip(old[1], new[1]))
    assert set(model.epoch_results()) == {"loss", "over_mi", "over_ice", "over_largest"}
    model.fit(dataset(), steps_per_epoch=4, verbose=0)
    assert {"normal_ce", "over_ice"} <= set(model.epoch_results())


def test_learning_rates():
    stage = Stage("fine_tune", 10, 1.0)
    assert learning_rate_at(stage, 5, [], "constant") == 1.0
    # cos(pi * 5 / 10) = 0: half of the initial rate
    assert learning_rate_at(stage, 5, [], "cosine") == pytest.approx(0.5)
    # minimum at the second epoch, then three without a new one: once times 0.1
    assert learning_rate_at(stage, 5, [3, 2, 2, 2, 2], "plateau", 3) == pytest.approx(0.1)
    assert learning_rate_at(stage, 5, [5, 4, 3, 2, 1], "plateau", 3) == 1.0
    with pytest.raises(ValueError, match="schedule"):
        learning_rate_at(stage, 0, [], "step")


def test_views_without_labels_show_only_own_images():
    views = (View("a", "self", "x"), View("b", "same_class", "y"), View("c", "other_class", "z"))
    assert without_labels(views) == (View("a", "self", "x"), View("b", "self", "y"))
    near = View("d", "neighbor", "x")  # no label says what is near
    assert without_labels((*views, near))[-1] == near


def test_views_of_a_stage():
    views = (View("a", "self", "x"), View("b", "same_class", "y"), View("c", "other_class", "z"))
    pretext, _, fine_tune = warm_up_stages(1, 1, 1)
    assert stage_views(views, fine_tune) == views
    assert stage_views(views, pretext) == without_labels(views)
    # Table 4's upper bound: images of one class beside each other, and still no third view.
    bound = warm_up_stages(1, 1, 1, pretext_partners="same_class")[0]
    assert stage_views(views, bound) == views[:2]
    assert not bound.use_labels
