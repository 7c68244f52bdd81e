"""What TensorBoard shows of a run: curves, images of every cluster, settings, features in space.

    tensorboard --logdir=runs

`EpochWriter` writes scalars while training goes on, `write_results` the rest at its end.
"""

import pathlib
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from foc_tf import files, picture
from foc_tf.projection import principal_components
from foc_tf.report import Scorer

# The projector sends all points to the browser: so many images, so many principal components.
MAX_POINTS, MAX_COMPONENTS = 5000, 64


class EpochWriter:
    """Writes the numbers of a history row as scalars, its epoch as the step.

    Args:
      folder: of the event files; made with the first row.
    """

    def __init__(self, folder: str | pathlib.Path) -> None:
        """See the class."""
        self.folder = folder
        self._writer: Any = None

    def write(self, row: Mapping[str, Any]) -> None:
        """Adds a row of the history; text and the epoch's own number are left out."""
        self._writer = self._writer or tf.summary.create_file_writer(str(self.folder))
        with self._writer.as_default(step=row["epoch"]):
            for name, value in row.items():
                if name not in ("epoch", "stage_index") and isinstance(value, (int, float)):
                    tf.summary.scalar(_tag(name), value)
        self._writer.flush()


def _tag(name):
    """TensorBoard groups tags by what stands before the slash."""
    if name.startswith("val_"):
        return f"validation/{name.removeprefix('val_')}"
    if name in ("seconds", "images", "learning_rate", "confident_share"):
        return f"run/{name}"
    kinds = ("used", "empty_share", "entropy", "confidence", "largest")
    return f"{'clusters' if name.endswith(kinds) else 'loss'}/{name}"


def write_results(
    folder: str | pathlib.Path,
    settings: Mapping[str, Any],
    result: dict,
    scorer: Scorer,
    loader: Callable[[tf.Tensor], tf.Tensor],
) -> None:
    """Writes a finished run's settings and scores, cluster images and features.

    Args:
      folder: of the event files.
      settings: {name: value} for TensorBoard's table of hyperparameters.
      result: the report; scores of its splits become the table's metrics.
      scorer: `report.Scorer` of all images.
      loader: function from [U] image indices to [U, H, W, C] uint8.
    """
    folder = pathlib.Path(folder)
    with tf.summary.create_file_writer(str(folder)).as_default(step=0):
        _write_hparams(settings, result)
        if "over" in scorer.heads:
            _write_clusters(scorer, loader)
    _write_projector(folder / "projector", scorer, loader)


def _write_hparams(settings, result):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TensorBoard 2.15 imports pkg_resources
        from tensorboard.plugins.hparams import api
    known = {k: v if isinstance(v, (bool, int, float)) else str(v) for k, v in settings.items()}
    api.hparams({name: value for name, value in known.items() if settings[name] is not None})
    for split, values in result["splits"].items():
        for head, protocol in (("normal", None), ("over", "crossfit"), ("over", "oracle")):
            scores = values.get(head) or {}
            scores = scores.get(protocol) or {} if protocol else scores
            for name in ("macro_f1", "accuracy"):
                if scores.get(name) is not None:
                    middle = f"{head}_{protocol}" if protocol else head
                    tf.summary.scalar(f"score/{split}_{middle}_{name}", scores[name])


def _write_clusters(scorer, loader):
    probs = scorer.outputs["over_probs"][:, scorer.best["over"]]
    clusters, confidence = probs.argmax(1), probs.max(1)
    classes, known = scorer.cluster_classes(), scorer.image_set.classes
    for cluster in np.unique(clusters):
        members = np.flatnonzero(clusters == cluster)
        named = known[classes[cluster]] if classes[cluster] >= 0 else "no class"
        tf.summary.image(
            f"cluster/{cluster:03}",
            picture.cluster_grid(members, confidence, loader)[None],
            description=f"{named}, {len(members)} images, the most confident first",
        )


def _write_projector(folder, scorer, loader):
    """Features as their principal components, a table of what each image is, small pictures."""
    features = scorer.outputs["features"]
    shown = np.arange(len(features))
    if len(shown) > MAX_POINTS:
        shown = np.sort(np.random.default_rng(0).permutation(shown)[:MAX_POINTS])
    folder.mkdir(parents=True, exist_ok=True)
    with files.replacing(folder / "features.tsv", "w") as file:
        points, _ = principal_components(features[shown], MAX_COMPONENTS)
        np.savetxt(file, points, "%.5g", "\t")
    table = scorer.predictions().iloc[shown]
    columns = [c for c in ("image", "split", "certain", "reference_class") if c in table]
    columns += [c for c in ("normal_class", "cluster", "cluster_class") if c in table]
    text = table[columns].astype(str).replace(r"[\t\r\n]", " ", regex=True)
    with files.replacing(folder / "images.tsv", "w") as file:
        text.to_csv(file, sep="\t", index=False, quoting=3, escapechar="\\", lineterminator="\n")
    side = 32
    with files.replacing(folder / "sprite.png") as file:
        file.write(tf.io.encode_png(picture.sprite(_pixels(shown, loader, side), side)).numpy())
    config = (
        'embeddings { tensor_name: "features" tensor_path: "projector/features.tsv" '
        'metadata_path: "projector/images.tsv" sprite { image_path: "projector/sprite.png" '
        f"single_image_dim: {side} single_image_dim: {side} }} }}\n"
    )
    with files.replacing(folder.parent / "projector_config.pbtxt", "w") as file:
        file.write(config)


def _pixels(shown, loader, side):
    parts = np.array_split(shown, max(1, -(-len(shown) // 256)))
    small = [tf.image.resize(loader(part), (side, side), "nearest").numpy() for part in parts]
    pixels = np.concatenate(small)
    return np.repeat(pixels, 3, axis=-1) if pixels.shape[-1] == 1 else pixels
