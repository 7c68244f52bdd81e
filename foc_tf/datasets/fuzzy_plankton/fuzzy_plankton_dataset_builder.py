"""TFDS builder of the plankton images published with DCIC: 12,280 images, votes kept."""

import pathlib

import numpy as np
import tensorflow_datasets as tfds

from foc_tf.datasets.fuzzy_plankton import dcic

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


def split_of_fold(fold, slice_number):
    """Split of a fold (1..5) in a slice (1..5), as DCIC's code has it (its README differs)."""
    splits = {slice_number % 5: "validation", (slice_number + 1) % 5: "test"}
    return splits.get(fold - 1, "train")


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
        source = dcic.Source(self._path(dl_manager))
        dcic.check_folds(source, self.FOLD_SIZES)
        votes = dcic.count_votes(source, CLASSES)
        return {
            split: self._generate_examples(source, votes, split)
            for split in ("train", "validation", "test")
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

    def _generate_examples(self, source, votes, split):
        slice_number = int(self.builder_config.name.removeprefix("slice"))
        for name in source.images:
            fold = int(name[len("fold")])
            if split_of_fold(fold, slice_number) != split:
                continue
            counts = votes[name]
            yield (
                name,
                {
                    "image": source.read(name),
                    "image_path": f"Plankton/{name}",
                    "votes": counts,
                    # argmax takes the lower id of a tie, as everywhere in foc_tf.
                    "label": int(counts.argmax()) if counts.any() else -1,
                    "fold": fold,
                },
            )
