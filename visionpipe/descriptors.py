"""Local descriptors of many images: a ragged container that scikit-learn can split."""

from collections.abc import Sequence
from hashlib import sha256

import numpy as np
from sklearn.utils import check_random_state

__all__ = ["Descriptors", "as_descriptors"]

ROWS_PER_CHECK = 1 << 16  # how much is looked at a time: bounds the memory of checking


class Descriptors(Sequence):
    """For each image, a set of descriptors: any number of vectors of one length.

    An integer index gives that image's descriptors as an array; a slice, a mask or an index array
    gives another `Descriptors` (a slice shares the memory). Because ``shape`` is ``(n,)``,
    scikit-learn's splitters and searches index it like a one-dimensional array. It pickles, and
    ``joblib.load(path, mmap_mode="r")`` of one that ``joblib.dump`` wrote reads from the disk only
    what is used.

    Parameters
    ----------
    values : ndarray of shape (N, d)
        The descriptors of all images, one image after the other; finite. Kept as uint8 where they
        are whole numbers in 0..255, else as float16 where that changes no value, else as float32.
    offsets : array-like of int of shape (n_images + 1,)
        Image ``i`` has rows ``offsets[i]`` to ``offsets[i + 1]``, from 0 to N.
    frames : ndarray of shape (N, 4), default=None
        Where each descriptor comes from: x and y of its centre in pixels (0 is the centre of the
        first), its scale, which is the width in pixels of one of the 4x4 cells of a SIFT
        descriptor, and its angle in radians, clockwise from the x axis. float32.
    image_sizes : array-like of int of shape (n_images, 2), default=None
        Height and width of each image. Spatial pyramids need it and the frames.
    root : bool, default=False
        The descriptors are the square roots of `values` after division by their sum, computed when
        they are read: RootSIFT, exactly, in the 128 bytes of a SIFT descriptor.
    origin : str, default=None
        What computed them, for error messages.

    Attributes
    ----------
    offsets, frames, image_sizes, root, origin
        As given; frames, image_sizes and origin may be None.

    Raises
    ------
    ValueError
        If shapes do not agree, or values are NaN, infinite, or (for `root`) negative.

    Examples
    --------
    >>> import numpy as np
    >>> from visionpipe import Descriptors
    >>> sets = Descriptors(np.arange(10).reshape(5, 2), offsets=[0, 2, 2, 5])
    >>> sets
    <descriptors of 3 images: 5 of length 2, uint8>
    >>> sets[2]
    array([[4, 5],
           [6, 7],
           [8, 9]], dtype=uint8)
    >>> len(sets[1]), sets[[2, 0]].offsets.tolist()
    (0, [0, 3, 5])
    """

    def __init__(self, values, offsets, *, frames=None, image_sizes=None, root=False, origin=None):
        values, offsets = np.asarray(values), np.asarray(offsets, dtype=np.int64)
        if values.ndim != 2:
            raise ValueError(f"values have shape {values.shape}; wanted (N, d)")
        if offsets.ndim != 1 or len(offsets) == 0 or (np.diff(offsets) < 0).any():
            raise ValueError("offsets must be a row of ints that never falls, [0, ..., N]")
        if offsets[0] != 0 or offsets[-1] != len(values):
            raise ValueError(
                f"offsets run from {offsets[0]} to {offsets[-1]}; wanted 0 to {len(values)}, "
                "the number of rows of values"
            )
        if frames is not None and np.shape(frames) != (len(values), 4):
            raise ValueError(f"frames have shape {np.shape(frames)}; wanted ({len(values)}, 4)")
        if image_sizes is not None and np.shape(image_sizes) != (len(offsets) - 1, 2):
            wanted = f"({len(offsets) - 1}, 2)"
            raise ValueError(f"image_sizes have shape {np.shape(image_sizes)}; wanted {wanted}")
        self._values = _compact(values, offsets, root)
        self.offsets = offsets
        self.frames = None if frames is None else np.asarray(frames, dtype=np.float32)
        self.image_sizes = None if image_sizes is None else np.asarray(image_sizes, dtype=np.int32)
        self.root = bool(root)
        self.origin = origin

    reads_files = False

    def __len__(self):
        return len(self.offsets) - 1

    @property
    def shape(self):
        """``(n_images,)``: what scikit-learn asks to see a sequence of samples."""
        return (len(self),)

    @property
    def n_features(self):
        """Length of a descriptor, d."""
        return self._values.shape[1]

    @property
    def counts(self):
        """Number of descriptors of each image, ndarray of int of shape (n_images,)."""
        return np.diff(self.offsets)

    @property
    def values(self):
        """All descriptors, (N, d), as `read` gives them."""
        return self.read(slice(None)) if self.root else self._values

    @property
    def nbytes(self):
        """Memory of values, offsets, frames and image sizes, in bytes."""
        arrays = (self._values, self.offsets, self.frames, self.image_sizes)
        return sum(array.nbytes for array in arrays if array is not None)

    def read(self, rows):
        """Descriptors by their row in `values`, whichever image they belong to.

        Parameters
        ----------
        rows : slice, or array of int

        Returns
        -------
        ndarray of shape (m, d)
            float32 for RootSIFT, else of the type in memory.
        """
        values = self._values[rows]
        return _root(values) if self.root else values

    def positions(self, rows):
        """Centres of descriptors as fractions of their images.

        Parameters
        ----------
        rows : array of int
            Rows in `values`.

        Returns
        -------
        ndarray of float32 of shape (m, 2)
            x / width and y / height, in 0..1: pixel centres lie at (i + 0.5) / size.

        Raises
        ------
        ValueError
            If there are no frames or image sizes.
        """
        if self.frames is None or self.image_sizes is None:
            raise ValueError(
                "these descriptors have no frames and image_sizes, which tell where in an image "
                "each comes from; SIFT, RootSIFT and DenseSIFT give them"
            )
        images = np.searchsorted(self.offsets, rows, side="right") - 1
        fractions = (self.frames[rows, :2] + 0.5) / self.image_sizes[images, ::-1]
        return fractions.clip(0, 1).astype(np.float32, copy=False)

    def load(self):
        """Return the same descriptors, all of them in memory: themselves."""
        return self

    def digests(self):
        """Digest of the set of each image.

        Returns
        -------
        ndarray of shape (n_images,), dtype V16
            The first half of an SHA-256.
        """
        digests = []
        for image, (start, stop) in enumerate(zip(self.offsets, self.offsets[1:], strict=False)):
            digest = sha256(f"{self._values.dtype} {self._values.shape[1]} {self.root}\n".encode())
            digest.update(np.ascontiguousarray(self._values[start:stop]))
            if self.frames is not None:
                digest.update(np.ascontiguousarray(self.frames[start:stop]))
            if self.image_sizes is not None:
                digest.update(np.ascontiguousarray(self.image_sizes[image]))
            digests.append(digest.digest()[:16])
        return np.frombuffer(b"".join(digests), dtype="V16")

    def sample(self, n_rows, random_state):
        """Rows of some descriptors, drawn from all with equal chance, without repetition.

        Parameters
        ----------
        n_rows : int
            How many at most.
        random_state : int, RandomState or None

        Returns
        -------
        ndarray of int of shape (min(n_rows, N),), rising
        """
        n_all = int(self.offsets[-1])
        if n_all <= n_rows:
            return np.arange(n_all)
        rng = np.random.default_rng(check_random_state(random_state).randint(2**31))
        return np.sort(rng.choice(n_all, n_rows, replace=False, shuffle=False))

    def batches(self, n_rows, n_images):
        """Split into runs of neighbouring images of about so many descriptors.

        Parameters
        ----------
        n_rows : int
            How many descriptors a run may have; a run has at least one image.
        n_images : int
            How many images a run may have, at least 1.

        Yields
        ------
        range
            Positions of images.
        """
        start = 0
        while start < len(self):
            within = int(np.searchsorted(self.offsets, self.offsets[start] + n_rows, side="right"))
            stop = min(max(start + 1, within - 1), start + n_images, len(self))
            yield range(start, stop)
            start = stop

    def __getitem__(self, key):
        if isinstance(key, tuple):  # scikit-learn sends (indices,) or (indices, ...)
            if not key or any(k is not Ellipsis for k in key[1:]):
                raise IndexError(f"descriptors have one axis to index, got {key!r}")
            key = key[0]
        if isinstance(key, (int, np.integer)):
            image = range(len(self))[key]
            return self.read(slice(*self.offsets[image : image + 2]))
        if isinstance(key, slice) and key.step in (None, 1):
            start, stop, _ = key.indices(len(self))
            return self._slice(start, max(start, stop))
        return self._take(np.arange(len(self))[key])

    def _slice(self, start, stop):
        rows = slice(self.offsets[start], self.offsets[stop])
        offsets = self.offsets[start : stop + 1] - self.offsets[start]
        return self._with(rows, offsets, slice(start, stop))

    def _take(self, images):
        offsets = _offsets(self.counts[images])
        # row r of image i of the result is row r - offsets[i] of the image it comes from
        moved = np.repeat(self.offsets[images] - offsets[:-1], np.diff(offsets))
        return self._with(np.arange(offsets[-1]) + moved, offsets, images)

    def _with(self, rows, offsets, images):
        taken = object.__new__(Descriptors)
        taken._values, taken.offsets = self._values[rows], offsets
        taken.root, taken.origin = self.root, self.origin
        taken.frames = None if self.frames is None else self.frames[rows]
        taken.image_sizes = None if self.image_sizes is None else self.image_sizes[images]
        return taken

    def __repr__(self):
        root = ", square roots" if self.root else ""
        return (
            f"<descriptors of {len(self)} images: {len(self._values)} of length "
            f"{self.n_features}, {self._values.dtype}{root}>"
        )

    @classmethod
    def from_list(cls, sets):
        """Descriptors computed elsewhere: one array for each image.

        Parameters
        ----------
        sets : sequence of (array-like of shape (n_i, d), or None)
            None, as OpenCV returns it for a blank image, stands for no descriptors.

        Returns
        -------
        Descriptors
            Without frames and image sizes.

        Raises
        ------
        ValueError
            If the arrays are not numeric and of one length of descriptor.

        Examples
        --------
        >>> import numpy as np
        >>> from visionpipe import Descriptors
        >>> Descriptors.from_list([np.ones((3, 128)), None, np.ones((1, 128))])
        <descriptors of 3 images: 4 of length 128, uint8>
        """
        arrays = [_as_set(item, i) for i, item in enumerate(sets)]
        lengths = {array.shape[1] for array in arrays if array.ndim == 2}
        if len(lengths) > 1:
            raise ValueError(f"descriptors have lengths {sorted(lengths)}; wanted one length")
        empty = np.empty((0, *lengths) if lengths else (0, 0), dtype=np.float32)
        arrays = [array if array.ndim == 2 else empty for array in arrays]
        return cls(
            np.concatenate(arrays) if arrays else empty,
            _offsets([len(array) for array in arrays]),
        )

    @classmethod
    def concatenate(cls, parts):
        """Descriptors of the images of several containers, one after the other.

        Parameters
        ----------
        parts : sequence of Descriptors
            At least one; all of one length of descriptor, all or none of them RootSIFT. Frames and
            image sizes are kept if all parts have them.

        Returns
        -------
        Descriptors

        Raises
        ------
        ValueError
            If there are none, or their descriptors are of different kinds.
        """
        parts = [part.load() for part in parts]
        kinds = {(part.n_features, part.root) for part in parts if len(part._values)}
        if len(kinds) > 1 or not parts:
            raise ValueError(
                f"got {len(parts)} containers of descriptors of (length, root) "
                f"{sorted(kinds)}; wanted at least one, and all of one kind"
            )
        filled = [part for part in parts if len(part._values)] or parts[:1]
        joined = object.__new__(cls)
        joined._values = np.concatenate([part._values for part in filled])
        joined.root, joined.origin = filled[0].root, filled[0].origin
        joined.offsets = _offsets(np.concatenate([part.counts for part in parts]))
        for name, used in (("frames", filled), ("image_sizes", parts)):
            arrays = [getattr(part, name) for part in used]
            complete = all(array is not None for array in arrays)
            setattr(joined, name, np.concatenate(arrays) if complete else None)
        return joined


def _offsets(counts):
    offsets = np.zeros(len(counts) + 1, dtype=np.int64)
    np.cumsum(counts, out=offsets[1:])
    return offsets


def _root(values):
    """RootSIFT (Arandjelovic and Zisserman 2012) of SIFT; zero stays zero."""
    total = values.sum(axis=1, dtype=np.float32, keepdims=True)
    scaled = values / np.maximum(total, np.finfo(np.float32).tiny)
    return np.sqrt(scaled, out=scaled)


def _compact(values, offsets, root):
    """Return values in the smallest type that holds each of them exactly, checked."""
    if values.dtype == np.uint8:
        return values
    if values.dtype.kind not in "biuf":
        raise ValueError(f"descriptors are of type {values.dtype}; wanted numbers")
    candidates = [np.uint8, np.float16]
    for start in range(0, len(values), ROWS_PER_CHECK):
        part = values[start : start + ROWS_PER_CHECK].astype(np.float32)
        wrong = ~np.isfinite(part).all(axis=1)
        if root:
            wrong |= (part < 0).any(axis=1)
        if wrong.any():
            row = start + int(wrong.argmax())
            image = int(np.searchsorted(offsets, row, side="right")) - 1
            what = "negative or not finite" if root else "NaN or infinite"
            raise ValueError(
                f"descriptor {row - offsets[image]} of image {image} has values that are {what}; "
                "leave it out"
            )
        with np.errstate(invalid="ignore", over="ignore"):  # of values that do not fit
            candidates = [t for t in candidates if (part.astype(t) == part).all()]
    return values.astype((*candidates, np.float32)[0], copy=False)


def _as_set(item, position):
    """Return an array (n_i, d), or one of no dimension in place of an empty set."""
    array = np.empty(()) if item is None else np.asarray(item)
    if array.dtype.kind not in "biuf":
        raise ValueError(
            f"item {position} is {type(item).__name__}; wanted an array of descriptors "
            "(n_i, d): for images, put SIFT(), RootSIFT() or DenseSIFT() before it"
        )
    if item is None or (array.size == 0 and array.ndim < 2):
        return np.empty(())
    if array.ndim != 2:
        raise ValueError(
            f"item {position} has shape {array.shape}; wanted descriptors (n_i, d): for images, "
            "put SIFT(), RootSIFT() or DenseSIFT() before it"
        )
    return array


def as_descriptors(X, *, owner="visionpipe"):
    """Make `Descriptors` of whatever holds descriptors.

    Parameters
    ----------
    X : Descriptors, or sequence of arrays of shape (n_i, d)
        One for each image; an array of shape (n_images, k, d) is such a sequence.
    owner : str
        Who asks: error messages begin with it.

    Returns
    -------
    Descriptors

    Raises
    ------
    ValueError
        If `X` is empty, or not sets of descriptors.
    """
    if not isinstance(X, Descriptors):
        if not hasattr(X, "__len__") or isinstance(X, (str, bytes, dict)) or hasattr(X, "tocsr"):
            raise ValueError(
                f"{owner} got {type(X).__name__}; wanted Descriptors or a list of arrays (n_i, d)"
            )
        if isinstance(X, np.ndarray) and X.ndim == 2 and X.dtype.kind in "biuf":
            raise ValueError(
                f"{owner} got one array of shape {X.shape}; wanted one array (n_i, d) for each "
                "image: [array] is the descriptors of one image"
            )
        if hasattr(X, "map_batches"):  # Images
            raise ValueError(
                f"{owner} got images; wanted descriptors: put SIFT(), RootSIFT() or DenseSIFT() "
                "before it"
            )
        try:
            X = Descriptors.from_list(X)
        except ValueError as error:
            raise ValueError(f"{owner}: {error}") from None
    if len(X) == 0:
        raise ValueError(f"{owner} got no descriptors (0 samples); wanted those of 1 image or more")
    return X
