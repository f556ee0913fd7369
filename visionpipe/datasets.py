"""Data sets that come with the dependencies, and folders of images, by one name each."""

import os
import warnings
from pathlib import Path

import numpy as np
from sklearn.utils import Bunch

from visionpipe.decoding import IMAGE_SUFFIXES
from visionpipe.images import Images, as_images

__all__ = ["load_data", "load_digits_images", "load_faces", "load_images", "load_textures"]


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


_LOADERS = {"digits": load_digits_images, "faces": load_faces, "textures": load_textures}


def load_images(folder):
    """Read a folder whose sub-folders are classes, lazily.

    Parameters
    ----------
    folder : path-like
        Each sub-folder is a class, named by it; images may lie deeper inside. Hidden files and
        files without the suffix of an image format are passed over.

    Returns
    -------
    Bunch
        images : `Images`, nothing decoded yet, sorted by class, then by path.
        target : ndarray of int of shape (n,), positions in `target_names`.
        target_names : ndarray of str, sorted.
        filenames : ndarray of str of shape (n,).

    Raises
    ------
    ValueError
        If the folder is missing, has no sub-folders, or one of them holds no image.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> from visionpipe import load_images
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("cat", "dog"):
    ...         (Path(folder) / name).mkdir()
    ...         Image.new("RGB", (40, 30)).save(Path(folder) / name / "1.png")
    ...     data = load_images(folder)
    ...     data.target_names.tolist(), data.target.tolist(), data.images[0].shape
    (['cat', 'dog'], [0, 1], (30, 40, 3))
    """
    folder = Path(folder)
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise ValueError(f"{folder} {what}; wanted a folder with one sub-folder for each class")
    classes = sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    if not classes:
        raise ValueError(f"{folder} has no sub-folders; wanted one sub-folder for each class")
    filenames, target = [], []
    for label, path in enumerate(classes):
        found = _image_files(path)
        if not found:
            raise ValueError(
                f"class folder {path} holds no images; put some in or remove the folder"
            )
        filenames += found
        target += [label] * len(found)
    return Bunch(
        images=Images(filenames),
        target=np.array(target),
        target_names=np.array([path.name for path in classes]),
        filenames=np.array(filenames),
    )


def _image_files(folder):
    found = []
    for root, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [
            os.path.join(root, name)
            for name in names
            if not name.startswith(".") and Path(name).suffix.lower() in IMAGE_SUFFIXES
        ]
    return sorted(found)


def load_data(name):
    """Load a data set by its name, or a folder with one sub-folder of images for each class.

    Parameters
    ----------
    name : str or path-like
        ``"digits"``, ``"faces"``, ``"textures"``, or a folder. A name goes before a folder of the
        same name; ``./digits`` is always the folder.

    Returns
    -------
    Bunch
        With at least `images`, `target` and `target_names`; `groups` where images must not be
        split freely.

    Raises
    ------
    ValueError
        If it is neither a known name nor a readable folder.

    Examples
    --------
    >>> from visionpipe.datasets import load_data
    >>> len(load_data("faces").images)
    200
    """
    if name in _LOADERS:
        if Path(name).is_dir():
            warnings.warn(
                f"{name!r} is taken as the data set; for the folder write ./{name}", stacklevel=2
            )
        return _LOADERS[name]()
    if not Path(name).exists():
        raise ValueError(
            f"there is no data set and no folder {str(name)!r}; the data sets are "
            f"{', '.join(_LOADERS)}"
        )
    return load_images(name)
