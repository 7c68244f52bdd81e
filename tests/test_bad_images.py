"""Whatever images a request holds: the right answer, or an error that names the row."""

import resource

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from foc_tf.data import decoding
from foc_tf.serving import image_header, module
from tests import served_model
from tests.served_model import SIDE, colours, encode

GOOD, DAMAGED = served_model.good_images(), served_model.damaged_images()


@pytest.fixture(scope="module")
def loaded():
    path, model, scorer = served_model.exported()
    return tf.saved_model.load(str(path)), model, scorer.best


@pytest.fixture(scope="module")
def decoded():
    return tf.function(lambda rows: module.decoded(rows, SIDE, 3))


def refused(signature, *arguments):
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        signature(*arguments)
    return caught.value.message


def test_pixels_are_those_of_evaluation_to_the_bit(decoded):
    found = decoded(tf.constant(list(GOOD.values()))).numpy()
    for name, encoded, pixels in zip(GOOD, GOOD.values(), found):
        np.testing.assert_array_equal(pixels, decoding.decode(encoded, SIDE, 3), err_msg=name)


def test_outputs_are_those_of_predict(loaded):
    signatures, model, best = loaded[0].signatures, *loaded[1:]
    images = list(GOOD.values())
    wanted = served_model.expected(model, images, best)
    served_model.assert_same(signatures["image_bytes"](tf.constant(images)), wanted, 1e-5)
    one = signatures["image_bytes"](tf.constant(images[3:4]))
    served_model.assert_same(one, {k: v[3:4] for k, v in wanted.items()}, 1e-5)
    pixels = tf.io.decode_image(images[0], expand_animations=False)[None]
    found = signatures["serving_default"](tf.cast(pixels, tf.float32))
    served_model.assert_same(found, {k: v[:1] for k, v in wanted.items()}, 1e-5)


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_image_is_named_by_its_row(loaded, name):
    signature = loaded[0].signatures["image_bytes"]
    message = refused(signature, tf.constant([GOOD["png"], DAMAGED[name], GOOD["jpeg"]]))
    assert "not a PNG, JPEG, GIF or BMP image, or a damaged one; row, from 0:] [1]" in message


def test_all_bad_rows_are_named_and_the_next_request_is_answered(loaded):
    signature = loaded[0].signatures["image_bytes"]
    rows = [b"", *[GOOD["png"]] * 9, b"?", GOOD["gif"][:20]]
    assert "row, from 0:] [0 10 11]" in refused(signature, tf.constant(rows))
    assert signature(tf.constant(rows[1:3]))["class_probs"].shape == (2, 10)


@given(st.sampled_from(sorted(GOOD)), st.integers(0, 400), st.binary(min_size=1, max_size=4))
@settings(max_examples=60)
def test_no_bytes_do_anything_else(decoded, name, place, noise):
    """Either both decoders take it, with the same result, or both refuse it."""
    content = GOOD[name]
    content = content[:place] + noise + content[place + len(noise) :]
    try:
        if int(image_header.pixels(tf.constant(content))) > 10**6:
            return
        wanted = decoding.decode(content, SIDE, 3).numpy()
    except tf.errors.InvalidArgumentError:
        assert "row, from 0:] [1]" in refused(decoded, tf.constant([GOOD["png"], content]))
        return
    np.testing.assert_array_equal(decoded(tf.constant([content]))[0], wanted)


def test_headers_say_how_many_pixels_there_are():
    count = tf.function(image_header.pixels)
    for name, encoded in GOOD.items():
        frames = 4 if name == "animated gif" else 1
        size = {"one": 1, "wide": 2700}.get(name.split()[0], 1200 * frames)
        assert int(count(tf.constant(encoded))) == size, name
    assert int(count(tf.constant(DAMAGED["tiff"]))) == -1
    # As libjpeg does: bytes between two markers and fill bytes are passed over.
    jpeg = GOOD["jpeg"]
    assert int(count(tf.constant(jpeg[:2] + b"\xff\x01\xff\xff" + jpeg[3:]))) == 1200


def bombs():
    huge = Image.new("1", (20_000, 20_000))
    frame = encode(Image.new("P", (4000, 3000)), "GIF")
    start = frame.index(b"\x2c\x00\x00\x00\x00")
    rows = encode(Image.new("L", (8, 8)), "JPEG")
    place = rows.index(b"\xff\xc0") + 5
    return {
        "png": encode(huge, "PNG"),
        "gif": frame[:start] + frame[start:-1] * 10 + b";",
        "jpeg": rows[:place] + b"\xff\xdc\xff\xdc" + rows[place + 4 :],
    }


@pytest.mark.parametrize("kind", ["png", "gif", "jpeg"])
def test_too_many_pixels_are_refused_before_they_are_decoded(loaded, kind):
    signature = loaded[0].signatures["image_bytes"]
    content = tf.constant([GOOD["png"], bombs()[kind]])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    message = refused(signature, content)
    assert "more than 100,000,000 pixels, frames counted; row, from 0:] [1]" in message
    # Decoded it would be 300 MB or more.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000


def test_a_bmp_from_the_top_and_one_that_lies():
    count = tf.function(image_header.pixels)
    bmp = bytearray(GOOD["bmp"])
    bmp[22:26] = (-30).to_bytes(4, "little", signed=True)
    assert int(count(tf.constant(bytes(bmp)))) == 1200
    bmp[18:22] = (2**31 - 1).to_bytes(4, "little")
    assert int(count(tf.constant(bytes(bmp)))) == 30 * (2**31 - 1)


def test_no_images_and_ten_thousand(loaded):
    signatures = loaded[0].signatures
    for count in (0, 1, 10_000):
        found = signatures["image_bytes"](tf.constant([GOOD["one pixel"]] * count, tf.string))
        assert found["class_probs"].shape == (count, 10)
        pixels = signatures["serving_default"](tf.fill((count, 2, 2, 3), 7.0))
        assert pixels["cluster"].shape == (count,)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_pixels_that_are_no_numbers_are_refused(loaded, value):
    image = np.zeros((4, 5, 6, 3), np.float32)
    image[2, 1, 1, 1] = value
    message = refused(loaded[0].signatures["serving_default"], tf.constant(image))
    assert "not a finite number; row, from 0:] [2]" in message


def test_images_of_no_pixels_are_refused(loaded):
    message = refused(loaded[0].signatures["serving_default"], tf.zeros((2, 0, 5, 3)))
    assert "found height and width] [0 5]" in message


def test_resizing_bytes_and_floats_is_one():
    for seed, side in enumerate((8, 16, 50)):
        pixels = np.asarray(colours(37, 23, seed))[None]
        for channels in (1, 3):
            np.testing.assert_array_equal(
                decoding.resize(pixels, side, channels),
                decoding.resize(pixels.astype(np.float32), side, channels),
            )
