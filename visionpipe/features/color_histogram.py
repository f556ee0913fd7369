"""Colour histograms."""

import numpy as np

from visionpipe.base import ImageTransformer, check_choice, check_positive_pair, refuse
from visionpipe.kernels.color_histogram import color_histogram

__all__ = ["ColorHistogram"]


class ColorHistogram(ImageTransformer):
    """Histograms of the colours of an image, equal to `numpy.histogramdd` of its pixels.

    Images may be grey or RGB, and of any sizes; a grey image is one with R = G = B.

    Parameters
    ----------
    color_space : {"rgb", "hsv", "lab", "grey"}, default="rgb"
        Colour space, by the formulas of `skimage.color`. Bins divide 0..1 in every channel, except
        in lab: 0..100 for L, -128..127 for a and b.
    bins : int or sequence of ints, default=8
        Number of bins of every channel, or of each.
    joint : bool, default=True
        One histogram over all channels together (bins multiply), or one for each channel (bins add
        up).
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
    M. J. Swain and D. H. Ballard, "Color indexing", IJCV 7, 1991.

    Examples
    --------
    >>> import numpy as np
    >>> from visionpipe import ColorHistogram
    >>> red = np.zeros((1, 4, 4, 3))
    >>> red[..., 0] = 1
    >>> ColorHistogram(bins=2).fit_transform(red)
    array([[0., 0., 0., 0., 1., 0., 0., 0.]], dtype=float32)
    """

    _kernels = ("color", "color_histogram", "grid")

    def __init__(
        self, *, color_space="rgb", bins=8, joint=True, grid=(1, 1), store=None, device="cpu"
    ):
        self.color_space = color_space
        self.bins = bins
        self.joint = joint
        self.grid = grid
        self.store = store
        self.device = device

    def _check_params(self):
        check_choice(self, color_space=("rgb", "hsv", "lab", "grey"), joint=(False, True))
        check_positive_pair(self, "grid")
        n_channels = 1 if self.color_space == "grey" else 3
        bins = np.asarray(self.bins)
        if bins.dtype.kind not in "iu" or bins.shape not in ((), (n_channels,)) or bins.min() < 1:
            wanted = f"a positive int, or {n_channels} of them for color_space={self.color_space!r}"
            refuse(self, "bins", wanted)

    def _vectors(self, batch):
        return color_histogram(
            batch,
            color_space=self.color_space,
            bins=self.bins if np.ndim(self.bins) == 0 else tuple(self.bins),
            joint=self.joint,
            grid=tuple(self.grid),
        )
