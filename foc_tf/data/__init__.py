"""Data sets: name -> reader. A new one is a file here and a line in `DATASETS`."""

import pathlib

from foc_tf.data import digits, folder, prepared


def _published(name, fetch):
    def read(data_dir, certain_threshold=None, seed=0):
        if not (pathlib.Path(data_dir) / "annotations.csv").exists():
            raise ValueError(
                f"data_dir: {data_dir} has no annotations.csv. The {name} data are not part of "
                f"foc_tf: {fetch} Reading the original format comes with python -m foc_tf.prepare "
                f"later; until then write {data_dir}/annotations.csv yourself (image,class,votes; "
                "one row for every image and class with a vote) beside the images."
            )
        return prepared.read(data_dir, certain_threshold, seed)

    return read


DATASETS = {
    "prepared": prepared.read,
    "folder": folder.read,
    "digits": digits.read,
    "plankton": _published(
        "plankton", "fetch Plankton.zip of DCIC (zenodo.org/record/8115942) and unpack it there."
    ),
    "stl10": _published(
        "STL-10", "fetch stl10_binary.tar.gz (cs.stanford.edu/~acoates/stl10) and unpack it there."
    ),
}
