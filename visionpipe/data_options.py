"""What all commands that read images share: which images, and what becomes of files that lie."""

import csv
import io
import sys
import warnings
from argparse import ArgumentTypeError
from pathlib import Path
from tempfile import TemporaryFile

import numpy as np

from visionpipe.console import progress_bar
from visionpipe.decoding import MAX_PIXELS
from visionpipe.files import write_whole

__all__ = [
    "DATA_HELP",
    "add_reading_options",
    "check_model_path",
    "load_for",
    "report_ignored",
    "report_skipped",
    "rows_of_part",
]

DATA_HELP = (
    "digits, faces, textures, mnist, fashion-mnist, cifar-10, cifar-100, caltech-101, a folder of "
    "class sub-folders, or a CSV file of path,label"
)


def add_reading_options(parser, *, sets=True):
    """Add the options that `load_for` looks at to a parser.

    Parameters
    ----------
    parser : argparse.ArgumentParser
    sets : bool, default=True
        Whether the command takes data sets by name.
    """
    if sets:
        parser.add_argument(
            "--data-home",
            type=Path,
            metavar="DIR",
            help="where the standard sets lie, or are fetched to (default: the environment "
            "variable VISIONPIPE_DATA, else the user's cache folder)",
        )
    parser.add_argument(
        "--errors",
        choices=["raise", "skip"],
        default="raise",
        help="stop at the first file that cannot be read, or leave such files out and list them in "
        "skipped.csv (default: raise)",
    )
    parser.add_argument(
        "--max-pixels",
        type=_positive_int,
        default=MAX_PIXELS,
        metavar="N",
        help=f"the most pixels of a file to decode (default: {MAX_PIXELS})",
    )


def load_for(options, skipped_to, *, read_first=False):
    """Load the images that a command is to work on, and say what was left out.

    Parameters
    ----------
    options : argparse.Namespace
        With `data` and what `add_reading_options` adds.
    skipped_to : path-like
        Folder for ``skipped.csv``.
    read_first : bool, default=False
        Read every file once before anything is done, also where a bad one stops the command: it
        then stops before hours of work and not after.

    Returns
    -------
    Bunch
        As of `visionpipe.datasets.load_data`.

    Raises
    ------
    ValueError, OSError
        As `load_data`. As `ImageReadError`, if a file cannot be read.
    """
    from visionpipe.datasets import load_data

    with progress_bar() as progress:
        task = progress.add_task("reading", total=None)

        def on_read(n_done, n_total, failures):
            progress.update(task, completed=n_done, total=n_total)
            if failures and options.errors == "raise":
                raise next(iter(failures.values()))

        data = load_data(
            options.data,
            data_home=options.data_home,
            errors=options.errors,
            max_pixels=options.max_pixels,
            on_read=on_read,
        )
        if read_first and options.errors == "raise":
            data.images.failures(on_read)
    report_ignored(data.get("ignored", {}))
    if options.errors == "skip":
        report_skipped(data.get("skipped", []), skipped_to)
    return data


def rows_of_part(data, part):
    """Return the positions of the images of a part; of all, where there are no parts.

    Parameters
    ----------
    data : Bunch
    part : {"train", "validation", "test"}

    Returns
    -------
    ndarray of int

    Raises
    ------
    ValueError
        If there are parts, but not this one.
    """
    if "parts" not in data:
        return np.arange(len(data.images))
    rows = np.flatnonzero(data.parts == part)
    if not len(rows):
        there = ", ".join(np.unique(data.parts))
        raise ValueError(f"the data has no part {part}, only {there}")
    return rows


def report_ignored(ignored):
    """Say on standard error what was passed over in a folder.

    Parameters
    ----------
    ignored : dict of str to int
    """
    if ignored:
        counts = ", ".join(f"{what} {n:,}" for what, n in ignored.items())
        print(f"passed over: {counts}", file=sys.stderr)


def report_skipped(skipped, folder):
    """List the files that could not be read in ``skipped.csv``, and say how many they are.

    Without any, a list of an earlier run is emptied, and none is written.

    Parameters
    ----------
    skipped : list of ImageReadError
    folder : path-like
        Made if it does not exist.

    Warns
    -----
    UserWarning
        If the list cannot be written: names the files, since results do not depend on the list.
    """
    path = Path(folder, "skipped.csv")
    if not skipped and not path.exists():
        return
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["path", "reason"])
    writer.writerows((error.path, error.reason) for error in skipped)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, table.getvalue())
    except OSError as error:
        named = "; ".join(map(str, skipped))
        warnings.warn(
            f"{path} cannot be written ({error.strerror or error}): {named}", stacklevel=2
        )
        return
    print(f"left out: {len(skipped):,} that cannot be read, listed in {path}", file=sys.stderr)


def check_model_path(path):
    """Make the folder that a model is to be saved in, so that hours of work cannot be lost to it.

    Parameters
    ----------
    path : path-like

    Raises
    ------
    ValueError
        If it is a folder, or cannot be written.
    """
    path = Path(path)
    if path.is_dir():
        raise ValueError(f"--out {path} is a folder; wanted a file for the model")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise ValueError(f"--out {path} cannot be written: {error.strerror or error}") from None


def _positive_int(text):
    if not text.isdecimal() or not int(text):
        raise ArgumentTypeError(f"{text}: wanted a positive int")
    return int(text)
