"""Which files below a folder are images, and how many others there are of which kind."""

import os
from collections import Counter

from visionpipe.decoding import IMAGE_SUFFIXES, ImageReadError

__all__ = ["PARTS", "Listing"]

PARTS = {  # of a data set, by the names that folders and columns give them
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}
SYSTEM_NAMES = frozenset({"__macosx", "desktop.ini", "thumbs.db"})  # of macOS and Windows


class Listing:
    """Images below a folder, at any depth, and counts of what is passed over.

    Links to folders are followed, but nothing is entered twice, nor what lies above the folder. A
    name decides what a file is: none is opened, nor looked at unless it is a link, so that a link
    that leads nowhere and a pipe are images if they are called so, and refused when they are read.

    Parameters
    ----------
    root : str
        The folder.
    skip_errors : bool
        Whether to go on where a folder below cannot be listed.

    Attributes
    ----------
    ignored : Counter of str
        What was passed over, and how often.
    refused : list of ImageReadError
        Folders that cannot be listed; empty unless `skip_errors`.
    """

    def __init__(self, root, *, skip_errors=False):
        self.ignored, self.refused = Counter(), []
        self._skip_errors = skip_errors
        self._above = _identities_upward(root)

    def directly_in(self, folder):
        """Return the folders and the images that lie directly in a folder.

        Parameters
        ----------
        folder : str

        Returns
        -------
        folders : list of str
            Paths, sorted. Links to folders are among them, unless they lead to the listing's own
            folder or to one above.
        images : list of str
            Paths, in no order.

        Raises
        ------
        ImageReadError
            If the folder cannot be listed, unless errors are skipped.
        """
        folders, links, images = self._entries(folder)
        above = self._above | _identities_upward(folder)
        new = [link for link in links if _identity(link) not in above]
        self.count("folder seen before (symbolic link)", len(links) - len(new))
        return sorted(folders + new), images

    def below(self, folder):
        """Return the images that lie in a folder, at any depth.

        Parameters
        ----------
        folder : str

        Returns
        -------
        list of str
            Paths, sorted.

        Raises
        ------
        ImageReadError
            If the folder or one below cannot be listed, unless errors are skipped.
        """
        found = []
        seen = self._above | _identities_upward(folder)  # a part of the data set may lie in between
        seen.discard(_identity(folder))
        starts = [folder]
        while starts:  # links last and in order: the system's order must not decide on paths
            links = []
            for start in sorted(starts):
                self._descend(start, seen, links, found)
            starts = links
        return sorted(found)

    def count(self, what, n):
        """Count what is passed over.

        Parameters
        ----------
        what : str
        n : int
            How many; none leave no entry.
        """
        if n:
            self.ignored[what] += n

    def _descend(self, start, seen, links, found):
        """Collect images, and links to folders, below a folder without following those links."""
        waiting = [start]
        while waiting:
            here = waiting.pop()
            identity = _identity(here)
            if identity in seen:
                self.count("folder seen before (symbolic link)", 1)
                continue
            seen.add(identity)
            folders, new_links, images = self._entries(here)
            waiting += folders
            links += new_links
            found += images

    def _entries(self, folder):
        """Paths of folders, of links to folders and of images; everything else is counted."""
        folders, links, images = [], [], []
        n_hidden = n_system = n_others = 0
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    name = entry.name
                    if name.startswith("."):
                        n_hidden += 1
                    elif entry.is_dir(follow_symlinks=False):
                        if name.lower() in SYSTEM_NAMES:
                            n_system += 1
                        else:
                            folders.append(entry.path)
                    elif entry.is_symlink() and os.path.isdir(entry.path):
                        links.append(entry.path)
                    elif os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES:
                        images.append(entry.path)
                    elif name.lower() in SYSTEM_NAMES:
                        n_system += 1
                    else:
                        n_others += 1
        except OSError as error:
            refused = ImageReadError(folder, f"folder cannot be listed: {error.strerror or error}")
            if not self._skip_errors:
                raise refused from None
            self.refused.append(refused)
        self.count("hidden", n_hidden)
        self.count("of the operating system", n_system)
        self.count("not an image file", n_others)
        return folders, links, images


def _identities_upward(folder):
    """Of a folder and of all that it lies in."""
    found, here = set(), os.path.realpath(folder)
    while _identity(here) not in found:  # the parent of / is /
        found.add(_identity(here))
        here = os.path.dirname(here)
    return found


def _identity(folder):
    """Device and number, the same by whatever path a folder is reached.

    Of one that cannot be looked at it is the path: listing it says why.
    """
    try:
        status = os.stat(folder)
    except OSError:
        return folder
    return status.st_dev, status.st_ino
