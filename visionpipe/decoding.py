"""One image file to pixels, whatever its format and colour mode."""

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

__all__ = ["IMAGE_SUFFIXES", "VERSION", "ImageReadError", "decode"]

VERSION = 1  # raised whenever the pixels of some file change: what was stored is computed again

IMAGE_SUFFIXES = frozenset({
    ".avif", ".bmp", ".dib", ".gif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".pbm", ".pcx",
    ".pgm", ".png", ".pnm", ".ppm", ".tga", ".tif", ".tiff", ".webp",
})  # fmt: skip


class ImageReadError(ValueError):
    """A file that cannot be read as an image.

    Attributes
    ----------
    path : str
    reason : str
    """

    def __init__(self, path, reason):
        super().__init__(path, reason)  # both, so that the error survives pickling
        self.path, self.reason = path, reason

    def __str__(self):
        return f"cannot read {self.path}: {self.reason}"


def decode(path):
    """Read one file, upright.

    Pillow rather than OpenCV: of a JPEG that was cut off, OpenCV returns a half grey picture and no
    error, Pillow refuses. Both let other threads run while they decode.

    Parameters
    ----------
    path : str

    Returns
    -------
    ndarray of uint8 of shape (h, w, 1), grey, or (h, w, 3), RGB
        Transparency is dropped, 16 bits keep the upper 8, of several frames the first counts.

    Raises
    ------
    ImageReadError
        If there is no such file, or it is not an image, or damaged.
    """
    try:
        with Image.open(path) as file:
            return _to_grey_or_rgb(ImageOps.exif_transpose(file))
    except FileNotFoundError:
        raise ImageReadError(path, "no such file") from None
    except UnidentifiedImageError:
        raise ImageReadError(path, "its content is not that of an image file") from None
    # Pillow's decoders raise nearly anything on damaged data: SyntaxError for PNG, struct.error,
    # IndexError, DecompressionBombError, ...
    except Exception as error:
        raise ImageReadError(path, str(error) or type(error).__name__) from error


def _to_grey_or_rgb(picture):
    """Pixels of a Pillow image of any mode. Transparency is dropped, 16 bits keep the upper 8."""
    mode = picture.mode
    if mode.startswith("I"):  # 16-bit grey ("I;16", "I;16B"), or such values held in 32 bits ("I")
        pixels = np.clip(np.asarray(picture).astype(np.int64), 0, 65_535) >> 8
    elif mode == "F":
        pixels = np.asarray(picture)
        if not (pixels.min() >= 0 and pixels.max() <= 1):  # also False for NaN
            raise ValueError("its floating-point pixels do not lie in 0..1")
        pixels = np.rint(255 * pixels)
    elif mode in ("1", "L", "LA", "La") or (mode == "P" and _palette_is_grey(picture)):
        pixels = np.asarray(picture.convert("L"))
    else:
        if "transparency" in picture.info:  # Pillow warns unless a palette goes this way
            picture = picture.convert("RGBA")
        pixels = np.asarray(picture.convert("RGB"))
    return pixels.astype(np.uint8, copy=False).reshape(*pixels.shape[:2], -1)  # (h, w, 1 or 3)


def _palette_is_grey(picture):
    colours = np.asarray(picture.getpalette("RGB"), dtype=np.uint8).reshape(-1, 3)
    return bool((colours == colours[:, :1]).all())
