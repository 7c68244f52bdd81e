"""RandAugment (Cubuk et al. 2020) as FixMatch uses it (Sohn et al. 2020), over a whole batch."""

import dataclasses
import math
from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from foc_tf.augment import operations as values
from foc_tf.augment.draws import uniform_draws
from foc_tf.augment.geometry import checked, crop_and_flip, cut_out
from foc_tf.keras_compat import affine_transform, compose_transforms

# FixMatch's operations and ranges of strength (its table 12); None: there is only one strength.
# A new one changes all draws.
OPERATIONS = {
    "identity": None,
    "autocontrast": None,
    "equalize": None,
    # Bits; cut to whole ones, so 8, which changes nothing, is never drawn.
    "posterize": (4.0, 8.0),
    # Value from which on values are inverted.
    "solarize": (0.0, 256.0),
    # Share of the image; the rest is black, its luma, its mean luma, the smoothed image.
    "brightness": (0.05, 0.95),
    "colour": (0.05, 0.95),
    "contrast": (0.05, 0.95),
    "sharpness": (0.05, 0.95),
    # Degrees; tangents of the slant; shares of the side.
    "rotate": (-30.0, 30.0),
    "shear_x": (-0.3, 0.3),
    "shear_y": (-0.3, 0.3),
    "translate_x": (-0.3, 0.3),
    "translate_y": (-0.3, 0.3),
}
_GEOMETRIC = ("rotate", "shear_x", "shear_y", "translate_x", "translate_y")
# Strength where an operation was not chosen; 0 where none is named here.
_UNCHANGED = {"brightness": 1.0, "colour": 1.0, "contrast": 1.0}
_GREY = 127.5
_STREAMS = ("choice", "strength", "flip", "crop_x", "crop_y", "cutout", "cutout_x", "cutout_y")


@dataclasses.dataclass(frozen=True)
class RandAugment:
    """Random crop and flip, some random operations of random strength, a grey square.

    Call it as `Recipe` is called. Each image gets `number` distinct operations, each always
    applied. Three of them as in USB's code for FixMatch (Wang et al. 2022), whose settings the
    semi-supervised methods here follow; FixMatch's own code draws two and applies each with
    probability .5.

    Order: crop and flip, exact pixels; equalize, posterize, solarize; autocontrast, brightness,
    colour and contrast in one matrix; sharpness; rotation, shears and translations in one bilinear
    resampling; cutout. Values come before places so that histogram, extremes and mean are those of
    the image alone. What comes from outside the crop is grey (127.5), as the square is and as in
    the TensorFlow code of RandAugment; in USB's it is black.

    Differs from Cubuk et al.: distinct operations in a fixed order, not repeated ones in random
    order; a random strength per image and operation, not one for all (as FixMatch); shears about
    the centre of the crop, not its corner; values are rounded only where an operation needs it.

    Differs from USB: the crop is of the image, which is not padded, and the square lies inside.

    Attributes:
      number: operations per image.
      cutout: (low, high) side of one grey square inside the image, share of `size`; None = no
        square.
      operations: {name: (low, high) strength}, those to choose from; see `OPERATIONS`.
      flip: probability of a horizontal flip.

    Raises:
      ValueError: if an operation is unknown, or there are fewer than `number`.
    """

    number: int = 3
    cutout: tuple[float, float] | None = (0.0, 0.5)
    # Without a hash, tf.function takes no recipe as an argument; a dict has none.
    operations: Mapping = dataclasses.field(default_factory=lambda: OPERATIONS, hash=False)
    flip: float = 0.5

    def __post_init__(self):
        unknown = sorted(set(self.operations) - set(OPERATIONS))
        if unknown:
            known = ", ".join(OPERATIONS)
            raise ValueError(f"operations: expected some of {known}; found {', '.join(unknown)}.")
        if not 0 < self.number <= len(self.operations):
            raise ValueError(
                f"number: expected 1 to {len(self.operations)}, as there are operations to choose "
                f"from, found {self.number}."
            )

    @tf.autograph.experimental.do_not_convert
    def __call__(
        self, images: tf.Tensor, seed: tf.Tensor, size: int, first: tf.Tensor | int = 0
    ) -> tf.Tensor:
        images = checked(images, size)
        draws = uniform_draws(_STREAMS, seed, tf.shape(images)[0], first)
        chosen = _chosen(self, draws)
        strength = _by_name(_strengths(self, draws, chosen))
        chosen = _by_name(chosen)
        result = crop_and_flip(self, draws, images, size)
        result = tf.ensure_shape(result, [None, size, size, images.shape[-1]])
        # Counted from grey on, zero outside the image and in the square is grey.
        result = _revalued(chosen, strength, result) - _GREY
        result = _moved(chosen, strength, result, size)
        if self.cutout:
            result = cut_out(self, draws, result, size)
        return tf.clip_by_value(result + _GREY, 0.0, 255.0)


def _chosen(recipe, draws):
    """[N, operations] bool, a column for each of `OPERATIONS`: `number` true in each row."""
    offered = tf.constant([name in recipe.operations for name in OPERATIONS])
    ranks = tf.where(offered, draws("choice", columns=len(OPERATIONS)), -1.0)
    best = tf.math.top_k(ranks, recipe.number).indices
    hot = tf.one_hot(best, len(OPERATIONS), on_value=True, off_value=False)
    return tf.reduce_any(hot, axis=1)


def _strengths(recipe, draws, chosen):
    """[N, operations] float32; of what was not chosen, the strength that changes nothing."""
    bounds = [recipe.operations.get(name) or (0.0, 0.0) for name in OPERATIONS]
    low, high = np.array(bounds, np.float32).T
    drawn = draws("strength", low, high, columns=len(OPERATIONS))
    return tf.where(chosen, drawn, [_UNCHANGED.get(name, 0.0) for name in OPERATIONS])


def _by_name(table):
    """{name: [N] column} of a table [N, operations]."""
    return dict(zip(OPERATIONS, tf.unstack(table, axis=1)))


def _revalued(chosen, strength, images):
    """[N, H, W, C] float32: the operations on values, in their order."""
    # What jumps comes first, on exact pixels: no rounding error decides on which side.
    images = _on_rows(chosen["equalize"], values.equalized, images)
    images = _on_rows(chosen["posterize"], values.posterized, images, strength["posterize"])
    images = _on_rows(chosen["solarize"], values.solarized, images, strength["solarize"])
    shares = (strength[name] for name in ("brightness", "colour", "contrast"))
    images = values.blended(images, chosen["autocontrast"], *shares)
    return _on_rows(chosen["sharpness"], values.sharpened, images, strength["sharpness"])


def _moved(chosen, strength, images, size):
    """[N, size, size, C] float32: the geometric operations in one resampling, zero outside."""
    moved = tf.reduce_any(tf.stack([chosen[name] for name in _GEOMETRIC]), axis=0)
    maps = _maps(strength, (size - 1) / 2.0, size)
    return _on_rows(moved, lambda part, maps: affine_transform(part, maps, size), images, maps)


def _maps(strength, centre, size):
    """[N, 8] maps from output to input pixels: shears and rotation about the centre, then moves."""
    angle = strength["rotate"] * math.pi / 180.0
    cos, sin, one, zero = tf.cos(angle), tf.sin(angle), tf.ones_like(angle), tf.zeros_like(angle)
    x, y = (centre + size * strength[name] for name in ("translate_x", "translate_y"))
    back = -centre * one
    steps = [
        [one, zero, x, zero, one, y],
        [cos, -sin, zero, sin, cos, zero],
        [one, strength["shear_x"], zero, zero, one, zero],
        [one, zero, zero, strength["shear_y"], one, zero],
        [one, zero, back, zero, one, back],
    ]
    return compose_transforms([tf.stack([*step, zero, zero], axis=1) for step in steps])


def _on_rows(chosen, operation, images, *strengths):
    """The images, those chosen ([N] bool) after operation(images, *strengths)."""
    # Most operations have a fifth of the images: a mask over all costs several times as much.
    rows = tf.where(chosen)
    part = [tf.gather(each, rows[:, 0]) for each in (images, *strengths)]
    return tf.tensor_scatter_nd_update(images, rows, operation(*part))
