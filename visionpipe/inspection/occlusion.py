"""Occlusion: what a classifier misses when a part of the image is covered."""

import copy

import numpy as np

from visionpipe.images import as_images
from visionpipe.inspection.parts import best_of
from visionpipe.inspection.scores import class_scores, number_of
from visionpipe.store import use_store

__all__ = ["occlusion_map"]

PIXELS_PER_BATCH = 1 << 22  # of occluded copies predicted at a time: 50 MB of RGB float32


def occlusion_map(estimator, image, label=None, *, size=None, step=None, fill=None):
    """How much the score of a class falls when a square patch covers each place.

    After Zeiler & Fergus (2014), sec. 4.2. The classifier is only asked, so that it works for any:
    features by hand and a linear one as well as networks.

    Parameters
    ----------
    estimator : classifier of images
        Fitted, with ``predict_proba`` or, failing that, ``decision_function``: a network, a
        pipeline, a search.
    image : ndarray of shape (h, w) or (h, w, c), or path
        Of any size that the classifier takes.
    label : label of a class, default=None
        None is the class that is predicted.
    size : int, default=None
        Side of the patch in pixels. None is a fifth of the image's shorter side; the paper's patch
        is of 50 pixels in 224.
    step : int, default=None
        Pixels from one place of the patch to the next, at most `size`. None is a third of `size`.
        Halving it takes four times as long.
    fill : float or array-like of shape (c,), default=None
        What the patch is filled with, on the scale of the image's pixels. None is the image's mean
        colour.

    Returns
    -------
    ndarray of float32 of shape (h, w)
        Fall of the score, the mean over all patches that cover a pixel. Positive where the class
        needs the pixels, negative where they speak against it.

    Raises
    ------
    ValueError
        If there is no score of classes, the label is not a class, or a parameter is out of range.
    NotFittedError
        If the estimator is not fitted.

    References
    ----------
    M. D. Zeiler and R. Fergus, "Visualizing and understanding convolutional networks", ECCV, 2014.

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.svm import LinearSVC
    >>> from visionpipe import HOG, load_faces
    >>> from visionpipe.inspection import occlusion_map
    >>> faces = load_faces()
    >>> model = make_pipeline(HOG(), LinearSVC()).fit(faces.images, faces.target)
    >>> occlusion_map(model, faces.images[0], label=0).shape
    (25, 25)
    """
    owner = "occlusion_map"
    estimator = _without_store(best_of(estimator))
    pixels = as_images([image], owner=owner)[0]  # (h, w) or (h, w, c)
    size, step = _check_sizes(size, step, pixels.shape[:2])
    fill = _check_fill(fill, pixels)
    scores = class_scores(estimator, pixels[None], owner=owner)[0]  # (n_classes,)
    if label is None:
        label = estimator.predict(pixels[None])[0]
    number = number_of(label, estimator.classes_, owner=owner)
    rows, columns = (_covered(length, size, step) for length in pixels.shape[:2])
    falls = np.empty((len(rows), len(columns)))
    for places, copies in _occluded(pixels, rows, columns, fill):
        left = class_scores(estimator, copies, owner=owner)  # (b, n_classes)
        falls.flat[places] = scores[number] - left[:, number]
    n_patches = np.outer(rows.sum(axis=0), columns.sum(axis=0))  # (h, w)
    return (rows.T @ falls @ columns / n_patches).astype(np.float32)


def _without_store(estimator):
    """The estimator, or a copy that stores no features: those of occluded images are used once."""
    parameters = estimator.get_params()
    stores = [value for name, value in parameters.items() if name.split("__")[-1] == "store"]
    if all(store is None for store in stores):
        return estimator
    return use_store(copy.deepcopy(estimator), None)


def _check_sizes(size, step, image_size):
    """Side of the patch and its steps, both in pixels."""
    shorter = min(image_size)
    size = max(1, round(shorter / 5)) if size is None else size
    if not 1 <= size <= shorter or size != int(size):
        raise ValueError(
            f"occlusion_map got size={size!r} for an image of {image_size} pixels (height, width); "
            f"wanted a whole number from 1 to {shorter}"
        )
    step = max(1, int(size) // 3) if step is None else step
    if not 1 <= step <= size or step != int(step):
        raise ValueError(
            f"occlusion_map got step={step!r} for a patch of {size} pixels; wanted a whole number "
            f"from 1 to {size}, so that every pixel is covered"
        )
    return int(size), int(step)


def _check_fill(fill, pixels):
    """Value of each channel of the patch, of the image's dtype."""
    if fill is None:
        fill = pixels.mean(axis=(0, 1))
    white = 255 if pixels.dtype == np.uint8 else 1
    values = np.asarray(fill, dtype=float)
    if values.shape not in ((), pixels.shape[2:]) or not ((values >= 0) & (values <= white)).all():
        raise ValueError(
            f"occlusion_map got fill={fill!r}; wanted a number from 0 to {white}, or one for each "
            "channel of the image"
        )
    return (values.round() if white == 255 else values).astype(pixels.dtype)


def _covered(length, size, step):
    """Mask (n_places, length) of the pixels of an axis that a patch covers in each of its places.

    The last place is at the end, however far the steps reach.
    """
    last = length - size
    starts = np.append(np.arange(0, last, step), last)[:, None]  # (n_places, 1)
    along = np.arange(length)
    return (along >= starts) & (along < starts + size)


def _occluded(pixels, rows, columns, fill):
    """Numbers of places, and copies of the image with a patch there, in bounded batches."""
    n_places = len(rows) * len(columns)
    height, width = pixels.shape[:2]
    n_copies = max(1, PIXELS_PER_BATCH // (height * width))
    for start in range(0, n_places, n_copies):
        places = np.arange(start, min(start + n_copies, n_places))
        i, j = np.divmod(places, len(columns))
        is_covered = rows[i, :, None] & columns[j, None, :]  # (b, h, w)
        if pixels.ndim == 3:
            is_covered = is_covered[..., None]
        yield places, np.where(is_covered, fill, pixels)  # (b, h, w) or (b, h, w, c)
