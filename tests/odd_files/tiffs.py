"""TIFF files: layouts, compressions, numbers, damage."""

import io
from functools import partial

import numpy as np
import tifffile
from PIL import Image

from odd_files.case import (
    ALPHA,
    BLACK_WHITE,
    CMYK_AS_RGB,
    CUT,
    DEEP,
    GREY,
    INDEXES,
    LIMIT,
    ONE_BIT,
    PALETTE,
    RGB,
    UPPER,
    UPRIGHT,
    cmyk_picture,
    gives,
    indexed,
    refused,
    smooth,
)
from odd_files.encoders import deflated_zeros, saved, tiff


def written(pixels, **options):
    """Content of a TIFF file, by tifffile."""
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, pixels, **options)
    return buffer.getvalue()


def planar(pixels, **options):
    """Content of a TIFF file that holds one colour after the other."""
    planes = np.moveaxis(pixels, 2, 0).copy()
    return written(planes, photometric="rgb", planarconfig="separate", **options)


def layouts():
    rgb = partial(written, RGB, photometric="rgb")
    yield gives("tiff/rgb.tif", rgb(), RGB)
    yield gives("tiff/big-endian.tiff", rgb(byteorder=">"), RGB)
    yield gives("tiff/BigTIFF.tif", rgb(bigtiff=True), RGB)
    yield gives("tiff/tiled.tif", rgb(tile=(16, 16)), RGB)
    yield gives("tiff/tiled and deflated.tif", rgb(tile=(16, 16), compression="zlib"), RGB)
    yield gives("tiff/planar.tif", planar(RGB), RGB)
    yield gives("tiff/planar and deflated.tif", planar(RGB, compression="zlib"), RGB)
    for method in ("tiff_lzw", "tiff_adobe_deflate", "packbits"):
        yield gives(f"tiff/{method}.tif", saved(RGB, "TIFF", compression=method), RGB)


def modes():
    inside = saved(smooth(), "TIFF", compression="jpeg", quality=95)
    yield gives("tiff/jpeg inside.tif", inside, smooth(), 3)
    for method in ("raw", "group3", "group4"):
        content = saved(ONE_BIT, "TIFF", compression=method)
        yield gives(f"tiff/one bit {method}.tif", content, BLACK_WHITE)
    pages = saved(RGB, "TIFF", save_all=True, append_images=[Image.fromarray(255 - RGB)])
    yield gives("tiff/two pages.tif", pages, RGB)
    for method in ("raw", "tiff_lzw"):
        turned = saved(RGB, "TIFF", compression=method, tiffinfo={274: 6})
        yield gives(f"tiff/orientation 6 {method}.tif", turned, UPRIGHT[6](RGB))
    yield gives("tiff/white is zero.tif", written(255 - GREY, photometric="miniswhite"), GREY)
    extra = partial(written, np.dstack([RGB, ALPHA]), photometric="rgb")
    yield gives("tiff/rgba.tif", extra(extrasamples=["unassalpha"]), RGB)
    yield gives("tiff/fourth channel.tif", extra(extrasamples=["unspecified"]), RGB)


def colours():
    yield gives("tiff/palette.tif", saved(indexed(), "TIFF"), PALETTE[INDEXES])
    yield gives("tiff/cmyk.tif", saved(cmyk_picture(), "TIFF"), CMYK_AS_RGB)
    lightness = np.zeros((17, 23, 3), np.uint8)
    lightness[..., 0] = GREY
    lab = written(lightness, photometric="cielab")
    yield gives("tiff/lab.tif", lab, lightness_as_rgb(GREY), 1)
    ycc = np.asarray(Image.fromarray(RGB).convert("YCbCr"))
    yield gives("tiff/ycbcr.tif", written(ycc, photometric="ycbcr", subsampling=(1, 1)), RGB, 2)


def lightness_as_rgb(lightness):
    """Neutral colours of a lightness L* of 0..255 for 0..100 (CIE 15), in sRGB."""
    level = (lightness / 255 * 100 + 16) / 116
    linear = np.where(level > 6 / 29, level**3, 3 * (6 / 29) ** 2 * (level - 4 / 29))
    curved = np.where(linear > 0.0031308, 1.055 * linear ** (1 / 2.4) - 0.055, 12.92 * linear)
    return np.rint(255 * curved).astype(np.uint8)[..., None].repeat(3, axis=2)


def deep():
    grey = DEEP[..., 0]
    yield gives("tiff/deep grey.tif", written(grey), UPPER[..., 0])
    yield gives("tiff/deep grey big-endian.tif", written(grey, byteorder=">"), UPPER[..., 0])
    yield gives("tiff/deep rgb.tif", written(DEEP, photometric="rgb"), UPPER)
    yield gives("tiff/deep planar and deflated.tif", planar(DEEP, compression="zlib"), UPPER)
    # Pillow would take each byte of the one for a pixel, and white for black in the other.
    yield refused("tiff/deep planar.tif", planar(DEEP), "16 bits")
    white = written(65_535 - grey, photometric="miniswhite")
    yield refused("tiff/deep, white is zero.tif", white, "16 bits")
    signed = written((grey >> 1).astype(np.int16))
    yield gives("tiff/signed, none below 0.tif", signed, UPPER[..., 0] >> 1)
    yield gives("tiff/32 bits, none above 65535.tif", written(grey.astype(np.int32)), UPPER[..., 0])


def numbers():
    deep, levels = DEEP[..., 0], (np.maximum(GREY - 0.4, 0) / 255).astype(np.float32)
    reason = "integer pixels|not that of an image|signed"
    yield refused("tiff/signed.tif", written(deep.astype(np.int16)), reason)
    yield refused("tiff/signed 8 bits.tif", written(GREY.astype(np.int8)), reason)
    yield refused("tiff/32 bits.tif", written(deep.astype(np.int32) * 1000), reason)
    yield refused("tiff/32 bits unsigned.tif", written(deep.astype(np.uint32) * 60_000), reason)
    yield gives("tiff/float.tif", written(levels), GREY)
    yield gives("tiff/float big-endian.tif", written(levels, byteorder=">"), GREY)
    holed = levels.copy()
    holed[3, 4] = np.nan
    for what, values in {"NaN": holed, "above 1": 255 * levels, "below 0": levels - 1}.items():
        yield refused(f"tiff/float {what}.tif", written(values), r"do not lie in 0\.\.1")


def damaged():
    page = {256: 23, 257: 17, 258: 8, 259: 1, 262: 1, 277: 1, 278: 17, 279: GREY.size}
    yield gives("tiff/next page is this page.tif", tiff(page, GREY.tobytes(), next_page=8), GREY)
    zeros = deflated_zeros(512)
    bomb = tiff({**page, 259: 8, 279: len(zeros)}, zeros)
    yield gives("tiff/half a gigabyte of zeros.tif", bomb, np.zeros_like(GREY))
    huge = tiff({**page, 256: 60_000, 257: 60_000, 278: 60_000}, GREY.tobytes())
    yield refused("tiff/huge.tif", huge, LIMIT)
    large = tiff({**page, 256: 9000, 257: 9000, 278: 9000, 279: 81_000_000}, GREY.tobytes())
    yield refused("tiff/large, nothing in it.tif", large, CUT)
    for method in ("raw", "tiff_lzw"):
        whole = saved(RGB, "TIFF", compression=method)
        for i, cut in enumerate((4, 100, len(whole) // 2, len(whole) - 1)):
            yield refused(f"tiff/{method} cut {i}.tif", whole[:cut], CUT)
