"""One image file to pixels, whatever its format and colour mode."""

import io
import os
import stat

import numpy as np
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    PcxImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TgaImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)

__all__ = ["IMAGE_SUFFIXES", "MAX_PIXELS", "VERSION", "ImageReadError", "decode", "open_file"]

VERSION = 2  # raised whenever the pixels of some file change: what was stored is computed again

IMAGE_SUFFIXES = frozenset({
    ".avif", ".bmp", ".dib", ".gif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".pbm", ".pcx",
    ".pgm", ".png", ".pnm", ".ppm", ".tga", ".tif", ".tiff", ".webp",
})  # fmt: skip

MAX_PIXELS = 89_478_485  # Pillow's limit, a quarter of a gigabyte of RGB

# Pillow's names, most usual first. It knows more formats, one of which would start Ghostscript on
# PostScript that calls itself .jpg.
FORMATS = (
    JpegImagePlugin.JpegImageFile.format,
    PngImagePlugin.PngImageFile.format,
    WebPImagePlugin.WebPImageFile.format,
    TiffImagePlugin.TiffImageFile.format,
    GifImagePlugin.GifImageFile.format,
    BmpImagePlugin.BmpImageFile.format,
    BmpImagePlugin.DibImageFile.format,
    PpmImagePlugin.PpmImageFile.format,
    Jpeg2KImagePlugin.Jpeg2KImageFile.format,
    AvifImagePlugin.AvifImageFile.format,
    PcxImagePlugin.PcxImageFile.format,
)
# Nothing in such a file says what it is, so that text may pass for one: its suffix has to.
ONLY_BY_SUFFIX = {".tga": (TgaImagePlugin.TgaImageFile.format,)}

READ_AT_ONCE = 1 << 26  # bytes of a file: of a larger one, parts are read as they are needed
MOST_SCANS = 500  # of a progressive JPEG: with thousands, some kilobytes take minutes to decode

# Not every system has all of these
OPENING = os.O_RDONLY
for _name in ("O_BINARY", "O_CLOEXEC", "O_NOINHERIT", "O_NONBLOCK"):
    OPENING |= getattr(os, _name, 0)

ORIENTATION = 0x0112  # EXIF's tag
UPRIGHT = {  # orientation: what undoes it to pixels (h, w, c)
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: lambda pixels: pixels[::-1].swapaxes(0, 1),
    7: lambda pixels: pixels[::-1, ::-1].swapaxes(0, 1),
    8: lambda pixels: pixels[:, ::-1].swapaxes(0, 1),
}
LYING = range(5, 9)  # orientations that swap height and width


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


def decode(path, *, max_pixels=MAX_PIXELS, resized_to=None):
    """Read one file, upright.

    Parameters
    ----------
    path : str
    max_pixels : int, default=MAX_PIXELS
        The most pixels, height times width, that are decoded: a file of some kilobytes may claim
        to hold gigabytes.
    resized_to : callable, default=None
        Of a height and a width; returns those that the picture is going to be resized to. A JPEG
        that is four, eight or sixteen times as large on both sides, or more, is decoded at a half,
        a quarter or an eighth of its size, which takes less time and memory; so at least twice the
        pixels that are wanted are left on each side, for the filter that resizes to average over.

    Returns
    -------
    ndarray of uint8 of shape (h, w, 1), grey, or (h, w, 3), RGB
        Transparency is dropped, 16 bits keep the upper 8, of several frames the first counts.

    Raises
    ------
    ImageReadError
        If there is no such file, or it is not an image, or damaged, or too large. What is missing
        at its end is noticed; bytes that were changed in the middle of a JPEG may not be.

    Examples
    --------
    >>> import tempfile
    >>> from PIL import Image
    >>> from visionpipe.decoding import decode
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Image.new("RGB", (640, 480)).save(folder + "/blank.jpg")
    ...     whole = decode(folder + "/blank.jpg")
    ...     half = decode(folder + "/blank.jpg", resized_to=lambda height, width: (120, 160))
    >>> whole.shape, half.shape
    ((480, 640, 3), (240, 320, 3))
    """
    if max_pixels > (Image.MAX_IMAGE_PIXELS or max_pixels):
        Image.MAX_IMAGE_PIXELS = max_pixels  # else Pillow would refuse what is allowed here
    descriptor, n_bytes = _open(path)
    try:
        content = _content(descriptor, n_bytes)
        with content, Image.open(content, formats=_formats(path)) as picture:
            return _decode(picture, max_pixels, resized_to)
    except UnidentifiedImageError:
        reason = "its content is not that of an image file, or of a kind that is not read"
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        reason = _too_large("far more", max_pixels)
    except MemoryError:
        reason = "it takes more memory than there is"
    # Pillow's decoders raise nearly anything on damaged data: SyntaxError for PNG, struct.error,
    # IndexError, ...
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
    raise ImageReadError(path, reason)


def open_file(path):
    """Open a file for reading bytes.

    Parameters
    ----------
    path : str

    Returns
    -------
    file object

    Raises
    ------
    ImageReadError
        If there is no such file, or it is a folder, a pipe, which would be waited for, or a device,
        which may never end.
    """
    return os.fdopen(_open(path)[0], "rb")


def _open(path):
    """Descriptor and size of a regular file. Opened so, a pipe is not waited for."""
    try:
        descriptor = os.open(path, OPENING)
    except FileNotFoundError:
        raise ImageReadError(path, "no such file") from None
    except (OSError, ValueError) as error:
        raise ImageReadError(path, getattr(error, "strerror", None) or str(error)) from None
    status = os.fstat(descriptor)
    if stat.S_ISREG(status.st_mode):
        return descriptor, status.st_size
    os.close(descriptor)
    raise ImageReadError(path, "it is no regular file")


def _content(descriptor, n_bytes):
    """What Pillow is to read.

    In memory, since lengths in damaged files would make it ask a file for gigabytes; and by one
    call, since threads that decode wait for the interpreter after each.
    """
    if n_bytes > READ_AT_ONCE:
        return os.fdopen(descriptor, "rb")
    try:
        content = os.read(descriptor, n_bytes)
        while len(content) < n_bytes and (more := os.read(descriptor, n_bytes - len(content))):
            content += more  # a disk of another machine may give less than it was asked for
        return io.BytesIO(content)
    finally:
        os.close(descriptor)


def _formats(path):
    return FORMATS + ONLY_BY_SUFFIX.get(os.path.splitext(path)[1].lower(), ())


def _too_large(pixels, max_pixels):
    return (
        f"it has {pixels} pixels, and the limit is {max_pixels:,}; raise max_pixels if it is what "
        "it claims to be"
    )


def _decode(picture, max_pixels, resized_to):
    """Pixels of a picture of which Pillow has read no more than the header."""
    if picture.width * picture.height > max_pixels:
        raise ValueError(_too_large(f"{picture.width:,} x {picture.height:,}", max_pixels))
    if "progressive" in picture.info:
        _check_scans(picture.fp)
    elif picture.format == "TIFF":
        _check_tiff(picture.tag_v2)
    rows, columns = _decode_smaller(picture, resized_to)
    is_grey = any(tile.args == "LA;16B" for tile in picture.tile)  # comes as RGBA
    picture.load()  # before its orientation: Pillow turns TIFF files itself
    pixels = _to_grey_or_rgb(picture)[:rows, :columns]
    return _upright(pixels[..., :1] if is_grey else pixels, _orientation(picture))


def _check_scans(file):
    """Count the markers of scans, which cannot stand in between compressed data."""
    if isinstance(file, io.BytesIO) and file.getbuffer().nbytes > 12 * MOST_SCANS:
        n_scans = file.getvalue().count(b"\xff\xda")
        if n_scans > MOST_SCANS:
            raise ValueError(f"it has {n_scans:,} scans, and the limit is {MOST_SCANS}")


def _check_tiff(tags):
    """Refuse what Pillow (13.0) reads as other pixels than it is."""
    bits, photometric = max(tags.get(258, (1,))), tags.get(262)
    is_planar, is_compressed = tags.get(284) == 2, tags.get(259, 1) != 1
    if 2 in tags.get(339, ()) and bits == 8:
        raise ValueError("its pixels are signed integers of 8 bits, which are not read")
    if photometric == 0 and bits == 16:
        raise ValueError("it has 16 bits and white is 0, which is not read")
    if is_planar and bits == 16 and not is_compressed:
        raise ValueError("it has 16 bits, one colour after the other, which is not read")


# Pillow rather than OpenCV, on 480 photographs of 300x240 of Caltech-101 and 16 of 3000x2250, with
# 1 thread and 2 on 2 cores of an AMD EPYC, microseconds a file, medians of 7 rounds in turn:
#
#                                        300x240           3000x2250
#   cv2.imdecode                        382    247     30,400    10,500
#   Pillow's header, then cv2.imdecode  427    277     23,600    10,200
#   Pillow                              575    383     40,300    21,000
#   Pillow at 1/2 (300x240) or 1/8      418    276      7,000     3,500
#   cv2.imdecode at 1/2 or 1/8          353    230      5,800     3,100
#
# Both give the same pixels, to the bit (960 files). But of a JPEG that was cut off OpenCV returns a
# half grey picture and no error; of 300 copies of one with some bytes changed it read 10 that
# Pillow refused, and wrote 190 lines on standard error. What it gains on small files is not worth a
# file that lies; on large ones, where the time is, a part of the size gains more, with either.


def _decode_smaller(picture, resized_to):
    """Let Pillow decode a JPEG at a part of its size, if twice what is wanted remains.

    Returns how many rows and columns to keep. What is left over of a side that is no multiple of 8
    comes as one more, whole pixel, and would shift all others: of photographs of 3000x2250 that
    were resized to 64x64, pixels differed from those of a full decode by 1.1 of 255 levels in the
    mean (at most 35), and without it by 0.4 (12); if sides are multiples of 8, by 0.14 (2).
    """
    full = picture.height, picture.width
    if resized_to is None or picture.format not in ("JPEG", "MPO"):
        return full
    turned = -1 if _orientation(picture) in LYING else 1
    wanted = resized_to(*full[::turned])
    for scale in (8, 4, 2):
        part = round(full[0] / scale), round(full[1] / scale)
        enough = all(p >= 2 * w for p, w in zip(part[::turned], wanted, strict=True))
        if enough and resized_to(*part[::turned]) == wanted:  # rounding can change proportions
            picture.draft(None, (full[1] // scale, full[0] // scale))
            return part if picture.size != full[::-1] else full
    return full


def _orientation(picture):
    try:
        return picture.getexif().get(ORIENTATION, 1)
    except Exception:  # what cannot be understood of the metadata says nothing about the pixels
        return 1


def _upright(pixels, orientation):
    return np.ascontiguousarray(UPRIGHT.get(orientation, np.asarray)(pixels))


def _to_grey_or_rgb(picture):
    """Pixels of a Pillow image of any mode. Transparency is dropped, 16 bits keep the upper 8."""
    mode = picture.mode
    if mode in ("L", "RGB"):
        pixels = np.asarray(picture)
    elif mode.startswith(
        "I"
    ):  # 16-bit grey ("I;16", "I;16B"), or such values held in 32 bits ("I")
        pixels = np.asarray(picture)
        if not (pixels.min() >= 0 and pixels.max() <= 65_535):
            raise ValueError("its integer pixels do not lie in 0..65535")
        pixels = pixels.astype(np.int64) >> 8
    elif mode == "F":
        pixels = np.asarray(picture)
        if not (pixels.min() >= 0 and pixels.max() <= 1):  # also False for NaN
            raise ValueError("its floating-point pixels do not lie in 0..1")
        pixels = np.rint(255 * pixels)
    elif mode in ("1", "LA", "La") or (mode == "P" and _palette_is_grey(picture)):
        pixels = np.asarray(picture.convert("L"))
    else:
        if "transparency" in picture.info:  # Pillow warns unless a palette goes this way
            picture = picture.convert("RGBA")
        pixels = np.asarray(picture.convert("RGB"))
    return pixels.astype(np.uint8, copy=False).reshape(*pixels.shape[:2], -1)  # (h, w, 1 or 3)


def _palette_is_grey(picture):
    colours = np.asarray(picture.getpalette("RGB"), dtype=np.uint8).reshape(-1, 3)
    return bool((colours == colours[:, :1]).all())
