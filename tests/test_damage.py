"""Damaged, foreign and older files of a workdir: refused or passed over, never trained on."""

import json
import pathlib

import keras
import numpy as np
import pytest

import foc_tf
from foc_tf import checkpoints, files
from tests.cluster_runs import smooth_backbone


def small(seed=0):
    model = foc_tf.build_model("foc", smooth_backbone(), 3, k=6, num_sub_heads=1, seed=seed)
    model.compile(keras.optimizers.Adam(1e-2))
    return model


def state(epoch, **more):
    return {"epoch": epoch, "history": [{"loss": 1.5}], "best": None, **more}


def same_weights(one, two):
    return all(np.array_equal(a, b) for a, b in zip(one.get_weights(), two.get_weights()))


@pytest.fixture(scope="module")
def model():
    return small()


def damaged_copies(content, count, seed):
    """Copies with one bit turned, cut off somewhere, or with a run of zeros."""
    rng = np.random.default_rng(seed)
    # Small members and the zip's own tables are hit as often as the one large array.
    edge = min(3000, len(content) // 2)
    for number in range(count):
        near = rng.integers(edge), len(content) - 1 - rng.integers(edge)
        place = int((*near, rng.integers(len(content)))[number % 3])
        if number % 5 == 3:
            yield f"cut at {place}", content[:place]
        elif number % 5 == 4:
            yield f"zeros at {place}", content[:place] + bytes(64) + content[place + 64 :]
        else:
            turned = bytes([content[place] ^ (1 << int(rng.integers(8)))])
            yield f"bit at {place}", content[:place] + turned + content[place + 1 :]


def test_no_damaged_checkpoint_is_taken(model, tmp_path):
    """Each is refused, or the damage does not touch what the file says."""
    checkpoints.save(tmp_path, model, state(1))
    (path,) = tmp_path.glob("*.npz")
    content, whole = path.read_bytes(), checkpoints._read(path)
    refused = 0
    for what, damaged in damaged_copies(content, 300, seed=0):
        path.write_bytes(damaged)
        try:
            found = checkpoints._read(path)
        except checkpoints._Damaged:
            refused += 1
            continue
        assert found[1:] == whole[1:], what
        assert found[0].keys() == whole[0].keys(), what
        for name, array in whole[0].items():
            assert np.array_equal(found[0][name], array), what
    print(f"checkpoints: 300 damaged, {refused} refused, the others say the same as before")
    assert refused > 200


def test_the_one_before_takes_its_place_and_it_is_said(model, tmp_path):
    for epoch in (1, 2):
        checkpoints.save(tmp_path, model, state(epoch))
    last = tmp_path / "epoch-000002.npz"
    last.write_bytes(last.read_bytes()[:-100])
    other = small(seed=1)
    found, damaged = checkpoints.restore_latest(tmp_path, other)
    assert found == state(1)
    assert len(damaged) == 1
    assert str(last) in damaged[0]
    assert same_weights(other, model)


def test_without_a_whole_one_the_run_does_not_start_anew(model, tmp_path):
    checkpoints.save(tmp_path, model, state(1))
    (tmp_path / "epoch-000001.npz").write_bytes(b"")
    with pytest.raises(ValueError, match=r"all are damaged: .*epoch-000001\.npz.*--workdir"):
        checkpoints.restore_latest(tmp_path, small())


def test_a_checkpoint_inside_an_epoch_is_newer_than_the_epoch_before(model, tmp_path):
    begun = {"step": 7, "stage_index": 0}
    for each in (state(9), state(10), state(10, begun=begun)):
        checkpoints.save(tmp_path, model, each)
    assert [p.name for p in checkpoints._oldest_first(tmp_path)] == [
        "epoch-000010.npz",
        "epoch-000010-step-000007.npz",
    ]
    assert checkpoints.restore_latest(tmp_path, small())[0] == state(10, begun=begun)
    checkpoints.save(tmp_path, model, state(11))
    assert checkpoints.restore_latest(tmp_path, small())[0] == state(11)


@pytest.mark.parametrize("schema", [0, 2])
def test_another_versions_checkpoint_is_refused(model, tmp_path, monkeypatch, schema):
    monkeypatch.setattr(checkpoints, "SCHEMA", schema)
    checkpoints.save(tmp_path, model, state(1))
    monkeypatch.undo()
    with pytest.raises(ValueError, match=f"schema {schema}, by another version"):
        checkpoints.restore_latest(tmp_path, small())


def test_another_models_checkpoint_is_refused(model, tmp_path):
    checkpoints.save(tmp_path, model, state(1))
    other = foc_tf.build_model("foc", smooth_backbone(), 3, k=7, num_sub_heads=1)
    other.compile(keras.optimizers.Adam(1e-2))
    with pytest.raises(ValueError, match="another model"):
        checkpoints.restore_latest(tmp_path, other)


@pytest.fixture
def best(tmp_path):
    model = foc_tf.build_model("foc", "small_resnet", 3, k=6, image_size=8, num_sub_heads=1)
    details = {"model": model.recipe, "classes": ["a", "b", "c"], "epoch": 3}
    checkpoints.save_best(tmp_path / "best", model, details)
    assert same_weights(foc_tf.load(tmp_path), model)
    return tmp_path


@pytest.mark.parametrize("name", ["model.weights.h5", "model.json"])
def test_no_damaged_best_model_is_loaded(best, name):
    path = best / "best" / name
    content, refused, total = path.read_bytes(), 0, 60
    details = files.read_checked_json(best / "best" / "model.json")
    for what, damaged in damaged_copies(content, total, seed=1):
        path.write_bytes(damaged)
        try:
            if name == "model.json":
                # White space may differ; what is said may not.
                assert files.read_checked_json(path) == details, what
            else:
                checkpoints.check_best(best / "best", details)
                assert damaged == content, what
        except ValueError:
            refused += 1
    print(f"{name}: {total} damaged, {refused} refused, 0 taken")
    assert refused > total * 0.8
    path.write_bytes(content[:-10])
    with pytest.raises(ValueError, match=name):
        foc_tf.load(best)


def test_weights_of_another_epoch_are_not_taken(best):
    model = foc_tf.build_model("foc", "small_resnet", 3, k=6, image_size=8, num_sub_heads=1, seed=9)
    kept = (best / "best/model.json").read_text()
    checkpoints.save_best(best / "best", model, json.loads(kept))
    (best / "best/model.json").write_text(kept)
    with pytest.raises(ValueError, match="of another epoch than model.json"):
        foc_tf.load(best)


def test_checked_json_takes_what_has_no_checksum(tmp_path):
    path = pathlib.Path(tmp_path / "a.json")
    path.write_text('{"a": 1}')
    assert files.read_checked_json(path) == {"a": 1}
    files.write_checked_json(path, {"a": (1, 2.5), "b": "ä"})
    assert files.read_checked_json(path) == {"a": [1, 2.5], "b": "ä"}
    path.write_text(path.read_text().replace("2.5", "2.6"))
    with pytest.raises(ValueError, match=r"a\.json: damaged"):
        files.read_checked_json(path)
    path.write_text("[" * 100_000)
    with pytest.raises(ValueError, match="not JSON"):
        files.read_checked_json(path)
