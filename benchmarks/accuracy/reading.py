"""The images of a row, and which of them are trained and tested on."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.splits import split_classes
from visionpipe import Images, fetch_cifar10, fetch_fashion_mnist, fetch_mnist, load_images
from visionpipe.datasets.on_disk import resolve_data_home

__all__ = ["Data", "read"]

FETCH = {"mnist": fetch_mnist, "fashion-mnist": fetch_fashion_mnist, "cifar-10": fetch_cifar10}
LIST_OF_RECOMPRESSED = "recompressed-images.txt"  # beside a copy of CIFAR-10 that is not exact


@dataclass(frozen=True)
class Data:
    """Images and how they are split.

    Attributes
    ----------
    images : Images
    target : ndarray of int of shape (n,)
    is_training : ndarray of bool of shape (n,) or None
        The official split; None if there is none.
    per_class : int or None
        Training images of each class in a split that is drawn.
    n_recompressed : int
        How many images were taken from a JPEG copy.
    """

    images: Images
    target: np.ndarray
    is_training: np.ndarray | None = None
    per_class: int | None = None
    n_recompressed: int = 0

    def split(self, seed):
        """Return the official split, or draw one.

        Parameters
        ----------
        seed : int
            The official split needs none.

        Returns
        -------
        train, test : ndarray of int
        """
        if self.is_training is not None:
            return np.flatnonzero(self.is_training), np.flatnonzero(~self.is_training)
        return split_classes(self.target, self.per_class, seed=seed)


def read(row, data_home):
    """Read the images of a row.

    Parameters
    ----------
    row : Row
    data_home : path-like or None
        The folder of the data sets, as in `fetch_mnist`.

    Returns
    -------
    Data

    Raises
    ------
    ValueError
        If a file is damaged, or a class has too few images.
    OSError
        If files are not there and cannot be fetched.
    """
    if row.data == "caltech-16":
        return _read_folder(resolve_data_home(data_home) / row.data, row.per_class)
    found = FETCH[row.data](data_home=data_home, subset="all")
    beside = Path(found.filenames[0]).parent / LIST_OF_RECOMPRESSED
    lines = beside.read_text().splitlines() if beside.exists() else []
    return Data(
        found.images,
        found.target,
        is_training=found.parts == "train",
        n_recompressed=sum(not line.startswith("#") for line in lines),
    )


def _read_folder(folder, per_class):
    found = load_images(folder)
    fewest = np.bincount(found.target).min()
    if fewest <= per_class:
        raise ValueError(
            f"{folder} has a class of {fewest} images; wanted {per_class} to train on, and others"
        )
    return Data(found.images, found.target, per_class=per_class)
