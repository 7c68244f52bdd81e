"""Whether an image can be trained on; what TensorFlow cannot decode becomes PNG."""

import io
import warnings

import numpy as np
from PIL import Image, ImageOps

# Parsers of what microscopes and cameras write; Pillow knows dozens more, each a risk.
_FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP")
_EXTENSIONS = {"PNG": ".png", "JPEG": ".jpg"}
MAX_PIXELS = 100_000_000
_ORIENTATION = 0x0112


def usable(content: bytes, max_pixels: int = MAX_PIXELS) -> tuple[bytes, str, str]:
    """An image's bytes as TensorFlow can decode them.

    PNG and JPEG of 8 bit grey, colour or palette pass byte for byte. All else is decoded and
    written as PNG: other formats, 16 bit (to 8 by v / 257), CMYK, transparency (on white), images
    that EXIF rotates; of animations the first frame.

    Args:
      content: bytes of the file.
      max_pixels: width times height that is decoded at most.

    Returns:
      (bytes, extension, "" or what was changed).

    Raises:
      ValueError: with the reason if it is not an image, damaged or too large.
    """
    if not content:
        raise ValueError("the file is empty")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(content), formats=_FORMATS) as image:
                if image.width * image.height > max_pixels:
                    raise ValueError(
                        f"{image.width} x {image.height} pixels, the limit is "
                        f"{max_pixels / 1e6:g} megapixels (--max_image_megapixels)"
                    )
                image.load()
                changes = _changes(image)
                if not changes:
                    return content, _EXTENSIONS[str(image.format)], ""
                return _as_png(image), ".png", changes
    except Image.DecompressionBombError:
        raise ValueError("too many pixels, it looks like a decompression bomb") from None
    except ValueError:
        raise
    except Image.UnidentifiedImageError:
        raise ValueError("not a PNG, JPEG, GIF, BMP, TIFF or WEBP image") from None
    # Pillow's parsers raise whatever damaged bytes lead them to.
    except Exception as error:
        raise ValueError(f"damaged ({type(error).__name__}: {error})"[:200]) from None


def _changes(image):
    """What must change before TensorFlow can decode the image, "" if nothing."""
    found = []
    if image.format not in _EXTENSIONS:
        found.append(f"{image.format} to PNG")
    if getattr(image, "n_frames", 1) > 1:
        found.append("first frame")
    if image.getexif().get(_ORIENTATION, 1) != 1:
        found.append("rotated as its EXIF says")
    if image.has_transparency_data:
        found.append("transparency on white")
    elif image.mode not in ("1", "L", "P", "RGB"):
        found.append(f"{image.mode} to 8 bit")
    return ", ".join(found)


def _as_png(image):
    image = ImageOps.exif_transpose(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image).convert("RGB")
    elif image.mode == "F":
        raise ValueError("floating point pixels, whose range is not known; convert it to 8 bit")
    elif image.mode.startswith("I"):
        image = Image.fromarray(_eight_bit(np.asarray(image)))
    elif image.mode not in ("1", "L"):
        image = image.convert("RGB")
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def _eight_bit(values):
    """uint8 of 16-bit values; those of at most 8 bit stay as they are."""
    values = np.asarray(values, np.int64)
    if values.min() < 0 or values.max() > 65535:
        raise ValueError("more than 16 bit a pixel; convert it to 8 bit")
    if values.max() > 255:
        values = (values + 128) // 257
    return values.astype(np.uint8)
