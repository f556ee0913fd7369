"""The spatial pyramid: grids over an image whose cells are described one by one."""

import numpy as np
import torch

from visionpipe.base import refuse

__all__ = ["SpatialPyramid", "check_pyramid"]


def check_pyramid(owner):
    """Return the grids of ``owner.pyramid`` as pairs (rows, columns), or raise a ValueError."""
    try:
        grids = [(g, g) if np.ndim(g) == 0 else tuple(g) for g in owner.pyramid]
        valid = grids and all(
            len(grid) == 2 and all(n == int(n) and n >= 1 for n in grid) for grid in grids
        )
    except (TypeError, ValueError):
        valid = False
    if not valid:
        refuse(owner, "pyramid", "a tuple of grids, each an int or a pair (rows, columns)")
    return [tuple(map(int, grid)) for grid in grids]


class SpatialPyramid:
    """Cells of several grids, as unions of the tiles that all their borders cut an image into.

    What is additive is summed once for each tile, and the tiles of a cell are added.

    Parameters
    ----------
    grids : list of (rows, columns)

    Attributes
    ----------
    n_cells, n_tiles : int
    members : torch.Tensor of shape (n_cells, n_tiles), bool
        Which tiles make up which cell; cells run over grids, rows and columns.

    References
    ----------
    S. Lazebnik, C. Schmid and J. Ponce, "Beyond bags of features: spatial pyramid matching for
    recognizing natural scene categories", CVPR 2006.

    Examples
    --------
    >>> from visionpipe.encoding.pyramid import SpatialPyramid
    >>> pyramid = SpatialPyramid([(1, 1), (1, 2), (3, 1)])
    >>> pyramid.n_cells, pyramid.n_tiles
    (6, 6)
    """

    def __init__(self, grids):
        self._row_borders, self._column_borders = (
            np.unique([i / grid[axis] for grid in grids for i in range(1, grid[axis])])
            for axis in (0, 1)
        )
        rows, columns = (
            (np.append(borders, 1) + np.insert(borders, 0, 0)) / 2  # middles of the tiles
            for borders in (self._row_borders, self._column_borders)
        )
        self.n_tiles = len(rows) * len(columns)
        self.n_cells = sum(n_rows * n_columns for n_rows, n_columns in grids)
        members = []
        for n_rows, n_columns in grids:
            cells = np.floor(rows * n_rows)[:, None] * n_columns + np.floor(columns * n_columns)
            members.append(cells.ravel() == np.arange(n_rows * n_columns)[:, None])
        self.members = torch.from_numpy(np.concatenate(members))

    def tiles(self, positions):
        """Tile of each position.

        Parameters
        ----------
        positions : ndarray of shape (m, 2)
            x and y as fractions, in 0..1.

        Returns
        -------
        ndarray of int of shape (m,)
        """
        column = np.searchsorted(self._column_borders, positions[:, 0], side="right")
        row = np.searchsorted(self._row_borders, positions[:, 1], side="right")
        return row * (len(self._column_borders) + 1) + column

    def sums(self, tiles):
        """Add up what belongs to each cell.

        Parameters
        ----------
        tiles : torch.Tensor of shape (b, n_tiles, ...)

        Returns
        -------
        torch.Tensor of shape (b, n_cells, ...)
        """
        if self.n_tiles == self.n_cells == 1:
            return tiles
        members = self.members.to(tiles.device, tiles.dtype)
        cells = torch.matmul(members, tiles.flatten(2))
        return cells.view(len(tiles), self.n_cells, *tiles.shape[2:])

    def maxima(self, tiles):
        """Take the largest of what belongs to each cell.

        Parameters
        ----------
        tiles : torch.Tensor of shape (b, n_tiles, k)

        Returns
        -------
        torch.Tensor of shape (b, n_cells, k)
        """
        return torch.stack([tiles[:, tiles_of_cell].amax(1) for tiles_of_cell in self.members], 1)
