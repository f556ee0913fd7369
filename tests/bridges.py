"""Test-only subclasses through which scikit-learn's checks reach the image estimators.

An estimator whose tags say that it takes no two-dimensional arrays is skipped by
``check_estimator`` after one check. Each class here turns a row of numbers into a small grey image
at the door (elementwise, so that nothing about the row is lost), and says that it takes rows. What
lies behind the door is the real estimator.

At the end are estimators that count what they compute, for tests whose searches run in processes.
"""

import os

import numpy as np
from scipy.special import expit
from sklearn.utils.validation import check_is_fitted, validate_data

from visionpipe import (
    HOG,
    LBP,
    SIFT,
    VLAD,
    Autoencoder,
    BagOfVisualWords,
    CNNClassifier,
    CNNFeatures,
    ColorHistogram,
    DenseSIFT,
    Descriptors,
    Deskew,
    FisherVector,
    Grayscale,
    Pixels,
    Rescale,
    Resize,
    RootSIFT,
    Unflatten,
)

SIDE = 24  # three cells of HOG's default size


def small_images(X):
    """Grey images (n, 24, 24) in 0..1: the row's values, squashed, over and over."""
    tiled = expit(X.astype(np.float64))[:, np.arange(SIDE * SIDE) % X.shape[1]]
    return tiled.reshape(-1, SIDE, SIDE)


def rows_of(images):
    """Pixels of images of one size, one row each."""
    return np.stack([images[i].ravel() for i in range(len(images))])


def small_sets(X):
    """Twelve descriptors of length 6 for each row, all over an image: its values, over and over."""
    n_sets, n_each, length = len(X), 12, 6
    tiled = expit(X.astype(np.float64))[:, np.arange(n_each * length) % X.shape[1]]
    x, y = np.divmod(np.arange(n_each), 4)
    frames = np.column_stack([x, y, np.ones(n_each), np.zeros(n_each)])
    return Descriptors(
        tiled.reshape(-1, length),
        np.arange(0, n_sets * n_each + 1, n_each),
        frames=np.tile(frames, (n_sets, 1)),
        image_sizes=[(4, 3)] * n_sets,
    )


def means_of(descriptors):
    """The mean descriptor of each image, 0 where there is none, of values in 0..1."""
    scale = 1 if descriptors.root else 255
    sums = np.array([one.sum(axis=0, dtype=np.float64) for one in descriptors])
    return sums / np.maximum(descriptors.counts, 1)[:, None] / scale


class TakesRows:
    """Mixin before an estimator of images: rows become images at the door."""

    door = staticmethod(small_images)

    def fit(self, X, y=None):
        return super().fit(self.door(validate_data(self, X)), y)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        tags.input_tags.three_d_array = False
        return tags


class TransformsRows(TakesRows):
    """Mixin before a transformer of images into vectors."""

    def transform(self, X):
        return super().transform(self.door(validate_data(self, X, reset=False)))


class EncodesRows(TransformsRows):
    """Mixin before an encoder: rows become sets of descriptors at the door."""

    door = staticmethod(small_sets)


class GivesMeans(TransformsRows):
    """Mixin before a local descriptor: its sets become rows on the way out."""

    def transform(self, X):
        return means_of(super().transform(X))


class GivesRows(TransformsRows):
    """Mixin before an image step: its images become rows on the way out."""

    def transform(self, X):
        return rows_of(super().transform(X))


class HOGOfRows(TransformsRows, HOG):
    pass


class LBPOfRows(TransformsRows, LBP):
    pass


class ColorHistogramOfRows(TransformsRows, ColorHistogram):
    pass


class PixelsOfRows(TransformsRows, Pixels):
    pass


class AutoencoderOfRows(TransformsRows, Autoencoder):
    def inverse_transform(self, X):
        raise NotImplementedError("rows cannot be had back from images")


class CNNFeaturesOfRows(TransformsRows, CNNFeatures):
    pass


class SIFTOfRows(GivesMeans, SIFT):
    pass


class RootSIFTOfRows(GivesMeans, RootSIFT):
    pass


class DenseSIFTOfRows(GivesMeans, DenseSIFT):
    pass


class BagOfVisualWordsOfRows(EncodesRows, BagOfVisualWords):
    pass


class VLADOfRows(EncodesRows, VLAD):
    pass


class FisherVectorOfRows(EncodesRows, FisherVector):
    pass


class ResizeOfRows(GivesRows, Resize):
    pass


class RescaleOfRows(GivesRows, Rescale):
    pass


class GrayscaleOfRows(GivesRows, Grayscale):
    pass


class DeskewOfRows(GivesRows, Deskew):
    pass


class UnflattenOfRows(Unflatten):
    """Takes rows itself, but of one length, and pixels in 0..1."""

    def __init__(self, image_shape=(SIDE, SIDE)):
        super().__init__(image_shape)

    def fit(self, X, y=None):
        rows = validate_data(self, X)
        super().fit(small_images(rows).reshape(len(rows), -1))
        self.n_features_in_ = rows.shape[1]
        return self

    def transform(self, X):
        rows = validate_data(self, X, reset=False)
        return rows_of(super().transform(small_images(rows).reshape(len(rows), -1)))


class CNNClassifierOfRows(TakesRows, CNNClassifier):
    def fit(self, X, y=None, sample_weight=None):
        images = small_images(validate_data(self, X))
        return CNNClassifier.fit(self, images, y, sample_weight)

    def partial_fit(self, X, y, classes=None, sample_weight=None):
        images = small_images(validate_data(self, X, reset=not hasattr(self, "classes_")))
        return super().partial_fit(images, y, classes, sample_weight)

    def predict_proba(self, X):
        check_is_fitted(self)
        return super().predict_proba(small_images(validate_data(self, X, reset=False)))


class CountsImages:
    """Mixin before a feature: appends to a file, `log`, how many images it computes."""

    def _vectors(self, batch):
        log = os.open(self.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(log, b"%d\n" % len(batch))  # in one piece, for there may be several processes
        os.close(log)
        return super()._vectors(batch)


class CountingHOG(CountsImages, HOG):
    def __init__(self, log="", *, orientations=9, pixels_per_cell=(8, 8), store=None, device="cpu"):
        super().__init__(
            orientations=orientations,
            pixels_per_cell=pixels_per_cell,
            store=store,
            device=device,
        )
        self.log = log


class CountingColorHistogram(CountsImages, ColorHistogram):
    def __init__(self, log="", *, bins=2, store=None, device="cpu"):
        super().__init__(bins=bins, store=store, device=device)
        self.log = log
