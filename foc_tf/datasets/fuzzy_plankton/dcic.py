"""Reads DCIC's Plankton: a zip or a folder with `annotations.json` and `fold1` .. `fold5`.

Nothing is unpacked and no path of the annotations is ever opened: an annotation can only name an
image that was listed in a fold, so neither `../` nor a link leads out of the source.
"""

import json
import pathlib
import re
import zipfile

import numpy as np

# A damaged or hostile archive must not fill the memory: the published annotations are < 100 MB.
MAX_FILE_BYTES = 256 * 2**20
_IMAGE = re.compile(r"fold[1-5]/[^/\\]+\.png")


class Source:
    """The files of DCIC's Plankton by their name below its root, e.g. `fold1/x.png`."""

    def __init__(self, path):
        """Lists a zip or a folder.

        Args:
          path: `Plankton.zip`, or the folder that it unpacks to.

        Raises:
          ValueError: if it is neither a zip nor a folder, or has no annotations.json.
        """
        self.path = pathlib.Path(path)
        if self.path.is_dir():
            self._zip, files = None, _listed(self.path)
        else:
            self._zip, files = _opened(self.path)
        roots = [name for name in files if name.split("/")[-1] == "annotations.json"]
        if not roots:
            raise ValueError(
                f"{path}: expected annotations.json beside fold1 .. fold5, found none. Fetch "
                "Plankton.zip of DCIC again (zenodo.org/records/8115942)."
            )
        root = min(roots, key=lambda name: name.count("/")).removesuffix("annotations.json")
        self._files = {
            name.removeprefix(root): file for name, file in files.items() if name.startswith(root)
        }
        self.images = sorted(name for name in self._files if _IMAGE.fullmatch(name))

    def read(self, name):
        """Bytes of a listed file; ValueError if it is damaged or too large."""
        file = self._files[name]
        size = file.file_size if self._zip else file.stat().st_size
        if size > MAX_FILE_BYTES:
            raise ValueError(
                f"{self.path}: {name}: expected at most {MAX_FILE_BYTES} bytes, found {size}. "
                "Fetch the archive again."
            )
        try:
            return self._zip.read(file) if self._zip else file.read_bytes()
        except (zipfile.BadZipFile, EOFError, OSError) as error:
            raise ValueError(
                f"{self.path}: {name} is damaged ({error}). Fetch the archive again."
            ) from None


def _opened(path):
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError) as error:
        raise ValueError(
            f"{path}: expected DCIC's Plankton.zip, found no zip ({error}). Fetch it again."
        ) from None
    return archive, {info.filename: info for info in archive.infolist() if not info.is_dir()}


def _listed(folder):
    files = [folder / "annotations.json"]
    for fold in sorted(folder.glob("fold[1-5]")):
        # A linked fold would be read from outside of the folder.
        files += [] if fold.is_symlink() else sorted(fold.glob("*.png"))
    return {
        file.relative_to(folder).as_posix(): file
        for file in files
        if file.is_file() and not file.is_symlink()
    }


def check_folds(source, expected):
    """Checks that every fold has its images.

    Args:
      source: `Source`.
      expected: images in fold1 .. fold5.

    Raises:
      ValueError: that names the first fold with another number.
    """
    for fold, number in enumerate(expected, start=1):
        found = sum(name.startswith(f"fold{fold}/") for name in source.images)
        if found != number:
            raise ValueError(
                f"{source.path}: fold{fold}: expected {number} images, found {found}. Fetch the "
                "archive again, or unpack all of it."
            )


def count_votes(source, classes):
    """Votes of every image, counted over all sets of annotations.json.

    Args:
      source: `Source`.
      classes: C class names.

    Returns:
      Dict image name -> [C] int64; zeros for an image that nobody annotated.

    Raises:
      ValueError: if the file is not in DCIC's form, or names an unknown class or image.
    """
    where = f"{source.path}: annotations.json"
    try:
        sets = json.loads(source.read("annotations.json"))
        entries = [
            (one.get("name", index), entry["image_path"], entry["class_label"])
            for index, one in enumerate(sets)
            for entry in one["annotations"]
        ]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ValueError(
            f"{where}: expected DCIC's list of annotation sets, found another form "
            f"({type(error).__name__}: {error}). Fetch the archive again."
        ) from None
    ids = {name: index for index, name in enumerate(classes)}
    votes = {name: np.zeros(len(classes), np.int64) for name in source.images}
    for set_name, path, label in entries:
        # Paths begin with the name of the data set: Plankton/fold1/x.png.
        name = "/".join(str(path).split("/")[1:])
        if name not in votes:
            raise ValueError(
                f"{where}, set {set_name!r}: image {path!r} is not in fold1 .. fold5. Unpack all "
                "of the archive, or remove the entry."
            )
        if label is None:
            continue  # the annotator skipped the image
        if label not in classes:
            raise ValueError(
                f"{where}, set {set_name!r}, image {path!r}: expected a class of "
                f"{', '.join(classes)}, found {label!r}. Rename the class in the file."
            )
        votes[name][ids[label]] += 1
    return votes
