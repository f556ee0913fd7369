"""Small pictures side by side, in one image."""

import math

import numpy as np

__all__ = ["caption_places", "figsize_of_mosaic", "mosaic_of"]


def mosaic_of(tiles, *, captioned=False):
    """Lay tiles out in rows, about as many as there are columns.

    Parameters
    ----------
    tiles : ndarray of float of shape (n, h, w) or (n, h, w, c)
    captioned : bool
        Leave room for a line of text above each tile.

    Returns
    -------
    ndarray of shape (H, W) or (H, W, c)
        NaN between the tiles and where there is none.
    """
    height, width = tiles.shape[1:3]
    n_rows, n_columns = _grid(len(tiles))
    down, across = _pitch(height, width, captioned)
    mosaic = np.full((n_rows * down, n_columns * across, *tiles.shape[3:]), np.nan, np.float32)
    for tile, (i, j) in zip(tiles, np.ndindex(n_rows, n_columns), strict=False):
        top, left = i * down, j * across
        mosaic[top : top + height, left : left + width] = tile
    return mosaic[: height - down, : width - across]  # without the last margins


def caption_places(tiles):
    """Where the captions of a captioned mosaic go: (n, 2), x and y of each tile's upper middle."""
    height, width = tiles.shape[1:3]
    rows, columns = np.divmod(np.arange(len(tiles)), _grid(len(tiles))[1])
    down, across = _pitch(height, width, captioned=True)
    return np.stack([columns * across + (width - 1) / 2, rows * down - 0.5], axis=1)


def figsize_of_mosaic(mosaic, inches=6):
    """Inches of a figure that shows a mosaic of so many inches on its longer side, and a title."""
    height, width = mosaic.shape[:2]
    scale = inches / max(height, width)
    return max(3, scale * width) + 0.8, max(1, scale * height) + 0.4


def _grid(n_tiles):
    n_columns = math.ceil(math.sqrt(n_tiles))
    return math.ceil(n_tiles / n_columns), n_columns


def _pitch(height, width, captioned):
    """Rows and columns from one tile to the next."""
    margin = max(1, min(height, width) // 8)
    return height + (max(1, height // 3) if captioned else margin), width + margin
