"""TFDS builder of a prepared dataset, for millions of images: Beam's workers read and check them.

The prepared dataset (annotations.csv, splits.csv, dataset.json, images/) is the manual folder, or
`--data_dir` itself; workers on other machines must see it under the same path.
"""

import functools
import pathlib

import numpy as np
import tensorflow_datasets as tfds

from foc_tf.datasets.image_folder_beam import table


class Builder(tfds.core.GeneratorBasedBuilder):
    """Images, votes and splits of a prepared dataset."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "The first."}
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "Put annotations.csv and the images that it names (a prepared dataset) into the manual "
        "folder or into --data_dir."
    )
    MANUAL_FILES = ("annotations.csv",)

    def _info(self):
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(None, None, 3)),
                    "image_path": tfds.features.Text(),
                    "votes": tfds.features.Tensor(shape=(None,), dtype=np.int64),
                    "label": tfds.features.ClassLabel(),
                }
            ),
            supervised_keys=("image", "label"),
        )

    def _split_generators(self, dl_manager):
        folder = pathlib.Path(dl_manager.manual_dir)
        classes, splits = table.read(folder)
        # Known only now; TFDS writes the names beside the records.
        self.info.features["label"].names = classes
        return {
            split: self._generate_examples(rows, folder, len(classes))
            for split, rows in splits.items()
        }

    def _generate_examples(self, rows, folder, num_classes):
        try:
            beam = tfds.core.lazy_imports.apache_beam
        except ImportError:
            raise ValueError(
                "image_folder_beam: expected Apache Beam, found none. Run: pip install foc_tf[beam]"
            ) from None
        make = functools.partial(table.example, folder=str(folder), num_classes=num_classes)
        return beam.Create(rows) | beam.Map(make)
