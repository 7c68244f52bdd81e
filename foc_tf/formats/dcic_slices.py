"""DCIC's slices (`<Name>-slice1.json` .. `5`): splits, and votes as shares, of a data set's images.

`evaluate_datasets` has the shares of all images, `input_datasets` those of the labelled ones.
"""

import re

from foc_tf.formats.collection import Collection
from foc_tf.formats.text import load_json
from foc_tf.formats.tree import Tree, folder_of
from foc_tf.formats.votes import whole_votes

_SPLITS = ("train", "val", "test")


def find(tree: Tree, v_fold: int) -> list[str]:
    """Names of the files of a slice; of the folder `evaluate_datasets` only, if there is one."""
    wanted = re.compile(rf"(?:.*/)?[^/]+-slice{v_fold}\.json")
    found = [name for name in tree.names if wanted.fullmatch(name)]
    return [name for name in found if "evaluate_datasets" in name.split("/")] or found


def read(tree: Tree, name: str, votes_per_image: int = 0) -> Collection:
    """Reads one slice and the images that it names.

    Args:
      tree: `tree.Tree` of the data set, or of the folder with all that DCIC wrote.
      name: of the slice's file in the tree.
      votes_per_image: factor that turns shares into whole votes; 0 if every image has one class.

    Returns:
      `collection.Collection`.

    Raises:
      ValueError: if the file is not of this form; names the image and what was expected.
    """
    where, base = str(tree.path / name), folder_of(name)
    content = load_json(tree.read(name), where)
    classes, rows = _parts(content, where)
    collection = Collection(str(content.get("name") or tree.path.stem), tree)
    collection.info["name"] = collection.name
    for label in classes:
        collection.class_id(label)
    by_name: dict[str, list[str]] = {}
    for image in tree.images():
        by_name.setdefault(image.rpartition("/")[2], []).append(image)
    for number, row in enumerate(rows):
        place = f"{where}, image {number}"
        path, split, votes = _row(row, classes, place, votes_per_image)
        # DCIC knows an image by its own name; the folders before it differ from set to set.
        others = by_name.get(path.replace("\\", "/").rpartition("/")[2], [])
        file = tree.find(base, path, place) or (others[0] if len(others) == 1 else None)
        if file is None:
            collection.skip(
                place, f"image {path!r:.200} is {'not' if not others else 'twice'} there"
            )
            continue
        item = collection.item(file, file)
        collection.splits[item] = split
        for label, count in votes.items():
            collection.vote(item, label, count=count)
    if not len(collection):
        raise ValueError(f"{where}: none of its {len(rows)} images is in {tree}.")
    return collection


def _parts(content, where):
    """(classes, images) of the file."""
    content = content if isinstance(content, dict) else {}
    classes, rows = content.get("classes"), content.get("images")
    if not isinstance(rows, list) or not isinstance(classes, list):
        raise ValueError(f"{where}: expected an object with the lists `classes` and `images`.")
    if not all(isinstance(c, str) and c for c in classes) or len(set(classes)) < len(classes):
        raise ValueError(f"{where}: `classes` must be distinct names, found {classes!r:.200}.")
    return classes, rows


def _row(row, classes, place, votes_per_image):
    """(path, split, {class: votes}) of an image; without shares its class is one vote."""
    row = row if isinstance(row, dict) else {}
    path, split, known = row.get("path"), row.get("split"), row.get("gt", -1)
    shares = row.get("soft_gt") or []
    if not isinstance(path, str) or split not in _SPLITS:
        raise ValueError(
            f"{place}: expected a path and a split train, val or test, found {row!r:.200}."
        )
    if not isinstance(known, int) or not -1 <= known < len(classes):
        raise ValueError(f"{place}: gt must be -1 or the number of a class, found {known!r:.80}.")
    if not shares:
        return path, split, {classes[known]: 1} if known >= 0 else {}
    if not isinstance(shares, list) or len(shares) != len(classes):
        raise ValueError(f"{place}: soft_gt must be {len(classes)} numbers, found {shares!r:.200}.")
    counts = [
        whole_votes(str(share), place, label, votes_per_image)
        for label, share in zip(classes, shares)
    ]
    return path, split, {label: count for label, count in zip(classes, counts) if count}
