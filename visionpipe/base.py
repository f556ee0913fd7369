"""What the image transformers share: devices, batches, shapes and scikit-learn's protocol."""

import warnings
from numbers import Real

import numpy as np
import torch
from joblib.parallel import get_active_backend
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.callback import with_callbacks

from visionpipe.images import as_images
from visionpipe.kernels import versions
from visionpipe.once import HEAD, compute_once, rows_of_vectors, store_for, vectors_of_rows
from visionpipe.progress import ReportsProgress

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

    Warns
    -----
    UserWarning
        If it is a GPU, and joblib runs several jobs at a time: they would share it.
    """
    resolved = _resolve(device)
    # nested in a Parallel of several jobs; workers of a cluster, which may have a GPU each, are not
    if resolved.type == "cuda" and get_active_backend()[0].nesting_level:
        warnings.warn(
            f"jobs that run at the same time share the GPU {resolved}: its memory has to hold all "
            "of them, and they wait for each other; use n_jobs=1, or device='cpu', or a cluster "
            "with one GPU a worker",
            stacklevel=2,
        )
    return resolved


def _resolve(device):
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        resolved = torch.device(device)
    except (RuntimeError, TypeError):
        raise ValueError(f"device={device!r} is unknown; use 'auto', 'cpu' or 'cuda'") from None
    if resolved.type not in ("cpu", "cuda", "mps"):
        raise ValueError(f"device={device!r} is unknown; use 'auto', 'cpu' or 'cuda'")
    if resolved.type == "mps" and not torch.backends.mps.is_available():
        raise ValueError(f"device={device!r} was asked for, but this is no Apple GPU; use 'auto'")
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


def identity(estimator):
    """Describe all that decides what an estimator makes of an image, but for what it has learned.

    Parameters
    ----------
    estimator : estimator
        Its class has ``_kernels``, names of the kernels that compute for it, and ``_version``,
        raised whenever what the class itself does with them changes.

    Returns
    -------
    str
        Class, parameters and versions. Where it computes and keeps things does not matter.
    """
    parameters = {
        name: _plain(value)
        for name, value in sorted(estimator.get_params(deep=False).items())
        if name not in ("device", "store", "random_state")
    }
    shown = ", ".join(f"{name}={value!r}" for name, value in parameters.items())
    cls = type(estimator)
    of_kernels = " ".join(f"{name} {version}" for name, version in versions(*cls._kernels).items())
    return f"{cls.__module__}.{cls.__qualname__} {cls._version}({shown}) by {of_kernels}"


def _plain(value):
    """Turn numbers of numpy into those of Python, and sequences into tuples."""
    if isinstance(value, (np.ndarray, np.generic)):
        value = value.tolist()
    return tuple(map(_plain, value)) if isinstance(value, (list, tuple)) else value


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


def check_positive_number(owner, *names):
    """Raise a ValueError unless each named parameter is a finite number above 0."""
    for name in names:
        value = getattr(owner, name)
        if not isinstance(value, Real) or not 0 < value < np.inf:
            refuse(owner, name, "a positive number")


def check_nonnegative_number(owner, *names):
    """Raise a ValueError unless each named parameter is a finite number of at least 0."""
    for name in names:
        value = getattr(owner, name)
        if not isinstance(value, Real) or not 0 <= value < np.inf:
            refuse(owner, name, "a number of at least 0")


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


class GivesNoColumns(ReportsProgress):
    """Mixin of the transformers whose output is not a table: images, or sets of descriptors.

    They learn nothing. A subclass has ``_check_params()``.
    """

    @with_callbacks
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
        images = as_images(X, owner=type(self).__name__)
        with self._fit_task(images, y):
            self.image_shape_in_ = images.first_shape()
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
    ReportsProgress, TakesImages, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator
):
    """Base of the stateless transformers that turn each image into one vector.

    A subclass has parameters ``store`` and ``device``, a method ``_check_params()``, a method
    ``_vectors(batch)`` that maps a tensor (b, c, h, w) to a tensor (b, f), and what `identity` asks
    for. If its vectors are comparable between images of one size only, it sets
    ``_needs_one_size``.
    """

    _needs_one_size = False
    _version = 1

    @with_callbacks
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
        with self._fit_task(images, y):
            vectors, shapes = self._once(images[:1], self._vectors, size=None)
        self.image_shape_in_ = tuple(map(int, shapes[0]))
        self._n_features_out = vectors.shape[1]
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
        return self._once(images, self._vectors, size=self._size_in())[0]

    def _setting(self):
        """What is computed of an image, in words, for the store."""
        return identity(self)

    def _size_in(self):
        """Height and width of the images seen in `fit`, None before."""
        return self.image_shape_in_[:2] if hasattr(self, "image_shape_in_") else None

    def _once(self, images, function, size):
        """Vectors (n, f) and image shapes (n, 3), read from the store if they are there.

        `function` maps a tensor (b, c, h, w) to a tensor (b, f), as `_setting` describes. Images
        have to be of a size (h, w), if it matters; None stands for that of the first.
        """

        def compute(part):
            return rows_of_vectors(*self._compute(part, function, size))

        store, setting = store_for(self.store, images, self._setting, compute)
        if store is None:
            return self._compute(images, function, size)
        gathered = _Gathered(self, len(images), size)

        def take(where, rows):
            shapes = np.array([HEAD.unpack(head)[:3] for head, _ in rows])
            gathered.check(shapes)
            gathered.add(where, vectors_of_rows(rows), shapes)

        compute_once(store, images, setting, compute, take)
        return gathered.vectors, gathered.shapes

    def _compute(self, images, function, size):
        def compute(batch):
            _, channels, height, width = batch.shape
            return function(batch).cpu().numpy(), (height, width, channels)

        gathered = _Gathered(self, len(images), size)
        for where, (vectors, shape) in self._map(images, compute):
            gathered.add(where, vectors, np.array([shape]))
        return gathered.vectors, gathered.shapes

    def _map(self, images, function):
        """Apply a function to batches, tensors (b, c, h, w): pairs of rows and results."""
        return map_on_device(images, resolve_device(self.device), function)


class _Gathered:
    """Vectors (n, f) and image shapes (n, 3) as they arrive, of images that go together."""

    def __init__(self, owner, n_images, size):
        self._owner, self._size = owner, size
        self.vectors, self.shapes = None, np.empty((n_images, 3), dtype=np.int32)

    def add(self, where, vectors, shapes):
        self.check(shapes)
        if self.vectors is None:
            self.vectors = np.empty((len(self.shapes), vectors.shape[1]), dtype=np.float32)
        self.vectors[where], self.shapes[where] = vectors, shapes

    def check(self, shapes):
        if self._size is None:
            self._size = shapes[0, :2]
        if self._owner._needs_one_size:
            check_sizes(self._owner, shapes[:, :2], self._size)


def check_sizes(owner, sizes, wanted):
    """Raise a ValueError unless all sizes (height, width) of images are the one that is wanted."""
    others = np.any(np.asarray(sizes) != wanted, axis=1)
    if others.any():
        wanted, size = (tuple(map(int, s)) for s in (wanted, sizes[others.argmax()]))
        raise ValueError(
            f"{type(owner).__name__} got images of unequal sizes (height, width): {wanted} and "
            f"{size}; put Resize((h, w)) before it"
        )
