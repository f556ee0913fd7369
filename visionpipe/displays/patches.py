"""Patches of images: what a local descriptor saw."""

import math

import numpy as np
from scipy.ndimage import map_coordinates

__all__ = ["cut_patch"]

CELLS_ACROSS = 4  # of a SIFT descriptor


def cut_patch(image, frame, size):
    """Cut out what a local descriptor saw, turned upright and resampled.

    Parameters
    ----------
    image : ndarray of shape (h, w) or (h, w, c)
        uint8, or float in 0..1. Beyond its rim, its border pixels are repeated.
    frame : array-like (x, y, scale, angle)
        As `Descriptors` has it: the patch is a square of a width of 4 scales around (x, y), and
        what lies from there in the direction of the angle comes to lie on the right.
    size : int
        Height and width of the patch in pixels.

    Returns
    -------
    ndarray of float32 of shape (size, size, 3)
        RGB in 0..1.
    """
    x, y, scale, angle = map(float, frame)
    width = CELLS_ACROSS * scale
    finer = max(1, math.ceil(width / size))  # samples a pixel, so that none of the image is missed
    offsets = ((np.arange(size * finer) + 0.5) / (size * finer) - 0.5) * width
    right, down = np.meshgrid(offsets, offsets)
    places = (
        y + math.sin(angle) * right + math.cos(angle) * down,
        x + math.cos(angle) * right - math.sin(angle) * down,
    )
    samples = [
        map_coordinates(channel, places, order=1, mode="nearest", output=np.float32)
        for channel in np.moveaxis(np.atleast_3d(image), -1, 0)
    ]
    patch = np.reshape(samples, (-1, size, finer, size, finer)).mean(axis=(2, 4))  # (c, size, size)
    if image.dtype == np.uint8:
        patch /= 255
    return np.broadcast_to(np.moveaxis(patch, 0, -1), (size, size, 3))
