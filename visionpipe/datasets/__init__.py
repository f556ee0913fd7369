"""Data sets by one name each: bundled, standard, or a user's own folder or list of images."""

from visionpipe.datasets.bundled import load_digits_images, load_faces, load_textures
from visionpipe.datasets.folders import load_images
from visionpipe.datasets.names import load_data
from visionpipe.datasets.standard import (
    fetch_caltech101,
    fetch_cifar10,
    fetch_cifar100,
    fetch_fashion_mnist,
    fetch_mnist,
)

__all__ = [
    "fetch_caltech101",
    "fetch_cifar10",
    "fetch_cifar100",
    "fetch_fashion_mnist",
    "fetch_mnist",
    "load_data",
    "load_digits_images",
    "load_faces",
    "load_images",
    "load_textures",
]
