"""Small pictures of all images in one file."""

import io

import numpy as np
import pytest
from PIL import Image

from foc_tf import records
from foc_tf.review_data import thumbnails
from tests.review_run import picture


def opened(content):
    return Image.open(io.BytesIO(content))


def saved(array, kind, **options):
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, kind, **options)
    return buffer.getvalue()


def test_pictures_keep_proportions_and_are_never_enlarged():
    assert opened(thumbnails.small(picture(1, (400, 100)), 96)).size == (96, 24)
    assert opened(thumbnails.small(picture(1, (10, 300)), 96)).size == (3, 96)
    assert opened(thumbnails.small(picture(1, (20, 11)), 96)).size == (20, 11)


def test_tiny_images_lose_nothing_and_large_ones_little():
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    np.testing.assert_array_equal(opened(thumbnails.small(saved(pixels, "PNG"), 96)), pixels)
    ramp = np.tile(np.linspace(0, 255, 300).astype(np.uint8), (300, 1))
    small = thumbnails.small(saved(ramp, "PNG"), 96)
    assert thumbnails.kind(small) == "image/jpeg"
    wanted = np.linspace(0, 255, 96)
    assert np.abs(np.asarray(opened(small), float)[48] - wanted).max() < 6


def test_every_kind_of_image_that_can_be_trained_on():
    grey = np.tile(np.arange(40, dtype=np.uint8) * 6, (40, 1))
    for content in (
        saved(grey, "PNG"),
        saved(grey, "JPEG"),
        saved(grey, "BMP"),
        saved(grey, "GIF"),
        saved((grey.astype(np.uint16) << 8) + 255, "PNG"),
        saved(np.dstack([grey] * 3 + [np.full_like(grey, 9)]), "PNG"),
    ):
        small = np.asarray(opened(thumbnails.small(content, 96)).convert("L"), float)
        assert np.abs(small - grey).max() < 6


def test_damaged_images_are_empty_pictures_and_counted(tmp_path):
    (tmp_path / "good.png").write_bytes(picture(3))
    sources = [str(tmp_path / "good.png"), str(tmp_path / "missing.png"), picture(4)[:40], b""]
    assert thumbnails.write(tmp_path / "t.bin", sources, 96) == 3
    pictures = thumbnails.Thumbnails(tmp_path / "t.bin", 4)
    assert opened(pictures[0]).getpixel((0, 0)) == (3, 0, 100)
    assert [pictures[i] for i in (1, 2, 3)] == [b""] * 3
    assert len(pictures) == 4
    for index in (-1, 4):
        with pytest.raises(IndexError):
            pictures[index]


def test_members_of_shards_and_many_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr(thumbnails, "_BLOCK", 3)
    writer = records.Writer(tmp_path)
    for i in range(8):
        writer.write(f"{i}.png", picture(i))
    writer.close()
    sources = list(records.listing(tmp_path).values())
    assert thumbnails.write(tmp_path / "t.bin", sources, 96) == 0
    pictures = thumbnails.Thumbnails(tmp_path / "t.bin", 8)
    assert [opened(pictures[i]).getpixel((0, 0))[0] for i in range(8)] == list(range(8))


def test_damage_is_found_when_the_file_is_opened(tmp_path):
    path = tmp_path / "t.bin"
    thumbnails.write(path, [picture(i) for i in range(5)], 96)
    good = path.read_bytes()
    table = len(good) - 8 * 7 - 8
    wrong = {
        "short": good[:-9],
        "empty": b"",
        "foreign": b"x" * len(good),
        "one more": good[:-16] + (6).to_bytes(8, "little") + good[-8:],
        "backwards": good[: table + 8] + (2**63).to_bytes(8, "little") + good[table + 16 :],
        "longer": good[:100] + b"?" + good[100:],
    }
    for content in wrong.values():
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"t\.bin"):
            thumbnails.Thumbnails(path, 5)
    path.write_bytes(good)
    with pytest.raises(ValueError, match="not of these 6 images|damaged"):
        thumbnails.Thumbnails(path, 6)
    with pytest.raises(ValueError, match=r"no\.bin"):
        thumbnails.Thumbnails(tmp_path / "no.bin", 5)


def test_what_is_no_picture_is_not_given_out(tmp_path):
    path = tmp_path / "t.bin"
    thumbnails.write(path, [picture(0), picture(1)], 96)
    path.write_bytes(path.read_bytes().replace(b"\x89PNG", b"<svg", 1))
    pictures = thumbnails.Thumbnails(path, 2)
    assert thumbnails.kind(pictures[1]) == "image/png"
    with pytest.raises(ValueError, match="picture 0 is neither PNG nor JPEG"):
        pictures[0]


def test_more_images_get_smaller_pictures_and_too_many_none(tmp_path):
    sides = [thumbnails.side_of(n) for n in (1, 30_000, 30_001, 1_000_000, 1_000_001)]
    assert sides == [96, 96, 64, 64, 0]
    assert thumbnails.Thumbnails(None, 3)[2] == b""
