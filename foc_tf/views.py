"""What a method asks of the data: named views of every row of a batch."""

import dataclasses
from collections.abc import Sequence
from typing import Any


@dataclasses.dataclass(frozen=True)
class View:
    """One augmented image for each row of a batch.

    Attributes:
      name: key in the batch dict.
      partner: which image the view shows: "self" the row's own, "same_class" another labelled image
        of the row's class (unlabelled rows: their own), "other_class" a labelled image of another
        class (unlabelled rows: their own; they take no part in that loss), "neighbor" one of the
        row's nearest neighbours in the features of when the stage began.
      augmentation: a name of `augment.AUGMENTATIONS`.
      each_draw: one image for each drawn image, shared by its repetitions, not one for each row.
    """

    name: str
    partner: str
    augmentation: str
    each_draw: bool = False


def stage_views(views: tuple, stage: Any) -> tuple:
    """The views that a `stages.Stage` shows."""
    if stage.views:
        views = tuple(view for view in views if view.name in stage.views)
    if stage.use_labels:
        return views
    if stage.class_partners:
        return tuple(view for view in views if view.partner != "other_class")
    return without_labels(views)


def without_labels(views: Sequence[View]) -> tuple:
    """The views of a stage that uses no labels: no image that is known by its class."""
    alone = {"same_class": "self"}
    return tuple(
        dataclasses.replace(view, partner=alone.get(view.partner, view.partner))
        for view in views
        if view.partner != "other_class"
    )
