"""Images of the user's own: folders whose sub-folders are classes, and lists in CSV files."""

import os
import stat
import warnings
from pathlib import Path

import numpy as np
from sklearn.utils import Bunch

from visionpipe.datasets.class_folders import read_classes
from visionpipe.datasets.csv_lists import read_labelled, read_paths
from visionpipe.datasets.listing import Listing
from visionpipe.decoding import MAX_PIXELS
from visionpipe.images import Images

__all__ = ["find_images", "load_images", "take_images", "without_unreadable"]


def load_images(source, *, errors="raise", max_pixels=MAX_PIXELS, on_read=None):
    """Read a folder whose sub-folders are classes, or a CSV file of paths and labels, lazily.

    Parameters
    ----------
    source : path-like
        A folder or a file.

        Of a folder, each sub-folder is a class, named by it; images may lie deeper inside. If there
        are two sub-folders or more, all are named train, training, val, valid, validation, dev,
        test or testing, in any case, and one of them has sub-folders itself, then they are the
        parts of a data set, and their sub-folders the classes. Passed over are names that begin
        with a dot, what macOS and Windows leave in folders, and files without the suffix of an
        image format. Links are followed, to each folder once in a class.

        A file has to be CSV: UTF-8, separated by commas, with a header that names the columns
        ``path`` and ``label`` and maybe ``part`` and ``group``, or with two columns, path and
        label, and no header. Relative paths begin in the folder of the CSV file.
    errors : {"raise", "skip"}, default="raise"
        What becomes of a file that cannot be read. With "raise", nothing is read here, and the
        error comes when that file is read. With "skip", every file is read here once, and those
        that cannot be are left out, as by `without_unreadable`.
    max_pixels : int, default=MAX_PIXELS
        The most pixels, height times width, of a file that is read; see `as_images`.
    on_read : callable, default=None
        Called now and then as files are read with ``errors="skip"``: see `Images.failures`.

    Returns
    -------
    Bunch
        images : `Images`, decoded whenever they are needed. Those of a folder are sorted by class,
            then by path; those of a CSV file stay in its order.
        target : ndarray of int of shape (n,), positions in `target_names`.
        target_names : ndarray of str, sorted.
        filenames : ndarray of str objects of shape (n,).
        parts : ndarray of str of shape (n,), "train", "validation" or "test", only where the source
            has parts.
        groups : ndarray of str of shape (n,), only if the CSV file has that column.
        ignored : dict of str to int, what was passed over in the folder, and how often.
        skipped : list of `ImageReadError`, the files and folders that could not be read; empty with
            ``errors="raise"``.
        DESCR : str

    Raises
    ------
    ValueError
        If the source is missing, holds no images, is not as described or, with ``errors="skip"``,
        none of its images can be read. As `ImageReadError`, if a folder cannot be listed, unless
        errors are skipped.
    OSError
        If the source cannot be opened.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> from visionpipe import load_images
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("cat", "dog"):
    ...         (Path(folder) / name).mkdir()
    ...         Image.new("RGB", (40, 30)).save(Path(folder) / name / "1.png")
    ...     _ = (Path(folder) / "dog" / "2.png").write_text("not an image")
    ...     data = load_images(folder, errors="skip")
    ...     data.target_names.tolist(), data.target.tolist(), data.images[0].shape
    (['cat', 'dog'], [0, 1], (30, 40, 3))
    >>> [Path(error.path).name for error in data.skipped]
    ['2.png']
    """
    _check_errors(errors)
    source = str(Path(os.fsdecode(source)))
    if _is_folder(source):
        fields = read_classes(source, skip_errors=errors == "skip")
        kind = "folder"
    else:
        fields = read_labelled(source) | {"ignored": {}, "skipped": []}
        kind = "CSV file"
    filenames, names = fields.pop("filenames"), fields["target_names"]
    data = Bunch(
        images=Images(filenames, max_pixels=max_pixels),
        filenames=np.array(filenames, dtype=object),
        **fields,
        DESCR=f"{len(filenames)} images of {len(names)} classes, from the {kind} {source}.",
    )
    return without_unreadable(data, on_read) if errors == "skip" else data


def find_images(source, *, errors="raise"):
    """Find images whose classes do not matter, such as those to predict.

    Parameters
    ----------
    source : path-like
        A folder, of which all images count, at any depth, as in `load_images`; a CSV file, whose
        name has to end so, with a column ``path``, or without a header and with paths in the first
        of one or two columns; or an image file, whatever its name.
    errors : {"raise", "skip"}, default="raise"
        Whether a folder below that cannot be listed stops everything, or is left out.

    Returns
    -------
    Bunch
        filenames : ndarray of str objects of shape (n,), sorted if from a folder.
        ignored : dict of str to int, what was passed over in a folder, and how often.
        skipped : list of `ImageReadError`, folders that cannot be listed.

    Raises
    ------
    ValueError
        If a folder or a CSV file holds no images, a folder cannot be listed, unless errors are
        skipped, or a CSV file is not as described. A file that is no image, or missing, is refused
        when it is read.
    OSError
        If a CSV file cannot be opened.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from visionpipe.datasets.folders import find_images
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("2.jpg", "1.png", "notes.txt"):
    ...         (Path(folder) / name).touch()
    ...     found = find_images(folder)
    >>> [Path(name).name for name in found.filenames], found.ignored
    (['1.png', '2.jpg'], {'not an image file': 1})
    """
    _check_errors(errors)
    source, ignored, skipped = str(Path(os.fsdecode(source))), {}, []
    if os.path.isdir(source):
        listing = Listing(source, skip_errors=errors == "skip")
        filenames, ignored = listing.below(source), dict(listing.ignored)
        skipped = listing.refused
        if not filenames and not skipped:
            raise ValueError(f"folder {source} holds no images")
    elif source.lower().endswith(".csv"):
        filenames = read_paths(source)
    else:
        filenames = [source]
    return Bunch(filenames=np.array(filenames, dtype=object), ignored=ignored, skipped=skipped)


def without_unreadable(data, on_read=None):
    """Leave out the images whose files cannot be read; every file is read once for it.

    Parameters
    ----------
    data : Bunch
        With `images`, `target` and `target_names`, and any arrays as long as `images`.
    on_read : callable, default=None
        Called now and then as files are read: see `Images.failures`.

    Returns
    -------
    Bunch
        Like `data`, with images left out of `images` and of every array of the same length but the
        names of classes. A class that has none left is left out too, with a warning. `skipped` are
        the errors, `ImageReadError`, after those that were there.

    Raises
    ------
    ValueError
        If none can be read.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.utils import Bunch
    >>> from visionpipe import as_images
    >>> from visionpipe.datasets.folders import without_unreadable
    >>> images = as_images([np.zeros((8, 8)), "missing.png", np.ones((8, 8))])
    >>> data = Bunch(images=images, target=np.array([0, 0, 1]), target_names=np.array(["a", "b"]),
    ...              DESCR="Three images.")
    >>> data = without_unreadable(data)
    >>> data.target, data.skipped
    (array([0, 1]), [ImageReadError('missing.png', 'no such file')])
    """
    failures = data.images.failures(on_read)
    skipped = [*data.get("skipped", []), *failures.values()]
    n_images = len(data.images)
    if len(failures) == n_images:
        raise ValueError(f"none of the {n_images} images can be read; first: {skipped[0]}")
    taken = take_images(data, np.delete(np.arange(n_images), list(failures)))
    present = np.unique(taken.target)
    lost = np.delete(data.target_names, present)
    if len(lost):
        warnings.warn(
            f"no image of {', '.join(lost)} can be read; left out of the classes", stacklevel=2
        )
        taken.target_names = data.target_names[present]
        taken.target = np.searchsorted(present, taken.target)
    taken.skipped = skipped
    if failures:
        taken.DESCR += f" {len(failures)} of them cannot be read and are left out."
    return taken


def take_images(data, rows):
    """Take some of the images of a data set, with all that is known of them.

    Parameters
    ----------
    data : Bunch
        With `images`.
    rows : ndarray of int or of bool
        Which, as `Images` are indexed.

    Returns
    -------
    Bunch
        Like `data`, with these images only in `images` and in every array of the same length but
        the names of classes.
    """
    fields = {
        name: field[rows] if _is_per_image(name, field, len(data.images)) else field
        for name, field in data.items()
    }
    return Bunch(**fields)


def _is_per_image(name, field, n_images):
    is_sequence = isinstance(field, (np.ndarray, Images)) and not name.endswith("_names")
    return is_sequence and field.shape[:1] == (n_images,)


def _check_errors(errors):
    if errors not in ("raise", "skip"):
        raise ValueError(f"errors={errors!r}; wanted 'raise' or 'skip'")


def _is_folder(source):
    """Whether it is a folder, else it is a file; anything else is refused."""
    wanted = "wanted a folder with one sub-folder for each class, or a CSV file of paths and labels"
    try:
        mode = os.stat(source).st_mode
    except FileNotFoundError:
        raise ValueError(f"{source} does not exist; {wanted}") from None
    if not stat.S_ISDIR(mode) and not stat.S_ISREG(mode):
        raise ValueError(f"{source} is neither a folder nor a file; {wanted}")
    return stat.S_ISDIR(mode)
