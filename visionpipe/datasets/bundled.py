"""Data sets that come with the dependencies: digits, faces, textures."""

import numpy as np
from sklearn.utils import Bunch

from visionpipe.images import as_images

__all__ = ["load_digits_images", "load_faces", "load_textures"]


def load_digits_images():
    """Load scikit-learn's 1,797 handwritten digits as images.

    Returns
    -------
    Bunch
        images : `Images` of 1,797 grey images of 8x8, float32 in 0..1 (17 levels).
        target : ndarray of int of shape (1797,), the digit.
        target_names : ndarray of str, "0" to "9".
        DESCR : str

    Examples
    --------
    >>> from visionpipe import load_digits_images
    >>> load_digits_images().images
    <1797 images: array of 8x8 grey, float32>
    """
    from sklearn.datasets import load_digits

    digits = load_digits()
    return Bunch(
        images=as_images((digits.images / 16).astype(np.float32)),
        target=digits.target,
        target_names=digits.target_names.astype(str),
        DESCR=digits.DESCR,
    )


def load_faces():
    """Load 100 faces and 100 patches without one: scikit-image's subset of LFW.

    Returns
    -------
    Bunch
        images : `Images` of 200 grey images of 25x25, float32 in 0..1.
        target : ndarray of int of shape (200,): 0 for "face", 1 for "other".
        target_names : ndarray of str, "face" and "other".
        DESCR : str

    References
    ----------
    G. B. Huang et al., "Labeled faces in the wild", University of Massachusetts technical report
    07-49, 2007.

    Examples
    --------
    >>> from visionpipe import load_faces
    >>> load_faces().images
    <200 images: array of 25x25 grey, float32>
    """
    from skimage.data import lfw_subset

    return Bunch(
        images=as_images(lfw_subset().astype(np.float32)),
        target=np.repeat([0, 1], 100),
        target_names=np.array(["face", "other"]),
        DESCR="100 faces and 100 patches without a face, 25x25 grey, out of Labeled Faces in the "
        "Wild, as scikit-image bundles them (skimage.data.lfw_subset).",
    )


def load_textures():
    """Load 432 overlapping crops of three textures: brick, grass and gravel.

    Each of scikit-image's three photographs of 512x512 is cut into 16 regions of 128x128, each
    region into 9 crops of 64x64 at steps of 32 pixels. Crops of one region share pixels, so they
    belong on the same side of any split: `groups` says which region a crop is from.

    Returns
    -------
    Bunch
        images : `Images` of 432 grey images of 64x64, uint8.
        target : ndarray of int of shape (432,).
        target_names : ndarray of str, "brick", "grass" and "gravel".
        groups : ndarray of int of shape (432,), the region: 48 of 9 crops. Give it to a splitter
            such as `sklearn.model_selection.StratifiedGroupKFold`.
        DESCR : str

    Examples
    --------
    >>> from visionpipe import load_textures
    >>> load_textures().images
    <432 images: array of 64x64 grey, uint8>
    """
    from skimage import data

    names = ["brick", "grass", "gravel"]
    crops = np.concatenate([_crops(getattr(data, name)()) for name in names])
    return Bunch(
        images=as_images(crops.reshape(-1, 64, 64)),
        target=np.repeat(np.arange(len(names)), len(crops) // len(names) * crops.shape[1]),
        target_names=np.array(names),
        groups=np.repeat(np.arange(len(crops)), crops.shape[1]),
        DESCR=load_textures.__doc__,
    )


def _crops(picture):
    """Crops (16 regions, 9, 64, 64) of a picture of 512x512."""
    regions = picture.reshape(4, 128, 4, 128).swapaxes(1, 2).reshape(16, 128, 128)
    windows = np.lib.stride_tricks.sliding_window_view(regions, (64, 64), axis=(1, 2))
    return windows[:, ::32, ::32].reshape(16, 9, 64, 64)
