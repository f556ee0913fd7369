"""Histograms of oriented gradients, drawn as glyphs."""

import numpy as np
from sklearn.base import clone

from visionpipe.displays.display import (
    draw_image,
    figsize_of,
    get_axes,
    import_pyplot,
    steps_up_to,
    transform_images,
)
from visionpipe.features.hog import HOG

__all__ = ["HOGDisplay"]


class HOGDisplay:
    """The glyphs of `HOG`: for each cell, a star of strokes, one for each orientation.

    A stroke lies along the edge, at a right angle to the gradient; its length and brightness are
    proportional to the cell's vote for the orientation, up to one cell. That is the length of the
    strongest stroke of a cell in all but 2 % of the cells. Use `from_estimator` to make one.

    Parameters
    ----------
    image : ndarray of shape (h, w) or (h, w, c)
        What `HOG` was computed of: uint8, or float in 0..1.
    cells : ndarray of shape (n_rows, n_columns, orientations)
        The vote of each cell for each orientation, at least 0.
    pixels_per_cell : (int, int)
        Height and width of a cell.

    Attributes
    ----------
    strokes_ : matplotlib LineCollection
        Those of votes above 0, weakest first; its array holds the votes.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from skimage.data import astronaut
    >>> from visionpipe import HOG, HOGDisplay
    >>> display = HOGDisplay.from_estimator(HOG(pixels_per_cell=(16, 16)), astronaut())
    >>> display.cells.shape
    (32, 32, 9)
    >>> plt.show()  # doctest: +SKIP
    >>> plt.close(display.figure_)
    """

    def __init__(self, image, cells, *, pixels_per_cell):
        self.image = image
        self.cells = cells
        self.pixels_per_cell = pixels_per_cell

    @classmethod
    def from_estimator(
        cls, estimator, image, *, ax=None, image_alpha=0.35, cmap="afmhot", line_kw=None
    ):
        """Compute HOG of an image and draw it.

        Parameters
        ----------
        estimator : HOG or Pipeline
            Fitted or not. The steps of a pipeline before its `HOG` are applied to the image; those
            after it do not matter.
        image : ndarray of shape (h, w) or (h, w, c), or path
            Of any size: that of the images in `fit` does not matter.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        image_alpha : float, default=0.35
            Opacity of the image before a black background; 0 hides it.
        cmap : str or matplotlib Colormap, default="afmhot"
            Colours of votes, weakest first.
        line_kw : dict, default=None
            Further parameters of matplotlib's `LineCollection`, such as ``linewidths``.

        Returns
        -------
        HOGDisplay

        Raises
        ------
        ValueError
            If there is no `HOG` in `estimator`, or `image` is no image or smaller than a block.
        ImportError
            If matplotlib is missing.
        """
        import_pyplot(cls.__name__)
        *before, hog = steps_up_to(estimator, HOG, owner=cls.__name__, wanted="a HOG")
        images = transform_images(before, [image], owner=cls.__name__)
        vector = clone(hog).transform(images)[0]  # the clone has not seen images of another size
        pixels = images[0]
        cells = _mean_over_blocks(vector, pixels.shape[:2], hog)
        display = cls(pixels, cells, pixels_per_cell=tuple(hog.pixels_per_cell))
        return display.plot(ax=ax, image_alpha=image_alpha, cmap=cmap, line_kw=line_kw)

    def plot(self, *, ax=None, image_alpha=0.35, cmap="afmhot", line_kw=None):
        """Draw the image and, over it, the glyphs.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        image_alpha : float, default=0.35
            Opacity of the image before a black background; 0 hides it.
        cmap : str or matplotlib Colormap, default="afmhot"
            Colours of votes, weakest first.
        line_kw : dict, default=None
            Further parameters of matplotlib's `LineCollection`, such as ``linewidths``.

        Returns
        -------
        HOGDisplay
            Itself.

        Raises
        ------
        ImportError
            If matplotlib is missing.
        """
        self.ax_ = get_axes(self, ax, figsize=figsize_of(self.image))
        self.figure_ = self.ax_.figure
        from matplotlib.collections import LineCollection

        full = _vote_of_full_length(self.cells)
        segments, votes = _strokes(self.cells, self.pixels_per_cell, full)
        # without its axis, the axes have no background of their own
        black = np.zeros(self.image.shape[:2], dtype=np.uint8)
        draw_image(self.ax_, black)
        draw_image(self.ax_, self.image, alpha=image_alpha)
        options = {"cmap": cmap, "array": votes, "linewidths": 1.2, **(line_kw or {})}
        self.strokes_ = LineCollection(segments, **options)
        self.strokes_.set_clim(0, full)
        self.ax_.add_collection(self.strokes_, autolim=False)  # the image sets the limits
        return self


def _mean_over_blocks(vector, size, hog):
    """Votes (n_rows, n_columns, orientations): for each cell, the mean over the blocks it is in.

    The vector's own numbers show what a classifier gets, with `block_norm` and `transform_sqrt`.
    Blocks of one cell would not: they bring every cell to one length, and so the noise of a blank
    wall to that of an edge.
    """
    block = tuple(hog.cells_per_block)
    shape = tuple(s // cell for s, cell in zip(size, hog.pixels_per_cell, strict=True))
    n_rows, n_columns = (n - b + 1 for n, b in zip(shape, block, strict=True))  # of blocks
    blocks = vector.reshape(n_rows, n_columns, *block, hog.orientations)
    total, n_blocks = np.zeros((*shape, hog.orientations)), np.zeros((*shape, 1))
    for i, j in np.ndindex(block):
        total[i : i + n_rows, j : j + n_columns] += blocks[:, :, i, j]
        n_blocks[i : i + n_rows, j : j + n_columns] += 1
    return total / n_blocks


def _vote_of_full_length(cells):
    """The vote whose stroke is as long as a cell; not the largest, which would dim the rest."""
    strongest = cells.max(axis=2)
    return np.quantile(strongest[strongest > 0], 0.98) if strongest.any() else 1.0


def _strokes(cells, pixels_per_cell, full):
    """Ends of the strokes, (m, 2, 2) in x and y, and their votes, (m,), weakest first."""
    rows, columns, bins = np.nonzero(cells > 0)
    votes = cells[rows, columns, bins]
    height, width = pixels_per_cell
    centres = np.column_stack([(columns + 0.5) * width, (rows + 0.5) * height]) - 0.5
    gradients = (bins + 0.5) * np.pi / cells.shape[2]  # the middle of the bin, clockwise from x
    along_edge = np.column_stack([-np.sin(gradients), np.cos(gradients)])
    lengths = np.minimum(votes / full, 1) * min(height, width)
    half = along_edge * lengths[:, None] / 2
    weakest_first = np.argsort(votes, kind="stable")
    return np.stack([centres - half, centres + half], axis=1)[weakest_first], votes[weakest_first]
