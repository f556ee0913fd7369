"""RootSIFT descriptors at key points, or on a grid."""

from visionpipe.local.sift import SIFT

__all__ = ["RootSIFT"]


class RootSIFT(SIFT):
    """Square roots of SIFT descriptors divided by their sum: Euclid's distance becomes Hellinger's.

    Parameters are those of `SIFT`. Descriptors have norm 1, or 0 where there is no gradient. They
    are kept as the bytes of SIFT, 144 bytes a descriptor of one channel, and computed when they are
    read.

    Parameters
    ----------
    detector : {"fast", "sift", "dense"}, default="fast"
        Where descriptors are: at FAST corners, at SIFT's key points, or on a grid.
    threshold : float, default=None
        What is too weak for a key point; None is the detector's default.
    max_keypoints : int, default=None
        Of an image, keep the strongest so many key points; None keeps all. Not of "dense".
    keypoint_size : float, default=7
        Diameter in pixels of FAST's key points.
    border : int, default=0
        Leave out key points within so many pixels of the rim of the image. Not of "dense".
    step : int, default=4
        Of "dense": distance of descriptors in pixels.
    bin_sizes : tuple of int, default=(4, 6, 8, 10)
        Of "dense": widths of a cell in pixels.
    low_contrast : {"zero", "drop"}, default="zero"
        Of "dense": set descriptors of low contrast to zero, or drop them.
    color : {"grey", "rgb", "opponent"}, default="grey"
        What is described; with three channels, all 384 values are divided by one sum.
    store : None, "auto", path-like or FeatureStore, default=None
        Where the bytes of SIFT are kept, the same as those of `SIFT`.
    device : str or torch.device, default="cpu"
        Where "dense" is computed.

    Attributes
    ----------
    image_shape_in_ : tuple (h, w, c)
        Shape of the first image seen in `fit`.

    References
    ----------
    R. Arandjelovic and A. Zisserman, "Three things everyone should know to improve object
    retrieval", CVPR 2012.

    Examples
    --------
    >>> import numpy as np
    >>> from skimage.data import astronaut
    >>> from visionpipe import RootSIFT
    >>> descriptors = RootSIFT(max_keypoints=300).fit_transform([astronaut()])
    >>> descriptors[0].dtype, bool(np.allclose(np.linalg.norm(descriptors[0], axis=1), 1))
    (dtype('float32'), True)
    """

    _root = True

    def _setting(self):
        if type(self) is not RootSIFT:  # who knows what a subclass describes
            return super()._setting()
        return SIFT(**self.get_params())._setting()
