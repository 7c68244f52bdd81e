"""Augmentation in batched TensorFlow: one resampling for all geometry, one matrix for all colour.

Every recipe maps ([N, H, W, C] uint8 or float32 in 0..255, seed [2] int, output side in pixels) to
[N, side, side, C] float32 in 0..255, C 1 or 3. Draws are per image and a pure function of the seed.
Images whose channels are equal stay so. A new recipe is one entry in `AUGMENTATIONS`.
"""

import dataclasses
import math
from collections.abc import Callable

import tensorflow as tf

from foc_tf.augment.colour import recoloured
from foc_tf.augment.draws import uniform_draws
from foc_tf.augment.geometry import affine_or_crop, checked, cut_out
from foc_tf.augment.rand_augment import RandAugment

# One random stream each. Append only: a new name in between would change all recipes' draws.
_STREAMS = (
    *("flip", "crop_x", "crop_y", "shift_x", "shift_y", "rotate", "shear"),
    *("hue", "saturation", "brightness", "gamma", "cutout", "cutout_x", "cutout_y"),
)


@dataclasses.dataclass(frozen=True)
class Recipe:
    """A random crop at whole pixels, then what the attributes ask for; call it with a batch.

    Order: crop, shift, flip, rotation and shear in one bilinear resampling with zero fill (none at
    all without shift, rotation and shear: exact pixels); hue, saturation and brightness in one
    matrix; clip; gamma; cutout.

    Call arguments:
      images: [N, H, W, C] uint8 or float32 in 0..255, C 1 or 3; N may be unknown.
      seed: [2] int; the same seed gives the same result.
      size: side of the result in pixels.
      first: place of the first image in its batch: a part of a batch gets the batch's draws.

    Returns:
      [N, size, size, C] float32 in 0..255.

    Raises:
      ValueError: if the images are not of rank 4 with 1 or 3 channels, or smaller than `size`.

    Attributes:
      flip: probability of a horizontal flip.
      shift: furthest further shift in each direction, share of `size`.
      rotate: greatest angle in degrees, about the centre of the crop.
      shear: greatest angle in degrees, about the centre of the crop.
      hue: greatest rotation of the colour circle (YIQ's chroma plane) in radians.
      saturation: (low, high) factor of the distance from the luma; None = unchanged.
      brightness: (low, high) factor; None = unchanged.
      gamma: (low, high) exponent of the values on 0..1; None = unchanged.
      cutout: (low, high) side of one black square inside the image, share of `size`; None = no
        square.
    """

    flip: float = 0.5
    shift: float = 0.0
    rotate: float = 0.0
    shear: float = 0.0
    hue: float = 0.0
    saturation: tuple[float, float] | None = None
    brightness: tuple[float, float] | None = None
    gamma: tuple[float, float] | None = None
    cutout: tuple[float, float] | None = None

    @tf.autograph.experimental.do_not_convert
    def __call__(
        self, images: tf.Tensor, seed: tf.Tensor, size: int, first: tf.Tensor | int = 0
    ) -> tf.Tensor:
        images = checked(images, size)
        draws = _draws(seed, tf.shape(images)[0], first)
        result = affine_or_crop(self, draws, images, size)
        result = recoloured(self, draws, result)
        if self.cutout:
            result = cut_out(self, draws, result, size)
        return result


@tf.autograph.experimental.do_not_convert
def center_crop(
    images: tf.Tensor, seed: tf.Tensor, size: int, first: tf.Tensor | int = 0
) -> tf.Tensor:
    """The centre of each image, exact pixels; x3 and evaluation.

    Args:
      images: [N, H, W, C] uint8 or float32 in 0..255, C 1 or 3.
      seed: not used; here so that all recipes are called alike.
      size: side of the result in pixels.
      first: not used.

    Returns:
      [N, size, size, C] float32 in 0..255; an odd margin leaves its extra pixel right and below.

    Raises:
      ValueError: as for `Recipe`.
    """
    del seed, first
    images = checked(images, size)
    top, left = ((tf.shape(images)[axis] - size) // 2 for axis in (1, 2))
    crop = tf.cast(images[:, top : top + size, left : left + size], tf.float32)
    return tf.ensure_shape(crop, [None, size, size, images.shape[-1]])


def _draws(seed, count, first):
    return uniform_draws(_STREAMS, seed, count, first)


AUGMENTATIONS: dict[str, Callable] = {
    # The authors' x1 (settings of their code). Their hue factor [.875, 1.125] is read as a rotation
    # of an eighth of half the circle.
    "affine_cutout": Recipe(
        hue=0.125 * math.pi,
        saturation=(0.6, 1.4),
        brightness=(0.6, 1.4),
        gamma=(0.6, 1.4),
        cutout=(0.2, 0.7),
        rotate=20.0,
        shear=10.0,
    ),
    # The authors' x2, after IIC: hue +-30 and saturation +-100 of 255.
    "iic": Recipe(
        hue=30 / 255 * 2 * math.pi,
        saturation=(1 - 100 / 255, 1 + 100 / 255),
        gamma=(0.6, 1.4),
    ),
    # IIC's first view (Ji et al. 2019): where the crop lies, nothing else.
    "crop": Recipe(flip=0.0),
    # Where the crop lies, mirrored or not.
    "crop_flip": Recipe(),
    # IIC's second view: flip, affine, colour jitter (.4, .4, .4, .125) and cutout, its settings for
    # fine-tuning; its coin flips (affine and cutout in half of the images) are left out.
    "iic_transformed": Recipe(
        rotate=18.0,
        shear=10.0,
        shift=0.1,
        hue=0.125 * 2 * math.pi,
        saturation=(0.6, 1.4),
        brightness=(0.6, 1.4),
        cutout=(0.0, 0.7),
    ),
    # The authors' x3, and evaluation.
    "center_crop": center_crop,
    # Little more than where the object lies in the image.
    "weak": Recipe(saturation=(0.8, 1.2), brightness=(0.8, 1.2)),
    # Written characters: no mirror images.
    "digit": Recipe(flip=0.0, shift=0.08, rotate=10.0, shear=5.0, brightness=(0.8, 1.2)),
    # The strong view of FixMatch and of what came after it.
    "strong": RandAugment(),
}
