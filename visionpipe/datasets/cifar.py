"""The batches of CIFAR-10 and CIFAR-100, in the Python and the binary version."""

import pickle
import tarfile
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

import numpy as np

from visionpipe.datasets.damage import read_to_end, telling_damage

__all__ = ["read_cifar"]

SHAPE = (32, 32, 3)
N_VALUES = 3 * 32 * 32
BLOCK = 1_000  # records of the binary version that are read at a time
LABEL_NAMES = {1: ["labels"], 2: ["coarse_labels", "fine_labels"]}  # in the Python version


def read_cifar(path, batches, *, n_classes):
    """Read batches of CIFAR-10 or CIFAR-100.

    Parameters
    ----------
    path : path-like
        The folder that the batches are in, or an archive of it that `tarfile` opens.
    batches : dict of str to int
        Their names, without the suffix that the binary version has, and how many images each
        holds, in the order to return.
    n_classes : tuple of int
        Of each kind of label: ``(10,)`` for CIFAR-10, ``(20, 100)``, coarse and fine, for
        CIFAR-100.

    Returns
    -------
    images : ndarray of uint8 of shape (n, 32, 32, 3)
        RGB, in 0..255.
    labels : ndarray of int of shape (n, len(n_classes))

    Raises
    ------
    ValueError
        If a batch is missing or damaged, or is not what `batches` and `n_classes` say. A pickle
        that holds anything but numbers, text and arrays is not loaded.
    OSError
        If a file cannot be opened.

    References
    ----------
    https://www.cs.toronto.edu/~kriz/cifar.html, "Dataset layout".

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from visionpipe.datasets.cifar import read_cifar
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     n_bytes = Path(folder, "test_batch.bin").write_bytes(bytes([7] + 3072 * [255]))
    ...     images, labels = read_cifar(folder, {"test_batch": 1}, n_classes=(10,))
    >>> images.shape, labels.tolist()
    ((1, 32, 32, 3), [[7]])
    """
    n_images = sum(batches.values())
    images = np.empty((n_images, *SHAPE), np.uint8)
    labels = np.empty((n_images, len(n_classes)), np.int64)
    stops = dict(zip(batches, np.cumsum([*batches.values()]), strict=True))
    missing = dict(batches)
    with telling_damage(path):
        for name, file, read in _files(Path(path), missing):
            rows = slice(stops[name] - missing.pop(name), stops[name])
            try:
                read(file, images[rows], labels[rows])
                _check(labels[rows], n_classes)
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from error
        if missing:
            raise ValueError(f"it lacks {', '.join(missing)}")
    return images, labels


def _files(path, missing):
    """Names and open files of the batches that are still missing, and what reads them."""
    if path.is_dir():
        for name in list(missing):
            for suffix, read in READERS.items():
                if name in missing and (path / f"{name}{suffix}").is_file():
                    with open(path / f"{name}{suffix}", "rb") as file:
                        yield name, file, read
        return
    with tarfile.open(path) as archive:
        for member in archive:
            inner = PurePosixPath(member.name)
            name, suffix = inner.stem, inner.suffix
            if member.isfile() and name in missing and suffix in READERS:
                yield name, archive.extractfile(member), READERS[suffix]
            if not missing:
                break
        read_to_end(archive)


# --------------------------------------------------------------------------- the binary version


def _read_binary(file, images, labels):
    """Records of labels and pixels, a byte each, into arrays."""
    n_labels = labels.shape[1]
    for start in range(0, len(images), BLOCK):
        rows = slice(start, min(start + BLOCK, len(images)))
        n_records = rows.stop - start
        content = file.read(n_records * (n_labels + N_VALUES))
        if len(content) < n_records * (n_labels + N_VALUES):
            raise ValueError(f"it ends before its {len(images):,} images do")
        records = np.frombuffer(content, np.uint8).reshape(n_records, -1)
        labels[rows] = records[:, :n_labels]
        _copy_pixels(records[:, n_labels:], images[rows])
    if file.read(1):
        raise ValueError(f"it holds more than the {len(images):,} images wanted")


def _copy_pixels(values, images):
    """Values (n, c h w) to images (n, h, w, c)."""
    images[...] = values.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)


# --------------------------------------------------------------------------- the Python version


def _read_python(file, images, labels):
    """A pickled dict with pixels and labels, into arrays."""
    with _any_error_of_pickle():
        content = _PlainUnpickler(file, encoding="bytes").load()
        content = {_text(key): value for key, value in content.items()}
        values = content["data"]
        found = np.column_stack([content[name] for name in LABEL_NAMES[labels.shape[1]]])
    if (
        not isinstance(values, np.ndarray)
        or values.dtype != np.uint8
        or found.dtype.kind not in "iu"
    ):
        raise ValueError("its pixels or labels are not whole numbers")
    if values.shape != (len(images), N_VALUES) or found.shape != labels.shape:
        raise ValueError(
            f"it holds pixels {values.shape} and labels {found.shape}; wanted "
            f"{(len(images), N_VALUES)} and {labels.shape}"
        )
    labels[...] = found
    _copy_pixels(values, images)


class _PlainUnpickler(pickle.Unpickler):
    """Loads numbers, text, containers and arrays only, so that a file cannot run anything."""

    def find_class(self, module, name):
        # NumPy 1 called the package numpy.core, and the official files are of Python 2.
        plain = _ARRAY_BUILDERS.get((module.replace("numpy._core", "numpy.core"), name))
        if plain is None:
            raise pickle.UnpicklingError(f"it wants {module}.{name}, which no image needs")
        return plain


def _array_builders():
    """What pickles of arrays call, by the names that they use."""
    plain = {("numpy", "ndarray"): np.ndarray, ("numpy", "dtype"): np.dtype}
    for protocol in (2, 5):
        builder = np.empty(1).__reduce_ex__(protocol)[0]
        plain[builder.__module__.replace("numpy._core", "numpy.core"), builder.__name__] = builder
    return plain


_ARRAY_BUILDERS = _array_builders()


def _bytes_of_text(text, encoding):
    """What Python 3 writes for bytes where the pickle is to be read by Python 2."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"it wants text in {encoding}")
    return text.encode("latin1")


_ARRAY_BUILDERS["_codecs", "encode"] = _bytes_of_text


@contextmanager
def _any_error_of_pickle():
    """A damaged pickle raises nearly anything."""
    try:
        yield
    except (OSError, MemoryError):  # of the file or the machine
        raise
    except Exception as error:
        reason = str(error) if isinstance(error, pickle.UnpicklingError) else repr(error)
        raise ValueError(f"it is no batch of the Python version ({reason})") from error


def _text(key):
    return key.decode() if isinstance(key, bytes) else key


def _check(labels, n_classes):
    for found, n in zip(labels.T, n_classes, strict=True):
        if len(found) and not (found.min() >= 0 and found.max() < n):
            raise ValueError(
                f"it has labels from {found.min()} to {found.max()}; wanted 0 to {n - 1}"
            )


READERS = {"": _read_python, ".bin": _read_binary}  # by the suffix of a batch
