"""prepare: images checked, classes merged, splits drawn, all or nothing written."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from foc_tf import annotations, splitting
from foc_tf.data import prepared
from foc_tf.formats import FORMATS, image_check, merging, naming, votes
from foc_tf.formats.preparing import prepare
from foc_tf.formats.tree import Tree
from tests.making import png, write


def encode(image, kind="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def gradient(dtype, high, channels=()):
    values = np.linspace(0, high, 8 * 8 * int(np.prod(channels, dtype=int)))
    return values.reshape(8, 8, *channels).astype(dtype)


def exif_rotated():
    exif = Image.Exif()
    exif[0x0112] = 6
    image = Image.new("L", (8, 4))
    image.putpixel((0, 0), 255)
    return encode(image, "PNG", exif=exif)


RGBA = Image.fromarray(gradient(np.uint8, 255, (4,)), "RGBA")
GREY = Image.fromarray(gradient(np.uint8, 255))
GOOD = {
    "grey": (encode(GREY), "L", ""),
    "jpeg": (encode(GREY, "JPEG"), "L", ""),
    "palette": (encode(GREY.convert("P")), "P", ""),
    "alpha": (encode(RGBA), "RGB", "transparency on white"),
    "16 bit": (encode(Image.fromarray(gradient(np.uint16, 65535))), "L", "to 8 bit"),
    "cmyk": (encode(GREY.convert("CMYK"), "JPEG"), "RGB", "CMYK to 8 bit"),
    "animated": (encode(GREY, "GIF", save_all=True, append_images=[RGBA]), "RGB", "first frame"),
    "tiff": (encode(GREY, "TIFF"), "L", "TIFF to PNG"),
    "webp": (encode(GREY.convert("RGB"), "WEBP"), "RGB", "WEBP to PNG"),
    "bmp": (encode(GREY, "BMP"), "L", "BMP to PNG"),
    "exif": (exif_rotated(), "L", "EXIF"),
}


@pytest.mark.parametrize("name", GOOD)
def test_images_of_every_kind_can_be_used(name):
    content, mode, change = GOOD[name]
    result, extension, changed = image_check.usable(content)
    assert change in changed
    assert (result == content) == (change == "")
    opened = Image.open(io.BytesIO(result))
    assert opened.mode == mode
    assert opened.format == {".png": "PNG", ".jpg": "JPEG"}[extension]


def test_values_after_a_change_by_hand():
    # 16 bit: 65535 / 257 = 255, 32896 / 257 = 128 exactly, 0 stays.
    deep = Image.fromarray(np.array([[0, 32896, 65535]], np.uint16))
    result = Image.open(io.BytesIO(image_check.usable(encode(deep))[0]))
    assert np.asarray(result).tolist() == [[0, 128, 255]]
    # Black that is wholly transparent becomes the white behind it.
    clear = Image.new("RGBA", (1, 1), (0, 0, 0, 0))
    result = Image.open(io.BytesIO(image_check.usable(encode(clear))[0]))
    assert np.asarray(result).tolist() == [[[255, 255, 255]]]
    # Orientation 6: turned clockwise, the left column's top pixel comes to the top right.
    result = Image.open(io.BytesIO(image_check.usable(exif_rotated())[0]))
    assert result.size == (4, 8)
    assert np.argwhere(np.asarray(result) == 255).tolist() == [[0, 3]]


BAD = {
    "empty": (b"", "empty"),
    "text": (b"no image at all", "not a PNG"),
    "truncated": (encode(Image.effect_noise((64, 64), 50))[:-900], "damaged"),
    "svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not a PNG"),
    "huge": (encode(Image.new("1", (11_000, 11_000))), "100 megapixels"),
    "float": (encode(Image.fromarray(gradient(np.float32, 1)), "TIFF"), "floating point"),
    "bomb": (encode(Image.new("1", (20_000, 20_000))), "megapixels|bomb"),
}


@pytest.mark.parametrize("name", BAD)
def test_images_that_cannot_be_used_say_why(name):
    with pytest.raises(ValueError, match=BAD[name][1]):
        image_check.usable(BAD[name][0])


@given(st.binary(max_size=200), st.integers(0, 100), st.integers(0, 255))
@settings(max_examples=200, deadline=None)
def test_damaged_images_are_used_or_refused(tail, place, value):
    content = bytearray(GOOD["grey"][0] + tail)
    content[place % len(content)] = value
    try:
        result = image_check.usable(bytes(content))
    except ValueError as error:
        result = str(error)
    assert result


def test_kappa_by_hand():
    # Fleiss (1971) for 3 votes on 3 images: P = 1, 1/3, 1; mean 7/9. Shares of the classes 4/9 and
    # 5/9: chance 41/81. Kappa = (63/81 - 41/81) / (40/81) = 22/40.
    table = np.array([[3, 0], [1, 2], [0, 3]])
    assert annotations.fleiss_kappa(table) == pytest.approx(22 / 40)
    assert annotations.fleiss_kappa(scipy.sparse.csr_array(table)) == pytest.approx(22 / 40)
    assert annotations.fleiss_kappa(np.array([[1, 0], [0, 1]])) is None
    assert annotations.fleiss_kappa(np.array([[3, 0], [3, 0]])) is None


def test_merge(tmp_path):
    path = tmp_path / "m.csv"
    path.write_text("from,to\negg,no-fit\nfibre,no-fit\nbad,\n")
    mapping = merging.read_mapping(path)
    classes, ids = merging.merged_classes(["cat", "egg", "bad", "fibre"], mapping)
    assert classes == ["cat", "no-fit"]
    assert ids.tolist() == [0, 1, -1, 1]
    with pytest.raises(ValueError, match="'dog' is not one of"):
        merging.merged_classes(["cat"], {"dog": "cat"})
    path.write_text("from,to\negg,a\negg,b\n")
    with pytest.raises(ValueError, match="line 3: class 'egg' stands twice"):
        merging.read_mapping(path)


@given(st.lists(st.text(min_size=1, max_size=200), min_size=1, max_size=30))
@settings(max_examples=200, deadline=None)
def test_names_of_files_are_safe_and_distinct(keys):
    taken = set()
    names = [naming.image_name(key, ".png", taken) for key in keys]
    assert len({name.lower() for name in names}) == len(keys)
    for name in names:
        assert name.startswith("images/")
        assert not set(name) & set('<>:"|?*\\\0\n\t ,&;$')
        assert all(part.strip(".") and len(part.encode()) < 200 for part in name.split("/"))


@given(st.lists(st.integers(0, 5), min_size=1, max_size=60), st.integers(0, 3), st.data())
@settings(max_examples=100, deadline=None)
def test_a_group_is_never_split(objects, seed, data):
    hashes = data.draw(st.lists(st.integers(0, 9), min_size=len(objects), max_size=len(objects)))
    group = splitting.groups([f"o{i}" if i else "" for i in objects], hashes)
    splits = splitting.assign(np.zeros(len(objects), int), group, {}, seed, 0.3)
    for labels in (objects, hashes):
        for label in set(labels) - ({0} if labels is objects else set()):
            assert len({s for s, own in zip(splits, labels) if own == label}) == 1


def source(folder):
    """Four images of two classes; two of equal content, one damaged, one without a vote."""
    files = {f"{i}.png": None for i in range(8)}
    files |= {"same.png": png(0), "bad.png": b"broken", "images/free.png": None}
    rows = [f"{i}.png,{who},{'cat' if i < 4 else 'egg'}" for i in range(8) for who in "xy"]
    rows += ["same.png,x,cat", "same.png,y,egg", "bad.png,x,cat", "gone.png,x,cat"]
    files["votes.csv"] = "image,annotator,label\n" + "\n".join(rows) + "\n"
    return write(folder, files)


@pytest.mark.parametrize("placing", ["copy", "link"])
def test_what_is_prepared_is_what_was_said(tmp_path, placing):
    tree = source(tmp_path / "in")
    result = prepare(tree, tmp_path / "out", votes.read, placing, seed=3)
    assert (result["images"], result["certain"], result["fuzzy"]) == (10, 8, 1)
    assert (result["without_votes"], result["left_out"], result["duplicates"]) == (1, 2, 1)
    image_set = prepared.read(tmp_path / "out")
    own = dict(zip(image_set.ids, image_set.votes.tolist()))
    assert own["images/0.png"] == [2, 0]
    assert own["images/5.png"] == [0, 2]
    assert own["images/same.png"] == [1, 1]
    assert own["images/free.png"] == [0, 0]
    splits = dict(zip(image_set.ids, image_set.splits))
    assert splits["images/same.png"] == splits["images/0.png"]
    assert set(splits.values()) == {"train", "val"}
    skipped = (tmp_path / "out" / "skipped.csv").read_text()
    assert "gone.png" in skipped
    assert "bad.png" in skipped
    linked = os.stat(tmp_path / "out" / "images" / "1.png").st_nlink
    assert linked == (2 if placing == "link" else 1)


def test_prepared_again_it_is_the_same(tmp_path, shared):
    first, second = tmp_path / "1", tmp_path / "2"
    prepare(Tree(shared / "data" / "plankton-small"), first, votes.read)
    prepare(Tree(first), second, votes.read)
    for name in ("annotations.csv", "splits.csv"):
        assert (first / name).read_bytes() == (second / name).read_bytes()
    own = {
        "images/" + row["image"].split("/")[-1]: row["split"]
        for row in rows_of(shared / "data" / "plankton-small" / "splits.csv")
    }
    assert {row["image"]: row["split"] for row in rows_of(first / "splits.csv")} == own


def rows_of(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_few_annotators_make_no_label(tmp_path):
    tree = write(
        tmp_path / "in",
        {"a.png": None, "b.png": None, "v.csv": "image,label\na.png,cat\na.png,cat\nb.png,dog\n"},
    )
    result = prepare(tree, tmp_path / "out", votes.read, min_annotators=2)
    assert (result["certain"], result["without_votes"]) == (1, 1)


def test_votes_of_one_person_on_one_image_are_counted_as_repeated(tmp_path):
    table = "image,annotator,label\na.png,x,cat\na.png,x,dog\na.png,y,cat\na.png,,cat\na.png,,cat\n"
    tree = write(tmp_path / "in", {"a.png": None, "v.csv": table})
    result = prepare(tree, tmp_path / "out", votes.read)
    # x's second; votes without a name may be anybody's.
    assert (result["repeated_votes"], result["votes_per_image"]["most"]) == (1, 5)


def test_an_output_that_cannot_be_made_is_named(tmp_path):
    tree = write(tmp_path / "in", {"a.png": None})
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="output: .*file/out cannot be made.*Not a directory"):
        prepare(tree, tmp_path / "file" / "out", FORMATS["folder"])


def run(*arguments, **options):
    command = [sys.executable, "-m", "foc_tf.prepare", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, **options)


def test_the_program_says_what_it_did(tmp_path):
    source(tmp_path / "in")
    done = run(f"--source={tmp_path}/in", f"--output={tmp_path}/out", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["images"] == 10
    # Of 9 images with two votes 8 agree: P = 8/9; classes 9/18 each: (8/9 - 1/2) / (1/2).
    assert result["fleiss_kappa"] == pytest.approx(7 / 9)
    again = run(f"--source={tmp_path}/in", f"--output={tmp_path}/out")
    assert again.returncode == 2
    assert "is there already" in again.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--output=o"], "give --source"),
        (["--source=nowhere", "--output=o"], "nowhere is not there"),
        (["--source=in"], "give --output"),
        (["--source=in", "--output=o", "--certain_threshold=0.3"], "certain_threshold"),
        (["--source=in", "--output=o", "--merge=none.csv"], "none.csv cannot be read"),
        (["--source=in", "--output=o", "--ignored_classes=fish"], "'fish' is not one of"),
        (["--source=in", "--output=o", "--format=dcic"], "annotations.json"),
        (["--source=in", "--output=o", "--formta=dcic"], "formta"),
    ],
)
def test_wrong_calls_exit_with_2_and_write_nothing(tmp_path, arguments, message):
    source(tmp_path / "in")
    done = run(*arguments, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in"]


def test_stopped_in_the_middle_nothing_is_there(tmp_path):
    folder = tmp_path / "in"
    # Unlike contents, which are decoded one by one: seconds of work.
    write(folder, {f"cat/{i}.png": png(size=400) + b"%d" % i for i in range(2000)})
    command = [sys.executable, "-m", "foc_tf.prepare", "--source=in", "--output=out"]
    process = subprocess.Popen(
        command,
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        # A test run in the background of a script inherits that SIGINT is ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    until = time.time() + 30
    while not list(tmp_path.glob(".out*/images/cat/*")) and time.time() < until:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    assert "nothing was written" in process.communicate(timeout=30)[1]
    assert process.returncode == 130
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in"]
