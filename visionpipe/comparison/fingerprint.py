"""What a comparison was made on, in a few digits: it tells whether two belong together."""

from hashlib import sha256

import numpy as np

from visionpipe.identity import digest
from visionpipe.images import as_images

__all__ = ["fingerprint_of", "images_or_none"]


def fingerprint_of(X, y):
    """Digest of images, flat rows or sets of descriptors, and their labels.

    Parameters
    ----------
    X : array-like of images, ndarray of shape (n, n_values) or Descriptors
    y : array-like of shape (n,)

    Returns
    -------
    str
        64 hexadecimal digits. Files count by their content, not by their names.

    Raises
    ------
    ValueError
        If `X` is none of these.
    ImageReadError
        If a file cannot be read.
    """
    labels = "\n".join(map(str, np.asarray(y).tolist()))
    sha = sha256(labels.encode(errors="surrogateescape"))
    if _is_flat(X):
        sha.update(digest(np.ascontiguousarray(X)).encode())
    else:
        source = X if hasattr(X, "digests") else as_images(X)
        sha.update(np.ascontiguousarray(source.digests()))
    return sha.hexdigest()


def images_or_none(X):
    """Images that can be looked at; None for flat rows and sets of descriptors."""
    return None if _is_flat(X) or hasattr(X, "offsets") else as_images(X)


def _is_flat(X):
    return isinstance(X, np.ndarray) and X.ndim == 2
