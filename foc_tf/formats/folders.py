"""Class folders, nested or not, with or without train/ val/ test/ unlabeled/; or images alone."""

from foc_tf.formats.collection import Collection
from foc_tf.formats.tree import Tree, folder_of

SPLITS = ("train", "val", "test")
UNLABELED = ("unlabeled", "unlabelled")


def read(tree: Tree, folder_class: str = "first") -> Collection:
    """Reads images whose folder is their class, one vote each.

    Args:
      tree: `tree.Tree`; `train/<class>/**`, `val/`, `test/` alike, `unlabeled/**`; or `<class>/**`;
        images at the top or in unlabeled/ have no vote.
      folder_class: which folder is the class of nested ones: "first", "last", or "path" (all of
        them, "a/b").

    Returns:
      `collection.Collection`.

    Raises:
      ValueError: if there is no image, or `folder_class` is none of the three.
    """
    choose = {"first": lambda p: p[0], "last": lambda p: p[-1], "path": "/".join}
    if folder_class not in choose:
        raise ValueError(
            f"folder_class: expected first, last or path, found {folder_class!r:.200}."
        )
    collection = Collection(tree.path.stem, tree)
    names = tree.images()
    tops = {name.partition("/")[0] for name in names if "/" in name}
    has_splits = "train" in tops
    for name in names:
        item = collection.item(name, name)
        folders = folder_of(name).split("/") if "/" in name else []
        if not folders or folders[0] in UNLABELED:
            continue
        if has_splits and folders[0] in SPLITS:
            collection.splits[item] = folders[0]
            folders = folders[1:]
        if folders:
            collection.vote(item, choose[folder_class](folders))
    if not names:
        raise ValueError(f"source: {tree} holds no image (.png, .jpg, .gif, .bmp, .tif, .webp).")
    return collection
