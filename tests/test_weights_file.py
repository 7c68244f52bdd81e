"""HDF5 weights that point at other files, declare what they do not hold, or are damaged."""

import random

import h5py
import keras
import numpy as np
import pytest

from foc_tf import backbones, weights_file


@pytest.fixture
def saved(tmp_path):
    """A weights file of a small backbone."""
    path = tmp_path / "sound.weights.h5"
    backbones.build("small_cnn", 8, 3).save_weights(str(path))
    return path


def first_array(file):
    """(group, name, array) of the largest dataset."""
    found = []
    file.visititems(lambda name, item: found.append(item) if hasattr(item, "shape") else None)
    largest = max(found, key=lambda item: item.size)
    return largest.parent, largest.name.rsplit("/", 1)[1], largest[()]


def external_link(folder, group, name, values):
    with h5py.File(folder / "secret.h5", "w") as other:
        other["x"] = values
    group[name] = h5py.ExternalLink(str(folder / "secret.h5"), "/x")


def soft_link(folder, group, name, values):
    group["elsewhere"] = values
    group[name] = h5py.SoftLink(f"{group.name}/elsewhere")


def external_storage(folder, group, name, values):
    (folder / "secret.bin").write_bytes(values.tobytes())
    group.create_dataset(
        name, values.shape, values.dtype, external=[(str(folder / "secret.bin"), 0, values.nbytes)]
    )


def virtual_dataset(folder, group, name, values):
    with h5py.File(folder / "secret.h5", "w") as other:
        other["x"] = values
    layout = h5py.VirtualLayout(values.shape, values.dtype)
    layout[...] = h5py.VirtualSource(str(folder / "secret.h5"), "x", values.shape)
    group.create_virtual_dataset(name, layout)


def shape_bomb(folder, group, name, values):
    group.create_dataset(name, (50_000_000, 50_000_000), "f4", chunks=(1024, 1024))


def test_sound_weights_pass_and_load(saved):
    weights_file.check(saved)
    loaded = backbones.build("small_cnn", 8, 3, str(saved))
    with h5py.File(saved) as file:
        values = first_array(file)[2]
    assert any(np.array_equal(values, weight) for weight in loaded.get_weights())


@pytest.mark.parametrize(
    "plant", [external_link, soft_link, external_storage, virtual_dataset, shape_bomb]
)
def test_what_is_not_of_the_file_is_refused(saved, tmp_path, plant):
    with h5py.File(saved, "a") as file:
        group, name, values = first_array(file)
        place = f"{group.name}/{name}"
        del group[name]
        plant(tmp_path, group, name, values)
    if plant is not shape_bomb:
        with h5py.File(saved) as file:  # what is planted is real: it is followed
            np.testing.assert_array_equal(file[place][()], values)
    with pytest.raises(ValueError, match=r"sound\.weights\.h5: .*(refused|do not trust it)"):
        backbones.build("small_cnn", 8, 3, str(saved))


def test_a_group_that_is_its_own_member_ends(saved):
    with h5py.File(saved, "a") as file:
        once = weights_file._declared_bytes(saved, file)
        file["again"] = file["/"]
        file.create_group("a")["b"] = file["/"]
        assert weights_file._declared_bytes(saved, file) == once
    weights_file.check(saved)


def test_a_whole_model_is_refused(tmp_path):
    path = tmp_path / "model.h5"
    keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]).save(path)
    with pytest.raises(ValueError, match="a whole Keras model"):
        weights_file.check(path)


def test_damage_is_a_value_error(saved):
    sound, refused = saved.read_bytes(), []
    for seed in range(60):
        rng, content = random.Random(seed), bytearray(sound)
        if seed % 3:
            for _ in range(rng.randint(1, 30)):
                content[rng.randrange(min(4000, len(content)))] = rng.randrange(256)
        else:
            del content[rng.randrange(len(content)) :]
        saved.write_bytes(content)
        try:
            weights_file.check(saved)
        except ValueError as error:
            refused.append(len(str(error)))
    assert len(refused) > 20
    assert max(refused) < 500


def test_numbers_of_a_checked_file_are_those_that_were_saved(saved):
    model = backbones.build("small_cnn", 8, 3, str(saved))
    again = backbones.build("small_cnn", 8, 3, str(saved))
    for one, two in zip(model.get_weights(), again.get_weights()):
        np.testing.assert_array_equal(one, two)
