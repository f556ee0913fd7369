"""Histograms of local binary patterns."""

from numbers import Real

from visionpipe.base import (
    ImageTransformer,
    check_choice,
    check_positive_int,
    check_positive_pair,
    refuse,
)
from visionpipe.kernels.lbp import lbp

__all__ = ["LBP"]


class LBP(ImageTransformer):
    """Histograms of local binary patterns, equal to `skimage.feature.local_binary_pattern`.

    Images must be grey, of any sizes. Floating-point images are compared on the scale 0..255; where
    they hold 8-bit levels, the patterns are those of the uint8 image to the last bit.

    Parameters
    ----------
    P : int, default=8
        Number of neighbours on the circle.
    R : float, default=1.0
        Radius of the circle in pixels.
    method : {"uniform", "nri_uniform", "default", "ror"}, default="uniform"
        ``"uniform"`` has P + 2 bins and does not change with rotation, ``"nri_uniform"`` has
        P (P - 1) + 3 bins and does, ``"default"`` has one of its 2^P bins for each pattern, and
        ``"ror"`` one for each class of patterns that are rotations of each other (36 for P = 8).
        The last two take P up to 16.
    grid : (int, int), default=(1, 1)
        Rows and columns of cells. Each cell has a histogram of its own, summing to 1.
    store : None, "auto", path-like or FeatureStore, default=None
        Where vectors are kept, so that each image is computed once; "auto" keeps them
        in the user's cache folder if reading is faster than computing.
    device : str or torch.device, default="cpu"
        Where to compute; ``"auto"`` is a GPU if there is one.

    Attributes
    ----------
    image_shape_in_ : tuple (h, w, c)
        Shape of the first image seen in `fit`.

    References
    ----------
    T. Ojala, M. Pietikäinen and T. Mäenpää, "Multiresolution gray-scale and rotation invariant
    texture classification with local binary patterns", IEEE TPAMI 24, 2002. The grid is that of
    T. Ahonen, A. Hadid and M. Pietikäinen, "Face description with local binary patterns", IEEE
    TPAMI 28, 2006.

    Examples
    --------
    >>> from visionpipe import LBP, load_faces
    >>> faces = load_faces()
    >>> LBP(P=8, R=1, grid=(3, 3)).fit_transform(faces.images).shape
    (200, 90)
    """

    _kernels = ("color", "grid", "lbp")

    def __init__(self, *, P=8, R=1.0, method="uniform", grid=(1, 1), store=None, device="cpu"):
        self.P = P
        self.R = R
        self.method = method
        self.grid = grid
        self.store = store
        self.device = device

    def _check_params(self):
        check_choice(self, method=("uniform", "nri_uniform", "default", "ror"))
        check_positive_int(self, "P")
        check_positive_pair(self, "grid")
        if not isinstance(self.R, Real) or not self.R > 0:
            refuse(self, "R", "a positive number of pixels")

    def _vectors(self, batch):
        if batch.shape[1] != 1:
            raise ValueError("LBP got RGB images; wanted grey ones: put Grayscale() before it")
        return lbp(batch, P=self.P, R=self.R, method=self.method, grid=tuple(self.grid))
