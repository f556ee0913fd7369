"""JPEG files: colours, orientations, damage."""

import struct

import numpy as np
from PIL import Image

from odd_files.case import (
    CMYK,
    CMYK_AS_RGB,
    CUT,
    LIMIT,
    RGB,
    UPRIGHT,
    cmyk_picture,
    gives,
    refused,
    smooth,
)
from odd_files.encoders import after_start, app1, exif, saved, ycck


def plain(**options):
    return saved(smooth(), "JPEG", **{"quality": 95, "subsampling": 0} | options)


def modes():
    yield gives("jpeg/baseline.jpg", plain(), smooth(), 1.5)
    yield gives("jpeg/subsampled.jpeg", plain(subsampling=2), smooth(), 3)
    yield gives("jpeg/progressive.jpg", plain(progressive=True), smooth(), 1.5)
    yield gives("jpeg/rgb inside.jpg", plain(keep_rgb=True), smooth(), 1.5)
    yield gives("jpeg/restart markers.jpg", plain(restart_marker_blocks=1), smooth(), 1.5)
    grey = saved(smooth()[..., 0], "JPEG", quality=95)
    yield gives("jpeg/grey.jpg", grey, smooth()[..., 0], 1.5)
    yield gives("jpeg/cmyk.jpg", saved(cmyk_picture(), "JPEG", quality=95), CMYK_AS_RGB, 2)
    yield gives("jpeg/ycck.jpg", ycck(CMYK, quality=95), CMYK_AS_RGB, 2)
    others = {"save_all": True, "append_images": [Image.fromarray(RGB)]}
    two = saved(smooth(), "MPO", quality=95, **others)
    yield gives("jpeg/two pictures.jpg", two, smooth(), 3)
    yield gives("jpeg/words after its end.jpg", plain() + b"and so on" * 99, smooth(), 1.5)


def orientations():
    for orientation, upright in UPRIGHT.items():
        content = after_start(plain(), app1(exif(orientation)))
        yield gives(f"jpeg/orientation {orientation}.jpg", content, upright(smooth()), 1.5)
    long = after_start(plain(), app1(exif(6, kind="I")))
    yield gives("jpeg/orientation in 32 bits.jpg", long, UPRIGHT[6](smooth()), 1.5)
    for orientation in (0, 9, 65_535):
        content = after_start(plain(), app1(exif(orientation)))
        yield gives(f"jpeg/orientation {orientation}.jpg", content, smooth(), 1.5)
    broken = {"noise": b"Exif\0\0" + RGB.tobytes(), "cut": exif(6)[:-9], "empty": b"Exif\0\0"}
    for what, data in broken.items():
        yield gives(f"jpeg/exif {what}.jpg", after_start(plain(), app1(data)), smooth(), 1.5)


def damaged():
    jpeg = saved(smooth(48, 64), "JPEG", quality=95)
    for i, cut in enumerate(np.linspace(2, len(jpeg) - 1, 12).astype(int)):
        yield refused(f"jpeg/cut {i}.jpg", jpeg[:cut], CUT)
    progressive = saved(smooth(48, 64), "JPEG", progressive=True)
    yield refused("jpeg/progressive cut.jpg", progressive[: len(progressive) * 9 // 10], CUT)
    last = progressive.rindex(b"\xff\xda")  # every scan takes as long as the whole picture
    scans = progressive[:-2] + 1000 * progressive[last:-2] + progressive[-2:]
    yield refused("jpeg/a thousand scans.jpg", scans, "scans")
    sizes = jpeg.index(b"\xff\xc0") + 5
    huge = jpeg[:sizes] + struct.pack(">HH", 65_500, 65_500) + jpeg[sizes + 4 :]
    yield refused("jpeg/huge.jpg", huge, LIMIT)
    flat = jpeg[:sizes] + struct.pack(">HH", 0, 64) + jpeg[sizes + 4 :]
    yield refused("jpeg/no height.jpg", flat, CUT)
    yield refused("jpeg/zeros after its start.jpg", jpeg[:2] + bytes(9000), CUT)
