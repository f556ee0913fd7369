"""Files of all other formats."""

import struct

import numpy as np
from PIL import Image, features

from odd_files.case import (
    ALPHA,
    BLACK_WHITE,
    CUT,
    DEEP,
    GREY,
    INDEXES,
    LIMIT,
    NO_IMAGE,
    ONE_BIT,
    PALETTE,
    RGB,
    UPPER,
    UPRIGHT,
    gives,
    indexed,
    refused,
    smooth,
)
from odd_files.encoders import exif, on_canvas, saved


def gifs():
    gif = saved(GREY, "GIF")
    yield gives("gif/grey.gif", gif, GREY)
    palette = saved(indexed(), "GIF")
    yield gives("gif/palette.gif", palette, PALETTE[INDEXES])
    yield gives("gif/one clear.gif", saved(indexed(), "GIF", transparency=3), PALETTE[INDEXES])
    yield gives("gif/interlaced.gif", saved(GREY, "GIF", interlace=1), GREY)
    moving = saved(GREY, "GIF", save_all=True, append_images=[Image.fromarray(255 - GREY)])
    yield gives("gif/animated.gif", moving, GREY)
    wide = np.zeros((20, 30), np.uint8)  # what is not covered has the background's colour, 0
    wide[:17, :23] = GREY
    yield gives("gif/frame smaller than the canvas.gif", on_canvas(gif, 30, 20), wide)
    yield gives("gif/frame larger than the canvas.gif", on_canvas(gif, 10, 5), GREY)
    yield refused("gif/huge.gif", on_canvas(gif, 65_535, 65_535), LIMIT)
    frame = gif.index(b"," + bytes(4)) + 5
    wide = gif[:frame] + struct.pack("<HH", 65_535, 65_535) + gif[frame + 4 :]
    yield refused("gif/huge frame.gif", wide, LIMIT)
    for i, cut in enumerate((3, 8, len(gif) // 2, len(gif) - 5)):
        yield refused(f"gif/cut {i}.gif", gif[:cut], CUT)


def webps():
    lossless = saved(RGB, "WEBP", lossless=True)
    yield gives("webp/lossless.webp", lossless, RGB)
    yield gives("webp/lossy.webp", saved(smooth(), "WEBP", quality=95), smooth(), 3)
    rgba = np.dstack([RGB, ALPHA])
    yield gives("webp/rgba.webp", saved(rgba, "WEBP", lossless=True, exact=True), RGB)
    second = [Image.fromarray(255 - RGB)]
    moving = saved(RGB, "WEBP", save_all=True, append_images=second, lossless=True)
    yield gives("webp/animated.webp", moving, RGB)
    turned = saved(RGB, "WEBP", lossless=True, exif=exif(6))
    yield gives("webp/orientation 6.webp", turned, UPRIGHT[6](RGB))
    broken = saved(RGB, "WEBP", lossless=True, exif=exif(6)[:-9])
    yield gives("webp/exif broken.webp", broken, RGB)
    for i, cut in enumerate((10, 30, len(lossless) // 2, len(lossless) - 1)):
        yield refused(f"webp/cut {i}.webp", lossless[:cut], CUT)


def bmps():
    bmp = saved(RGB, "BMP")
    yield gives("bmp/rgb.bmp", bmp, RGB)
    yield gives("bmp/without file header.dib", saved(RGB, "DIB"), RGB)
    yield gives("bmp/palette.bmp", saved(indexed(), "BMP"), PALETTE[INDEXES])
    yield gives("bmp/grey.bmp", saved(GREY, "BMP"), GREY)
    yield gives("bmp/one bit.bmp", saved(ONE_BIT, "BMP"), BLACK_WHITE)
    yield gives("bmp/rgba.bmp", saved(np.dstack([RGB, ALPHA]), "BMP"), RGB)
    for i, cut in enumerate((3, 18, len(bmp) // 2, len(bmp) - 9)):
        yield refused(f"bmp/cut {i}.bmp", bmp[:cut], CUT)
    huge = bmp[:18] + struct.pack("<ii", 60_000, 60_000) + bmp[26:]
    yield refused("bmp/huge.bmp", huge, LIMIT)
    large = bmp[:18] + struct.pack("<ii", 9000, 9000) + bmp[26:]
    yield refused("bmp/large, nothing in it.bmp", large, CUT)


def netpbms():
    header = b" # made by hand\n23 17\n"
    yield gives("netpbm/rgb.ppm", b"P6" + header + b"255\n" + RGB.tobytes(), RGB)
    yield gives("netpbm/grey.pgm", b"P5" + header + b"255\n" + GREY.tobytes(), GREY)
    bits = np.packbits(~ONE_BIT, axis=1).tobytes()  # 1 is black
    yield gives("netpbm/one bit.pbm", b"P4" + header + bits, BLACK_WHITE)
    words = " ".join(map(str, RGB.ravel())).encode()
    yield gives("netpbm/in words.pnm", b"P3" + header + b"255\n" + words, RGB)
    digits = " ".join(map(str, 1 - ONE_BIT.ravel())).encode()
    yield gives("netpbm/one bit in words.pbm", b"P1" + header + digits, BLACK_WHITE)
    deep = b"P5" + header + b"65535\n" + DEEP[..., 0].astype(">u2").tobytes()
    yield gives("netpbm/deep.pgm", deep, UPPER[..., 0])
    few = GREY % 101
    stretched = np.rint(few / 100 * 255).astype(np.uint8)
    yield gives("netpbm/at most 100.pgm", b"P5" + header + b"100\n" + few.tobytes(), stretched, 0.5)
    whole = b"P6 23 17 255\n" + RGB.tobytes()
    for i, cut in enumerate((3, 9, len(whole) // 2, len(whole) - 1)):
        yield refused(f"netpbm/cut {i}.ppm", whole[:cut], CUT)
    yield refused("netpbm/huge.ppm", b"P6 99999 99999 255\n" + RGB.tobytes(), LIMIT)
    yield refused("netpbm/long number.ppm", b"P6 " + b"1" * 100_000, r"(?i)too long")
    yield refused("netpbm/long comment.ppm", b"P6 #" + b"1" * 100_000, CUT)


def pcxs():
    yield gives("pcx/rgb.pcx", saved(RGB, "PCX"), RGB)
    yield gives("pcx/palette.pcx", saved(indexed(), "PCX"), PALETTE[INDEXES])


def tgas():
    yield gives("tga/rgb.tga", saved(RGB, "TGA"), RGB)
    packed = saved(np.dstack([RGB, ALPHA]), "TGA", compression="tga_rle")
    yield gives("tga/packed.TGA", packed, RGB)
    yield refused("tga/hidden.jpg", saved(RGB, "TGA"), NO_IMAGE)  # nothing in it says what it is
    yield refused("tga/words.tga", b"no picture at all, only words " * 9, NO_IMAGE)


def jp2s():
    if features.check("jpg_2000"):
        jp2 = saved(RGB, "JPEG2000", irreversible=False)
        yield gives("jp2/rgb.jp2", jp2, RGB)
        yield gives("jp2/grey.jp2", saved(GREY, "JPEG2000"), GREY)
        yield gives("jp2/deep.jp2", saved(DEEP[..., 0], "JPEG2000"), UPPER[..., 0])
        yield refused("jp2/cut.jp2", jp2[: len(jp2) // 2], CUT)


def avifs():
    if features.check("avif"):
        avif = saved(smooth(), "AVIF", quality=95, subsampling="4:4:4")
        yield gives("avif/rgb.avif", avif, smooth(), 3)
        turned = saved(smooth(), "AVIF", quality=95, subsampling="4:4:4", exif=exif(6))
        yield gives("avif/orientation 6.avif", turned, UPRIGHT[6](smooth()), 3)
        yield refused("avif/cut.avif", avif[: len(avif) // 2], CUT)
