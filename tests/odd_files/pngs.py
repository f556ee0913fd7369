"""PNG files: depths, palettes, chunks, damage."""

import struct
import zlib

import numpy as np
from PIL import Image

from odd_files.case import (
    ALPHA,
    CUT,
    DEEP,
    GREY,
    INDEXES,
    LIMIT,
    PALETTE,
    RGB,
    UPPER,
    UPRIGHT,
    gives,
    refused,
)
from odd_files.encoders import chunk, deflated_zeros, exif, ihdr, packed_rows, png, png_of, saved

HEAD = ihdr(23, 17, 8, 2)
DATA = zlib.compress(packed_rows(RGB, 8), 0)  # as it is, so that every byte counts
END = chunk(b"IEND", b"")


def modes():
    yield gives("png/rgb.png", png_of(RGB, 8, 2), RGB)
    for depth in (1, 2, 4, 8):
        samples = GREY >> (8 - depth)
        grey = (samples * (255 // (2**depth - 1))).astype(np.uint8)
        yield gives(f"png/grey {depth} bits.png", png_of(samples, depth, 0), grey)
        turns = png_of(samples, depth, 0, interlaced=True)
        yield gives(f"png/grey {depth} bits interlaced.png", turns, grey)
    yield gives("png/rgb interlaced.png", png_of(RGB, 8, 2, interlaced=True), RGB)
    yield gives("png/deep grey.png", png_of(DEEP[..., 0], 16, 0), UPPER[..., 0])
    yield gives("png/deep rgb.png", png_of(DEEP, 16, 2), UPPER)
    yield gives("png/deep rgb interlaced.png", png_of(DEEP, 16, 2, interlaced=True), UPPER)
    yield gives("png/deep grey and alpha.png", png_of(DEEP[..., :2], 16, 4), UPPER[..., 0])
    yield gives("png/grey and alpha.png", png_of(RGB[..., :2], 8, 4), GREY)
    yield gives("png/rgba.png", png_of(np.dstack([RGB, ALPHA]), 8, 6), RGB)
    yield gives("png/deep rgba.png", png_of(np.dstack([DEEP, DEEP[..., 0]]), 16, 6), UPPER)


def transparency():
    palette, colours = chunk(b"PLTE", PALETTE.tobytes()), PALETTE[INDEXES]
    yield gives("png/palette.png", png_of(INDEXES, 4, 3, palette), colours)
    faint = chunk(b"tRNS", bytes(range(0, 160, 10)))
    content = png_of(INDEXES, 8, 3, palette, faint)
    yield gives("png/palette with alphas.png", content, colours)
    clear = chunk(b"tRNS", b"\xff\xff\xff\0")
    content = png_of(INDEXES, 4, 3, palette, clear)
    yield gives("png/palette, one clear.png", content, colours)
    yield gives("png/grey, one clear.png", png_of(GREY, 8, 0, chunk(b"tRNS", b"\0\7")), GREY)
    yield gives("png/rgb, one clear.png", png_of(RGB, 8, 2, chunk(b"tRNS", b"\0\7" * 3)), RGB)
    greys = chunk(b"PLTE", PALETTE[:, :1].repeat(3, axis=1).tobytes())
    yield gives("png/palette of greys.png", png_of(INDEXES, 4, 3, greys), PALETTE[INDEXES, 0])


def layouts():
    turned = chunk(b"eXIf", exif(6)[6:])
    yield gives("png/orientation 6.png", png_of(RGB, 8, 2, turned), UPRIGHT[6](RGB))
    yield gives("png/exif broken.png", png_of(RGB, 8, 2, chunk(b"eXIf", exif(6)[6:-9])), RGB)
    pictures = [Image.fromarray(RGB), Image.fromarray(255 - RGB)]
    moving = saved(pictures[0], "PNG", save_all=True, append_images=pictures[1:])
    yield gives("png/animated.png", moving, RGB)
    for height, width in ((1, 1), (1, 5000), (5000, 1)):
        row = np.resize(GREY, (height, width))
        yield gives(f"png/{height} x {width}.png", png_of(row, 8, 0), row)


def chunks():
    yield gives("png/no end chunk.png", png(HEAD, chunk(b"IDAT", DATA)), RGB)
    parts = [chunk(b"IDAT", part) for part in (DATA[:500], b"", DATA[500:])]
    yield gives("png/three data chunks.png", png(HEAD, *parts, END), RGB)
    yield gives("png/words after its end.png", png_of(RGB, 8, 2) + b"and so on" * 99, RGB)
    endless = struct.pack(">I", 0xFFFF_FFF0) + b"IDAT" + DATA  # and the file ends
    yield gives("png/announces four gigabytes.png", png(HEAD, endless + b"more"), RGB)
    long = chunk(b"tEXt", b"Comment\0" + b"x" * 300_000)
    yield gives("png/long comment.png", png_of(RGB, 8, 2, long), RGB)


def damaged():
    pixels = chunk(b"IDAT", DATA)
    flipped = bytes([*DATA[:200], DATA[200] ^ 255, *DATA[201:]])
    old_sum = zlib.crc32(b"IDAT" + DATA)
    for what, size in {"cut in half": 600, "cut in its header": 20, "signature only": 8}.items():
        yield refused(f"png/{what}.png", png(HEAD, pixels, END)[:size], CUT)
    yield refused("png/flipped byte.png", png(HEAD, chunk(b"IDAT", flipped, crc=old_sum), END), CUT)
    yield refused("png/flipped byte, new sum.png", png(HEAD, chunk(b"IDAT", flipped), END), CUT)
    wrong = chunk(b"IHDR", HEAD[8:21], crc=7)
    yield refused("png/wrong sum of the header.png", png(wrong, pixels, END), CUT)
    yield refused("png/no pixels.png", png(HEAD, END), CUT)
    yield refused("png/no width.png", png(ihdr(0, 17, 8, 2), pixels, END), CUT)
    yield refused("png/depth 3.png", png(ihdr(23, 17, 3, 2), pixels, END), CUT)


def bombs():
    pixels = chunk(b"IDAT", DATA)
    yield refused("png/huge.png", png(ihdr(50_000, 50_000, 8, 2), pixels, END), LIMIT)
    yield refused("png/a little too large.png", png(ihdr(9500, 9500, 8, 2), pixels, END), LIMIT)
    bomb = png(ihdr(40, 30, 8, 0), chunk(b"IDAT", deflated_zeros(1024)), END)
    yield gives("png/a gigabyte of zeros.png", bomb, np.zeros((30, 40), np.uint8))
    zeros = deflated_zeros(300)
    text = png_of(RGB, 8, 2, chunk(b"zTXt", b"Comment\0\0" + zeros))
    profile = png_of(RGB, 8, 2, chunk(b"iCCP", b"sRGB\0\0" + zeros))
    yield refused("png/giant text.png", text, "(?i)too large")
    yield refused("png/giant profile.png", profile, "(?i)too large")
