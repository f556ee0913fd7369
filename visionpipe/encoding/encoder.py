"""What the encoders share: sets of descriptors in, one vector for each image out."""

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.callback import with_callbacks
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from visionpipe.base import check_positive_int, identity, resolve_device
from visionpipe.descriptors import as_descriptors
from visionpipe.encoding.learned import learn_once, learned_state
from visionpipe.encoding.pyramid import SpatialPyramid, check_pyramid
from visionpipe.once import compute_once, rows_of_vectors, store_for, vectors_of_rows
from visionpipe.progress import ReportsProgress
from visionpipe.threads import map_ahead

__all__ = ["Encoder"]

DESCRIPTORS_PER_BATCH = 1 << 13
DESCRIPTORS_PER_GPU_BATCH = 1 << 18
NUMBERS_PER_BATCH = 1 << 21  # of what is summed over tiles of images: 8 MB of float32


class Encoder(ReportsProgress, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Base of the encoders of sets of descriptors.

    A subclass has parameters ``pyramid``, ``n_samples``, ``random_state``, ``store`` and
    ``device``, what `identity` asks for, and

    - ``_check_params()``;
    - ``_learn(sample, sets, rows, rng, device)``, which learns from the descriptors in some rows of
      `sets`, float32, in at most ``_n_stages`` stages;
    - properties ``_tile_size`` and ``_cell_size``: how many numbers `_tile_statistics` gives for a
      tile, and how many `_finish` makes of them for a cell;
    - ``_tile_statistics(values, positions, segments, n_segments)``: from descriptors (m, d),
      positions (m, 2) and the segment of each, what is pooled, (n_segments, ...);
    - ``_finish(cells)``, from what is pooled over cells (b, n_cells, ...) to vectors (b, f).

    ``_pooling`` is "sums" or "maxima"; ``_needs_positions`` says whether `_tile_statistics` looks
    at positions, ``_learned`` what attributes `_learn` may set.
    """

    _pooling = "sums"
    _needs_positions = False
    _n_stages = 1
    _version = 1

    @with_callbacks
    def fit(self, X, y=None):
        """Learn from a sample of the descriptors.

        Parameters
        ----------
        X : Descriptors, or sequence of arrays of shape (n_i, d)
            One set for each image; sets may be empty, not all of them.
        y : None
            Ignored.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If there are no descriptors at all, or fewer than what is to be learned from them.
        """
        self._check_params()
        check_positive_int(self, "n_samples")
        n_cells = SpatialPyramid(check_pyramid(self)).n_cells
        sets = as_descriptors(X, owner=type(self).__name__)
        if sets.offsets[-1] == 0:
            raise ValueError(_no_descriptors(type(self).__name__, sets))
        self.descriptor_length_ = sets.n_features

        def learn():
            rng = check_random_state(self.random_state)
            with self._stage("sample"):
                rows = sets.sample(self.n_samples, rng)
                sample = np.asarray(sets.read(rows), dtype=np.float32)
            self._learn(sample, sets, rows, rng, resolve_device(self.device))

        with self._fit_task(sets, y, n_stages=1 + self._n_stages):
            learn_once(self, sets, learn)
        self._n_features_out = n_cells * self._cell_size
        return self

    def transform(self, X):
        """Encode each set of descriptors.

        Parameters
        ----------
        X : Descriptors, or sequence of arrays of shape (n_i, d)
            One set for each image.

        Returns
        -------
        ndarray of float32 of shape (n_images, n_features)
            Zero for an image without descriptors.

        Raises
        ------
        ValueError
            If the descriptors have another length than those learned from, or a pyramid of several
            cells is asked for and they have no frames and image sizes.
        """
        check_is_fitted(self)
        sets = self._check_sets(X)

        def compute(part):
            return rows_of_vectors(self._encode(part), [(0, 0, 0)] * len(part))

        store, setting = store_for(self.store, sets, self._setting, compute)
        if store is None:
            return self._encode(sets)
        vectors = np.empty((len(sets), self._n_features_out), dtype=np.float32)

        def take(where, rows):
            vectors[where] = vectors_of_rows(rows)

        compute_once(store, sets, setting, compute, take)
        return vectors

    def _setting(self):
        return f"{identity(self)} of {learned_state(self)}"

    def _encode(self, sets):
        vectors = np.zeros((len(sets), self._n_features_out), dtype=np.float32)
        for images, cells in self._pooled(sets, check_pyramid(self)):
            vectors[images.start : images.stop] = self._finish(cells).cpu().numpy()
        return vectors

    def _check_sets(self, X):
        sets = as_descriptors(X, owner=type(self).__name__)
        if sets.n_features != self.descriptor_length_ and sets.offsets[-1]:
            raise ValueError(
                f"{type(self).__name__} has learned from descriptors of length "
                f"{self.descriptor_length_} and got some of length {sets.n_features}"
                + (f", made by {sets.origin}" if sets.origin else "")
            )
        return sets

    def _pooled(self, sets, grids):
        """Yield, in order, ranges of images and what is pooled over their cells."""
        if sets.offsets[-1] == 0:
            return
        pyramid, device = SpatialPyramid(grids), resolve_device(self.device)
        located = self._needs_positions or pyramid.n_tiles > 1
        n_rows = DESCRIPTORS_PER_BATCH if device.type == "cpu" else DESCRIPTORS_PER_GPU_BATCH
        n_images = max(1, NUMBERS_PER_BATCH // (pyramid.n_tiles * self._tile_size))

        @torch.inference_mode()
        def pool(images):
            part = sets[images.start : images.stop].load()
            values = torch.from_numpy(np.array(part.values, dtype=np.float32))
            segments = np.repeat(np.arange(len(images)), part.counts)
            positions = None
            if located:
                positions = part.positions(np.arange(len(values)))
                segments = segments * pyramid.n_tiles + pyramid.tiles(positions)
                positions = torch.from_numpy(positions).to(device)
            segments = torch.from_numpy(segments).to(device)
            n_segments = len(images) * pyramid.n_tiles
            tiles = self._tile_statistics(values.to(device), positions, segments, n_segments)
            tiles = tiles.view(len(images), pyramid.n_tiles, *tiles.shape[1:])
            return images, getattr(pyramid, self._pooling)(tiles)

        runs = sets.batches(n_rows, n_images)
        yield from map_ahead(pool, runs) if device.type == "cpu" else map(pool, runs)

    def _tensor(self, name, like):
        """Return a learned array as a tensor on the device of another.

        It is copied: joblib hands large arrays to its workers read-only, which torch warns of.
        """
        return torch.tensor(getattr(self, name), device=like.device)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.transformer_tags.preserves_dtype = []  # every number becomes float32
        return tags


def _no_descriptors(owner, sets):
    origin = f": {sets.origin} found none" if sets.origin else ""
    return (
        f"{owner} got no descriptors in {len(sets)} images{origin}; lower the detector's "
        "threshold, or give larger images"
    )


def l2_normalised(rows):
    """Divide by the L2 norm over the last axis; zero stays zero."""
    norms = torch.linalg.vector_norm(rows, dim=-1, keepdim=True)
    return rows / norms.clamp(min=torch.finfo(rows.dtype).tiny)


def signed_sqrt(values):
    """Square root of the absolute value, with the sign of the value."""
    return values.sign() * values.abs().sqrt()
