"""Decoded images: the same pixels wherever they are kept, a file that outlives what may happen."""

import os
import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from foc_tf import records, workdirs
from foc_tf.data import caching, decoding, pipeline
from tests.making import png
from tests.small_run import SMALL, run

ROOT = pathlib.Path(__file__).parents[1]


@pytest.fixture
def sources(tmp_path):
    """300 PNG and JPEG files of several sizes: more than one block."""
    random = np.random.default_rng(0)
    result = []
    for index in range(300):
        image = random.integers(0, 256, (8 + index % 5, 9 + index % 3, 3), np.uint8)
        encode = tf.io.encode_jpeg if index % 2 else tf.io.encode_png
        path = tmp_path / "images" / f"{index:03} ü.{'jpg' if index % 2 else 'png'}"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(encode(image).numpy())
        result.append(str(path))
    return result


def as_bytes(sources, folder):
    return [pathlib.Path(source).read_bytes() for source in sources]


def as_shards(sources, folder):
    writer = records.Writer(folder, shard_bytes=9000)
    for index, source in enumerate(sources):
        writer.write(str(index), pathlib.Path(source).read_bytes())
    writer.close()
    return [records.listing(folder)[str(index)] for index in range(len(sources))]


def pixels(loader, indices):
    images = tf.data.Dataset.from_tensors(np.asarray(indices, np.int64)).map(loader)
    return next(iter(images)).numpy()


@pytest.mark.parametrize("kind", [lambda s, f: s, as_bytes, as_shards])
@pytest.mark.parametrize("channels", [1, 3])
def test_all_caches_and_kinds_of_sources_give_the_same_pixels(sources, tmp_path, kind, channels):
    indices = [299, 0, 7, 7, 256, 255]
    contents = as_bytes(sources, tmp_path)
    expected = [decoding.decode(contents[i], 6, channels).numpy() for i in indices]
    given = kind(sources, tmp_path)
    for cache in ("memory", "disk", "none", "disk"):
        loader = pipeline.make_loader(given, 6, channels, cache, cache_dir=tmp_path / "cache")
        np.testing.assert_array_equal(pixels(loader, indices), expected)
    assert len(list((tmp_path / "cache").glob("*.pixels"))) == 1


def disk_file(sources, folder, **options):
    pipeline.make_loader(sources, 6, 1, "disk", cache_dir=folder, **options)
    return {path.name for path in folder.glob("*.pixels")}


def test_a_file_is_made_again_when_an_image_or_a_setting_changes(sources, tmp_path):
    first = disk_file(sources, tmp_path)
    assert disk_file(sources, tmp_path) == first
    pathlib.Path(sources[5]).write_bytes(png(77))
    second = disk_file(sources, tmp_path)
    assert len(second) == 2
    (new,) = second - first
    stored = np.fromfile(tmp_path / new, np.uint8)[: 300 * 36].reshape(300, 6, 6)
    assert (stored[5] == 77).all()
    assert len(disk_file(sources, tmp_path, fast_jpeg=True)) == 3
    assert len(disk_file(sources[::-1], tmp_path)) == 4


@pytest.mark.parametrize("length", [0, 5000])
def test_a_truncated_file_is_made_again(sources, tmp_path, length):
    (name,) = disk_file(sources, tmp_path)
    whole = (tmp_path / name).read_bytes()
    os.truncate(tmp_path / name, length)
    assert disk_file(sources, tmp_path) == {name}
    assert (tmp_path / name).read_bytes() == whole


def test_a_flipped_bit_is_noticed_and_the_image_decoded_anew(sources, tmp_path):
    (name,) = disk_file(sources, tmp_path)
    with open(tmp_path / name, "r+b") as file:
        file.seek(7 * 36 + 3)
        found = file.read(1)[0]
        file.seek(7 * 36 + 3)
        file.write(bytes([found ^ 16]))
    loader = pipeline.make_loader(sources, 6, 1, "disk", cache_dir=tmp_path)
    plain = pipeline.make_loader(sources, 6, 1, "none")
    np.testing.assert_array_equal(pixels(loader, [6, 7, 8]), pixels(plain, [6, 7, 8]))


def test_what_a_killed_process_left_is_removed(sources, tmp_path):
    (name,) = disk_file(sources, tmp_path)
    whole = (tmp_path / name).read_bytes()
    (tmp_path / name).unlink()
    (tmp_path / f".{name}.123.tmp").write_bytes(whole[:100])
    disk_file(sources, tmp_path)
    assert sorted(p.name for p in tmp_path.glob("*.*") if p.is_file()) == [".lock", name]
    assert (tmp_path / name).read_bytes() == whole


BUILD = """
import sys
from foc_tf.data import caching, pipeline
if sys.argv[2] == "without locks":
    caching.fcntl = None
sources = sorted(sys.argv[3:])
loader = pipeline.make_loader(sources, 6, 1, "disk", cache_dir=sys.argv[1], log=print)
print("sum", int(loader(range(len(sources))).numpy().sum()))
"""


@pytest.mark.parametrize("locks", ["with locks", "without locks"])
def test_processes_that_build_at_once_do_not_harm_each_other(sources, tmp_path, locks):
    folder = tmp_path / "cache"
    call = [sys.executable, "-c", BUILD, str(folder), locks, *sources]
    started = [
        subprocess.Popen(call, stdout=subprocess.PIPE, text=True, cwd=ROOT) for _ in range(3)
    ]
    printed = [process.communicate()[0] for process in started]
    assert [process.returncode for process in started] == [0, 0, 0]
    plain = pixels(pipeline.make_loader(sources, 6, 1, "none"), range(300)).sum()
    assert {re.search(r"sum (\d+)", text)[1] for text in printed} == {str(int(plain))}
    assert len([path for path in folder.iterdir() if path.name != ".lock"]) == 1


def test_auto_takes_memory_then_disk_then_nothing(tmp_path):
    decoder = decoding.Decoder([b"x"] * 1000, 32, 1)  # 1,024,000 bytes
    path, spare = tmp_path / "x.pixels", 2**30
    assert caching.choose("auto", decoder, 0.001, path, 0) == "memory"
    assert caching.choose("auto", decoder, 0.0009, path, spare + 1_024_000) == "disk"
    assert caching.choose("auto", decoder, 0.0009, path, spare) == "none"
    assert caching.choose("auto", decoder, 0.0009, None, None) == "none"
    path.touch()
    assert caching.choose("auto", decoder, 0.0009, path, 0) == "disk"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("tape", 1, None, None), "cache: expected one of auto, memory, disk, none, found 'tape'"),
        (("memory", 0.0009, None, None), "cache_gigabytes: 1,000 decoded images need 0.000954 GB"),
        (("disk", 1, None, None), "cache_dir: --cache=disk needs a folder"),
        (("disk", 1, pathlib.Path("/nowhere/x"), 10), "cache_dir: 1,000 .*/nowhere has 9.31e-09"),
    ],
)
def test_no_room_is_named(arguments, expected):
    decoder = decoding.Decoder([b"x"] * 1000, 32, 1)
    kind, *rest = arguments
    with pytest.raises(ValueError, match=expected):
        caching.choose(kind, decoder, *rest)


@pytest.mark.parametrize("cache", ["memory", "disk"])
def test_an_image_that_cannot_be_decoded_is_named_and_no_file_is_left(sources, tmp_path, cache):
    pathlib.Path(sources[280]).write_bytes(b"\x89PNG\r\n")
    with pytest.raises(ValueError, match=r"1 of \d+ images cannot be read .*280 ü.png"):
        pipeline.make_loader(sources, 6, 1, cache, cache_dir=tmp_path / "cache")
    assert not list((tmp_path / "cache").glob("*.pixels*"))
    assert not list((tmp_path / "cache").glob(".*.tmp"))


def test_long_decoding_says_how_far_it_is(sources, monkeypatch):
    monkeypatch.setattr(caching, "_SECONDS_BETWEEN_LINES", 0.0)
    lines = []
    pipeline.make_loader(sources, 6, 1, "memory", log=lines.append)
    assert lines == ["decoded 256 of 300 images", "decoded 300 of 300 images"]


def test_evaluate_with_another_cache_finds_the_same(trained, tmp_path):
    workdir, _, _ = trained
    options = [f"--workdir={workdir}", f"--output={tmp_path}", f"--cache_dir={tmp_path}"]
    done = run("evaluate", *options, "--cache=disk")
    assert done.returncode == 0, done.stderr
    assert len(list(tmp_path.glob("*.pixels"))) == 1
    assert not (workdir / "cache").exists()
    for name in ("predictions.csv", "clusters.png"):
        assert (tmp_path / name).read_bytes() == (workdir / name).read_bytes()


def test_training_with_a_cache_in_a_new_workdir(tmp_path):
    epochs = [f"--{stage}_epochs=0" for stage in ("pretext", "fine_tune")]
    options = [*SMALL, *epochs, f"--workdir={tmp_path / 'run'}", "--noexport", "--cache=disk"]
    done = run("train", *options)
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "run" / "cache").glob("*.pixels"))) == 1


def test_a_cache_is_no_run_and_may_change(tmp_path):
    values = {"k": 3, "cache": "disk", "cache_gigabytes": 2.0, "cache_dir": None}
    (tmp_path / "cache").mkdir()
    workdirs.claim(tmp_path, values)
    workdirs.claim(tmp_path, values | {"cache": "none", "cache_gigabytes": 5.0})
    with pytest.raises(ValueError, match="k=4"):
        workdirs.claim(tmp_path, values | {"k": 4})
    with pytest.raises(ValueError, match="other flags.*fast_jpeg"):
        workdirs.claim(tmp_path, values | {"fast_jpeg": True})
