"""Histograms of small integers in the cells of a grid, shared by LBP and the colour histogram."""

from functools import lru_cache

import numpy as np
import torch

VERSION = 1

INDEX_TYPES = (torch.int16, torch.int32, torch.int64)


def grid_counts(values, n_values, grid):
    """Count the integers of every image in every cell of a grid.

    Rows are split at ``np.linspace(0, h, gy + 1).round()``, columns likewise.

    Parameters
    ----------
    values : torch.Tensor of shape (b, h, w), integer in 0..n_values - 1
    n_values : int
    grid : (int, int)
        Rows and columns of cells, (gy, gx).

    Returns
    -------
    torch.Tensor of shape (b, gy * gx, n_values), float32

    Examples
    --------
    >>> import torch
    >>> from visionpipe.kernels.grid import grid_counts
    >>> grid_counts(torch.tensor([[[0, 0, 1, 2]]]), 3, (1, 2))
    tensor([[[2., 0., 0.],
             [0., 1., 1.]]])
    """
    b, h, w = values.shape
    n_cells = grid[0] * grid[1]
    # One histogram for the whole batch: every image, and every cell of it, has bins of its own. So
    # have even and odd columns where there are few bins: neighbours are much alike, and adding to
    # one bin twice in a row waits for memory.
    lanes = 2 if 8 * n_cells * n_values <= h * w else 1
    n_bins = b * lanes * n_cells * n_values
    # The smallest type that numbers them all is the least to move through the caches.
    dtype = next(dtype for dtype in INDEX_TYPES if n_bins - 1 <= torch.iinfo(dtype).max)
    index = values.to(dtype) + _lanes(b, w, lanes, n_cells * n_values, dtype, values.device)
    if n_cells > 1:
        rows, columns = _cells(h, w, n_values, *grid, dtype, values.device)
        index.add_(rows + columns)
    counts = torch.bincount(index.reshape(-1), minlength=n_bins)
    counts = counts.view(b, lanes, n_cells, n_values)
    counts = counts.sum(1) if lanes > 1 else counts[:, 0]
    return counts.to(torch.float32)  # (b, n_cells, n_values)


@lru_cache(maxsize=32)
def _lanes(b, w, lanes, n_bins, dtype, device):
    """Place of the first bin of every image and column, (b, 1, w)."""
    images = torch.arange(b, device=device)[:, None, None] * (lanes * n_bins)
    columns = torch.arange(w, device=device) % lanes * n_bins
    return (images + columns).to(dtype)


@lru_cache(maxsize=32)
def grid_areas(h, w, grid, device):
    """Pixels per cell, at least 1, as a divisor of `grid_counts`: (gy * gx, 1) float32."""
    (_, heights), (_, widths) = _split(h, grid[0]), _split(w, grid[1])
    areas = np.outer(heights, widths).reshape(-1, 1).clip(1)
    return torch.as_tensor(areas, dtype=torch.float32, device=device)


@lru_cache(maxsize=32)
def _cells(h, w, n_values, gy, gx, dtype, device):
    """Place of the first bin of a pixel's cell in its lane, as a column plus a row of offsets."""
    rows = _split(h, gy)[0][:, None] * (gx * n_values)  # (h, 1)
    columns = _split(w, gx)[0] * n_values  # (w,)
    return tuple(torch.as_tensor(x, dtype=dtype, device=device) for x in (rows, columns))


def _split(length, n_parts):
    """Part of every position, and the number of positions of every part."""
    sizes = np.diff(np.linspace(0, length, n_parts + 1).round().astype(int))
    return np.repeat(np.arange(n_parts), sizes), sizes
