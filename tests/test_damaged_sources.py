"""Damaged sources: a message or a listed skip, never another exception, nothing outside the output.

FOC_DAMAGE=2000 runs so many inputs; the seed of a failure is in its message.
"""

import json
import os
import random
import shutil
import time
import zipfile

import pytest

from foc_tf.formats import FORMATS, guess
from foc_tf.formats.listing import Listing
from foc_tf.formats.preparing import prepare
from foc_tf.formats.tree import Tree
from tests.making import png

COUNT = int(os.environ.get("FOC_DAMAGE", "240"))
WORDS = [
    *(b"", b"\0", b"\t", b'"', b"\r", b"\n", b",", b"[t]", b"\xff\xfe", b"\xef\xbb\xbf", b"\xe4"),
    *(b"../../secret.png", b"/etc/passwd", b"-1", b"1e999", b"nan", b"<&>", b"9" * 400, b"{", b"]"),
    *(b"\xf0\x9f\x90\x9f", b"a/b/c", b"images", b"fold9/x.png", b"\\\\host\\x", b"\x1b[31m"),
]


def sources():
    """{format: {file: bytes}} of small sound sources."""
    images = {f"{name}.png": png(i * 30) for i, name in enumerate("abcdef")}
    rows = [
        f"{name}.png,{who},{'cat' if i % 2 else 'dog'}"
        for i, name in enumerate("abcdef")
        for who in "xyz"
    ]
    ecotaxa = [
        "object_id\timg_file_name\timg_rank\tobject_annotation_status\t"
        "object_annotation_category\tobject_annotation_date",
        "\t".join(["[t]"] * 6),
    ]
    ecotaxa += [f"o{n}\t{n}.png\t0\tvalidated\tegg<other\t20200101" for n in "abcdef"]
    folds = {f"fold{i}/{n}.png": png(i) for i, n in enumerate("abcde", 1)}
    sets = [
        {
            "name": "INVALID",
            "annotations": [{"image_path": name, "class_label": "cop"} for name in folds],
        }
    ]
    nodes = "node_id,parent_id,name\n1,,root\n2,1,egg\n"
    objects = "node_id,object_id\n" + "".join(f"2,{n}\n" for n in "abcdef")
    index = "object_id,path\n" + "".join(f"{n},{n}.png\n" for n in "abcdef")
    text = {
        "votes": images | {"votes.csv": "\n".join(["image,annotator,label", *rows])},
        "ecotaxa": images | {"ecotaxa_1.tsv": "\n".join(ecotaxa)},
        "dcic": folds | {"annotations.json": json.dumps(sets)},
        "morphocluster": images | {"index.csv": index, "nodes.csv": nodes, "objects.csv": objects},
        "list": images | {"list.txt": "\n".join(images)},
        "folder": {
            f"{'cat' if i % 2 else 'dog'}/{n}": c for i, (n, c) in enumerate(images.items())
        },
    }
    return {
        kind: {name: c.encode() if isinstance(c, str) else c for name, c in files.items()}
        for kind, files in text.items()
    }


def damaged(files, rng):
    """The files with one to five of them changed, cut, renamed, emptied or made one another."""
    files = dict(files)
    for _ in range(rng.randint(1, 5)):
        tables_first = sorted(files, key=lambda n: (n.endswith(".png"), n))
        name = rng.choice(tables_first[: rng.randint(1, 9)])
        content = bytearray(files[name])
        place = rng.randint(0, len(content))
        action = rng.randrange(7)
        if action == 0:
            content[place:place] = rng.choice(WORDS)
        elif action == 1:
            del content[place:]
        elif action == 2:
            del content[place : place + rng.randint(1, 20)]
        elif action == 3 and content:
            content[place % len(content)] = rng.randrange(256)
        elif action == 4:
            content = bytearray(files[rng.choice(sorted(files))])
        elif action == 5:
            content[place:place] = content[: rng.randint(1, 200)]
        else:
            files.pop(name)
            name = rng.choice(["x.png", "y.csv", "ecotaxa_z.tsv", "ü <&>.png", "train/a.png", name])
        files[name] = bytes(content)
    return files


def put(folder, files, as_zip):
    if as_zip:
        with zipfile.ZipFile(folder / "in.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in files.items():
                archive.writestr(name, content)
        return folder / "in.zip"
    for name, content in files.items():
        path = folder / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder / "in"


def opened(source, kind):
    """A list is given by itself, all else as a folder or archive."""
    path = source / "list.txt"
    return Listing(path) if kind == "list" and path.is_file() else Tree(source)


@pytest.mark.parametrize("kind", FORMATS)
def test_damage_is_said_or_skipped(tmp_path, kind):
    sound = sources()[kind]
    outcomes = {"prepared": 0, "refused": 0}
    for seed in range(-(-COUNT // len(FORMATS))):
        rng = random.Random(f"{kind} {seed}")
        folder = tmp_path / str(seed)
        folder.mkdir()
        source = put(folder, damaged(sound, rng) if seed else sound, rng.random() < 0.4)
        if source.suffix == ".zip" and rng.random() < 0.3:
            content = bytearray(source.read_bytes())
            content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
            source.write_bytes(content)
        before, start = sorted(p.name for p in folder.iterdir()), time.perf_counter()
        try:
            tree = opened(source, kind)
            read = FORMATS[kind if rng.random() < 0.7 else guess(tree)]
            result = prepare(tree, folder / "out", read)
        except ValueError:
            outcomes["refused"] += 1
            assert sorted(p.name for p in folder.iterdir()) == before, f"seed {seed}"
        else:
            outcomes["prepared"] += 1
            assert result["images"] == len(list((folder / "out" / "images").rglob("*.*g")))
        assert time.perf_counter() - start < 5, f"seed {seed}"
        shutil.rmtree(folder)
    assert outcomes["prepared"] > 0, outcomes
    assert kind == "folder" or outcomes["refused"] > 0, outcomes
