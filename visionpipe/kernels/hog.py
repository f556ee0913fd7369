"""Histograms of oriented gradients, equal to `skimage.feature.hog`."""

import math
from functools import lru_cache

import torch

from visionpipe.kernels.color import to_unit

VERSION = 1

EPS = 1e-5  # of the block norms, as in scikit-image
CLIP = 0.2  # of L2-Hys (Lowe 2004)


def hog(
    batch,
    *,
    orientations=9,
    pixels_per_cell=(8, 8),
    cells_per_block=(3, 3),
    block_norm="L2-Hys",
    transform_sqrt=False,
):
    """Histograms of oriented gradients of a batch of images.

    Every pixel votes with the length of its gradient for the orientation of its gradient, in its
    cell; blocks of neighbouring cells are normalised together and overlap by all but one cell.

    Parameters
    ----------
    batch : torch.Tensor of shape (b, c, h, w)
        uint8 in 0..255 or float32 in 0..1. Of several channels, the one of largest gradient
        votes, pixel by pixel.
    orientations : int
        Number of bins over 0..180 degrees.
    pixels_per_cell : (int, int)
        Rows and columns of a cell. Pixels past the last whole cell do not vote.
    cells_per_block : (int, int)
        Rows and columns of a block, in cells.
    block_norm : {"L1", "L1-sqrt", "L2", "L2-Hys"}
        Normalisation of a block.
    transform_sqrt : bool
        Take the square root of the pixels first.

    Returns
    -------
    torch.Tensor of shape (b, f), float32 in 0..1
        For each block (rows, then columns), for each of its cells (rows, then columns), the
        orientations. A blank image gives zeros.

    Raises
    ------
    ValueError
        If the images are smaller than one block, or `block_norm` is none of the four.

    References
    ----------
    N. Dalal and B. Triggs, "Histograms of oriented gradients for human detection", CVPR 2005, in
    the form of `skimage.feature.hog`: hard votes, no Gaussian window.

    Examples
    --------
    >>> import torch
    >>> from visionpipe.kernels.hog import hog
    >>> edge = torch.zeros(1, 1, 8, 8)
    >>> edge[..., 4:] = 1
    >>> hog(edge, orientations=4, pixels_per_cell=(8, 8), cells_per_block=(1, 1))
    tensor([[1., 0., 0., 0.]])
    """
    cell_size, block_shape = tuple(pixels_per_cell), tuple(cells_per_block)
    if block_norm not in _BLOCK_NORMS:
        raise ValueError(f"block_norm must be one of {sorted(_BLOCK_NORMS)}; got {block_norm!r}.")
    planes = _planes_of_cells(batch, cell_size, block_shape)  # (c, b, h, w)
    if transform_sqrt:
        planes = planes.sqrt()

    # One piece of memory for everything of the size of the images: the allocator keeps it from
    # call to call, where it hands a dozen pieces back to the system and faults them in again.
    scratch = planes.new_empty(4, _whole_vectors(planes.numel()))
    energy, dx, dy = scratch[:3, : planes.numel()].view(3, *planes.shape)
    _gradients(planes, dy, dx)
    torch.mul(dx, dx, out=energy).addcmul_(dy, dy)
    if len(planes) > 1:
        _keep_strongest(energy, dy, dx)

    votes = energy[0].sqrt_()  # (b, h, w)
    bins = _orientation_bins(*scratch[1:3, : _whole_vectors(votes.numel())], orientations)
    bins = bins[: votes.numel()].view_as(votes)
    index = scratch[2:].view(torch.int64).view(-1)[: votes.numel()].view_as(votes)
    cells = _cell_histograms(bins, votes, orientations, cell_size, index)
    return _normalised_blocks(cells, votes.shape[1:], cell_size, block_shape, block_norm)


def _whole_vectors(n):
    """Round up to a multiple of the elements that one step of a vector loop takes.

    Beyond the last whole vector, torch computes atan2 by another routine, which rounds
    differently: the angle of a pixel would depend on its place in the batch.
    """
    return -(-n // 64) * 64


def _planes_of_cells(batch, cell_size, block_shape):
    """Pixels in 0..1, channels first, cut to the whole cells and the neighbours of their rims."""
    size, n_cells = batch.shape[2:], []
    for length, cell, block in zip(size, cell_size, block_shape, strict=True):
        n_cells.append(length // cell)
        if n_cells[-1] < block:
            least = tuple(c * k for c, k in zip(cell_size, block_shape, strict=True))
            raise ValueError(
                f"HOG got images of {tuple(size)} pixels; blocks of {block_shape} cells of "
                f"{cell_size} pixels need at least {least}: take smaller cells or fewer cells per "
                "block, or put Resize((h, w)) before it"
            )
    rows, columns = (n * cell + 1 for n, cell in zip(n_cells, cell_size, strict=True))
    return to_unit(batch.transpose(0, 1)[..., :rows, :columns].contiguous())


def _gradients(planes, dy, dx):
    """Central differences without the factor 1/2, zero on the rim of the image, into dy and dx."""
    height, width = planes.shape[2:]
    # All rows of all images as one long row: long vector loops, at the price of differences
    # across the rims, which are zeroed.
    line = planes.view(-1)
    torch.sub(line[2 * width :], line[: -2 * width], out=dy.view(-1)[width:-width])
    torch.sub(line[2:], line[:-2], out=dx.view(-1)[1:-1])
    dy[..., :: max(height - 1, 1), :] = 0
    dx[..., :: max(width - 1, 1)] = 0


def _keep_strongest(energy, dy, dx):
    """Collect in channel 0 the gradient of largest energy, pixel by pixel; the first of equals."""
    for channel in range(1, len(energy)):
        # A mask of 0.0 and 1.0: several times faster to make than booleans, and lerp_ with it is
        # an exact selection.
        stronger = torch.gt(energy[channel], energy[0], out=torch.empty_like(energy[0]))
        dy[0].lerp_(dy[channel], stronger)
        dx[0].lerp_(dx[channel], stronger)
        torch.maximum(energy[0], energy[channel], out=energy[0])


def _orientation_bins(dx, dy, orientations):
    """Bin of the direction over the full circle, -n..n; bins k and k + n are one orientation.

    Two half circles in the histogram cost less than folding the angle of every pixel. Overwrites
    dx and dy; the bins, int32, take the place of dx.
    """
    sectors = None if orientations % 2 else _sectors(dx, dy, orientations)
    # The excess, twice the rounding error of angle and product, keeps horizontal gradients that
    # point left, on the boundary at 180 degrees, in the upper bin, as exact arithmetic does.
    excess = orientations * 2**-23
    position = dy.atan2_(dx).mul_(orientations / math.pi).add_(excess)
    bins = dx.view(torch.int32).copy_(position.floor_())
    if sectors is not None:
        bins.copy_(_moved_into_sectors(bins, *sectors, orientations))
    return bins


def _sectors(dx, dy, orientations):
    """First bin of the half or quarter of the half circle that holds a direction, and their size.

    Of all boundaries between bins only multiples of 45 degrees can be met exactly, and in pictures
    of few levels often are. On which side of these a direction lies, comparisons tell exactly.
    """
    turned = (dy < 0) | ((dy == 0) & (dx < 0))
    sign = 1 - 2 * turned.to(dx.dtype)
    x, y = dx * sign, dy * sign  # 0 to 180 degrees, 180 excluded
    sector = (x <= 0).to(torch.int32)
    if orientations % 4:
        return sector * (orientations // 2), orientations // 2
    past_the_middle = torch.where(x <= 0, y <= -x, y >= x)
    return (2 * sector + past_the_middle) * (orientations // 4), orientations // 4


def _moved_into_sectors(bins, first, size, orientations):
    """Bins that rounding has put one too high or too low, past the bounds of their sectors."""
    place = (bins - first) % orientations  # 0..size - 1 where all is well
    return first + torch.where(place > size, 0, place.clamp(max=size - 1))


def _cell_histograms(bins, votes, orientations, cell_size, index):
    """Sum of the votes per cell and orientation; of the cells cut off at the rim, too.

    `index`, int64, is memory for the place of every vote.
    """
    b, h, w = bins.shape
    n_bins = 2 * orientations + 1  # -n, ..., n; the last is reached by the direction pi alone
    rows, columns = _histogram_origins(h, w, cell_size, n_bins, bins.device)
    index.copy_(bins.add_(rows + columns))

    n_cells = math.prod(_cells_touched((h, w), cell_size))
    circle = votes.new_zeros(b, n_cells * n_bins)
    circle.scatter_add_(1, index.view(b, -1), votes.view(b, -1))
    circle = circle.view(b, n_cells, n_bins)
    cells = circle[..., :orientations] + circle[..., orientations:-1]
    cells[..., 0].add_(circle[..., -1])
    return cells  # (b, cells, orientations)


def _cells_touched(size, cell_size):
    return [-(-length // cell) for length, cell in zip(size, cell_size, strict=True)]


@lru_cache(maxsize=32)
def _histogram_origins(h, w, cell_size, n_bins, device):
    """Place of bin 0 in the histogram of a pixel's cell, as a column plus a row of offsets."""
    _, n_columns = _cells_touched((h, w), cell_size)
    rows = torch.arange(h, dtype=torch.int32, device=device) // cell_size[0] * n_columns * n_bins
    columns = torch.arange(w, dtype=torch.int32, device=device) // cell_size[1] * n_bins
    return rows[:, None], columns + n_bins // 2  # (h, 1), (w,)


def _normalised_blocks(cells, size, cell_size, block_shape, block_norm):
    index, n_blocks = _cells_of_blocks(*size, cell_size, block_shape, cells.device)
    blocks = cells.index_select(1, index).view(len(cells), n_blocks, -1)
    # A cell histogram is its sum of votes over its area. The norms are homogeneous, so that the
    # area can join eps in place of dividing every histogram.
    _BLOCK_NORMS[block_norm](blocks, EPS * cell_size[0] * cell_size[1])
    return blocks.view(len(cells), -1)  # (b, f)


@lru_cache(maxsize=8)
def _cells_of_blocks(h, w, cell_size, block_shape, device):
    """Numbers of the cells of each block, end to end, and the number of blocks."""
    grid = torch.arange(math.prod(_cells_touched((h, w), cell_size)), device=device)
    grid = grid.view(_cells_touched((h, w), cell_size))[: h // cell_size[0], : w // cell_size[1]]
    blocks = grid.unfold(0, block_shape[0], 1).unfold(1, block_shape[1], 1)
    return blocks.flatten(), math.prod(blocks.shape[:2])


def _divide_by_l1(blocks, eps):
    return blocks.div_(blocks.sum(-1, keepdim=True).add_(eps))


def _divide_by_l1_sqrt(blocks, eps):
    return _divide_by_l1(blocks, eps).sqrt_()


def _divide_by_l2(blocks, eps):
    norm = torch.linalg.vector_norm(blocks, dim=-1, keepdim=True)
    return blocks.div_(norm.square_().add_(eps**2).sqrt_())


def _divide_by_l2_hys(blocks, eps):
    _divide_by_l2(blocks, eps).clamp_(max=CLIP)
    return _divide_by_l2(blocks, EPS)


_BLOCK_NORMS = {
    "L1": _divide_by_l1,
    "L1-sqrt": _divide_by_l1_sqrt,
    "L2": _divide_by_l2,
    "L2-Hys": _divide_by_l2_hys,
}
