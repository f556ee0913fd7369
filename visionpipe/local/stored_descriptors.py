"""Descriptors that lie in a feature store, and are read when they are looked at."""

from hashlib import sha256

import numpy as np

from visionpipe.descriptors import Descriptors
from visionpipe.once import HEAD, compute_once, keys_of

__all__ = ["StoredDescriptors", "to_rows"]

FRAME_BYTES = 16
ROWS_AT_ONCE = 1 << 17  # that are read for a sample: 20 MB


class StoredDescriptors(Descriptors):
    """Descriptors of images in a feature store; what is missing there is computed at once.

    It is used as any `Descriptors`. ``len``, `offsets`, `counts`, `image_sizes` and slicing read no
    descriptors; `read`, `positions` and integer indices read those of the images concerned; `load`,
    and the attributes `values` and `frames`, read all. What has gone from the store in between is
    computed again.

    Parameters
    ----------
    images : Images
    store : FeatureStore
    setting : str
        All that decides what is computed of an image.
    compute : callable
        Maps images to `Descriptors` in memory. It has to pickle if these are to pickle.
    root, origin
        As of `Descriptors`.
    """

    def __init__(self, images, store, setting, compute, *, root, origin):
        self._images, self._store, self._setting = images, store, setting
        self._compute, self.root, self.origin = compute, root, origin
        self._keys = keys_of(images, setting)
        self._heads = np.empty((len(images), HEAD.size // 4), dtype=np.int64)
        self._offsets = self._loaded = None
        stored = self._fetch(self._take_heads, heads_only=True)
        self._width = int(self._heads[0, 4])
        if not stored:  # the store cannot be written
            self._loaded = compute(images)

    def _take_heads(self, where, rows):
        self._heads[where] = [HEAD.unpack(head) for head, _ in rows]

    def _fetch(self, take, **options):
        return compute_once(
            self._store,
            self._images,
            self._setting,
            lambda images: to_rows(self._compute(images)),
            take,
            keys=self._keys,
            **options,
        )

    @property
    def reads_files(self):
        """Whether some of the images are files, whose content may change."""
        return self._images.reads_files

    def __len__(self):
        return len(self._keys)

    def __repr__(self):
        root = ", square roots" if self.root else ""
        return (
            f"<descriptors of {len(self)} images: {self._heads[:, 3].sum()} of length "
            f"{self.n_features}, uint8{root}, in {self._store.path}>"
        )

    @property
    def nbytes(self):
        """Memory of values, offsets, frames and image sizes when they are loaded, in bytes."""
        n = int(self._heads[:, 3].sum())
        return n * (self.n_features + FRAME_BYTES) + self.offsets.nbytes + 8 * len(self)

    @property
    def offsets(self):
        """Rows of image i are ``offsets[i]`` to ``offsets[i + 1]``; ndarray of int."""
        if self._offsets is None:
            self._offsets = np.concatenate(([0], np.cumsum(self._heads[:, 3])))
        return self._offsets

    @property
    def image_sizes(self):
        """Height and width of each image, ndarray of int32 of shape (n_images, 2)."""
        return self._heads[:, :2].astype(np.int32)

    @property
    def n_features(self):
        """Length of a descriptor, d."""
        return self._width

    @property
    def frames(self):
        """Where each descriptor comes from, (N, 4), as in `Descriptors`."""
        return self.load().frames

    @property
    def _values(self):
        return self.load()._values

    def afresh(self):
        """Return the same sets, of what the files hold now; only their `digests` differ."""
        fresh = self._part(slice(None), range(len(self)))
        fresh._keys = keys_of(self._images, self._setting)
        return fresh

    def digests(self):
        """Digest of the set of each image, ndarray of shape (n_images,), dtype V16."""
        keys = self._keys  # of the bytes that are kept, which SIFT and RootSIFT share
        if self.root:
            keys = [sha256(b"root " + key).digest()[:16] for key in keys]
        return np.frombuffer(b"".join(keys), dtype="V16")

    def load(self):
        """Read all descriptors.

        Returns
        -------
        Descriptors
            In memory.

        Raises
        ------
        ValueError
            If descriptors have gone from the store, and those computed again are of another number:
            a file has changed.
        """
        if self._loaded is not None:
            return self._loaded
        rows = [None] * len(self)

        def take(where, some):
            for position, row in zip(where, some, strict=True):
                rows[position] = row
                if HEAD.unpack(row[0]) != tuple(self._heads[position].tolist()):
                    raise ValueError(
                        f"{self._images[position : position + 1]} has changed since it was "
                        "described; transform the images again"
                    )

        self._fetch(take)
        return _from_rows(rows, self._width, self.root, self.origin)

    def read(self, rows):
        """Descriptors by their row in `values`; see `Descriptors.read`."""
        return self._gather(rows, lambda part, some: part.read(some))

    def positions(self, rows):
        """Centres of descriptors as fractions of their images; see `Descriptors.positions`."""
        return self._gather(rows, lambda part, some: part.positions(some))

    def _gather(self, rows, look):
        """What some rows hold, from a few images at a time."""
        offsets = self.offsets
        rows = np.arange(offsets[-1])[rows]
        order = np.argsort(rows, kind="stable")
        of_image = np.searchsorted(offsets, rows[order], side="right") - 1
        images, nth = np.unique(of_image, return_inverse=True)
        concerned = self[images]
        rows = rows[order] + (concerned.offsets[:-1] - offsets[images])[nth]  # of `concerned`
        found = []
        for some in concerned.batches(ROWS_AT_ONCE, max(1, len(images))):
            first, last = np.searchsorted(rows, concerned.offsets[[some.start, some.stop]])
            part = concerned[some.start : some.stop].load()
            found.append(look(part, rows[first:last] - concerned.offsets[some.start]))
        if not found:
            return look(concerned.load(), rows)
        joined = np.concatenate(found)
        restored = np.empty_like(joined)
        restored[order] = joined
        return restored

    def _slice(self, start, stop):
        return self._part(slice(start, stop), range(start, stop))

    def _take(self, images):
        return self._part(images, images)

    def _part(self, key, images):
        part = object.__new__(type(self))
        part.__dict__ = {
            **self.__dict__,
            "_images": self._images[key],
            "_keys": [self._keys[i] for i in images],
            "_heads": self._heads[key],
            "_offsets": None,
            "_loaded": None if self._loaded is None else self._loaded[key],
        }
        return part


def to_rows(descriptors):
    """Rows of a feature store: for each image (head, value), values and frames as bytes."""
    values, frames = descriptors._values, descriptors.frames
    return [
        (
            HEAD.pack(*map(int, size), 0, stop - start, values.shape[1]),
            values[start:stop].tobytes() + frames[start:stop].tobytes(),
        )
        for (start, stop), size in zip(
            _pairs(descriptors.offsets), descriptors.image_sizes, strict=True
        )
    ]


def _pairs(offsets):
    return zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)


def _from_rows(rows, width, root, origin):
    heads = np.array([HEAD.unpack(head) for head, _ in rows], dtype=np.int64).reshape(-1, 5)
    offsets = np.concatenate(([0], np.cumsum(heads[:, 3])))
    values = np.empty((offsets[-1], width), dtype=np.uint8)
    frames = np.empty((offsets[-1], 4), dtype=np.float32)
    for (start, stop), (_, value) in zip(_pairs(offsets), rows, strict=True):
        n_bytes = (stop - start) * width
        values[start:stop].reshape(-1)[:] = np.frombuffer(value, np.uint8, n_bytes)
        frames[start:stop].reshape(-1)[:] = np.frombuffer(value, np.float32, offset=n_bytes)
    sizes = heads[:, :2]
    return Descriptors(values, offsets, frames=frames, image_sizes=sizes, root=root, origin=origin)
