"""Any data set by what a user calls it: a name, a folder, a list of files."""

import warnings
from pathlib import Path

from visionpipe.datasets.bundled import load_digits_images, load_faces, load_textures
from visionpipe.datasets.folders import load_images, without_unreadable
from visionpipe.datasets.registry import squeezed
from visionpipe.datasets.standard import (
    fetch_caltech101,
    fetch_cifar10,
    fetch_cifar100,
    fetch_fashion_mnist,
    fetch_mnist,
)
from visionpipe.decoding import MAX_PIXELS

__all__ = ["load_data"]

BUNDLED = {"digits": load_digits_images, "faces": load_faces, "textures": load_textures}
SPLIT = {
    "mnist": fetch_mnist,
    "fashion-mnist": fetch_fashion_mnist,
    "cifar-10": fetch_cifar10,
    "cifar-100": fetch_cifar100,
}
NAMES = [*BUNDLED, *SPLIT, "caltech-101"]


def load_data(name, *, data_home=None, errors="raise", max_pixels=MAX_PIXELS, on_read=None):
    """Load a data set by its name, or images from a folder or a CSV file.

    Parameters
    ----------
    name : str or path-like
        ``"digits"``, ``"faces"``, ``"textures"``, ``"mnist"``, ``"fashion-mnist"``,
        ``"cifar-10"``, ``"cifar-100"`` or ``"caltech-101"``, in any case, with or without hyphens;
        or what `load_images` takes: a folder with one sub-folder of images for each class, or a
        CSV file with paths and labels. A name goes before a folder of the same name; ``./digits``
        is always the folder.
    data_home : path-like or None
        Where the sets from "mnist" on lie or are fetched to: see `fetch_mnist`.
    errors : {"raise", "skip"}
        What happens to image files that cannot be read: see `load_images`.
    max_pixels : int
        The largest image file to decode: see `load_images`.
    on_read : callable, default=None
        Called while files are read with ``errors="skip"``: see `load_images`.

    Returns
    -------
    Bunch
        With at least `images`, `target` and `target_names`; `groups` where images must not be
        split freely; `parts`, ndarray of str of shape (n,), where there is an official split, such
        as "train" and "test". All images of a set come, those to train on first.

    Raises
    ------
    ValueError
        If it is neither a known name nor a readable folder or file.
    OSError
        If a set is neither on disk nor can be fetched.

    Examples
    --------
    >>> from visionpipe.datasets import load_data
    >>> len(load_data("faces").images)
    200
    """
    known = _known_name(name)
    if known is None:
        if not Path(name).exists():
            raise ValueError(
                f"there is no data set and no folder {str(name)!r}; the data sets are "
                f"{', '.join(NAMES)}"
            )
        return load_images(name, errors=errors, max_pixels=max_pixels, on_read=on_read)
    if Path(name).is_dir():
        warnings.warn(
            f"{name!r} is taken as the data set; for the folder write ./{name}", stacklevel=2
        )
    if known in BUNDLED:
        return BUNDLED[known]()
    if known in SPLIT:
        return SPLIT[known](data_home=data_home, subset="all")
    data = fetch_caltech101(data_home=data_home, max_pixels=max_pixels)
    return without_unreadable(data, on_read) if errors == "skip" else data


def _known_name(name):
    """The name of a data set as the table has it; None for anything else, a path among it."""
    if not isinstance(name, str):
        return None
    return next((known for known in NAMES if squeezed(known) == squeezed(name)), None)
