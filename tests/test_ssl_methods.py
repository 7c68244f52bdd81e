"""The semi-supervised methods beside FOC: losses, gradients, replicas, resuming."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import foc_tf
from foc_tf import checkpoints, mixup
from foc_tf.keras_compat import KERAS_3
from foc_tf.methods import METHODS
from tests.strategy_worker import smooth_backbone
from tests.test_model import batch, channels_of, tiny_model

UNLABELED = {
    "pi_model": "normal_consistency",
    "mean_teacher": "normal_consistency",
    "pseudo_label": "normal_pseudo",
    "fixmatch": "normal_pseudo",
    "mixmatch": "normal_consistency",
}
SHARES = [0.5, 0.3, 0.2]
ALIGNED = ("pseudo_label", "fixmatch", "mixmatch")


def sure(method):
    """Arguments with which an untrained network learns without labels in every step."""
    return {"threshold": 0.0} if "threshold" in METHODS[method].hyperparameters else {}


def supervised_by_hand(probs, labels):
    known = np.flatnonzero(labels >= 0)
    return -np.log(np.asarray(probs)[known, :, labels[known]]).mean()


def test_pi_model_by_hand():
    model, data = tiny_model("pi_model", dropout=0.0, lambda_u=7.0), batch()
    one, two = (model(data[view])["normal_probs"].numpy() for view in ("anchor", "positive"))
    found = model.compute_losses(data, training=False)
    wanted = 7 * np.square(one - two).sum() / (12 * 2 * 3)
    np.testing.assert_allclose(found["normal_consistency"], wanted, rtol=1e-4)
    np.testing.assert_allclose(
        found["normal_ce"], supervised_by_hand(one, data["label"]), rtol=1e-5
    )


@pytest.mark.parametrize(
    ("method", "learner"), [("pseudo_label", "anchor"), ("fixmatch", "strong")]
)
def test_pseudo_labels_by_hand(method, learner):
    model, data = tiny_model(method, dropout=0.0, lambda_u=3.0), batch()
    weak, learned = (model(data[view])["normal_probs"].numpy() for view in ("anchor", learner))
    model.threshold = float(np.median(weak.max(-1)))  # half of the rows and sub-heads are sure
    found = model.compute_losses(data, training=False)
    total, confident = 0.0, 0
    for row in range(12):
        for head in range(2):
            if weak[row, head].max() >= model.threshold:
                total -= np.log(learned[row, head, weak[row, head].argmax()])
                confident += 1
    assert 0 < confident < 24
    # The mean is over all 24, confident or not.
    np.testing.assert_allclose(found["normal_pseudo"], 3 * total / 24, rtol=1e-5)
    share = model.epoch_results()["confident_share"]
    assert share == pytest.approx(confident / 24)
    wanted = supervised_by_hand(weak, data["label"])
    np.testing.assert_allclose(found["normal_ce"], wanted, rtol=1e-5)


def test_mixmatch_by_hand():
    model, data = tiny_model("mixmatch", dropout=0.0), batch()
    names, labels = ("anchor", "positive"), data["label"]
    found = model.compute_losses(data, training=False)
    guess = sum(model(data[name])["normal_probs"].numpy() for name in names) / 2
    target = guess**2 / (guess**2).sum(-1, keepdims=True)
    for row in np.flatnonzero(labels >= 0):
        target[row] = np.eye(3)[labels[row]]
    mix = mixup.Mix(model.step_seed(), 0.75, 2, 12)
    ce, squares = [], []
    for v, name in enumerate(names):
        for row in range(12):
            weight, partner = float(mix.weights[v, row]), int(mix.partners[v, row])
            other = data[names[partner // 12]][partner % 12]
            image = weight * data[name][row] + (1 - weight) * other
            mixed = weight * target[row] + (1 - weight) * target[partner % 12]
            probs = model(image[None])["normal_probs"][0].numpy()
            if labels[row] >= 0:
                ce.append(-(mixed * np.log(probs)).sum(-1))
            else:
                squares.append(np.square(mixed - probs).mean(-1))
    np.testing.assert_allclose(found["normal_ce"], np.mean(ce), rtol=1e-4)
    np.testing.assert_allclose(found["normal_consistency"], 75 * np.mean(squares), rtol=1e-4)


@pytest.mark.parametrize("method", UNLABELED)
def test_the_loss_without_labels_reaches_the_backbone(method):
    """USB's Mean Teacher reads student and teacher from one pass, so its loss is always 0."""
    model = tiny_model(method, dropout=0.0, **sure(method))
    with tf.GradientTape() as tape:
        loss = model.compute_losses(batch(), training=True)[UNLABELED[method]]
    gradients = tape.gradient(loss, model.backbone.trainable_variables)
    assert float(loss) > 0
    assert all(g is not None and np.abs(g).max() > 0 for g in gradients)


@pytest.mark.parametrize("method", UNLABELED)
def test_labels_of_unlabelled_rows_are_not_needed(method):
    model, data = tiny_model(method, dropout=0.0, **sure(method)), batch()
    data["label"] = np.full(12, -1, np.int32)
    found = model.compute_losses(data, training=False)
    assert float(found["normal_ce"]) == 0.0
    assert float(found[UNLABELED[method]]) > 0
    data["label"] = np.arange(12, dtype=np.int32) % 3
    assert all(np.isfinite(v) for v in model.compute_losses(data, training=False).values())


@pytest.mark.parametrize(
    "method", [name for name, cls in METHODS.items() if "normal_ce" in cls.loss_names]
)
def test_weights_of_classes_reach_the_loss(method):
    data, found = batch(channels=channels_of(method)), []
    for kind in ("none", "inverse"):
        model = tiny_model(method, dropout=0.0, class_weights=kind, class_shares=SHARES)
        found.append(float(model.compute_losses(data, training=False)["normal_ce"]))
    assert abs(found[0] - found[1]) > 1e-3


@pytest.mark.parametrize("method", ALIGNED)
def test_alignment_moves_the_guesses(method):
    data, found = batch(), []
    for aligned in (False, True):
        arguments = {"distribution_alignment": aligned, "class_shares": SHARES, **sure(method)}
        model = tiny_model(method, dropout=0.0, **arguments)
        found.append(float(model.compute_losses(data, training=True)[UNLABELED[method]]))
    assert abs(found[0] - found[1]) > 1e-6
    assert float(model.align.batches) == 1


@pytest.mark.parametrize("method", UNLABELED)
def test_overclustering_heads_have_the_losses_of_foc(method):
    model, data = tiny_model(method, k=6, dropout=0.0), batch()
    if method == "mean_teacher":  # its outputs are the teacher's, still equal to the student's
        assert model.teacher
    found = model.compute_losses(data, training=False)
    names = [view.name for view in model.views]
    p, q = (model(data[name])["over_probs"] for name in names)
    information = foc_tf.losses.mutual_information(p, q)
    np.testing.assert_allclose(found["over_mi"], -np.mean(information), rtol=1e-4, atol=1e-6)
    foc = tiny_model("foc", k=6, dropout=0.0, negatives="in_batch")
    probs = {"anchor": p, "positive": q}
    foc.forward = lambda batch, names, training: [
        {"normal_probs": tf.ones((12, 2, 3)) / 3, "over_probs": probs[name]} for name in names
    ]
    wanted = foc.compute_losses(data, training=False)
    for name in ("over_mi", "over_ice"):
        np.testing.assert_allclose(found[name], wanted[name], rtol=1e-5, atol=1e-7)
    model.fit(tf.data.Dataset.from_tensors(data).repeat(), steps_per_epoch=1, verbose=0)
    assert {"over_mi", "over_ice", "over_largest"} <= set(model.epoch_results())


def everything(method, seed=0):
    """A model with all options that its method has."""
    arguments = {"k": 6, "class_weights": "inverse", "class_shares": SHARES, **sure(method)}
    if method in ALIGNED:
        arguments["distribution_alignment"] = True
    model = foc_tf.build_model(
        method, smooth_backbone(), 3, num_sub_heads=2, seed=seed, ramp_up=0.0, **arguments
    )
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9))
    return model


def state(model):
    """Weights without the trackers' sums, which replicas add up."""
    tracked = {id(v) for metric in model.metrics for v in metric.variables}
    return [w.numpy() for w in model.weights if id(w) not in tracked]


@pytest.mark.parametrize("method", UNLABELED)
def test_two_replicas_step_as_one(method, two_replicas):
    data, results = batch(rows=16), []
    initial = everything(method).get_weights()
    for strategy in (tf.distribute.get_strategy(), two_replicas):
        with strategy.scope():
            model = everything(method)
        model.set_weights(initial)
        rows = tf.data.Dataset.from_tensor_slices(data).batch(16).repeat()
        if strategy is two_replicas:
            rows = strategy.experimental_distribute_dataset(rows)
        model.fit(rows, steps_per_epoch=2, verbose=0)
        results.append((model.epoch_results(), state(model)))
    (one, weights), (two, others) = results
    for name in ("loss", *METHODS[method].loss_names, "over_mi", "over_ice"):
        assert one[name] == pytest.approx(two[name], rel=1e-3, abs=1e-5), name
    for a, b in zip(weights, others, strict=True):
        # Moving variances differ by n / (n - 1), see test_strategies.
        np.testing.assert_allclose(a, b, rtol=1e-2, atol=1e-4)
    if method == "mean_teacher":
        for weight in model.student_and_teacher()[1]:
            # Keras 3 wraps TensorFlow's variable.
            inner = weight.value if KERAS_3 else weight
            one, two = two_replicas.experimental_local_results(inner)
            np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("method", UNLABELED)
def test_a_run_that_was_stopped_goes_on_as_if_it_had_not_been(method, tmp_path):
    batches = [batch(seed=seed) for seed in range(4)]

    def train_on(model, some):
        for data in some:
            model.fit(tf.data.Dataset.from_tensors(data), verbose=0)

    whole, stopped, resumed = (everything(method, seed) for seed in (0, 0, 0))
    for model in (stopped, resumed):
        model.set_weights(whole.get_weights())
    train_on(whole, batches)
    train_on(stopped, batches[:2])
    checkpoints.save(tmp_path, stopped, {"epoch": 2})
    assert checkpoints.restore_latest(tmp_path, resumed)[0] == {"epoch": 2}
    train_on(resumed, batches[2:])
    for one, two in zip(state(whole), state(resumed), strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize(
    ("method", "arguments", "message"),
    [
        ("pi_model", {"lambda_u": -1.0}, "lambda_u: expected 0 to inf, found -1"),
        ("fixmatch", {"threshold": 95}, "threshold: expected 0 to 1, found 95"),
        ("pseudo_label", {"ramp_up": 40}, "ramp_up"),
        ("mean_teacher", {"ema_decay": 1.5}, "ema_decay"),
        ("mixmatch", {"temperature": 0.0}, "temperature"),
        ("mixmatch", {"mixup_alpha": 0.0}, "mixup_alpha"),
        ("mixmatch", {"distribution_alignment": True}, "class_shares"),
        ("fixmatch", {"class_weights": "inverse"}, "class_shares"),
        ("fixmatch", {"class_weights": "some"}, "class_weights"),
    ],
)
def test_wrong_arguments_are_named(method, arguments, message):
    with pytest.raises(ValueError, match=message):
        tiny_model(method, **arguments)
