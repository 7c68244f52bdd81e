"""TFDS builder of the plankton images published with DCIC: 12,280 images, votes kept."""

import pathlib
import re
from collections.abc import Sequence

import numpy as np
import tensorflow_datasets as tfds

from foc_tf.formats import dcic, merging
from foc_tf.formats.tree import Tree

URL = "https://zenodo.org/records/8115942/files/Plankton.zip"
CLASSES = (
    "bubbles",
    "collodaria_black",
    "collodaria_globule",
    "cop",
    "det",
    "no_fit",
    "phyto_puff",
    "phyto_tuft",
    "pro_rhizaria_phaeodaria",
    "shrimp",
)


_IMAGE = re.compile(r"(?:.*/)?(fold([1-5])/[^/]+\.png)")


def read(
    path: pathlib.Path | str, fold_sizes: Sequence[int], slice_number: int
) -> tuple[list[tuple[str, str, str, np.ndarray]], Tree]:
    """Reads the published archive and checks that it is whole.

    Args:
      path: `Plankton.zip`, or the folder that it unpacks to.
      fold_sizes: images in fold1 .. fold5.
      slice_number: 1 to 5.

    Returns:
      List of (name below the root, name in the tree, split, [C] int64 votes) by name, and the
      `formats.tree.Tree`.

    Raises:
      ValueError: names what is not as it was published.
    """
    try:
        tree = Tree(path)
        collection = dcic.read(tree, slice_number)
        _check(collection, fold_sizes)
    except ValueError as error:
        raise ValueError(f"{path}: {error} Fetch {URL} again, or unpack all of it.") from None
    ids = np.array([CLASSES.index(name) for name in collection.classes], np.int64)
    votes = merging.vote_table(collection, ids, len(CLASSES)).toarray()
    rows = [
        (
            _IMAGE.fullmatch(file)[1],  # type: ignore[index]
            file,
            collection.splits[item],
            votes[item],
        )
        for item, file in enumerate(collection.files)
    ]
    return sorted(rows, key=lambda row: row[0]), tree


def _check(collection, fold_sizes):
    if collection.skipped:
        where, reason = collection.skipped[0]
        raise ValueError(f"{where}: {reason}.")
    if unknown := sorted(set(collection.classes) - set(CLASSES)):
        raise ValueError(f"expected the classes {', '.join(CLASSES)}, found {unknown[0]!r}.")
    found = [_IMAGE.fullmatch(file) for file in collection.files]
    if None in found:
        raise ValueError(f"{collection.files[found.index(None)]!r} is no PNG image of a fold.")
    for fold, expected in enumerate(fold_sizes, start=1):
        count = sum(match[2] == str(fold) for match in found)
        if count != expected:
            raise ValueError(f"fold{fold}: expected {expected} images, found {count}.")


class Builder(tfds.core.GeneratorBasedBuilder):
    """`fuzzy_plankton/slice1` .. `slice5`: DCIC's five cross-validation splits."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "Plankton.zip of zenodo.org/records/8115942."}
    BUILDER_CONFIGS = [
        tfds.core.BuilderConfig(
            name=f"slice{v}",
            description=f"Validation is fold {v % 5 + 1}, test fold {(v + 1) % 5 + 1}.",
        )
        for v in range(1, 6)
    ]
    DEFAULT_BUILDER_CONFIG_NAME = "slice1"
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        f"Only without a network: fetch {URL} and put Plankton.zip, or the folder Plankton that "
        "it unpacks to, into the manual folder or into --data_dir."
    )
    MANUAL_FILES = ("Plankton.zip", "Plankton")
    URLS = (URL,)
    FOLD_SIZES = (2444, 2462, 2468, 2457, 2449)

    def _info(self):
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(None, None, 3), encoding_format="png"),
                    "image_path": tfds.features.Text(),
                    "votes": tfds.features.Tensor(shape=(len(CLASSES),), dtype=np.int64),
                    "label": tfds.features.ClassLabel(names=CLASSES),
                    "fold": tfds.features.Scalar(dtype=np.int64),
                }
            ),
            supervised_keys=("image", "label"),
            homepage="https://doi.org/10.5281/zenodo.7152309",
        )

    def _split_generators(self, dl_manager):
        slice_number = int(self.builder_config.name.removeprefix("slice"))
        rows, tree = read(self._path(dl_manager), self.FOLD_SIZES, slice_number)
        names = {"train": "train", "validation": "val", "test": "test"}
        return {
            name: self._generate_examples([row for row in rows if row[2] == split], tree)
            for name, split in names.items()
        }

    def _path(self, dl_manager):
        """A file of the user comes before the network; TFDS raises where the folder is absent."""
        try:
            manual = pathlib.Path(dl_manager.manual_dir)
        except AssertionError:
            return dl_manager.download(URL)
        for name in self.MANUAL_FILES:
            if (manual / name).exists():
                return manual / name
        return dl_manager.download(URL)

    def _generate_examples(self, rows, tree):
        for name, file, _, counts in rows:
            yield (
                name,
                {
                    "image": tree.read(file),
                    "image_path": f"Plankton/{name}",
                    "votes": counts,
                    # argmax takes the lower id of a tie, as everywhere in foc_tf.
                    "label": int(counts.argmax()) if counts.any() else -1,
                    "fold": int(name[len("fold")]),
                },
            )
