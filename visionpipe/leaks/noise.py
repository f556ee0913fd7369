"""Noise in place of images that are held out, and other classes in place of their labels."""

import os
from pathlib import Path

import numpy as np
from PIL import Image

from visionpipe.decoding import MAX_PIXELS, decode
from visionpipe.images import Images

__all__ = ["noise_in_place_of", "other_classes"]

N_GRAINS = 64  # on the shorter side of a file, at most: files of finer noise would be large


def noise_in_place_of(X, rows, folder, rng):
    """Put noise in place of some images or vectors.

    Parameters
    ----------
    X : Images, ndarray, list or tuple
        Images in whatever way `as_images` takes them, or vectors (n, f).
    rows : ndarray of int
        Which to replace.
    folder : path-like
        Where to write a file of noise for each that is a file. Those have squares of noise rather
        than pixels where they are large.
    rng : numpy.random.Generator

    Returns
    -------
    object of the type of X
        All others are as they were. Noise has the shape, the data type and the range of values of
        what it takes the place of, or the range that images have where that is of one value only.

    Raises
    ------
    ValueError
        If X is something else.
    ImageReadError
        If a file to be replaced cannot be read.

    Examples
    --------
    >>> import numpy as np
    >>> from visionpipe.leaks.noise import noise_in_place_of
    >>> vectors = np.array([[1.0, 2.0], [3.0, 4.0]])
    >>> replaced = noise_in_place_of(vectors, np.array([1]), ".", np.random.default_rng(0))
    >>> replaced.round(1).tolist()
    [[1.0, 2.0], [3.6, 3.3]]
    """
    if isinstance(X, Images):
        return _in_images(X, rows, folder, rng)
    if isinstance(X, np.ndarray) and X.dtype.kind in "biuf":
        return _in_array(X, rows, rng)
    if isinstance(X, (list, tuple)):
        return type(X)(_in_list(list(X), rows, folder, rng))
    if isinstance(X, np.ndarray) and X.ndim == 1:
        items = _in_list(X.tolist(), rows, folder, rng)
        replaced = np.empty(len(items), dtype=object)
        replaced[:] = items
        return replaced if X.dtype == object else np.array(items)
    kind = f"an array of {X.dtype}" if isinstance(X, np.ndarray) else type(X).__name__
    raise ValueError(
        f"got {kind}; wanted images, paths or a numpy array of vectors (n, f), which noise can "
        "take the place of"
    )


def other_classes(y, rows, rng):
    """Put another class in place of some labels.

    Parameters
    ----------
    y : ndarray of shape (n,)
    rows : ndarray of int
        Which to replace.
    rng : numpy.random.Generator

    Returns
    -------
    ndarray of shape (n,)

    Raises
    ------
    ValueError
        If there is but one class.

    Examples
    --------
    >>> import numpy as np
    >>> from visionpipe.leaks.noise import other_classes
    >>> y = np.array(["cat", "dog", "dog"])
    >>> other_classes(y, np.array([0, 2]), np.random.default_rng(0)).tolist()
    ['dog', 'dog', 'cat']
    """
    classes, numbers = np.unique(y, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(f"all images are of one class, {classes[0]!s}; wanted at least 2 classes")
    numbers[rows] += rng.integers(1, len(classes), size=len(rows))
    return classes[numbers % len(classes)]


# ------------------------------------------------------------------------ by what images are in


def _in_images(images, rows, folder, rng):
    source, index = images._source, images._index
    if isinstance(source, list):
        source = _in_list(list(source), rows, folder, rng, images._max_pixels)
    else:
        source = _in_array(source if index is None else source[index], rows, rng)
    return Images(source, None, images._steps, images._max_pixels)


def _in_array(array, rows, rng):
    replaced = np.array(array)
    for row in rows:
        replaced[row] = _noise_like(array[row], rng)
    return replaced


def _in_list(items, rows, folder, rng, max_pixels=MAX_PIXELS):
    for row in rows:
        item = items[row]
        if isinstance(item, (str, os.PathLike)):
            file = Path(folder, f"{row}.png")
            _write_noise_like(decode(os.fspath(item), max_pixels=max_pixels), file, rng)
            items[row] = file if isinstance(item, Path) else str(file)
        else:
            noise = _noise_like(np.asarray(item), rng)
            items[row] = noise.tolist() if isinstance(item, (list, tuple)) else noise
    return items


def _write_noise_like(pixels, file, rng):
    """Write noise of as many rows and columns as pixels (h, w, c), squares if these are many."""
    height, width, _ = pixels.shape
    side = -(-min(height, width) // N_GRAINS)
    grains = _noise_like(pixels[::side, ::side], rng)
    noise = grains.repeat(side, axis=0).repeat(side, axis=1)[:height, :width]
    Image.fromarray(noise[..., 0] if noise.shape[2] == 1 else noise).save(file, compress_level=1)


def _noise_like(values, rng):
    if values.dtype.kind not in "biuf":
        raise ValueError(f"got an item of {values.dtype}; wanted an image, a path or numbers")
    if values.dtype == bool:
        return rng.integers(2, size=values.shape).astype(bool)
    finite = values[np.isfinite(values)]
    lowest, highest = (finite.min(), finite.max()) if finite.size else (0, 0)
    is_whole = values.dtype.kind in "iu"
    if lowest == highest:
        lowest, highest = 0, min(255, np.iinfo(values.dtype).max) if is_whole else 1
    if is_whole:
        return rng.integers(lowest, highest, size=values.shape, dtype=values.dtype, endpoint=True)
    return rng.uniform(lowest, highest, values.shape).astype(values.dtype)
