"""Histograms of oriented gradients."""

from visionpipe.base import (
    ImageTransformer,
    check_choice,
    check_positive_int,
    check_positive_pair,
)
from visionpipe.kernels.hog import hog

__all__ = ["HOG"]


class HOG(ImageTransformer):
    """Histograms of oriented gradients, equal to `skimage.feature.hog`.

    Images may be grey or RGB (at each pixel the channel with the largest gradient counts), and are
    of one size.

    Parameters
    ----------
    orientations : int, default=9
        Number of orientation bins over 180 degrees.
    pixels_per_cell : (int, int), default=(8, 8)
        Height and width of a cell.
    cells_per_block : (int, int), default=(3, 3)
        Height and width of a block, in cells.
    block_norm : {"L2-Hys", "L2", "L1", "L1-sqrt"}, default="L2-Hys"
        How each block is normalised.
    transform_sqrt : bool, default=False
        Take the square root of the pixels first.
    store : None, "auto", path-like or FeatureStore, default=None
        Where vectors are kept, so that each image is computed once; "auto" keeps them
        in the user's cache folder if reading is faster than computing.
    device : str or torch.device, default="cpu"
        Where to compute; ``"auto"`` is a GPU if there is one.

    Attributes
    ----------
    image_shape_in_ : tuple (h, w, c)
        Shape of the first image seen in `fit`.

    Notes
    -----
    Parameters and defaults are those of scikit-image, so that ``HOG()`` is
    ``skimage.feature.hog(image)`` on pixels in 0..1. The vector runs over block rows, block
    columns, cell rows, cell columns and orientations.

    References
    ----------
    N. Dalal and B. Triggs, "Histograms of oriented gradients for human detection", CVPR 2005.

    Examples
    --------
    >>> from visionpipe import HOG, load_faces
    >>> faces = load_faces()
    >>> HOG(pixels_per_cell=(5, 5), cells_per_block=(2, 2)).fit_transform(faces.images).shape
    (200, 576)
    """

    _needs_one_size = True
    _kernels = ("color", "hog")

    def __init__(
        self,
        *,
        orientations=9,
        pixels_per_cell=(8, 8),
        cells_per_block=(3, 3),
        block_norm="L2-Hys",
        transform_sqrt=False,
        store=None,
        device="cpu",
    ):
        self.orientations = orientations
        self.pixels_per_cell = pixels_per_cell
        self.cells_per_block = cells_per_block
        self.block_norm = block_norm
        self.transform_sqrt = transform_sqrt
        self.store = store
        self.device = device

    def _check_params(self):
        check_choice(
            self, block_norm=("L2-Hys", "L2", "L1", "L1-sqrt"), transform_sqrt=(False, True)
        )
        check_positive_int(self, "orientations")
        check_positive_pair(self, "pixels_per_cell", "cells_per_block")

    def _vectors(self, batch):
        return hog(
            batch,
            orientations=self.orientations,
            pixels_per_cell=tuple(self.pixels_per_cell),
            cells_per_block=tuple(self.cells_per_block),
            block_norm=self.block_norm,
            transform_sqrt=self.transform_sqrt,
        )
