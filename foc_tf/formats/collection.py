"""What every reader returns: images, who said what about them, and what was left out."""

import array
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from foc_tf.formats.listing import Listing
    from foc_tf.formats.tree import Tree

MAX_CLASSES = 10_000


class Collection:
    """Items (an image of an object) and the votes on them, in index arrays.

    Attributes:
      name: of the data.
      tree: `tree.Tree` that holds the images.
      keys: names of the items as the source has them, unique.
      files: for each item, the name of its image in the tree.
      objects: for each item, the id of its object in the source's program, "" if it has none.
      splits: {item: "train", "val" or "test"} where the source says so.
      sources: {item: name of its image before it was prepared}, where that is known.
      originals: {item: class} truth from outside the votes.
      classes: names of the classes, in the order of first appearance or as declared.
      skipped: list of (where, reason) for what was left out.
      notes: sentences about how the source was read.
      info: entries of dataset.json that the source knows (licence, certain_threshold ...).
    """

    def __init__(self, name: str, tree: "Tree | Listing") -> None:
        """See the class."""
        self.name, self.tree = name, tree
        self.keys: list[str] = []
        self.files: list[str] = []
        self.objects: list[str] = []
        self.splits: dict[int, str] = {}
        self.originals: dict[int, str] = {}
        self.info: dict[str, Any] = {}
        self.sources: dict[int, str] = {}
        self.classes: list[str] = []
        self.skipped: list[tuple[object, str]] = []
        self.notes: list[str] = []
        self._items: dict[str | None, int] = {}
        self._class_ids: dict[str, int] = {}
        self._annotators = {"": -1}
        self._item, self._class, self._annotator, self._count = (array.array("q") for _ in range(4))

    def __len__(self):
        """Number of items."""
        return len(self.keys)

    def skip(self, where: object, reason: str) -> None:
        """Notes something that is left out."""
        self.skipped.append((where, reason))

    def find(self, key: str | None) -> int | None:
        """Index of an item, None if there is none of that name."""
        return self._items.get(key)

    def source(self, item: int) -> str:
        """Name of an item's image as its first source has it."""
        return self.sources.get(int(item)) or self.files[item]

    def item(self, key: str, file: str, object_id: str = "") -> int:
        """Index of an item, which is added if it is new."""
        index = self._items.setdefault(key, len(self.keys))
        if index == len(self.keys):
            self.keys.append(key)
            self.files.append(file)
            self.objects.append(object_id)
        return index

    def class_id(self, name: str) -> int:
        """Id of a class, which is added if it is new; a line break in a name becomes a blank."""
        name = " ".join(name.splitlines()) or name
        index = self._class_ids.setdefault(name, len(self.classes))
        if index == len(self.classes):
            if index >= MAX_CLASSES:
                raise ValueError(
                    f"{self.name}: more than {MAX_CLASSES:,} classes, the next is {name!r:.99}. Is "
                    "this column really the class? Merge rare classes with --merge."
                )
            self.classes.append(name)
        return index

    def order_classes(self, names: Sequence[str]) -> None:
        """Gives the classes another order; `names` has all of them and maybe more."""
        place = {name: index for index, name in enumerate(names)}
        new = [place[name] for name in self.classes]
        self._class = array.array("q", (new[index] for index in self._class))
        self.classes, self._class_ids = list(names), place

    def vote(self, item: int, name: str, annotator: str = "", count: int = 1) -> None:
        """Counts `count` votes of an annotator ("" = not named) for a class."""
        self._item.append(item)
        self._class.append(self.class_id(name))
        self._annotator.append(self._annotators.setdefault(annotator, len(self._annotators) - 1))
        self._count.append(count)

    def votes(self) -> dict[str, np.ndarray]:
        """Dict of [M] int64 arrays "item", "class", "annotator" (-1 not named) and "count"."""
        names = ("item", "class", "annotator", "count")
        values = (self._item, self._class, self._annotator, self._count)
        return {key: np.array(value, np.int64) for key, value in zip(names, values)}

    def annotators(self) -> int:
        """Number of annotators that have a name."""
        return len(self._annotators) - 1
