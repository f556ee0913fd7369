"""Histograms of small integers in the cells of a grid, shared by LBP and the colour histogram."""

from functools import lru_cache

import numpy as np
import torch


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
    n_bins = b * n_cells * n_values
    # One histogram for the whole batch: every image, and every cell of it, has bins of its own.
    dtype = torch.int32 if n_bins < 2**31 else torch.int64
    index = values.to(dtype) + _images(b, n_cells * n_values, values.device).to(dtype)
    if n_cells > 1:
        rows, columns = _origins(h, w, n_values, *grid, values.device)
        index.add_(rows + columns)
    counts = torch.bincount(index.view(-1), minlength=n_bins)
    return counts.view(b, n_cells, n_values).to(torch.float32)


@lru_cache(maxsize=32)
def _images(b, n_values, device):
    """Place of the first bin of every image, (b, 1, 1)."""
    return (torch.arange(b, device=device) * n_values)[:, None, None]


@lru_cache(maxsize=32)
def grid_areas(h, w, grid, device):
    """Pixels per cell, at least 1, as a divisor of `grid_counts`: (gy * gx, 1) float32."""
    (_, heights), (_, widths) = _split(h, grid[0]), _split(w, grid[1])
    areas = np.outer(heights, widths).reshape(-1, 1).clip(1)
    return torch.as_tensor(areas, dtype=torch.float32, device=device)


@lru_cache(maxsize=32)
def _origins(h, w, n_values, gy, gx, device):
    """Place of the first bin of a pixel's cell, as a column plus a row of offsets."""
    rows = _split(h, gy)[0][:, None] * (gx * n_values)  # (h, 1)
    columns = _split(w, gx)[0] * n_values  # (w,)
    return tuple(torch.as_tensor(x, dtype=torch.int32, device=device) for x in (rows, columns))


def _split(length, n_parts):
    """Part of every position, and the number of positions of every part."""
    sizes = np.diff(np.linspace(0, length, n_parts + 1).round().astype(int))
    return np.repeat(np.arange(n_parts), sizes), sizes
