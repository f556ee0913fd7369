"""What a case is, and the pixels that files are made of."""

from typing import NamedTuple

import numpy as np
from PIL import Image

NO_IMAGE = "content is not that of an image"
CUT = r"(?i)truncated|not that of an image|cannot load|EOF|decoder|broken|damaged"
LIMIT = r"limit is 89,478,485"


class Case(NamedTuple):
    name: str  # of the file below the folder; what stands before the slash is its class
    content: object  # bytes, or a function that makes the file at a path
    outcome: str  # "pixels", "refused" or "ignored"
    expected: object = None  # pixels (h, w, 1 or 3), or a regular expression for the reason
    within: float = 0  # mean absolute difference from those pixels


def gives(name, content, pixels, within=0):
    return Case(name, content, "pixels", pixels.reshape(*pixels.shape[:2], -1), within)


def refused(name, content, reason):
    return Case(name, content, "refused", reason)


def ignored(name, content=b""):
    return Case(name, content, "ignored")


def smooth(height=17, width=23):
    """RGB pixels that JPEG hardly changes, and that no turn or mirror leaves alone."""
    y, x = np.mgrid[:height, :width] / [[[height]], [[width]]]
    return np.stack([255 * x, 255 * y, 200 - 120 * x * y], axis=-1).astype(np.uint8)


RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (17, 23, 3), dtype=np.uint8)
GREY, ALPHA = RGB[..., 0], RGB[..., 1]
DEEP = RNG.integers(0, 65_536, (17, 23, 3), dtype=np.uint16)  # 16 bits
UPPER = (DEEP >> 8).astype(np.uint8)
ONE_BIT = RGB[..., 2] > 127
BLACK_WHITE = np.where(ONE_BIT, np.uint8(255), np.uint8(0))
CMYK = np.dstack([smooth(), smooth()[::-1, ::-1, 2] // 2])
LIGHT_LEFT = 255 - CMYK[..., 3:].astype(int)  # by black
CMYK_AS_RGB = (LIGHT_LEFT - (LIGHT_LEFT * CMYK[..., :3] + 127) // 255).astype(np.uint8)
PALETTE = RNG.integers(0, 256, (16, 3), dtype=np.uint8)
INDEXES = RNG.integers(0, 16, (17, 23), dtype=np.uint8)

UPRIGHT = {  # EXIF orientation: what the viewer has to do
    1: lambda a: a,
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: lambda a: np.rot90(np.flipud(a), -1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(np.flipud(a), 1),
    8: lambda a: np.rot90(a, 1),
}


def cmyk_picture():
    return Image.frombytes("CMYK", (23, 17), CMYK.tobytes())


def indexed():
    picture = Image.fromarray(INDEXES)
    picture.putpalette(PALETTE.tobytes())
    return picture
