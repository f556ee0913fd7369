"""SIFT descriptors on a regular grid, with the geometry of VLFeat's ``dsift`` (flat window)."""

import math
from functools import lru_cache

import torch

from visionpipe.kernels.color import to_unit

VERSION = 1

N_CELLS = 4  # along each side of a descriptor
N_ORIENTATIONS = 8
LENGTH = N_CELLS * N_CELLS * N_ORIENTATIONS  # of a descriptor
CLIP = 0.2  # of the normalised descriptor (Lowe 2004)
WINDOW = 2.0  # standard deviation of the Gaussian window in cells (VLFeat's windowSize)
ROWS_PER_PRODUCT = 16  # of a banded matrix: few enough to skip most of its zeros

# The votes of a direction fall linearly to zero over one orientation on either side: a tent over
# the circle. A tent is a second difference of ramps max(0, direction - k), and sums over pixels
# keep that, so that ramps are summed, which cost two passes over the pixels each, and differenced
# at the end. Knot 0, at -180 degrees, is orientation 4.
N_RAMPS = 1 + N_ORIENTATIONS  # of the length of the gradient itself, and one a knot


def dense_sift(batch, *, step, bin_size, first=0, contrast_threshold=0.0):
    """SIFT descriptors of upright squares of one size on a grid.

    Every pixel votes with the length of its gradient for the two orientations, of 8, and the up to
    four cells, of 4x4, between whose centres it lies, linearly in each. Cells are weighted by the
    mean over them of a Gaussian window; a descriptor is normalised, clipped at 0.2, and normalised.

    Parameters
    ----------
    batch : torch.Tensor of shape (b, c, h, w)
        uint8 in 0..255 or float32 in any range. Each channel is described by itself.
    step : int
        Distance of neighbouring descriptors in pixels.
    bin_size : int
        Width of a cell in pixels.
    first : int
        Row and column of the centre of the first cell of the first descriptor.
    contrast_threshold : float
        Descriptors are zero where the sum over the descriptor of the lengths of gradients of pixels
        in 0..1, by the area of the square between its outer cell centres, is below this in every
        channel.

    Returns
    -------
    torch.Tensor of shape (b, n, c * 128), float32
        For each channel, a vector of norm 1 (0 where there is no gradient): for each cell (rows,
        then columns) the orientations, clockwise from the x axis. Descriptors run over rows, then
        columns, with centres as `grid_centres` tells.

    Raises
    ------
    ValueError
        If the images are smaller than one descriptor.

    References
    ----------
    D. Lowe, "Distinctive image features from scale-invariant keypoints", IJCV 2004; A. Vedaldi and
    B. Fulkerson, VLFeat, https://www.vlfeat.org/api/dsift.html

    Examples
    --------
    >>> import torch
    >>> from visionpipe.kernels.dense_sift import dense_sift
    >>> edge = torch.zeros(1, 1, 16, 16)
    >>> edge[..., 8:] = 1  # brighter to the right: orientation 0
    >>> descriptors = dense_sift(edge, step=4, bin_size=4)
    >>> descriptors.shape, descriptors[0, 0].view(4, 4, 8)[1, :, 0]
    (torch.Size([1, 1, 128]), tensor([0.0000, 0.1849, 0.4714, 0.0000]))
    """
    b, c, h, w = batch.shape
    rows = _axis(h, step, bin_size, first, batch.device)
    columns = _axis(w, step, bin_size, first, batch.device)
    if not (rows.n_frames and columns.n_frames):
        least = least_size(bin_size, first)
        raise ValueError(
            f"dense SIFT of {bin_size}-pixel cells needs images of at least {least} pixels; "
            f"got {(h, w)}"
        )
    ramps = _ramps(to_unit(batch).contiguous().view(b * c, h, w))  # (9, b * c, h, w)
    cells = _cells(ramps.flatten(0, 1), rows, columns)  # (b * c, rows, columns, 8)
    descriptors = _windows(cells, rows, columns) * _window(bin_size, batch.device)
    descriptors = descriptors.reshape(b * c, -1, LENGTH)  # (b * c, n, 128)
    keep = _has_contrast(descriptors, c, bin_size, contrast_threshold)
    _normalise(descriptors)
    if keep is not None:
        descriptors.mul_(keep)
    if c == 1:
        return descriptors
    return descriptors.view(b, c, -1, LENGTH).transpose(1, 2).flatten(2)  # (b, n, c * 128)


def to_bytes(descriptors):
    """Round descriptors as OpenCV and VLFeat's PHOW do, to min(255, 512 x); overwrites them.

    Parameters
    ----------
    descriptors : torch.Tensor, float32, not negative

    Returns
    -------
    torch.Tensor, uint8
    """
    half = torch.full((), 0.5, device=descriptors.device)
    torch.add(half, descriptors, alpha=512, out=descriptors)
    return descriptors.clamp_(max=255).to(torch.uint8)  # cuts the fraction off


def grid_centres(size, *, step, bin_size, first=0):
    """Coordinates of the centres of the descriptors of an image.

    Parameters
    ----------
    size : (int, int)
        Height and width of the image.
    step, bin_size, first : int
        As of `dense_sift`.

    Returns
    -------
    y, x : list of float
        Rows and columns in pixels. Empty where the image is too small.
    """
    middle = first + (N_CELLS - 1) / 2 * bin_size
    counts = (_n_frames(length, step, bin_size, first) for length in size)
    return tuple([middle + i * step for i in range(n)] for n in counts)


def least_size(bin_size, first=0):
    """Height and width of the smallest image that has a descriptor."""
    side = first + (N_CELLS - 1) * bin_size + 1
    return side, side


def _n_frames(length, step, bin_size, first):
    return max(0, (length - 1 - first - (N_CELLS - 1) * bin_size) // step + 1)


# ----------------------------------------------------------------------------- pixels into ramps


def _ramps(images):
    """Length of each pixel's gradient, and its product with the ramp at each of 8 knots."""
    ramps = images.new_empty(N_RAMPS, images.numel())
    length, position, dx, dy = ramps[:4]
    _gradients(images, dx, dy)
    torch.mul(dx, dx, out=length).addcmul_(dy, dy).sqrt_()
    # the direction as 0..8 orientations from -180 degrees, times the length
    torch.atan2(dy, dx, out=position)
    position.mul_(N_ORIENTATIONS / (2 * math.pi)).add_(N_ORIENTATIONS / 2).mul_(length)
    for knot in range(1, N_ORIENTATIONS):
        torch.add(position, length, alpha=-knot, out=ramps[1 + knot]).clamp_(min=0)
    return ramps.view(N_RAMPS, *images.shape)


def _gradients(images, dx, dy):
    """Twice the gradient: central differences inside, one-sided ones on the rim."""
    width = images.shape[2]
    # All rows of all images as one long row: long vector loops, at the price of differences
    # across the rims, which are overwritten.
    line = images.view(-1)
    torch.sub(line[2 * width :], line[: -2 * width], out=dy[width:-width])
    torch.sub(line[2:], line[:-2], out=dx[1:-1])
    dy, dx = dy.view(images.shape), dx.view(images.shape)
    for gradient, picture in ((dy, images), (dx.transpose(1, 2), images.transpose(1, 2))):
        gradient[:, 0] = 2 * (picture[:, 1] - picture[:, 0])
        gradient[:, -1] = 2 * (picture[:, -1] - picture[:, -2])


@lru_cache(maxsize=4)
def _ramps_to_tents(device):
    """Matrix (9, 8) that makes votes for orientations out of ramps."""
    matrix = torch.zeros(N_RAMPS, N_ORIENTATIONS)
    orientation = (torch.arange(N_ORIENTATIONS) + N_ORIENTATIONS // 2) % N_ORIENTATIONS
    matrix[0, orientation[0]] = 1  # the tent at knot 0 has one side there: 1 - ramp 0 + ramp 1,
    matrix[1, orientation[0]] = -1
    matrix[2, orientation[0]] = 1
    matrix[N_ORIENTATIONS, orientation[0]] = 1  # and the other at the far end: ramp 7
    for knot in range(1, N_ORIENTATIONS):
        matrix[knot : knot + 3, orientation[knot]] = torch.tensor([1.0, -2, 1])[: 9 - knot]
    return matrix.to(device)


# ----------------------------------------------------------------------------- ramps into cells


class _Axis:
    """Where frames and their cells lie along one side of an image.

    Sums over cells are made once for every place where some frame has a cell, if such places are
    spaced evenly and shared by frames, else for every frame and cell.

    Attributes
    ----------
    n_frames : int
    n_places : int
        Number of places where sums over a cell are made.
    frame, cell : int
        Places from a frame to the next, and from a cell of a frame to the next.
    products : list of (first place, first pixel, matrix)
        The banded matrix from pixels to places, cut into bands of rows; triangular weights, pixels
        past the rim count as the one on it.
    """

    def __init__(self, length, step, bin_size, first, device):
        self.n_frames = n = _n_frames(length, step, bin_size, first)
        spacing = math.gcd(step, bin_size)
        n_shared = ((n - 1) * step + (N_CELLS - 1) * bin_size) // spacing + 1
        if n_shared <= N_CELLS * n:
            self.n_places, self.frame, self.cell = n_shared, step // spacing, bin_size // spacing
            places = first + spacing * torch.arange(n_shared)
        else:
            self.n_places, self.frame, self.cell = N_CELLS * n, N_CELLS, 1
            frames = first + step * torch.arange(n)
            places = (frames[:, None] + bin_size * torch.arange(N_CELLS)).flatten()
        offsets = torch.arange(1 - bin_size, bin_size)
        weights = (1 - offsets.abs() / bin_size).expand(len(places), -1)
        matrix = torch.zeros(len(places), length)
        matrix.scatter_add_(1, (places[:, None] + offsets).clamp(0, length - 1), weights)
        self.products = []
        for start in range(0, len(places), ROWS_PER_PRODUCT):
            band = matrix[start : start + ROWS_PER_PRODUCT]
            used = band.any(0).nonzero().flatten()
            band = band[:, used[0] : used[-1] + 1].contiguous().to(device)
            self.products.append((start, int(used[0]), band))


_axis = lru_cache(maxsize=64)(_Axis)


def _cells(ramps, rows, columns):
    """Votes summed over the cells at all places, (b, rows, columns, 8)."""
    n, _, width = ramps.shape
    bands = ramps.new_empty(n, rows.n_places, width)
    for place, pixel, band in rows.products:
        inside = ramps[:, pixel : pixel + band.shape[1]]
        bands[:, place : place + len(band)] = torch.bmm(band.expand(n, -1, -1), inside)
    bands = bands.view(-1, width)
    cells = ramps.new_empty(len(bands), columns.n_places)
    for place, pixel, band in columns.products:
        inside = bands[:, pixel : pixel + band.shape[1]]
        cells[:, place : place + len(band)] = torch.mm(inside, band.t())
    votes = torch.mm(cells.view(N_RAMPS, -1).t(), _ramps_to_tents(ramps.device))
    # differences of rounded sums may fall below zero
    return votes.clamp_(min=0).view(-1, rows.n_places, columns.n_places, N_ORIENTATIONS)


def _windows(cells, rows, columns):
    """View of the cells of every frame, (b, frame rows, frame columns, 4, 4, 8)."""
    image, row, column, _ = cells.stride()
    return cells.as_strided(
        (len(cells), rows.n_frames, columns.n_frames, N_CELLS, N_CELLS, N_ORIENTATIONS),
        (
            image,
            rows.frame * row,
            columns.frame * column,
            rows.cell * row,
            columns.cell * column,
            1,
        ),
    )


@lru_cache(maxsize=32)
def _window(bin_size, device):
    """Mean of the Gaussian window over each cell, (4, 4, 1)."""
    offsets = torch.arange(1 - bin_size, bin_size, dtype=torch.float64)
    centres = bin_size * (torch.arange(N_CELLS, dtype=torch.float64) - (N_CELLS - 1) / 2)
    deviations = (offsets - centres[:, None]) / (WINDOW * bin_size)
    means = torch.exp(-0.5 * deviations.square()).mean(1)
    return (means[:, None] * means).to(torch.float32)[..., None].to(device)


# ------------------------------------------------------------------------------- normalisation


def _has_contrast(descriptors, n_channels, bin_size, threshold):
    """1.0 for descriptors over the threshold in some channel, 0.0 for others; None for all."""
    if threshold == 0:
        return None
    area = ((N_CELLS - 1) * bin_size + 1) ** 2
    contrast = descriptors.sum(2).view(-1, n_channels, descriptors.shape[1]).amax(1)
    keep = (contrast >= 2 * threshold * area).to(torch.float32)  # gradients are twice too long
    return keep.repeat_interleave(n_channels, 0)[..., None]  # (b * c, n, 1)


def _normalise(descriptors):
    """Norm 1, clipped, norm 1 again, in place: the first division is left to the second."""
    norms = torch.linalg.vector_norm(descriptors, dim=2, keepdim=True)
    torch.minimum(descriptors, norms.mul_(CLIP), out=descriptors)
    norms = torch.linalg.vector_norm(descriptors, dim=2, keepdim=True)
    return descriptors.div_(norms.clamp_(min=torch.finfo(torch.float32).tiny))
