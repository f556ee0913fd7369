"""Folders whose sub-folders are classes, or parts of a data set whose sub-folders are classes."""

import os
from itertools import groupby

import numpy as np

from visionpipe.datasets.listing import PARTS, Listing

__all__ = ["read_classes"]


def read_classes(source, *, skip_errors=False):
    """List the images of each class below a folder; nothing is decoded.

    Parameters
    ----------
    source : str
        The folder. If there are two sub-folders or more, all are named as parts of a data set are,
        and one of them has sub-folders itself, the classes are the sub-folders of those. The class
        of one name may be missing in some of the parts. A part without sub-folders is passed over.
    skip_errors : bool, default=False
        Whether to go on where a folder below `source` cannot be listed.

    Returns
    -------
    dict
        filenames : list of str, sorted by class, then by path.
        target : ndarray of int of shape (n,), positions in `target_names`.
        target_names : ndarray of str, sorted.
        parts : ndarray of str of shape (n,), "train", "validation" or "test", if there are parts.
        ignored : dict of str to int, what was passed over, and how often.
        skipped : list of ImageReadError, folders that cannot be listed.

    Raises
    ------
    ValueError
        If there are no sub-folders, a class has no images, or two folders are one part. As
        `ImageReadError`, if a folder cannot be listed, unless errors are skipped.
    """
    listing = Listing(source, skip_errors=skip_errors)
    folders = _class_folders(source, listing)
    names, filenames, target, parts = [], [], [], []
    for code, (name, same_name) in enumerate(groupby(folders, key=lambda folder: folder[0])):
        before = len(filenames), len(listing.refused)
        for _, path, part in same_name:
            found = listing.below(path)
            filenames += found
            target += [code] * len(found)
            parts += [part] * len(found)
        if before == (len(filenames), len(listing.refused)):
            raise ValueError(
                f"class folder {path} holds no images; put some in or remove the folder"
            )
        names.append(name)
    fields = {
        "filenames": filenames,
        "target": np.array(target, dtype=int),
        "target_names": np.array(names),
        "ignored": dict(listing.ignored),
        "skipped": listing.refused,
    }
    return fields | ({"parts": np.array(parts)} if any(parts) else {})


def _class_folders(source, listing):
    """Name, path and part (None where there are no parts) of the folders that are classes."""
    folders, images = listing.directly_in(source)
    if not folders:
        raise next(iter(listing.refused), None) or ValueError(
            f"{source} has no sub-folders; wanted one sub-folder for each class"
        )
    listing.count("image outside of any class", len(images))
    if not _are_parts(folders):
        return sorted((os.path.basename(folder), folder, None) for folder in folders)
    _check_parts(source, folders)
    classes = []
    for folder in folders:
        inside, images = listing.directly_in(folder)
        if inside:
            listing.count("image outside of any class", len(images))
        else:
            listing.count(f"image of {os.path.basename(folder)}, which has no classes", len(images))
        part = _part(folder)
        classes += [(os.path.basename(path), path, part) for path in inside]
    return sorted(classes)


def _part(folder):
    return PARTS.get(os.path.basename(folder).lower())


def _are_parts(folders):
    """Whether all are named as parts are, and have folders in them that may be classes.

    One alone may be a class, and so may those that hold nothing but images: a train is a vehicle.
    """
    if len(folders) < 2 or not all(map(_part, folders)):
        return False
    return any(Listing(folder, skip_errors=True).directly_in(folder)[0] for folder in folders)


def _check_parts(source, folders):
    for i, folder in enumerate(folders):
        for other in folders[i + 1 :]:
            if _part(folder) == _part(other):
                raise ValueError(
                    f"{source} has two folders of one part, {os.path.basename(folder)} and "
                    f"{os.path.basename(other)}; put both into one"
                )
