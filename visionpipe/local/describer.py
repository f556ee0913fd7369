"""What the local descriptors share: images in, `Descriptors` out."""

from copy import copy

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin

from visionpipe.base import GivesNoColumns, TakesImages, identity, map_on_device, resolve_device
from visionpipe.descriptors import Descriptors
from visionpipe.images import as_images
from visionpipe.kernels.color import rgb_to_grey, rgb_to_opponent, to_unit
from visionpipe.local.stored_descriptors import StoredDescriptors, to_rows
from visionpipe.once import store_for

__all__ = ["COLORS", "Describer"]

COLORS = ("grey", "rgb", "opponent")
PIXELS_PER_BATCH = 1 << 17  # half of what features take: dense SIFT makes nine planes of them
BYTES_IN_ADVANCE = 1 << 30


class Describer(
    GivesNoColumns, TakesImages, TransformerMixin, BaseEstimator, auto_wrap_output_keys=None
):
    """Base of the local descriptors.

    A subclass has parameters ``color``, ``store`` and ``device``, a method ``_check_params()``, a
    method ``_origin()`` that says for error messages what computes the descriptors, a method
    ``_describe(batch)`` that maps channels (b, c, h, w) to uint8 descriptors (m, c * 128), frames
    (m, 4) and the number of descriptors of each image (b,), as numpy arrays, and what `identity`
    asks for. ``_root`` says whether RootSIFT is made of them.
    """

    _root = False
    _version = 1

    def transform(self, X):
        """Describe each image.

        Parameters
        ----------
        X : array-like of images
            Anything `as_images` takes.

        Returns
        -------
        Descriptors
            With frames and image sizes; no descriptors for an image without key points, or too
            small for one. 144 bytes a descriptor of one channel: in memory, or in the store, out of
            which they are read when they are looked at.
        """
        self._check_params()
        images = as_images(X, owner=type(self).__name__)

        def compute_rows(part):
            return to_rows(self._compute(part))

        store, setting = store_for(self.store, images, self._setting, compute_rows)
        if store is None:
            return self._compute(images)
        compute = copy(self)._compute  # as it is now, should it be needed later
        return StoredDescriptors(
            images, store, setting, compute, root=self._root, origin=self._origin()
        )

    def _setting(self):
        return identity(self)

    def _compute(self, images):
        """Describe each image now, in memory."""

        def describe(batch):
            return tuple(batch.shape[2:]), self._describe(_channels(batch, self.color))

        device = resolve_device(self.device)
        results = map_on_device(images, device, describe, n_pixels=PIXELS_PER_BATCH)
        return self._collect(results, len(images))

    def _collect(self, results, n_images):
        counts = np.zeros(n_images, dtype=np.int64)
        sizes = np.zeros((n_images, 2), dtype=np.int32)
        values, frames, arrived = _GrowingRows(), _GrowingRows(), []
        for rows, (size, (some_values, some_frames, n_each)) in results:
            counts[rows], sizes[rows] = n_each, size
            values.append(some_values, n_parts=n_images / len(rows))
            frames.append(some_frames, n_parts=n_images / len(rows))
            arrived.append(rows)
        in_order = _order_of_descriptors(np.concatenate(arrived), counts)
        return Descriptors(
            values.rows[in_order],
            np.concatenate(([0], np.cumsum(counts))),
            frames=frames.rows[in_order],
            image_sizes=sizes,
            root=self._root,
            origin=self._origin(),
        )


class _GrowingRows:
    """Rows that are appended part by part, and are never in memory twice."""

    def __init__(self):
        self._memory, self._n = None, 0

    def append(self, part, n_parts):
        """Append a part; the first tells how much is to come, were all `n_parts` like it."""
        if self._memory is None:
            # what is asked for in advance counts only from when it is written to
            most = BYTES_IN_ADVANCE // part[:1].nbytes if len(part) else 0
            n_rows = max(len(part), min(int(len(part) * n_parts), most))
            self._memory = np.empty((n_rows, *part.shape[1:]), part.dtype)
        end = self._n + len(part)
        if end > len(self._memory):  # large arrays grow in place
            self._memory.resize((end + end // 8, *part.shape[1:]), refcheck=False)
        self._memory[self._n : end] = part
        self._n = end

    @property
    def rows(self):
        return self._memory[: self._n]


def _order_of_descriptors(arrived, counts):
    """Index that brings descriptors, which came image by image as `arrived`, into image order."""
    if (np.diff(arrived) == 1).all():
        return slice(None)
    first = np.empty_like(counts)
    first[arrived] = np.cumsum(counts[arrived]) - counts[arrived]
    moved = first - (np.cumsum(counts) - counts)
    return np.arange(counts.sum()) + np.repeat(moved, counts)


def _channels(batch, color):
    """What is described of each image, (b, c, h, w): uint8 or float32 in 0..1, or opponents."""
    if color == "grey":
        return rgb_to_grey(batch) if batch.shape[1] == 3 else batch
    batch = batch.expand(-1, 3, -1, -1)
    return rgb_to_opponent(batch) if color == "opponent" else to_unit(batch)
