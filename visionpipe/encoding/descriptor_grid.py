"""The descriptors of an image side by side."""

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from visionpipe.descriptors import as_descriptors

__all__ = ["DescriptorGrid"]

IMAGES_PER_BATCH = 1000


class DescriptorGrid(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """One vector of all the descriptors of an image, in their order.

    For images of one size, described on a grid: what is where stays told apart, as in HOG, where
    the encoders count or add up what an image has.

    Attributes
    ----------
    n_descriptors_ : int
        Descriptors of an image.
    descriptor_length_ : int

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from visionpipe import DenseSIFT, DescriptorGrid, load_faces
    >>> faces = load_faces()
    >>> grid = make_pipeline(DenseSIFT(step=5, bin_sizes=(4,)), DescriptorGrid())
    >>> grid.fit_transform(faces.images).shape
    (200, 1152)
    """

    def fit(self, X, y=None):
        """Learn how many descriptors an image has.

        Parameters
        ----------
        X : Descriptors, or sequence of arrays of shape (n_descriptors, d)
            One set for each image.
        y : None
            Ignored.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If images have unequal numbers of descriptors, or none.
        """
        sets = as_descriptors(X, owner=type(self).__name__)
        counts = np.unique(sets.counts)
        if len(counts) != 1 or counts[0] == 0:
            raise ValueError(
                f"DescriptorGrid got images with {' and '.join(map(str, counts[:3]))} descriptors; "
                "wanted as many in all of them: put Resize((h, w)) before, describe them on a grid "
                "that fits in, and let descriptors of low contrast be zero"
            )
        self.n_descriptors_ = int(counts[0])
        self.descriptor_length_ = sets.n_features
        self._n_features_out = self.n_descriptors_ * self.descriptor_length_
        return self

    def transform(self, X):
        """Put the descriptors of each image side by side.

        Parameters
        ----------
        X : Descriptors, or sequence of arrays of shape (n_descriptors, d)

        Returns
        -------
        ndarray of float32 of shape (n_images, n_descriptors * d)

        Raises
        ------
        ValueError
            If an image has another number of descriptors than those given to `fit`, or they have
            another length.
        """
        check_is_fitted(self)
        sets = as_descriptors(X, owner=type(self).__name__)
        others = np.setdiff1d(sets.counts, self.n_descriptors_)
        if len(others) or sets.n_features != self.descriptor_length_:
            count = others[0] if len(others) else self.n_descriptors_
            raise ValueError(
                f"DescriptorGrid was fitted to images with {self.n_descriptors_} descriptors of "
                f"length {self.descriptor_length_} and got one with {count} of length "
                f"{sets.n_features}"
            )
        vectors = np.empty((len(sets), self._n_features_out), dtype=np.float32)
        for start in range(0, len(sets), IMAGES_PER_BATCH):
            part = sets[start : start + IMAGES_PER_BATCH].load()
            vectors[start : start + IMAGES_PER_BATCH] = part.values.reshape(len(part), -1)
        return vectors

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.transformer_tags.preserves_dtype = []  # every number becomes float32
        return tags
