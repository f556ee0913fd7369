"""Histograms of the colours of an image, equal to `numpy.histogramdd` of its pixels."""

import math
from functools import lru_cache
from numbers import Integral

import numpy as np
import torch

from visionpipe.kernels.color import rgb_to_grey, rgb_to_hsv, rgb_to_lab, to_unit
from visionpipe.kernels.grid import grid_areas, grid_counts

VERSION = 1

UNIT = (0, 1)
RANGES = {
    "rgb": (UNIT, UNIT, UNIT),
    "hsv": (UNIT, UNIT, UNIT),
    "lab": ((0, 100), (-128, 127), (-128, 127)),
    "grey": (UNIT,),
}
LEVEL_TOLERANCE = 1e-4  # in levels of 0..255; float32 of k/255 is off by at most 2e-5


def color_histogram(batch, *, color_space="rgb", bins=8, joint=True, grid=(1, 1)):
    """Histograms of the colours of a batch of images.

    Parameters
    ----------
    batch : torch.Tensor of shape (b, 1, h, w) or (b, 3, h, w)
        Grey or RGB, uint8 in 0..255 or float32 in 0..1. Grey images are taken as R = G = B where
        the colour space has three channels, RGB images turned grey where it has one.
    color_space : {"rgb", "hsv", "lab", "grey"}
        Ranges are 0..1, but for lab: L in 0..100, a and b in -128..127. Values outside go to the
        outermost bins.
    bins : int or sequence of int
        Equal bins over the range of each channel; one int for all, or one per channel.
    joint : bool
        One histogram over all channels together (the bins of the last channel next to each
        other), or the histograms of the single channels one after the other.
    grid : (int, int)
        Rows and columns of cells; each gives its own histogram.

    Returns
    -------
    torch.Tensor of shape (b, gy * gx * n), float32 in 0..1
        n is the product of the bins of the channels if `joint`, their sum if not. What a cell
        gives sums to 1; a cell without pixels gives zeros.

    Raises
    ------
    ValueError
        If the number of channels is neither 1 nor 3, or `color_space` and `bins` do not go
        together.

    References
    ----------
    M. J. Swain and D. H. Ballard, "Color indexing", IJCV 7(1), 1991.

    Examples
    --------
    >>> import torch
    >>> from visionpipe.kernels.color_histogram import color_histogram
    >>> orange = torch.tensor([255, 128, 0], dtype=torch.uint8).view(1, 3, 1, 1)
    >>> color_histogram(orange, bins=(2, 2, 2))
    tensor([[0., 0., 0., 0., 0., 0., 1., 0.]])
    >>> color_histogram(orange, bins=2, joint=False).mul(3)
    tensor([[0., 1., 0., 1., 1., 0.]])
    """
    bins = bins_per_channel(color_space, bins)
    grid = tuple(grid)
    areas = grid_areas(*batch.shape[2:], grid, batch.device)
    if joint:
        counts = grid_counts(_joint_codes(batch, color_space, bins), math.prod(bins), grid)
        return counts.div_(areas).flatten(1)  # (b, gy * gx * n)
    planes = _codes_of_channels(batch, color_space, bins)
    counts = [grid_counts(plane, n, grid) for plane, n in zip(planes, bins, strict=True)]
    return torch.cat(counts, -1).div_(areas * len(bins)).flatten(1)


def bins_per_channel(color_space, bins):
    """The number of bins of every channel, as a tuple.

    Examples
    --------
    >>> from visionpipe.kernels.color_histogram import bins_per_channel
    >>> bins_per_channel("rgb", 8), bins_per_channel("hsv", [16, 4, 4])
    ((8, 8, 8), (16, 4, 4))
    """
    if color_space not in RANGES:
        raise ValueError(f"color_space must be one of {tuple(RANGES)}; got {color_space!r}.")
    n_channels = len(RANGES[color_space])
    counts = (bins,) * n_channels if isinstance(bins, Integral) else tuple(bins)
    if len(counts) != n_channels or min(counts) < 1:
        raise ValueError(
            f"bins={bins!r} does not fit {color_space!r}; give one positive int, or {n_channels}."
        )
    return counts


def _joint_codes(batch, color_space, bins):
    """One integer per pixel, (b, h, w)."""
    if _is_packed(batch, color_space, bins):
        return _codes_of_packed(batch, bins[0])
    return _combined(_codes_of_channels(batch, color_space, bins), bins)


def _codes_of_channels(batch, color_space, bins):
    """One integer per pixel and channel, (b, h, w) each."""
    values = _in_color_space(batch, color_space)  # (b, channels, h, w)
    return _quantised(values, bins, RANGES[color_space]).unbind(1)


def _in_color_space(batch, color_space):
    """The channels to count: as they are, uint8 or float32, or converted, float32."""
    channels = batch.shape[1] if batch.ndim == 4 else 0
    if channels not in (1, 3):
        raise ValueError(
            "A colour histogram needs a batch of shape (b, 1, h, w) or (b, 3, h, w); got "
            f"{tuple(batch.shape)}."
        )
    if color_space == "grey":
        return batch if channels == 1 else rgb_to_grey(batch)
    if channels == 1:
        batch = batch.expand(-1, 3, -1, -1)
    if color_space == "rgb":
        return batch
    return rgb_to_hsv(batch) if color_space == "hsv" else rgb_to_lab(batch)


def _quantised(values, bins, ranges):
    """Bin of every value in its channel, integers of the shape of values."""
    levels = values.dtype == torch.uint8
    values = values if levels else to_unit(values)
    n, *others = bins
    if set(ranges) == {UNIT} and set(others) <= {n} and _bins_are_leading_bits(n):
        return values >> 9 - n.bit_length() if levels else _scaled(values, n, UNIT).to(torch.uint8)
    codes = torch.empty(values.shape, dtype=_integer_type(max(bins)), device=values.device)
    for channel, (n, limits) in enumerate(zip(bins, ranges, strict=True)):
        plane = values[:, channel].flatten()
        found = _bins_of_levels(plane, n) if levels else _bins_of_floats(plane, n, limits)
        codes[:, channel] = found.view_as(codes[:, channel])
    return codes


def _scaled(values, n, limits):
    """The bin, where it is cut off to an integer; rounding can put it one off next to an edge."""
    low, high = limits
    return ((values - low) if low else values).mul(n / (high - low)).clamp_(0, n - 1)


def _bins_of_levels(levels, n):
    return _table_of_levels(n, levels.device).index_select(0, levels.to(torch.int32))


def _bins_of_floats(values, n, limits):
    guess = _scaled(values, n, limits)
    if limits == UNIT:
        # Grey levels can lie on an edge: set right what the guess gets wrong.
        index = guess.to(torch.int32)
        lowest = _lowest_of_bins(n, values.device)  # (n + 1,), -inf to inf
        guess = index + (values >= lowest[1:].index_select(0, index)).to(torch.int32)
        guess -= (values < lowest.index_select(0, index)).to(torch.int32)
    return guess


@lru_cache(maxsize=64)
def _table_of_levels(n, device):
    return torch.as_tensor(_bin_of_level(n), dtype=_integer_type(n), device=device)


@lru_cache(maxsize=64)
def _lowest_of_bins(n, device):
    """Smallest float32 of every bin of 0..1, by numpy's edges in float64.

    Where an edge is a grey level k/255, the bin takes or leaves float32 values nearby together
    with that level in float64, so that uint8 and float32 of one picture have one histogram.
    """
    edges = np.linspace(0, 1, n + 1)
    lowest = edges.astype(np.float32)
    lowest = np.where(lowest < edges, np.nextafter(lowest, np.float32(2)), lowest)
    level = np.rint(edges * 255).astype(int)
    is_level = np.abs(edges * 255 - level) < LEVEL_TOLERANCE
    side = np.where(_bin_of_level(n)[level] >= np.arange(n + 1), -1, 1)
    lowest = np.where(is_level, (level + side * LEVEL_TOLERANCE) / 255, lowest)
    lowest[0], lowest[-1] = -np.inf, np.inf
    return torch.as_tensor(lowest, dtype=torch.float32, device=device)


@lru_cache(maxsize=64)
def _bin_of_level(n):
    """Bin of every uint8 level among n in 0..1, as numpy's own edges decide it."""
    return np.searchsorted(np.linspace(0, 1, n + 1)[1:-1], np.arange(256) / 255, side="right")


@lru_cache(maxsize=64)
def _bins_are_leading_bits(n):
    """Whether n is a power of two: the edges k / n are exact, and no level but the ends is one."""
    return 256 % n == 0 and np.array_equal(_bin_of_level(n), np.arange(256) // (256 // n))


def _is_packed(batch, color_space, bins):
    """Whether `_codes_of_packed` can do it: the common 8x8x8 bins of images as files give them."""
    return (
        color_space == "rgb"
        and batch.dtype == torch.uint8
        and batch.device.type == "cpu"
        and batch.shape[1] == 3
        and batch.permute(0, 2, 3, 1).is_contiguous()
        and len(set(bins)) == 1
        and bins[0] in (2, 4, 8, 16)
    )


def _codes_of_packed(batch, n):
    """One integer per pixel, (b, h, w), of RGB bytes side by side, for n = 2^k bins a channel.

    Reads a pixel as one integer of four bytes, the fourth being the next pixel's first, and keeps
    the k leading bits of each channel. One product then shifts the three groups of bits to where
    they adjoin, the highest bits of 32; whatever else it makes lies below, or falls off above.
    """
    line = batch.permute(0, 2, 3, 1).numpy().reshape(-1)
    k = n.bit_length() - 1
    leading = (0xFF >> k ^ 0xFF) * 0x010101
    codes = np.empty(len(line) // 3, dtype=np.uint32)
    overlapping = np.ndarray(len(codes) - 1, "<u4", line, strides=(3,))
    np.bitwise_and(overlapping, np.uint32(leading), out=codes[:-1])
    codes[-1] = int.from_bytes(line[-3:].tobytes(), "little") & leading
    codes *= np.uint32(1 | 1 << 8 + k | 1 << 16 + 2 * k)
    codes >>= np.uint32(24 - k)
    # 2k bits of red and green end at 24 + 2k: for k < 4, blue's product with 1 << 8 + k is at 32.
    b, _, h, w = batch.shape
    return torch.from_numpy(codes.view(np.int32)).view(b, h, w)


def _combined(planes, bins):
    """Numbers of the digits `planes` in the mixed base `bins`, in the smallest type that does."""
    index, size = planes[0], bins[0]
    for plane, n in zip(planes[1:], bins[1:], strict=True):
        size *= n
        dtype = _integer_type(size)
        index = torch.add(plane.to(dtype), index.to(dtype), alpha=n)
    return index


def _integer_type(n_values):
    if n_values <= 255:  # not 256: the type holds the number of values, too
        return torch.uint8
    return torch.int16 if n_values < 2**15 else torch.int32
