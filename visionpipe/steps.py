"""Steps from images to images: each returns a lazy view, computed when the pixels are read."""

from functools import partial

import numpy as np
import torch
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.callback import with_callbacks

from visionpipe.base import (
    GivesNoColumns,
    TakesImages,
    check_choice,
    check_positive_pair,
    identity,
    refuse,
    to_batch,
)
from visionpipe.images import Images, as_images
from visionpipe.kernels.color import rgb_to_grey, to_unit
from visionpipe.kernels.deskew import deskew
from visionpipe.kernels.resize import resize

__all__ = ["Deskew", "Grayscale", "Rescale", "Resize", "Unflatten"]


class ImageStep(
    GivesNoColumns, TakesImages, TransformerMixin, BaseEstimator, auto_wrap_output_keys=None
):
    """Base of the steps.

    A subclass has ``_step()``, a picklable `partial` that maps pixels (b, h, w, c), with the
    attributes that `Images.map` speaks of, and what `identity` asks for.
    """

    _version = 1

    def _check_params(self):
        self._step()

    def transform(self, X):
        """Return the images with this step applied whenever they are read.

        Parameters
        ----------
        X : array-like of images
            Anything `as_images` takes.

        Returns
        -------
        Images
            uint8 images stay uint8 (rounded to the nearest level), floats stay floats.
        """
        step = self._step()
        step.identity = identity(self)
        return as_images(X, owner=type(self).__name__).map(step)


# ---------------------------------------------------------------------------------------- Resize


class Resize(ImageStep):
    """Bring images to one size: bilinear, with antialiasing where they shrink.

    Parameters
    ----------
    size : int or (int, int), default=64
        Height and width in pixels; an int is both.
    keep_aspect : bool or {"pad", "crop"}, default=False
        False stretches. True or ``"pad"`` keeps the proportions, shows the whole picture, and
        repeats its border pixels to fill up, so that no edge appears that is not in the picture.
        ``"crop"`` keeps them too, fills the frame, and cuts off what overhangs on both sides.

    Examples
    --------
    >>> import numpy as np
    >>> from visionpipe import Resize
    >>> photographs = [np.zeros((30, 40, 3)), np.zeros((50, 20, 3))]
    >>> Resize((16, 24)).fit_transform(photographs)[1].shape
    (16, 24, 3)
    """

    _kernels = ("resize",)

    def __init__(self, size=64, *, keep_aspect=False):
        self.size = size
        self.keep_aspect = keep_aspect

    def _step(self):
        check_choice(self, keep_aspect=(False, True, "pad", "crop"))
        size = (self.size, self.size) if np.ndim(self.size) == 0 else tuple(self.size)
        if len(size) != 2 or not all(isinstance(s, (int, np.integer)) and s > 0 for s in size):
            refuse(self, "size", "a height and a width in pixels, or one positive int for both")
        if not self.keep_aspect:
            return _resizing(_stretch, _whole_frame, size=size)
        if self.keep_aspect == "crop":
            return _resizing(_crop, _around_frame, size=size)
        return _resizing(_pad, _inside_frame, size=size)


def _resizing(function, size_of, **options):
    """A step, and what it resizes images to."""
    step = partial(function, **options)
    step.resized_to = partial(size_of, **options)
    return step


def _stretch(pixels, size):
    if pixels.shape[1:3] == size:
        return pixels
    resized = resize(to_batch(pixels), size)
    return resized.permute(0, 2, 3, 1).numpy()  # (b, h, w, c)


def _pad(pixels, size):
    inner = _inside_frame(*pixels.shape[1:3], size)
    margins = [((s - i) // 2, s - i - (s - i) // 2) for s, i in zip(size, inner, strict=True)]
    return np.pad(_stretch(pixels, inner), ((0, 0), *margins, (0, 0)), mode="edge")


def _crop(pixels, size):
    outer = _around_frame(*pixels.shape[1:3], size)
    top, left = (outer[0] - size[0]) // 2, (outer[1] - size[1]) // 2
    return _stretch(pixels, outer)[:, top : top + size[0], left : left + size[1]]


def _whole_frame(height, width, size):
    return size


def _inside_frame(height, width, size):
    scale = min(size[0] / height, size[1] / width)
    return max(1, round(height * scale)), max(1, round(width * scale))


def _around_frame(height, width, size):
    scale = max(size[0] / height, size[1] / width)
    return max(size[0], round(height * scale)), max(size[1], round(width * scale))


# --------------------------------------------------------------------------------------- Rescale


class Rescale(ImageStep):
    """Bring the longer side of images between two lengths, and keep their proportions.

    For what takes images of any sizes, such as local descriptors: small images are enlarged until
    something fits into them, large ones shrink to what is worth computing, others are left alone.
    Bilinear, with antialiasing where images shrink.

    Parameters
    ----------
    longer_side : (int, int), default=(48, 256)
        Least and most height or width, whichever is larger, in pixels.

    Examples
    --------
    >>> import numpy as np
    >>> from visionpipe import Rescale
    >>> images = Rescale((32, 100)).fit_transform([np.zeros((8, 6)), np.zeros((150, 200))])
    >>> images[0].shape, images[1].shape
    ((32, 24), (75, 100))
    """

    _kernels = ("resize",)

    def __init__(self, longer_side=(48, 256)):
        self.longer_side = longer_side

    def _step(self):
        check_positive_pair(self, "longer_side")
        least, most = self.longer_side
        if least > most:
            refuse(self, "longer_side", "the least length and the most, in this order")
        return _resizing(_rescale, _rescaled, least=least, most=most)


def _rescale(pixels, least, most):
    return _stretch(pixels, _rescaled(*pixels.shape[1:3], least, most))


def _rescaled(height, width, least, most):
    longer = max(height, width)
    scale = min(max(longer, least), most) / longer
    return max(1, round(scale * height)), max(1, round(scale * width))


# ------------------------------------------------------------------------------------- Grayscale


class Grayscale(ImageStep):
    """Turn RGB images grey, with the luminance weights of `skimage.color.rgb2gray`; grey ones pass.

    Examples
    --------
    >>> import numpy as np
    >>> from visionpipe import Grayscale
    >>> Grayscale().fit_transform(np.ones((5, 8, 8, 3)))[0].shape
    (8, 8)
    """

    _kernels = ("color",)

    def _step(self):
        step = partial(_grayscale)
        step.by_pixel = True
        return step


def _grayscale(pixels):
    if pixels.shape[-1] == 1:
        return pixels
    grey = rgb_to_grey(to_unit(to_batch(pixels))).permute(0, 2, 3, 1)  # (b, h, w, 1)
    if pixels.dtype == np.uint8:
        grey = grey.mul(255).round_().to(torch.uint8)
    return grey.numpy()


# ---------------------------------------------------------------------------------------- Deskew


class Deskew(ImageStep):
    """Set writing upright: shear each image so that what is bright leans to neither side.

    For bright writing on a dark ground, as in MNIST (LeCun et al. 1998, section III.A).

    Examples
    --------
    >>> import numpy as np
    >>> from visionpipe import Deskew
    >>> Deskew().fit_transform([np.eye(3)])[0].argmax(axis=1)  # a diagonal becomes a column
    array([1, 1, 1])
    """

    _kernels = ("color", "deskew")

    def _step(self):
        return partial(_deskew)


def _deskew(pixels):
    return deskew(to_batch(pixels)).permute(0, 2, 3, 1).numpy()  # (b, h, w, c)


# ------------------------------------------------------------------------------------- Unflatten


class Unflatten(ImageStep):
    """Turn flat rows, as scikit-learn's data sets have them, into images.

    Parameters
    ----------
    image_shape : tuple (h, w) or (h, w, c)
        A row holds its pixels in this order.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from visionpipe import Unflatten
    >>> X, y = load_digits(return_X_y=True)  # X is (1797, 64), from 0 to 16
    >>> Unflatten((8, 8)).fit_transform(X / 16)
    <1797 images: array of 8x8 grey, float64>
    """

    def __init__(self, image_shape):
        self.image_shape = image_shape

    @with_callbacks
    def fit(self, X, y=None):
        """Check the rows; nothing is learned.

        Parameters
        ----------
        X : array-like of shape (n_images, h * w * c)
            Pixels: integers in 0..255 or floats in 0..1.
        y : None
            Ignored.

        Returns
        -------
        self
        """
        rows = self._rows(X)
        with self._fit_task(rows, y):
            self.n_features_in_ = rows.shape[1]
        return self

    def transform(self, X):
        """Give rows the shape of images, without a copy.

        Parameters
        ----------
        X : array-like of shape (n_images, h * w * c)
            Pixels: integers in 0..255 or floats in 0..1.

        Returns
        -------
        Images
        """
        rows = self._rows(X)
        return as_images(rows.reshape(len(rows), *self.image_shape), owner="Unflatten")

    def _rows(self, X):
        """Check `X` and the parameters; return an array of shape (n_images, h * w * c)."""
        shape = self.image_shape
        if np.ndim(shape) != 1 or len(shape) not in (2, 3) or min(shape) < 1:
            refuse(self, "image_shape", "(h, w) or (h, w, c)")
        if isinstance(X, Images):
            raise ValueError("Unflatten got images; wanted flat rows: leave the step out")
        rows = np.asarray(X)
        n_values = int(np.prod(shape))
        if rows.ndim != 2 or rows.shape[1] != n_values:
            raise ValueError(
                f"Unflatten got an array of shape {rows.shape}; image_shape={tuple(shape)} wants "
                f"rows of {n_values} values"
            )
        return rows

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        tags.input_tags.three_d_array = False
        return tags
