"""The standard data sets by name: found on disk in any usual form, else fetched and verified."""

from visionpipe.datasets.reading import cifar_set, class_folder_set, idx_set
from visionpipe.decoding import MAX_PIXELS

__all__ = [
    "fetch_caltech101",
    "fetch_cifar10",
    "fetch_cifar100",
    "fetch_fashion_mnist",
    "fetch_mnist",
]


def fetch_mnist(*, data_home=None, subset="train", download_if_missing=True, return_X_y=False):
    """Load MNIST: handwritten digits, 60,000 to train on and 10,000 to test on.

    Parameters
    ----------
    data_home : path-like or None
        The folder of the data sets. What lies there in any usual form is read in place: see
        ``data/README.md``. None stands for the environment variable VISIONPIPE_DATA, and without
        that for the user's cache folder.
    subset : {"train", "test", "all"}
        "all" is the training images, then the test images.
    download_if_missing : bool
        Whether to fetch what is not there (12 MB) from the addresses in the registry.
    return_X_y : bool
        Whether to return ``(images, target)`` only.

    Returns
    -------
    Bunch
        images : `Images`, 28x28 grey, uint8.
        target : ndarray of int of shape (n,), positions in `target_names`.
        target_names : ndarray of str, "0" to "9".
        parts : ndarray of str of shape (n,), "train" or "test"; only with ``subset="all"``.
        filenames : ndarray of str, the files that were read.
        DESCR : str, with source, licence and paper.

    Raises
    ------
    ValueError
        If `subset` is another, or a file is damaged.
    OSError
        If it is not there and may not or cannot be fetched.

    References
    ----------
    Y. LeCun et al., "Gradient-based learning applied to document recognition", Proceedings of the
    IEEE 86(11), 1998.

    Examples
    --------
    >>> from visionpipe import fetch_mnist
    >>> digits = fetch_mnist()  # doctest: +SKIP
    >>> digits.images, digits.target[:5]  # doctest: +SKIP
    (<60000 images: array of 28x28 grey, uint8>, array([5, 0, 4, 1, 9]))
    >>> fetch_mnist(subset="validation")
    Traceback (most recent call last):
        ...
    ValueError: subset must be "train", "test" or "all", got 'validation'
    """
    return idx_set("mnist", data_home, subset, download_if_missing, return_X_y)


def fetch_fashion_mnist(
    *, data_home=None, subset="train", download_if_missing=True, return_X_y=False
):
    """Load Fashion-MNIST: pictures of clothes, 60,000 to train on and 10,000 to test on.

    Parameters
    ----------
    data_home : path-like or None
        The folder of the data sets, as in `fetch_mnist`.
    subset : {"train", "test", "all"}
        "all" is the training images, then the test images.
    download_if_missing : bool
        Whether to fetch what is not there (31 MB) from the addresses in the registry.
    return_X_y : bool
        Whether to return ``(images, target)`` only.

    Returns
    -------
    Bunch
        As of `fetch_mnist`, with the names of ten kinds of clothes.

    Raises
    ------
    ValueError
        If `subset` is another, or a file is damaged.
    OSError
        If it is not there and may not or cannot be fetched.

    References
    ----------
    H. Xiao, K. Rasul and R. Vollgraf, "Fashion-MNIST: a novel image dataset for benchmarking
    machine learning algorithms", arXiv:1708.07747, 2017.

    Examples
    --------
    >>> from visionpipe import fetch_fashion_mnist
    >>> clothes = fetch_fashion_mnist(subset="test")  # doctest: +SKIP
    >>> clothes.images, clothes.target_names[clothes.target[:2]]  # doctest: +SKIP
    (<10000 images: array of 28x28 grey, uint8>, array(['Ankle boot', 'Pullover'], dtype='<U11'))
    >>> fetch_fashion_mnist(subset=None)
    Traceback (most recent call last):
        ...
    ValueError: subset must be "train", "test" or "all", got None
    """
    return idx_set("fashion-mnist", data_home, subset, download_if_missing, return_X_y)


def fetch_cifar10(*, data_home=None, subset="train", download_if_missing=True, return_X_y=False):
    """Load CIFAR-10: photographs of ten classes, 50,000 to train on and 10,000 to test on.

    Parameters
    ----------
    data_home : path-like or None
        The folder of the data sets, as in `fetch_mnist`.
    subset : {"train", "test", "all"}
        "all" is the training images, then the test images.
    download_if_missing : bool
        Whether to fetch it, if it is not there (170 MB), from the addresses in the registry.
    return_X_y : bool
        Whether to return ``(images, target)`` only.

    Returns
    -------
    Bunch
        As of `fetch_mnist`, with images of 32x32 RGB. `filenames` is the archive or the folder.

    Raises
    ------
    ValueError
        If `subset` is another, or a file is damaged.
    OSError
        If it is not there and may not or cannot be fetched.

    References
    ----------
    A. Krizhevsky, "Learning multiple layers of features from tiny images", technical report,
    University of Toronto, 2009.

    Examples
    --------
    >>> from visionpipe import fetch_cifar10
    >>> photographs = fetch_cifar10(subset="test")  # doctest: +SKIP
    >>> photographs.images, photographs.target_names[photographs.target[:2]]  # doctest: +SKIP
    (<10000 images: array of 32x32 RGB, uint8>, array(['cat', 'ship'], dtype='<U10'))
    >>> fetch_cifar10(subset="valid")
    Traceback (most recent call last):
        ...
    ValueError: subset must be "train", "test" or "all", got 'valid'
    """
    return cifar_set("cifar-10", data_home, subset, download_if_missing, return_X_y)


def fetch_cifar100(*, data_home=None, subset="train", download_if_missing=True, return_X_y=False):
    """Load CIFAR-100: photographs of 100 classes, 50,000 to train on and 10,000 to test on.

    Parameters
    ----------
    data_home : path-like or None
        The folder of the data sets, as in `fetch_mnist`.
    subset : {"train", "test", "all"}
        "all" is the training images, then the test images.
    download_if_missing : bool
        Whether to fetch it, if it is not there (169 MB), from the addresses in the registry.
    return_X_y : bool
        Whether to return ``(images, target)`` only.

    Returns
    -------
    Bunch
        As of `fetch_cifar10`, with the 100 fine classes in `target`, and
        coarse_target : ndarray of int of shape (n,), positions in `coarse_target_names`.
        coarse_target_names : ndarray of str, 20 groups of five classes each.

    Raises
    ------
    ValueError
        If `subset` is another, or a file is damaged.
    OSError
        If it is not there and may not or cannot be fetched.

    References
    ----------
    A. Krizhevsky, "Learning multiple layers of features from tiny images", technical report,
    University of Toronto, 2009.

    Examples
    --------
    >>> from visionpipe import fetch_cifar100
    >>> len(fetch_cifar100(subset="all").images)  # doctest: +SKIP
    60000
    >>> fetch_cifar100(subset="fine")
    Traceback (most recent call last):
        ...
    ValueError: subset must be "train", "test" or "all", got 'fine'
    """
    return cifar_set("cifar-100", data_home, subset, download_if_missing, return_X_y)


def fetch_caltech101(
    *, data_home=None, subset="all", download_if_missing=True, return_X_y=False,
    errors="raise", max_pixels=MAX_PIXELS,
):  # fmt: skip
    """Load Caltech-101: 8,677 photographs of 101 classes.

    The pictures in the folder ``BACKGROUND_Google`` are left out: they belong to no class. There
    is no official split; the usual one draws 15 or 30 images a class to train on, for instance by
    ``train_test_split(..., stratify=target)``.

    Parameters
    ----------
    data_home : path-like or None
        The folder of the data sets, as in `fetch_mnist`. An archive is unpacked there, once.
    subset : {"all"}
    download_if_missing : bool
        Whether to fetch it, if it is not there (137 MB), from the address in the registry.
    return_X_y : bool
        Whether to return ``(images, target)`` only.
    errors : {"raise", "skip"}
        What happens to files that cannot be read, as in `load_images`.
    max_pixels : int
        The largest image to decode, as in `load_images`.

    Returns
    -------
    Bunch
        images : `Images`, RGB or grey, about 300x200, nothing decoded yet.
        target : ndarray of int of shape (8677,), positions in `target_names`.
        target_names : ndarray of str, the names of the folders, sorted.
        filenames : ndarray of str of shape (8677,).
        skipped : list of ImageReadError, what was left out with ``errors="skip"``.
        DESCR : str, with source, licence and paper.

    Raises
    ------
    ValueError
        If `subset` is another, an archive is damaged, or the number of images is wrong.
    OSError
        If it is not there and may not or cannot be fetched, or the folder cannot be written to.

    References
    ----------
    L. Fei-Fei, R. Fergus and P. Perona, "Learning generative visual models from few training
    examples", CVPR Workshop on Generative-Model Based Vision, 2004.

    Examples
    --------
    >>> from visionpipe import fetch_caltech101
    >>> len(fetch_caltech101().target_names)  # doctest: +SKIP
    101
    >>> fetch_caltech101(subset="train")
    Traceback (most recent call last):
        ...
    ValueError: Caltech-101 has no official split: subset must be "all", got 'train'; split it ...
    """
    return class_folder_set(
        "caltech-101", data_home, subset, download_if_missing, return_X_y,
        errors=errors, max_pixels=max_pixels,
    )  # fmt: skip
