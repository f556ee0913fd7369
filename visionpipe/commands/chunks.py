"""Predictions for images of any number, some of whose files may not be readable."""

import numpy as np

from visionpipe.decoding import ImageReadError

__all__ = ["in_chunks"]

IMAGES_AT_ONCE = 256  # whose vectors are held; pixels are read in smaller batches


def in_chunks(predict, images, *, errors="raise", skipped=None):
    """Predict a few images at a time.

    Parameters
    ----------
    predict : callable
        Of `Images`.
    images : Images
    errors : {"raise", "skip"}, default="raise"
        What becomes of files that cannot be read: the first stops everything, or they are left out.
    skipped : list, default=None
        Errors of files that are left out are added to it.

    Yields
    ------
    rows : ndarray of int
        Positions of the images of a chunk that could be read.
    result : object
        What `predict` returned for them.

    Raises
    ------
    ImageReadError
        If a file cannot be read.
    """
    for start in range(0, len(images), IMAGES_AT_ONCE):
        rows = np.arange(start, min(start + IMAGES_AT_ONCE, len(images)))
        try:
            result = predict(images[rows])
        except ImageReadError:
            if errors == "raise":
                raise
            failures = images[rows].failures()
            skipped += failures.values()
            rows = np.delete(rows, list(failures))
            if not len(rows):
                continue
            result = predict(images[rows])
        yield rows, result
