"""Files that are not what their name says: one error for all of them."""

import gzip
import lzma
import tarfile
import zipfile
import zlib
from contextlib import contextmanager

__all__ = ["damaged", "read_to_end", "telling_damage"]

CHUNK = 2**22  # bytes

UNREADABLE = (
    EOFError, ValueError,
    gzip.BadGzipFile, lzma.LZMAError, tarfile.TarError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip


def damaged(path, reason):
    """Return the error for a file that is not what its name says.

    Parameters
    ----------
    path : path-like
    reason : str

    Returns
    -------
    ValueError

    Examples
    --------
    >>> from visionpipe.datasets.damage import damaged
    >>> print(damaged("train-labels-idx1-ubyte.gz", "it ends too early"))
    train-labels-idx1-ubyte.gz is damaged: it ends too early; remove it to fetch it anew
    """
    reason = " ".join(str(reason).split())
    return ValueError(f"{path} is damaged: {reason}; remove it to fetch it anew")


@contextmanager
def telling_damage(path):
    """Turn what decompressors, archives and readers raise into `damaged`.

    Parameters
    ----------
    path : path-like
        Of the file that the block reads.

    Raises
    ------
    ValueError
        With the path and the reason. Errors of the disk, such as a missing permission, go through.
    """
    try:
        yield
    except UNREADABLE as error:
        raise damaged(path, str(error) or type(error).__name__) from error


def read_to_end(archive):
    """Read on to where decompressors compare checksums: the members of an archive end before.

    Parameters
    ----------
    archive : tarfile.TarFile

    Raises
    ------
    Exception
        Any of those that `telling_damage` knows.
    """
    while archive.fileobj.read(CHUNK):
        pass
