"""Perceptual hashes: signs of the lowest frequencies, alike for pictures that look alike."""

import math
from functools import lru_cache

import torch

from visionpipe.kernels.color import rgb_to_grey, to_unit
from visionpipe.kernels.resize import resize

VERSION = 1

SIDE = 32  # pixels that an image is averaged to
N_FREQUENCIES = 8  # of each axis: 64 bits
COSINE_SCALE = 1 << 12


def perceptual_hash(batch):
    """Hash each image to 64 bits, of which few differ between pictures that look the same.

    The image is made grey and averaged to 32x32 pixels, as `small_grey` does. Of its discrete
    cosine transform, DCT-II, the 8x8 coefficients of the lowest frequencies are compared with their
    median: this is the pHash of Python's ImageHash, after Krawetz and Zauner.

    Parameters
    ----------
    batch : torch.Tensor of shape (b, c, h, w)
        uint8 in 0..255 or float32 in 0..1, grey (c = 1) or RGB (c = 3).

    Returns
    -------
    torch.Tensor of shape (b,), int64
        Bit 63 - 8 u - v is set if the coefficient of the vertical frequency u and the horizontal
        frequency v is larger than the median. The bits do not depend on the batch or the device.
        Those of an image of one colour mean nothing.

    Raises
    ------
    ValueError
        If the batch has another shape or dtype.

    References
    ----------
    C. Zauner, "Implementation and benchmarking of perceptual image hash functions", thesis, Upper
    Austria University of Applied Sciences, 2010; N. Krawetz, "Looks like it", 2011,
    https://www.hackerfactor.com/blog/?/archives/432-Looks-Like-It.html

    Examples
    --------
    >>> import torch
    >>> from visionpipe.kernels.perceptual_hash import perceptual_hash
    >>> ramp = torch.linspace(0, 1, 64).square().expand(1, 1, 48, 64)
    >>> one, brighter = perceptual_hash(torch.cat([ramp, 0.1 + 0.9 * ramp])).tolist()
    >>> f"{one & (1 << 64) - 1:016x}", (one ^ brighter).bit_count()
    ('aa00000000000000', 0)
    """
    small = small_grey(batch)[:, 0].to(torch.float64)  # (b, 32, 32)
    cosines = _cosines(small.device)
    # Whole numbers below 2^53, so that sums are exact in whatever order they are taken: the bits of
    # a picture of equal halves, where coefficients are zero, would else be those of rounding.
    coefficients = (cosines @ small @ cosines.T).flatten(1)  # (b, 64)
    middle = coefficients.sort(1).values[:, 31:33].sum(1, keepdim=True)
    bits = coefficients.mul_(2) > middle
    places = torch.arange(63, -1, -1, device=bits.device)
    return bits.to(torch.int64).bitwise_left_shift_(places).sum(1)  # two's complement: no carries


def small_grey(batch):
    """Average images to 32x32 grey pixels: all that `perceptual_hash` looks at.

    Parameters
    ----------
    batch : torch.Tensor of shape (b, c, h, w)
        uint8 in 0..255 or float32 in 0..1, grey (c = 1) or RGB (c = 3).

    Returns
    -------
    torch.Tensor of shape (b, 1, 32, 32), uint8

    Raises
    ------
    ValueError
        If the batch has another shape or dtype.

    Examples
    --------
    >>> import torch
    >>> from visionpipe.kernels.perceptual_hash import small_grey
    >>> small_grey(torch.full((2, 3, 60, 80), 0.2)).unique()
    tensor([51], dtype=torch.uint8)
    """
    if batch.ndim != 4 or batch.shape[1] not in (1, 3):
        raise ValueError(
            f"Hashes are of a batch of shape (b, 1 or 3, h, w); got {tuple(batch.shape)}."
        )
    small = resize(batch, (SIDE, SIDE))
    grey = to_unit(small) if small.shape[1] == 1 else rgb_to_grey(small)
    return grey.mul(255).round_().to(torch.uint8)


@lru_cache(maxsize=8)
def _cosines(device):
    """Lowest rows of the matrix of the DCT-II, scaled and rounded, (8, 32) float64."""
    frequencies = torch.arange(N_FREQUENCIES, dtype=torch.float64)[:, None]
    positions = torch.arange(SIDE, dtype=torch.float64) + 0.5
    cosines = torch.cos(math.pi / SIDE * frequencies * positions)
    return cosines.mul_(COSINE_SCALE).round_().to(device)
