"""Where data sets lie on disk, in all the forms that people keep them in."""

import os
from pathlib import Path

from visionpipe.datasets.idx import read_idx
from visionpipe.datasets.registry import squeezed

__all__ = [
    "IDX_KINDS",
    "find_archive",
    "find_batches",
    "find_class_folders",
    "find_idx",
    "idx_names",
    "resolve_data_home",
]

IDX_KINDS = ("images-idx3", "labels-idx1")
PREFIX = {"train": "train", "test": "t10k"}  # of idx files
TAR_SUFFIXES = (".tar.gz", ".tgz", ".tar.xz", ".tar.bz2", ".tar")


def resolve_data_home(data_home):
    """Return the folder of the data sets.

    Parameters
    ----------
    data_home : path-like or None
        None stands for the environment variable VISIONPIPE_DATA, and without that for the user's
        cache folder.

    Returns
    -------
    pathlib.Path
        It need not exist.

    Raises
    ------
    NotADirectoryError
        If it is a file.

    Examples
    --------
    >>> from visionpipe.datasets.on_disk import resolve_data_home
    >>> resolve_data_home("data").name
    'data'
    """
    home = data_home or os.environ.get("VISIONPIPE_DATA")
    if not home:
        import pooch

        home = pooch.os_cache("visionpipe")
    home = Path(home).expanduser()
    if home.is_file():
        raise NotADirectoryError(f"data_home {home} is a file; name the folder that it is in")
    return home


def _folders_of(entry, home):
    """Folders that a set may be in: of its name, as torchvision makes them, and `home` itself."""
    named = _named(entry, home)
    nested = [inner for folder in named for inner in _named(entry, folder)]
    roots = [*named, *nested, home]
    return [folder for root in roots for folder in (root, root / "raw") if folder.is_dir()]


def _named(entry, folder):
    """Sub-folders with the name of the set, however it is written."""
    if not folder.is_dir():
        return []
    wanted = squeezed(entry.name)
    return sorted(p for p in folder.iterdir() if squeezed(p.name) == wanted and p.is_dir())


def find_idx(entry, part, home):
    """Find the images and the labels of a part, as idx files.

    Parameters
    ----------
    entry : Entry
    part : {"train", "test"}
    home : pathlib.Path

    Returns
    -------
    tuple of two pathlib.Path, or None
        Labels that begin as those of another set with files of the same names do not count.

    Raises
    ------
    ValueError
        If a file with labels is damaged.
    """
    for folder in _folders_of(entry, home):
        images, labels = (_first_file(folder, idx_names(part, kind)) for kind in IDX_KINDS)
        if images and labels and _begins_right(entry, part, labels):
            return images, labels
    return None


def idx_names(part, kind):
    """Return the names that an idx file may have.

    Parameters
    ----------
    part : {"train", "test"}
    kind : {"images-idx3", "labels-idx1"}

    Returns
    -------
    list of str

    Examples
    --------
    >>> from visionpipe.datasets.on_disk import idx_names
    >>> idx_names("test", "labels-idx1")[:2]
    ['t10k-labels-idx1-ubyte', 't10k-labels-idx1-ubyte.gz']
    """
    stem = f"{PREFIX[part]}-{kind}-ubyte"
    stems = (stem, stem.replace("-idx", ".idx"))
    return [f"{name}{suffix}" for name in stems for suffix in ("", ".gz")]


def _first_file(folder, names):
    return next((folder / name for name in names if (folder / name).is_file()), None)


def _begins_right(entry, part, labels):
    wanted = entry.first_labels[part]
    return read_idx(labels)[: len(wanted)].tolist() == list(wanted)


def find_batches(entry, home):
    """Find the batches of CIFAR-10 or CIFAR-100.

    Parameters
    ----------
    entry : Entry
    home : pathlib.Path

    Returns
    -------
    pathlib.Path or None
        A folder that holds them, or an archive of one.
    """
    names = [name for batches in entry.batches.values() for name in batches]
    for folder in _folders_of(entry, home):
        for found in (folder / name for name in entry.folders):
            if found.is_dir():
                return found
        if any(all((folder / f"{n}{s}").is_file() for n in names) for s in ("", ".bin")):
            return folder
    return find_archive(entry, home, suffixes=TAR_SUFFIXES)


def find_archive(entry, home, *, suffixes=(".zip", *TAR_SUFFIXES)):
    """Find an archive of a set.

    Parameters
    ----------
    entry : Entry
    home : pathlib.Path
    suffixes : tuple of str

    Returns
    -------
    pathlib.Path or None
    """
    names = [f"{name}{suffix}" for name in entry.archives for suffix in suffixes]
    found = (_first_file(folder, names) for folder in _folders_of(entry, home))
    return next(filter(None, found), None)


def find_class_folders(entry, home):
    """Find the folder in which each class of a set has a folder.

    Parameters
    ----------
    entry : Entry
    home : pathlib.Path

    Returns
    -------
    pathlib.Path or None
    """
    for folder in _folders_of(entry, home):
        for found in (*(folder / name for name in entry.folders), folder):
            if all((found / name).is_dir() for name in entry.classes):
                return found
    return None
