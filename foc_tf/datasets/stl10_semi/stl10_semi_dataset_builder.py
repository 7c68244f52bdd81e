"""TFDS builder of STL-10 as FOC uses it: TFDS's own generator, other split names.

TFDS's `stl10` calls the 8,000 further labelled images `test`; the paper chooses its epoch on them,
so here they are `validation` and there is no test. The images come straight from the binary files:
a view that reads a prepared `stl10` would keep all 113,000 images on disk twice.
"""

import tensorflow_datasets as tfds
from tensorflow_datasets.datasets.stl10 import stl10_dataset_builder as stl10

ROLES = {"train": "train", "test": "validation", "unlabelled": "unlabelled"}


class Builder(stl10.Builder):
    """5,000 labelled images, 8,000 for validation, 100,000 without labels (-1)."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "Of TFDS stl10 1.0.0."}
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        f"Only without a network: fetch {stl10.URL} and put stl10_binary.tar.gz into the manual "
        "folder or into --data_dir."
    )
    # TFDS takes a file of this name and checksum (checksums.tsv) from the manual folder.
    MANUAL_FILES = ("stl10_binary.tar.gz",)

    def _split_generators(self, dl_manager):
        return {
            ROLES[str(split.name)]: self._generate_examples(**split.gen_kwargs)
            for split in super()._split_generators(dl_manager)
        }
