"""Local binary patterns, equal to `skimage.feature.local_binary_pattern` bit for bit."""

import math
from functools import lru_cache

import numpy as np
import torch

from visionpipe.kernels.color import to_unit
from visionpipe.kernels.grid import grid_areas, grid_counts

VERSION = 1

METHODS = ("default", "ror", "uniform", "nri_uniform")
MAX_TABLE_P = 16  # 2^16 patterns still make a table; of "default" and "ror", a histogram


def lbp(batch, *, P=8, R=1.0, method="uniform", grid=(1, 1)):
    """Histograms of the local binary patterns of a batch of grey images.

    Parameters
    ----------
    batch : torch.Tensor of shape (b, 1, h, w)
        uint8 in 0..255 or float32 in 0..1.
    P : int
        Number of neighbours on the circle; at most 16 for "default" and "ror".
    R : float
        Radius of the circle in pixels.
    method : {"default", "ror", "uniform", "nri_uniform"}
        "default": the pattern, 2^P bins. "ror": its class under rotation, in the order of the
        smallest pattern of the class. "uniform": the number of ones of patterns of at most two
        changes around the circle, P + 1 for the others. "nri_uniform": uniform patterns one by one.
    grid : (int, int)
        Rows and columns of cells; each gives a histogram.

    Returns
    -------
    torch.Tensor of shape (b, gy * gx * n_bins(P, method)), float32 in 0..1
        The histogram of each cell sums to 1; a cell without pixels gives zeros.

    Raises
    ------
    ValueError
        If the images have several channels, or P and method do not go together.

    References
    ----------
    T. Ojala, M. Pietikainen and T. Maenpaa, "Multiresolution gray-scale and rotation invariant
    texture classification with local binary patterns", PAMI 24(7), 2002.
    T. Ahonen, A. Hadid and M. Pietikainen, "Face description with local binary patterns", PAMI
    28(12), 2006, for "nri_uniform" and the grid.

    Examples
    --------
    >>> import torch
    >>> from visionpipe.kernels.lbp import lbp
    >>> spot = torch.zeros(1, 1, 3, 3, dtype=torch.uint8)
    >>> spot[..., 1, 1] = 255
    >>> lbp(spot, P=4).mul(9).round()
    tensor([[1., 0., 0., 0., 8., 0.]])
    """
    n, grid = n_bins(P, method), tuple(grid)
    # Where the patterns are few, they are counted before they are put into classes: one look-up
    # per pattern and not per pixel, and counts spread over more places in memory.
    if method != "default" and P <= MAX_TABLE_P and math.prod(grid) * 2**P <= batch[0].numel():
        counts = grid_counts(lbp_codes(batch, P, R, "default"), 2**P, grid)
        counts = _merged(counts, _pattern_table(P, method, True, batch.device), n)
    else:
        counts = grid_counts(_codes(batch, P, R, method, ranked=True), n, grid)
    areas = grid_areas(*batch.shape[2:], grid, batch.device)
    return counts.div_(areas).flatten(1)  # (b, gy * gx * n)


def _merged(counts, table, n):
    """Counts of n classes from counts of patterns, (..., 2^P) -> (..., n)."""
    classes = table.to(torch.int64).expand_as(counts)
    return counts.new_zeros(*counts.shape[:-1], n).scatter_add_(-1, classes, counts)


def lbp_codes(batch, P, R, method):
    """The local binary pattern of every pixel, as `skimage.feature.local_binary_pattern`.

    A neighbour counts as one where its value, interpolated between four pixels, is at least that
    of the centre; outside of the image all is zero. In flat areas the two are equal but for the
    rounding of the interpolation, which therefore follows scikit-image's operation by operation.

    Parameters
    ----------
    batch : torch.Tensor of shape (b, 1, h, w)
        uint8 in 0..255 or float32 in 0..1. Of float32, grey levels within 1e-4 of an integer (of
        0..255) are taken as that integer, so that both dtypes of one picture have the same codes.
    P, R, method
        As of `lbp`; here "ror" gives the smallest pattern of the class.

    Returns
    -------
    torch.Tensor of shape (b, h, w), int32

    Raises
    ------
    ValueError
        If the images have several channels, or P and method do not go together.

    Examples
    --------
    >>> import torch
    >>> from visionpipe.kernels.lbp import lbp_codes
    >>> lbp_codes(torch.tensor([[[[1, 2, 3]]]], dtype=torch.uint8), 4, 1.0, "default")
    tensor([[[1, 1, 0]]], dtype=torch.int32)
    """
    n_bins(P, method)
    return _codes(batch, P, R, method, ranked=False)


def n_bins(P, method):
    """Number of bins of a histogram of local binary patterns.

    Examples
    --------
    >>> from visionpipe.kernels.lbp import n_bins
    >>> [n_bins(8, method) for method in ("default", "ror", "uniform", "nri_uniform")]
    [256, 36, 10, 59]
    """
    if method not in METHODS:
        raise ValueError(f"LBP has the methods {METHODS}; got {method!r}.")
    if method in ("default", "ror") and P > MAX_TABLE_P:
        raise ValueError(
            f"LBP with method {method!r} and P={P} has too many patterns for a histogram; take "
            f"P of at most {MAX_TABLE_P}, or the method 'uniform'."
        )
    if method == "default":
        return 2**P
    if method == "ror":  # necklaces of P beads in two colours, by Burnside's lemma
        return sum(2 ** math.gcd(turn, P) for turn in range(P)) // P
    return P + 2 if method == "uniform" else P * (P - 1) + 3


def _codes(batch, P, R, method, ranked):
    if batch.ndim != 4 or batch.shape[1] != 1:
        raise ValueError(
            f"LBP needs grey images, a batch of shape (b, 1, h, w); got {tuple(batch.shape)}. "
            "Turn colour images grey first."
        )
    levels = _grey_levels(batch)
    if P > MAX_TABLE_P:
        return _classify(_stacked(levels, P, float(R)), method)  # (b, h, w)
    patterns = _packed(levels, P, float(R))  # (b, h, w)
    if method == "default":
        return patterns
    table = _pattern_table(P, method, ranked, batch.device)
    return table.index_select(0, patterns.view(-1)).view_as(patterns)


def _grey_levels(batch):
    """Pixels in 0..255, (b, h, w): uint8, or float64 with near integers made integers."""
    if batch.dtype == torch.uint8:
        return batch[:, 0]
    levels = to_unit(batch)[:, 0].to(torch.float64).mul_(255)
    whole = levels.round()
    return torch.where((levels - whole).abs() <= 1e-4, whole, levels)


def _neighbour_bits(levels, P, R):
    """Yield the number of each neighbour and where it is at least the centre: booleans, padded.

    The images lie in one line, p zero columns after each row and p zero rows after each image: the
    neighbours to the left of a row are the zeros after the row before. Thus every neighbour is the
    line shifted, and every operation runs over the whole line.
    """
    b, h, w = levels.shape
    p, columns = _sampling_plan(h, w, P, R, levels.device)
    height, width = h + p, w + p
    margin = p * width + p

    def at(line, dy=0, dx=0):
        """The neighbour at a whole offset of every pixel, padding included, without a copy."""
        shape, strides = (b, height, width), (height * width, width, 1)
        return line.as_strided(shape, strides, line.storage_offset() + margin + dy * width + dx)

    raw = levels.new_zeros(margin + b * height * width + margin)
    at(raw)[:, :h, :w] = levels
    # One piece of memory, which the allocator keeps from call to call.
    exact, mixed, first, second = torch.empty((4, len(raw)), dtype=torch.float64, device=raw.device)
    exact.copy_(raw)
    mixed[:margin] = 0
    raw_centre, exact_centre, mixed_centre = at(raw), at(exact), at(mixed)
    first, second = at(first), at(second)

    # The order of operations, product, product, sum, is scikit-image's. No addcmul or lerp: they
    # may fuse a product and a sum, and skip a rounding.
    for x, x_weights, members in columns:
        line, dx = exact, x
        if x_weights:
            line, dx = mixed, 0
            torch.mul(at(exact, 0, x), x_weights[0], out=mixed_centre)
            torch.mul(at(exact, 0, x + 1), x_weights[1], out=first)
            mixed_centre.add_(first)
        for number, y, y_weights in members:
            if y_weights:
                torch.mul(at(line, y, dx), y_weights[0], out=first)
                torch.mul(at(line, y + 1, dx), y_weights[1], out=second)
                yield number, first.add_(second) >= exact_centre  # (b, h + p, w + p)
            elif x_weights:
                yield number, at(mixed, y) >= exact_centre
            else:
                yield number, at(raw, y, x) >= raw_centre


@lru_cache(maxsize=32)
def _sampling_plan(h, w, P, R, device):
    """Padding, and the neighbours by column: [(x, x_weights, [(number, y, y_weights), ...]), ...].

    Neighbours of one column share the interpolation along the rows. x and y are whole offsets,
    the weights those of the pixels at x and x + 1, or None where the offset is whole. They differ
    from row to row and column to column by the rounding of position + offset.
    """
    angles = 2 * np.pi * np.arange(P, dtype=np.double) / P
    y_offsets = np.round(-R * np.sin(angles), 5)
    x_offsets = np.round(R * np.cos(angles), 5)
    p = math.ceil(np.abs([y_offsets, x_offsets]).max())

    def split(n_positions, offset):
        whole = math.floor(offset)
        if whole == offset:
            return whole, None
        positions = torch.arange(n_positions, dtype=torch.float64, device=device) + offset
        fraction = positions - positions.floor()
        return whole, (1 - fraction, fraction)

    columns = {}
    for number, (y, x) in enumerate(zip(y_offsets.tolist(), x_offsets.tolist(), strict=True)):
        y, weights = split(h + p, y)
        weights = weights and tuple(weight[:, None] for weight in weights)  # (h + p, 1)
        columns.setdefault(x, []).append((number, y, weights))
    return p, [(*split(w + p, x), members) for x, members in columns.items()]


def _packed(levels, P, R):
    """Patterns with neighbour i as bit i, (b, h, w) int32."""
    h, w = levels.shape[1:]
    patterns = None
    for number, bits in _neighbour_bits(levels, P, R):
        if patterns is None:
            patterns = torch.zeros_like(bits, dtype=torch.uint8 if P <= 8 else torch.int32)
        patterns.add_(bits.view(torch.uint8), alpha=1 << number)
    return patterns[:, :h, :w].to(torch.int32).contiguous()


def _stacked(levels, P, R):
    """Neighbour i as plane i, (P, b, h, w) uint8."""
    b, h, w = levels.shape
    planes = torch.empty(P, b, h, w, dtype=torch.uint8, device=levels.device)
    for number, bits in _neighbour_bits(levels, P, R):
        planes[number] = bits[:, :h, :w]
    return planes


@lru_cache(maxsize=16)
def _pattern_table(P, method, ranked, device):
    """Code of every pattern, (2^P,) int32; of "ror", if `ranked`, the rank of its class."""
    patterns = torch.arange(2**P, dtype=torch.int32, device=device)
    if method != "ror":
        number = torch.arange(P, dtype=torch.int32, device=device)[:, None]
        return _classify((patterns >> number & 1).to(torch.uint8), method)
    smallest = turned = patterns
    for _ in range(P - 1):
        turned = turned >> 1 | (turned & 1) << (P - 1)
        smallest = torch.minimum(smallest, turned)
    return torch.unique(smallest, return_inverse=True)[1].to(torch.int32) if ranked else smallest


def _classify(bits, method):
    """Codes of the methods "uniform" and "nri_uniform" from planes of bits, (P, ...) uint8."""
    P = len(bits)
    ones = bits.sum(0, dtype=torch.uint8)
    # Not around the circle: with at most two changes along the line, the circle has at most two.
    uniform = (bits[1:] ^ bits[:-1]).sum(0, dtype=torch.uint8) <= 2
    if method == "uniform":
        return torch.where(uniform, ones, P + 1).to(torch.int32)
    # Runs of n ones are numbered by n, then by their turn against the run that ends at the last
    # neighbour.
    ones = ones.to(torch.int32)
    turn = torch.where(bits[0] == 1, ones, P) - _leading_run(bits)
    codes = torch.where(ones == 0, 0, 1 + (ones - 1) * P + turn)
    return torch.where(uniform, codes, P * (P - 1) + 2)


def _leading_run(bits):
    """Number of planes from the first on that agree with the first."""
    agree = torch.ones_like(bits[0], dtype=torch.bool)
    length = torch.ones_like(bits[0])
    for plane in bits[1:]:
        agree.logical_and_(plane == bits[0])
        length.add_(agree.view(torch.uint8))
    return length
