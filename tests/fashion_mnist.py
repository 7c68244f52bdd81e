"""The sanity mark of FixMatch: Fashion-MNIST with 100 labels, 10,000 images without, 920 steps.

    apt-get install dataset-fashion-mnist
    python -m tests.fashion_mnist --seeds 0 1 2

Writes a prepared data set from the four gzipped idx files (10,100 images of train, 500 of val, the
10,000 test images), trains configs/fashion_supervised.flags and configs/fashion_fixmatch.flags and
prints their accuracies on the test images. A run that is finished is not run again.
"""

import argparse
import csv
import gzip
import pathlib
import subprocess
import sys

import numpy as np
import tensorflow as tf

from tests.small_run import ROOT, command, read_report

CLASSES = (
    *("t-shirt", "trouser", "pullover", "dress", "coat"),
    *("sandal", "shirt", "sneaker", "bag", "boot"),
)
TRAIN, VAL = 10_100, 500
CONFIGS = ("fashion_supervised", "fashion_fixmatch")


def read_idx(path):
    """Array of a gzipped idx file: two zeros, type (8: uint8), rank, big-endian sizes, values."""
    with gzip.open(path, "rb") as file:
        content = file.read()
    if content[:3] != b"\0\0\x08":
        raise ValueError(f"{path}: expected an idx file of uint8, found {content[:4]!r}.")
    rank = content[3]
    shape = np.frombuffer(content, ">i4", rank, 4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * rank).reshape(shape)


def write(source, folder):
    """Writes the prepared data set; which images of the 60,000 are in it is drawn once for all."""
    parts = [
        [read_idx(source / f"{part}-{kind}-ubyte.gz") for kind in ("images-idx3", "labels-idx1")]
        for part in ("train", "t10k")
    ]
    order = np.random.default_rng(0).permutation(len(parts[0][1]))[: TRAIN + VAL]
    kept = {"train": order[:TRAIN], "val": order[TRAIN:], "test": np.arange(len(parts[1][1]))}
    (folder / "images").mkdir(parents=True)
    rows, splits = [], []
    for split, indices in kept.items():
        images, labels = parts[split == "test"]
        for index in indices:
            name = f"images/{split}_{index:05}.png"
            png = tf.io.encode_png(images[index][..., None]).numpy()
            (folder / name).write_bytes(png)
            rows.append((name, CLASSES[labels[index]], 1))
            splits.append((name, split))
    # annotations.csv last: with it the folder is whole.
    for file, header, lines in (
        ("splits.csv", ("image", "split"), splits),
        ("annotations.csv", ("image", "class", "votes"), rows),
    ):
        with open(folder / file, "w", newline="") as handle:
            csv.writer(handle).writerows([header, *lines])


def train(config, seed, data, root, more=()):
    """Trains a flagfile, if that is not done; returns (steps, val accuracy, test accuracy)."""
    workdir = root / "-".join([config, str(seed), *(m.strip("-") for m in more)])
    arguments = (f"--flagfile=configs/{config}.flags", f"--data_dir={data}", f"--seed={seed}")
    if not (workdir / "report.json").exists():
        run = command("train", *arguments, *more, f"--workdir={workdir}", "--noexport")
        subprocess.run(run, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    splits = read_report(workdir)["splits"]
    return [splits[split]["normal"]["accuracy"] for split in ("val", "test")]


def main():
    """The program."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", default="/usr/share/datasets/fashion-mnist", help="idx files")
    parser.add_argument("--root", default="runs/fashion_mnist", help="data set and runs")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--learning_rates", nargs="+", help="in place of the flagfiles' own")
    given = parser.parse_args()
    root = pathlib.Path(given.root).resolve()
    source, data = pathlib.Path(given.source), root / "data"
    if not source.is_dir():
        sys.exit(f"--source: no folder {source}; install Debian's dataset-fashion-mnist.")
    if not (data / "annotations.csv").exists():
        write(source, data)
    rates = [[f"--learning_rate={rate}"] for rate in given.learning_rates or ()] or [[]]
    for more in rates:
        for config in CONFIGS:
            for seed in given.seeds:
                val, test = train(config, seed, data, root, more)
                text = " ".join([config, *more, f"seed {seed}"])
                print(f"{text}: val {val:.3f}, test {test:.4f}", flush=True)


if __name__ == "__main__":
    main()
