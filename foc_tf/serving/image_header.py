"""How many pixels an encoded image would have, from its header alone, in graph operations.

A few kilobytes can decode to gigabytes; the decoders of `tf.io` only find out while they do it.
"""

import tensorflow as tf

_GARBAGE_LIMIT = 1 << 16  # steps through a header; each moves on by at least one byte
_NO_IMAGE = -1
_JPEG_WITHOUT_LENGTH = (0x00, 0x01, *range(0xD0, 0xD9))
_JPEG_FRAMES = tuple(set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC})
_JPEG_ENDS = (0xD9, 0xDA)  # the end and the scan: without a frame before them there is no image


def pixels(encoded: tf.Tensor) -> tf.Tensor:
    """Pixels that decoding an image makes in memory.

    Args:
      encoded: scalar string.

    Returns:
      Scalar int64: width times height, of an animated GIF times its frames; -1 if the header is
      not one of PNG, JPEG, GIF or BMP. What follows the header may still be damaged.
    """
    data = tf.io.decode_raw(encoded, tf.uint8)
    readers = [
        (b"\x89PNG\r\n\x1a\n", 24, _png),
        (b"\xff\xd8\xff", 4, _jpeg),
        (b"GIF8", 13, _gif),
        (b"BM", 26, _bmp),
    ]
    cases = []
    for start, shortest, reader in readers:
        long_enough = tf.size(data) >= shortest
        begins = tf.equal(tf.strings.substr(encoded, 0, len(start)), tf.constant(start))
        cases.append((long_enough & begins, lambda reader=reader: reader(data)))
    return tf.case(cases, default=lambda: tf.constant(_NO_IMAGE, tf.int64))


def _number(data, position, count, big_endian=False):
    """The unsigned number in `count` bytes; bytes beyond the end are 0."""
    places = position + tf.range(count)
    inside = places < tf.size(data)
    found = tf.gather(data, tf.where(inside, places, 0))
    found = tf.where(inside, tf.cast(found, tf.int64), 0)
    weights = tf.constant([256**i for i in range(count)], tf.int64)
    return tf.reduce_sum(found * (weights[::-1] if big_endian else weights))


def _png(data):
    return _number(data, 16, 4, True) * _number(data, 20, 4, True)


def _bmp(data):
    sides = tf.stack([_number(data, 18, 4), _number(data, 22, 4)])
    # A negative height says that the rows run from the top.
    sides = tf.where(sides >= 2**31, 2**32 - sides, sides)
    return tf.reduce_prod(sides)


def _is_one_of(value, values):
    return tf.reduce_any(tf.equal(value, tf.constant(values, tf.int64)))


def _jpeg(data):
    """Walks from marker to marker to the frame's, as libjpeg does: garbage between is skipped."""

    def step(position, _):
        first, marker = _number(data, position, 1), _number(data, position + 1, 1)
        length = tf.cast(_number(data, position + 2, 2, True), tf.int32)
        frame = _number(data, position + 5, 2, True) * _number(data, position + 7, 2, True)
        no_marker = (first != 0xFF) | (marker == 0xFF)
        moved = tf.where(_is_one_of(marker, _JPEG_WITHOUT_LENGTH), 2, 2 + tf.maximum(length, 0))
        found = tf.where(_is_one_of(marker, _JPEG_FRAMES), frame, _NO_IMAGE)
        ended = _is_one_of(marker, _JPEG_ENDS) | (found >= 0)
        following = tf.where(ended, tf.size(data), position + moved)
        return (
            tf.where(no_marker, position + 1, following),
            tf.where(no_marker, tf.constant(_NO_IMAGE, tf.int64), found),
        )

    state = (tf.constant(2), tf.constant(_NO_IMAGE, tf.int64))
    return _walk(data, step, state)[1]


def _colours(flags):
    """Bytes of a GIF's colour table, 0 without one."""
    flags = tf.cast(flags, tf.int32)
    return tf.where(flags >= 128, 3 * tf.bitwise.left_shift(2, flags % 8), 0)


def _gif(data):
    """Walks over all blocks: the decoder unpacks every frame, whichever is asked for."""

    def step(position, total, in_blocks):
        kind = _number(data, position, 1)
        frame = _number(data, position + 5, 2) * _number(data, position + 7, 2)
        is_frame, is_extension = kind == 0x2C, kind == 0x21
        after = tf.where(is_frame, 11 + _colours(_number(data, position + 9, 1)), 2)
        ended = tf.where(is_frame | is_extension, position + after, tf.size(data))
        return (
            tf.where(in_blocks, position + 1 + tf.cast(kind, tf.int32), ended),
            total + tf.where(is_frame & ~in_blocks, frame, 0),
            tf.where(in_blocks, kind != 0, is_frame | is_extension),
        )

    canvas = _number(data, 6, 2) * _number(data, 8, 2)
    start = 13 + _colours(_number(data, 10, 1))
    state = (start, tf.constant(0, tf.int64), tf.constant(False))
    position, total, _ = _walk(data, step, state)
    unfinished = position < tf.size(data)
    return tf.where(unfinished, tf.int64.max, tf.maximum(canvas, total))


def _walk(data, step, state):
    """Steps until the position, the first of the state, is behind the end."""
    return tf.while_loop(
        lambda position, *_: position < tf.size(data),
        step,
        state,
        parallel_iterations=1,
        maximum_iterations=_GARBAGE_LIMIT,
    )
