"""A finished run's folder with random predictions, made in a moment: no training, no TensorFlow."""

import io

import numpy as np
from PIL import Image

from foc_tf import files, report
from foc_tf.data.images import ImageSet
from foc_tf.review_data import keeping

HOSTILE = (
    "<script>alert(1)</script>",
    "\"quoted\" & 'it' <b>",
    "\u202eevil\u202c \u05d0\u05d1\u05d2",  # RTL override, Hebrew
    "\U0001f990 copepod",
)


def picture(index, size=(24, 16)):
    """PNG of one colour that says which image it is."""
    buffer = io.BytesIO()
    Image.new("RGB", size, (index % 256, index // 256, 100)).save(buffer, "PNG")
    return buffer.getvalue()


def image_set(count=60, classes=HOSTILE, seed=0, size=(24, 16)):
    """Images with 0 to 5 votes each, a third of them certain."""
    rng = np.random.default_rng(seed)
    votes = rng.multinomial(5, rng.dirichlet(np.full(len(classes), 0.5), count))
    votes[::3] = 5 * np.eye(len(classes), dtype=int)[rng.integers(0, len(classes), len(votes[::3]))]
    votes[1::10] = 0
    names = [f"images/{i:04} {classes[i % len(classes)]}.png" for i in range(count)]
    return ImageSet(
        name="made <up>",
        classes=tuple(classes),
        ids=np.asarray(names, object),
        sources=np.asarray([picture(i, size) for i in range(count)], object),
        votes=votes.astype(np.int64),
        splits=np.asarray(["train", "train", "val", "train", "test"] * count, object)[:count],
        ignored_classes=(classes[-1],),
        licence="CC <0>",
        source="made & up",
    )


def scored(images, num_clusters=8, seed=0, over=True):
    """`report.Scorer` of random outputs."""
    rng = np.random.default_rng(seed)
    count = len(images.ids)
    outputs = {
        "normal_probs": rng.dirichlet(np.full(len(images.classes), 0.5), (count, 2)),
        "features": rng.standard_normal((count, 40)).astype(np.float32),
    }
    if over:
        outputs["over_probs"] = rng.dirichlet(np.full(num_clusters, 0.2), (count, 2))
    return report.Scorer(images, images.training_labels(), outputs)


def write(folder, scorer):
    """The files of a finished run; returns the folder."""
    result = {
        "method": "foc",
        "seed": 0,
        "dataset": scorer.image_set.name,
        "images": len(scorer.image_set.ids),
        "labeled": int((scorer.labels >= 0).sum()),
        "classes": list(scorer.image_set.classes),
        "versions": {"foc_tf": "0", "python": "3"},
        "device": "none",
        "clusters": scorer.usage(),
        "splits": scorer.splits(),
    }
    files.write_csv(folder / "predictions.csv", scorer.predictions())
    files.write_json(folder / "report.json", result)
    (folder / "flags.txt").write_text("--k=8\n--data_dir=<somewhere>\n", encoding="utf-8")
    keeping.write(folder, scorer)
    return folder
