"""Data sets: name -> reader. A new one is a file here and a line in `DATASETS`."""

from collections.abc import Callable

from foc_tf.data import digits, folder, prepared
from foc_tf.data.images import ImageSet

TFDS = "tfds:"


def _tfds(name):
    def read(*arguments, **options):
        # Loads tensorflow-datasets, which takes seconds and which most runs do not need.
        from foc_tf.data import tfds_reader

        return tfds_reader.read(name, *arguments, **options)

    return read


DATASETS: dict[str, Callable[..., ImageSet]] = {
    "prepared": prepared.read,
    "folder": folder.read,
    "digits": digits.read,
}
# Data that the reader has itself or fetches.
NEEDS_NO_FOLDER = ("digits",)


def reader(dataset: str) -> Callable[..., ImageSet]:
    """The reader of a data set, a key of `DATASETS` or `tfds:NAME`.

    Raises:
      ValueError: if there is none.
    """
    if dataset.startswith(TFDS) and len(dataset) > len(TFDS):
        return _tfds(dataset.removeprefix(TFDS))
    if dataset not in DATASETS:
        raise ValueError(
            f"dataset: expected one of {', '.join(DATASETS)} or tfds:NAME, found {dataset!r}."
        )
    return DATASETS[dataset]


def needs_folder(dataset: str) -> bool:
    """Whether `dataset` is read from a folder that must be given."""
    return not dataset.startswith(TFDS) and dataset not in NEEDS_NO_FOLDER
