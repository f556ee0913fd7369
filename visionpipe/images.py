"""The one door for pixels: what users bring, sizes, values, views and batches.

Whatever a user brings (an array, a list of arrays, a list of paths) becomes an :class:`Images`: an
immutable, picklable, lazy sequence that scikit-learn can split, and that hands its pixels out in
batches of equal shape.
"""

import os
from collections.abc import Sequence
from hashlib import file_digest, sha256

import numpy as np

from visionpipe import decoding
from visionpipe.decoding import MAX_PIXELS, ImageReadError, decode, open_file
from visionpipe.threads import map_ahead, n_threads

__all__ = ["Images", "as_images"]

PIXELS_PER_BATCH = 262_144  # 1 MB a float32 channel: little enough for a core's cache
# Memory is worth more where decoding takes most of the time. HOG at 64x64 of 20,000 JPEG files took
# 44 MB beside its vectors and the packages; with batches of 65,536 pixels 36, of 131,072 51 and of
# 262,144 82 MB. It ran at 0.92, 0.87, 0.93 and 0.98 of the rate of a bare loop that decodes and
# resizes (2 threads, medians of 5 rounds).
PIXELS_PER_BATCH_OF_FILES = 98_304
IMAGES_PER_TASK = 4  # that a thread reads from a list at a time
MOST_FILES_PER_TASK, TASKS_PER_THREAD = 64, 4
LARGE_SIDE = 1000  # pixels: a photograph's, to learn what becomes of its size
DIGESTS_PER_TASK = 64


# ------------------------------------------------------------------------------ arrays to pixels


def _check_pixels(pixels, where):
    """Arrays as the kernels want them: uint8 in 0..255 or float32 in 0..1.

    ``pixels`` is (b, h, w, c) of any numeric type, ``where`` a function of an index into it that
    says which image that is.
    """
    if pixels.dtype == np.uint8:
        return pixels
    if pixels.dtype == bool:
        return pixels.astype(np.uint8) * np.uint8(255)
    highest = 1 if pixels.dtype.kind == "f" else 255
    if not (pixels.min() >= 0 and pixels.max() <= highest):  # also False for NaN
        raise ValueError(_bad_pixels(pixels, highest, where))
    return pixels.astype(np.uint8 if highest == 255 else np.float32, copy=False)


def _bad_pixels(pixels, highest, where):
    flat = pixels.reshape(len(pixels), -1)
    bad = ~np.isfinite(flat)
    if bad.any():
        i = int(bad.any(axis=1).argmax())
        return (
            f"{where(i)} has {int(bad[i].sum())} pixels that are NaN or infinite; "
            "replace them first, for instance with np.nan_to_num"
        )
    i = int(((flat < 0) | (flat > highest)).any(axis=1).argmax())
    return (
        f"{where(i)} has {pixels.dtype} pixels from {flat[i].min():g} to {flat[i].max():g}; wanted "
        "floats in 0..1 or integers in 0..255: divide the images by their largest possible value"
    )


def _check_shape(shape, where):
    """(h, w, c) of one image of shape (h, w) or (h, w, c), or a clear error."""
    if len(shape) not in (2, 3):
        raise ValueError(f"{where} has shape {shape}; wanted (h, w) or (h, w, c)")
    if 0 in shape:
        raise ValueError(f"{where} has no pixels: its shape is {shape}")
    height, width, channels = (*shape, 1)[:3]
    if channels not in (1, 3):
        mend = "np.moveaxis(images, 1, -1) puts channels last" if shape[0] in (1, 3) else (
            "images[..., :3] drops an alpha channel"
        )  # fmt: skip
        raise ValueError(
            f"{where} has {channels} channels (shape {shape}); wanted 1 (grey) or 3 (RGB): {mend}"
        )
    return height, width, channels


def _is_numeric(dtype):
    return dtype.kind in "biuf"


# ---------------------------------------------------------------------------------------- Images


class Images(Sequence):
    """An immutable, lazy sequence of images.

    Build one with :func:`as_images` or :func:`load_images`. A slice, a mask or an index array gives
    another `Images` and reads nothing; an integer gives that image's pixels. Because ``shape`` is
    ``(n,)``, scikit-learn's splitters and searches index it like a one-dimensional array. Pickling
    one made of paths sends the paths only.

    Parameters
    ----------
    source : ndarray of shape (n, h, w, c), or list of paths and of arrays (h, w, c)
        Checked by `as_images`.
    index : ndarray of int or None
        Which images of an array `source`, in which order; None stands for all.
    steps : tuple of callables
        Each maps pixels (b, h, w, c) to pixels (b, h', w', c') when images are read; they must
        pickle. See `map`.
    max_pixels : int
        The most pixels of a file that are decoded; a file that has more is refused.

    Examples
    --------
    >>> import numpy as np
    >>> from visionpipe import as_images
    >>> images = as_images(np.zeros((10, 28, 28), dtype=np.uint8))
    >>> images
    <10 images: array of 28x28 grey, uint8>
    >>> images[3].shape, len(images[2:6]), images[[0, 9]].shape
    ((28, 28), 4, (2,))
    """

    def __init__(self, source, index=None, steps=(), max_pixels=MAX_PIXELS):
        self._source, self._index, self._steps = source, index, steps
        self._max_pixels = max_pixels

    def __len__(self):
        return len(self._source if self._index is None else self._index)

    @property
    def shape(self):
        """``(n,)``: what scikit-learn asks to see a sequence of samples."""
        return (len(self),)

    def __getitem__(self, key):
        if isinstance(key, tuple):  # scikit-learn sends (indices,) or (indices, ...)
            if not key or any(k is not Ellipsis for k in key[1:]):
                raise IndexError(f"images have one axis to index, got {key!r}")
            key = key[0]
        if isinstance(key, (int, np.integer)):
            position = range(len(self))[key]
            pixels = self._read(range(position, position + 1))[0]
            return pixels[..., 0] if pixels.shape[-1] == 1 else pixels
        return self._take(np.arange(len(self))[key])

    def __repr__(self):
        kinds = {type(s) for s in self._source} if isinstance(self._source, list) else None
        if kinds is None:
            _, height, width, channels = self._source.shape
            colours = "grey" if channels == 1 else "RGB"
            what = f"array of {height}x{width} {colours}, {self._source.dtype}"
        elif kinds <= {str}:
            what = f"files, first {self._source[0]}" if kinds else "none"
        else:
            what = "list of arrays" if str not in kinds else "list of arrays and files"
        steps = "".join(f", then {getattr(s, 'func', s).__name__}" for s in self._steps)
        return f"<{len(self)} images: {what}{steps}>"

    def __getstate__(self):
        """Travel light: of an array, only the images that are looked at."""
        if self._index is None:
            return self.__dict__
        return {**self.__dict__, "_source": self._source[self._index], "_index": None}

    def first_shape(self):
        """Return the shape (h, w, c) of the first image, which is read for it.

        Returns
        -------
        tuple of int
        """
        return self._read(range(1)).shape[1:]

    def map(self, step):
        """Return the same images with one more function applied when they are read.

        Parameters
        ----------
        step : callable
            Maps pixels (b, h, w, c) to pixels (b, h', w', c'); must pickle. An attribute
            ``identity``, str, says what it does and in which version, if it always does the same.
            An attribute ``resized_to``, a function of height and width, says to what a step resizes
            images, so that a large JPEG need not be decoded at its full size; one that does the
            same to every pixel, wherever it lies, has an attribute ``by_pixel``, which is true.

        Returns
        -------
        Images
        """
        return Images(self._source, self._index, (*self._steps, step), self._max_pixels)

    @property
    def reads_files(self):
        """Whether some of the images are files, whose content may change."""
        return isinstance(self._source, list) and any(isinstance(s, str) for s in self._source)

    def afresh(self):
        """Return the same images, as files are now: themselves."""
        return self

    def failures(self, on_read=None):
        """Read every file to its end, and keep the errors.

        Parameters
        ----------
        on_read : callable, default=None
            Called now and then with the number of images looked at so far, of how many, and the
            errors found since the last call, by position. May raise.

        Returns
        -------
        dict of int to ImageReadError
            Of those that cannot be read, by position; arrays are not looked at. JPEG files are
            decoded at an eighth of their size, which misses nothing and is faster.
        """
        failures, n_seen = {}, 0
        if not self.reads_files:
            return failures
        for rows, found in map_ahead(self._failures_of, _ranges(len(self), IMAGES_PER_TASK)):
            failures |= found
            n_seen += len(rows)
            if on_read is not None:
                on_read(n_seen, len(self), found)
        return failures

    def digests(self):
        """Digest of all that decides what is read of each image.

        That is the content of a file, not its name, or the pixels of an array; and what is done to
        them on reading. Nothing is decoded, unless a step has no ``identity``: then it is the
        pixels that come out of the steps.

        Returns
        -------
        ndarray of shape (n,), dtype V16
            The first half of an SHA-256.

        Raises
        ------
        ImageReadError
            If a file cannot be read.
        """
        parts = map_ahead(self._digests_of, _ranges(len(self), DIGESTS_PER_TASK))
        return np.frombuffer(b"".join(parts), dtype="V16")

    def batches(self, n_pixels=None):
        """Read all images, in batches of equal shape.

        Files are decoded and steps are applied by threads that run ahead of the caller by a bounded
        number of images, so memory grows with the batch, not with the data set.

        Parameters
        ----------
        n_pixels : int, default=None
            About how many pixels (height times width, summed over images) make a batch; at least
            one image. None is 262,144, and 98,304 if there are files to be decoded.

        Yields
        ------
        rows : ndarray of int of shape (b,)
            Positions of the batch's images in this sequence. Every position comes exactly once.
        pixels : ndarray of shape (b, h, w, c)
            uint8 in 0..255 or float32 in 0..1; c is 1 (grey) or 3 (RGB). Maybe not writable.
        """
        if isinstance(self._source, list):
            return self._grouped(self._read_ahead(), n_pixels or self._pixels_per_batch())
        return self.map_batches(_unchanged, n_pixels)

    def map_batches(self, function, n_pixels=None):
        """Read all images and apply a function to each batch, on threads.

        Parameters
        ----------
        function : callable
            Of the pixels (b, h, w, c) of a batch.
        n_pixels : int, default=None
            As in `batches`.

        Yields
        ------
        rows : ndarray of int of shape (b,)
            Positions of the batch's images in this sequence. Every position comes exactly once.
        result : object
            What `function` returned.
        """
        n_pixels = n_pixels or self._pixels_per_batch()
        if self.reads_files:
            return self._map_files(function, n_pixels)
        if isinstance(self._source, list):
            groups = self._grouped(self._read_ahead(), n_pixels)
            return map_ahead(lambda group: (group[0], function(group[1])), groups)
        height, width = self._source.shape[1:3]
        pixels_of_an_image = height * width
        if self._steps and len(self):  # what they make of an image may be larger
            height, width, _ = self.first_shape()
            pixels_of_an_image = max(pixels_of_an_image, height * width)
        ranges = _ranges(len(self), max(1, n_pixels // pixels_of_an_image))
        return map_ahead(lambda rows: (np.array(rows), function(self._read(rows))), ranges)

    def _pixels_per_batch(self):
        return PIXELS_PER_BATCH_OF_FILES if self.reads_files else PIXELS_PER_BATCH

    def _map_files(self, function, n_pixels):
        """Let each thread decode some files and apply the function to them, one after the other.

        With threads that decode and others that compute, which wait for each other and for the
        interpreter, HOG of 3,000 JPEG files took 1.3 times as long.
        """

        def job(rows):
            items = ((i, self._read(range(i, i + 1))[0]) for i in rows)
            return [(rows, function(pixels)) for rows, pixels in self._grouped(items, n_pixels)]

        for results in map_ahead(job, _ranges(len(self), self._files_per_task(n_pixels))):
            yield from results

    def _files_per_task(self, n_pixels):
        """As many as make a batch, where the size that they come in is known beforehand."""
        resized_to, most = self._resized_to(), IMAGES_PER_TASK
        if resized_to is not None:
            height, width = resized_to(LARGE_SIDE, LARGE_SIDE)
            most = min(n_pixels // (height * width), MOST_FILES_PER_TASK)
        fair = len(self) // (TASKS_PER_THREAD * n_threads())  # a last, long task is waited for
        return max(1, min(most, fair))

    def _read_ahead(self):
        """Positions and pixels of the images of a list, in order, read by threads."""
        for rows, images in map_ahead(self._read_each, _ranges(len(self), IMAGES_PER_TASK)):
            yield from zip(rows, images, strict=True)

    def _grouped(self, items, n_pixels):
        """Positions and pixels of images of equal shape, as soon as there are enough in all."""
        groups, n_waiting = {}, 0  # (shape, dtype) -> [(position, pixels), ...]
        for position, image in items:
            groups.setdefault((image.shape, image.dtype), []).append((position, image))
            n_waiting += image.shape[0] * image.shape[1]
            if n_waiting >= n_pixels:
                yield from map(_stack, groups.values())
                groups, n_waiting = {}, 0
        yield from map(_stack, groups.values())

    def _digests_of(self, rows):
        """Digests of a range of images, joined."""
        if not all(hasattr(step, "identity") for step in self._steps):
            pixels = (self._read(range(i, i + 1))[0] for i in rows)
            return b"".join(_digest(item, "read") for item in pixels)
        identity = "then ".join(["", *(step.identity for step in self._steps)])
        if isinstance(self._source, list):
            return b"".join(_digest(self._source[i], identity) for i in rows)
        source, index = self._source, rows if self._index is None else self._index[rows]
        start = sha256(_kind(source[0], identity))
        digests = []
        for i in index:
            one = start.copy()
            one.update(np.ascontiguousarray(source[i]))
            digests.append(one.digest()[:16])
        return b"".join(digests)

    def _failures_of(self, rows):
        """A range of positions, and errors by position."""
        found = {}
        for position in rows:
            if isinstance(self._source[position], str):
                try:
                    self._decode(self._source[position], _as_small_as_possible)
                except ImageReadError as error:
                    found[position] = error.with_traceback(None)
        return rows, found

    def _decode(self, path, resized_to):
        return decode(path, max_pixels=self._max_pixels, resized_to=resized_to)

    def _read_each(self, rows):
        """Pixels of some images of a list, of any shapes."""
        return rows, [self._read(range(position, position + 1))[0] for position in rows]

    def _read(self, rows):
        """Pixels (b, h, w, c) of a range of images of one shape, uint8 or float32."""
        if isinstance(self._source, list):
            (item,) = self._source[rows.start : rows.stop]
            if isinstance(item, str):
                item = self._decode(item, self._resized_to())
            pixels = item[None]
        elif self._index is None:
            pixels = self._source[rows.start : rows.stop]
        else:
            pixels = self._source[self._index[rows.start : rows.stop]]
        pixels = _check_pixels(pixels, lambda i: f"image {rows[i]}")
        for step in self._steps:
            pixels = step(pixels)
        return pixels

    def _resized_to(self):
        """The size that images are resized to before anything else looks at pixels side by side."""
        for step in self._steps:
            if not getattr(step, "by_pixel", False):
                return getattr(step, "resized_to", None)
        return None

    def _take(self, chosen):
        if isinstance(self._source, list):
            source, index = [self._source[i] for i in chosen], None
        else:
            source, index = self._source, chosen if self._index is None else self._index[chosen]
        return Images(source, index, self._steps, self._max_pixels)


def _unchanged(pixels):
    return pixels


def _as_small_as_possible(height, width):
    return 1, 1


def _digest(item, identity):
    """Digest of one item of a list, a path or an array, and of what is done to it."""
    if not isinstance(item, str):
        content = np.ascontiguousarray(item)
        return sha256(_kind(content, identity) + content.tobytes()).digest()[:16]
    with open_file(item) as file:
        start = sha256(f"file {decoding.VERSION} {identity}\n".encode())
        return file_digest(file, start.copy).digest()[:16]


def _kind(pixels, identity):
    return f"array {pixels.dtype.str} {pixels.shape} {identity}\n".encode()


def _ranges(n, size):
    return (range(start, min(start + size, n)) for start in range(0, n, size))


def _stack(members):
    positions, pixels = zip(*members, strict=True)
    return np.array(positions), np.stack(pixels)


# ------------------------------------------------------------------------- what users bring to it


def as_images(X, *, owner="visionpipe", max_pixels=MAX_PIXELS):
    """Make an `Images` of whatever holds images.

    Parameters
    ----------
    X : Images, ndarray, or sequence
        An array (n, h, w) or (n, h, w, c); a sequence of arrays (h, w) or (h, w, c), of unequal
        sizes if need be; a sequence of paths; an `Images`. c is 1 (grey) or 3 (RGB). Pixels are
        integers in 0..255, floats in 0..1, or booleans. Files may be grey, RGB, palette, CMYK, with
        transparency (dropped), of 16 bits (the upper 8 count) or turned by an EXIF tag.
    owner : str
        Who asks: error messages begin with it.
    max_pixels : int, default=MAX_PIXELS
        The most pixels, height times width, of a file that are decoded, 89 million if nothing is
        said: what a small file claims to hold may not fit into memory. An `Images` keeps its own.

    Returns
    -------
    Images
        Nothing is decoded and no array is copied. Pixel values are checked when they are read.

    Raises
    ------
    ValueError
        If `X` is empty, flat rows, or not images.
    """
    if isinstance(X, Images):
        if len(X) == 0:
            raise ValueError(f"{owner} got no images (0 samples); wanted at least 1")
        return X
    try:
        source = _as_source(X)
    except ValueError as error:
        raise ValueError(f"{owner}: {error}") from None
    return as_images(Images(source, max_pixels=max_pixels), owner=owner)


def _as_source(X):
    if isinstance(X, (str, os.PathLike)):
        raise ValueError(
            f"got one path, {os.fspath(X)!r}; wanted a list of paths: [path], "
            "or load_images(folder).images"
        )
    if isinstance(X, (bytes, dict)) or not hasattr(X, "__len__") or hasattr(X, "tocsr"):
        raise ValueError(f"got {type(X).__name__}; wanted an array, a list of arrays or of paths")
    if isinstance(X, (list, tuple)):
        if X and all(isinstance(item, (list, tuple)) for item in X):
            X = _nested_lists(X)
        else:
            return [_as_item(item, i) for i, item in enumerate(X)]
    array = np.asarray(X)
    if array.dtype.kind in "OUST":
        return [_as_item(item, i) for i, item in enumerate(array.ravel())]
    return _as_array_source(array)


def _nested_lists(X):
    """Images written as lists of numbers: one array if their sizes agree."""
    try:
        return np.asarray(X)
    except ValueError:  # ragged
        return np.fromiter((np.asarray(item) for item in X), dtype=object, count=len(X))


def _as_array_source(array):
    if not _is_numeric(array.dtype):
        raise ValueError(f"got {array.dtype} pixels; wanted integers in 0..255 or floats in 0..1")
    if array.ndim == 2:
        raise ValueError(
            f"got flat rows of shape {array.shape}; wanted images (n, h, w) or (n, h, w, c): "
            "put Unflatten(image_shape) before it"
        )
    if array.ndim not in (3, 4):
        raise ValueError(f"got an array of shape {array.shape}; wanted (n, h, w) or (n, h, w, c)")
    return array.reshape(len(array), *_check_shape(array.shape[1:], "each image"))


def _as_item(item, position):
    if isinstance(item, (str, os.PathLike)):
        return os.fspath(item)
    pixels = np.asarray(item)
    if not _is_numeric(pixels.dtype):
        raise ValueError(f"item {position} is {type(item).__name__}; wanted an array or a path")
    if pixels.ndim == 1:
        raise ValueError(
            f"item {position} is a flat row of {pixels.size} numbers; wanted an image (h, w) or "
            "(h, w, c): put Unflatten(image_shape) before it"
        )
    return pixels.reshape(_check_shape(pixels.shape, f"image {position}"))
