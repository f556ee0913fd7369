"""Feature stores as a new process would see them."""

from visionpipe.store import file


def forget():
    """Close the files of all stores, and forget what is in memory of them."""
    for one in file._files.values():
        one._close()
    file._files.clear()
