"""What the image transformers share: devices, batches, shapes and scikit-learn's protocol."""

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin

from visionpipe.images import as_images

PIXELS_PER_GPU_BATCH = 1 << 24  # enough to fill a large GPU, 200 MB of RGB float32

# glibc gives large blocks back to the system when they are freed, and every batch would fault its
# scratch memory in again. Freeing one of nearly 32 MB, never touched, teaches it to keep them: HOG
# of 3,000 images of 32x32 in a fresh process then takes 7 in place of 8 microseconds an image.
torch.empty(30 << 20, dtype=torch.uint8)


def resolve_device(device):
    """Turn ``"auto"``, a name or a torch.device into a device that exists here.

    Parameters
    ----------
    device : str or torch.device
        ``"auto"`` is a CUDA GPU if torch sees one, else the CPU.

    Returns
    -------
    torch.device

    Raises
    ------
    ValueError
        If the name is unknown, or names a GPU where torch sees none.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        resolved = torch.device(device)
    except (RuntimeError, TypeError):
        raise ValueError(f"device={device!r} is unknown; use 'auto', 'cpu' or 'cuda'") from None
    if resolved.type == "cuda" and (resolved.index or 0) not in range(torch.cuda.device_count()):
        raise ValueError(
            f"device={device!r} was asked for, but torch sees {torch.cuda.device_count()} CUDA "
            "GPUs here; use device='auto' or 'cpu'"
        )
    return resolved


def to_batch(pixels, device="cpu"):
    """Tensor (b, c, h, w) of pixels (b, h, w, c) on a device, uint8 or float32 as they are.

    Nothing is copied on the CPU unless the array is read-only, which torch would warn about.
    """
    if not pixels.flags.writeable or any(s < 0 for s in pixels.strides):
        pixels = pixels.copy()
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).to(device)


def map_on_device(images, device, function, **batch_size):
    """Apply a function to batches of images as tensors on a device, on a CPU by threads.

    Parameters
    ----------
    images : Images
    device : torch.device
    function : callable
        Of a tensor (b, c, h, w), uint8 or float32.
    **batch_size : int
        ``n_pixels`` of `Images.map_batches`, for a CPU.

    Yields
    ------
    rows : ndarray of int of shape (b,)
    result : object
        What `function` returned.
    """

    @torch.inference_mode()  # spares torch its bookkeeping for gradients, 5 % and more
    def on_device(pixels):
        return function(to_batch(pixels, device))

    if device.type == "cpu":
        return images.map_batches(on_device, **batch_size)
    return ((rows, on_device(pixels)) for rows, pixels in images.batches(PIXELS_PER_GPU_BATCH))


def check_choice(owner, **choices):
    """Raise a ValueError unless each parameter's value is among those allowed.

    ``check_choice(self, method=("uniform", "default"))`` looks at ``self.method``.
    """
    for name, allowed in choices.items():
        value = getattr(owner, name)
        if not any(value is choice or value == choice for choice in allowed):
            refuse(owner, name, "one of " + ", ".join(map(repr, allowed)))


def check_positive_int(owner, *names):
    """Raise a ValueError unless each named parameter is an int of at least 1."""
    for name in names:
        if not _is_positive_int(getattr(owner, name)):
            refuse(owner, name, "a positive int")


def check_positive_pair(owner, *names):
    """Raise a ValueError unless each named parameter is two ints of at least 1."""
    for name in names:
        value = getattr(owner, name)
        if np.shape(value) != (2,) or not all(map(_is_positive_int, value)):
            refuse(owner, name, "a pair of positive ints")


def _is_positive_int(value):
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool) and value >= 1


def refuse(owner, name, wanted):
    """Raise the ValueError that says which parameter of which estimator cannot be what it is."""
    value = getattr(owner, name)
    raise ValueError(f"{type(owner).__name__}({name}={value!r}): {name} must be {wanted}")


class TakesImages:
    """Mixin of the estimators of images: scikit-learn's tags for input that is not rows."""

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        if tags.transformer_tags is not None:
            tags.requires_fit = False  # what comes in decides what goes out
            tags.transformer_tags.preserves_dtype = []  # every float becomes float32
        return tags


class GivesNoColumns:
    """Mixin of the transformers whose output is not a table: images, or sets of descriptors.

    They learn nothing. A subclass has ``_check_params()``.
    """

    def fit(self, X, y=None):
        """Check the parameters and note the first image's shape; nothing else is learned.

        Parameters
        ----------
        X : array-like of images
            Anything `as_images` takes.
        y : None
            Ignored.

        Returns
        -------
        self
        """
        self._check_params()
        self.image_shape_in_ = as_images(X, owner=type(self).__name__).first_shape()
        return self

    def set_output(self, *, transform=None):
        """Do nothing: what comes out is no table, whatever container vectors come in.

        Parameters
        ----------
        transform : str or None
            Ignored.

        Returns
        -------
        self
        """
        return self

    def get_feature_names_out(self, input_features=None):
        """Return `input_features`: there are no columns to name.

        Parameters
        ----------
        input_features : object
            Anything.

        Returns
        -------
        object
        """
        return input_features


class ImageTransformer(
    TakesImages, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator
):
    """Base of the stateless transformers that turn each image into one vector.

    A subclass has a parameter ``device``, a method ``_check_params()`` and a method
    ``_vectors(batch)`` that maps a tensor (b, c, h, w) to a tensor (b, f). If its vectors are
    comparable between images of one size only, it sets ``_needs_one_size``.
    """

    _needs_one_size = False

    def fit(self, X, y=None):
        """Note the first image's shape and the length of its vector; nothing else is learned.

        Parameters
        ----------
        X : array-like of images
            Anything `as_images` takes.
        y : None
            Ignored.

        Returns
        -------
        self
        """
        self._check_params()
        images = as_images(X, owner=type(self).__name__)
        ((_, pixels),) = images[:1].batches()
        self.image_shape_in_ = pixels.shape[1:]  # (h, w, c)
        self._n_features_out = self._vectors(to_batch(pixels)).shape[1]
        return self

    def transform(self, X):
        """Compute one vector for each image.

        Parameters
        ----------
        X : array-like of images
            Anything `as_images` takes.

        Returns
        -------
        ndarray of float32 of shape (n_images, n_features)
        """
        self._check_params()
        images = as_images(X, owner=type(self).__name__)
        shape = getattr(self, "image_shape_in_", None) or images.first_shape()

        def compute(batch):
            self._check_size(tuple(batch.shape[2:]), shape[:2])
            return self._vectors(batch)

        return self._compute_rows(images, compute)

    def _compute_rows(self, images, compute):
        """Rows (n, f) that a function makes of batches of images, tensors (b, c, h, w)."""
        results = map_on_device(
            images, resolve_device(self.device), lambda batch: compute(batch).cpu().numpy()
        )
        vectors = None
        for rows, part in results:
            if vectors is None:
                vectors = np.empty((len(images), part.shape[1]), dtype=np.float32)
            vectors[rows] = part
        return vectors

    def _check_size(self, size, expected):
        if self._needs_one_size and size != expected:
            raise ValueError(
                f"{type(self).__name__} got images of unequal sizes (height, width): {expected} "
                f"and {size}; put Resize((h, w)) before it"
            )
