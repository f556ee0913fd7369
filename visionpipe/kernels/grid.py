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
    if n_cells > 1:
        rows, columns = _origins(h, w, n_values, *grid, values.device)
        values = values.to(torch.int32) + (rows + columns)
    index = values.to(torch.int64).reshape(b, -1)  # (b, h * w)
    counts = torch.zeros(b, n_cells * n_values, device=values.device)
    # A plane of ones is read faster than a single one expanded.
    counts.scatter_add_(1, index, torch.ones(index.shape, device=values.device))
    return counts.view(b, n_cells, n_values)


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
