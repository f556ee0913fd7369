"""Files of programs that run at the same time and may stop at any time: written whole, locked."""

import os
import uuid
import weakref
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

__all__ = ["DRAFT_SUFFIX", "FileLock", "appearing_whole", "write_whole"]

DRAFT_SUFFIX = ".part"


@contextmanager
def appearing_whole(path):
    """Give the path of a draft to write; it takes the place of a file when the block ends.

    A reader sees the old file or the new one, never a part, even after a power cut: the draft
    reaches the disk before it gets its name. An error in the block removes the draft and leaves the
    old file. Only a program that is killed leaves a draft behind.

    Parameters
    ----------
    path : path-like
        Of the file, in a folder that exists.

    Yields
    ------
    pathlib.Path
        Of a file in the same folder that does not exist yet. Its name is of this block alone, so
        that several processes and threads may write one file at a time; the last to end wins.

    Raises
    ------
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from visionpipe.files import appearing_whole
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "notes.txt")
    ...     with appearing_whole(path) as draft:
    ...         n_characters = draft.write_text("all of it")
    ...         is_there_already = path.exists()
    ...     is_there_already, path.read_text()
    (False, 'all of it')
    """
    path = Path(path)
    draft = path.with_name(f"{path.name}.{uuid.uuid4().hex[:12]}{DRAFT_SUFFIX}")
    try:
        yield draft
        with open(draft, "r+b") as file:  # Windows brings to disk only what may be written
            os.fsync(file.fileno())
        os.replace(draft, path)
    except BaseException:
        with suppress(OSError):
            draft.unlink()
        raise
    _bring_names_to_disk(path.parent)


def write_whole(path, text):
    """Write a text file, in UTF-8, so that it appears whole or not at all.

    Parameters
    ----------
    path : path-like
    text : str
        Names of files that are not UTF-8 are written as the bytes they are.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    with appearing_whole(path) as draft:
        draft.write_text(text, encoding="utf-8", errors="surrogateescape")


def _bring_names_to_disk(folder):
    if os.name != "posix":  # elsewhere a folder cannot be opened
        return
    with suppress(OSError):  # some file systems refuse; the file itself is on disk and in place
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


class FileLock:
    """A lock that one thread of one process holds, and that ends with the process at the latest.

    The operating system keeps it (``flock``; on Windows ``LockFile``), so that one who was killed
    leaves no lock behind, only the file.

    Parameters
    ----------
    path : path-like
        Of a file to lock, made if it does not exist. Nobody may remove it while locks are wanted.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from visionpipe.files import FileLock
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     ours, theirs = FileLock(Path(folder, "lock")), FileLock(Path(folder, "lock"))
    ...     ours.acquire(), theirs.acquire(), ours.release(), theirs.acquire(), theirs.release()
    (True, False, None, True, None)
    """

    def __init__(self, path):
        self.path, self._file = path, None

    def acquire(self):
        """Lock the file unless it is locked.

        Returns
        -------
        bool
            Whether the lock is held now.

        Raises
        ------
        OSError
            If the file cannot be opened, or its file system has no locks.
        """
        with ExitStack() as closing:
            file = closing.enter_context(open(self.path, "ab"))
            if not _lock(file):
                return False
            closing.pop_all()  # open as long as it is locked
        self._file = file
        _held.add(self)
        return True

    def release(self):
        """Unlock the file, if it is held."""
        if self._file is not None:
            _unlock(self._file)  # closing would not do while a child that starts has a copy
            self._forget()

    def _forget(self):
        self._file.close()
        self._file = None
        _held.discard(self)


_held = weakref.WeakSet()  # locks of this process

if os.name == "nt":
    import msvcrt

    def _lock(file):
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
        return True

    def _unlock(file):
        msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)
else:
    import fcntl

    def _lock(file):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _unlock(file):
        fcntl.flock(file, fcntl.LOCK_UN)

    def _forget_in_child():
        """A forked child shares its parent's locks: it would keep them alive, or release them."""
        for lock in list(_held):
            lock._forget()

    os.register_at_fork(after_in_child=_forget_in_child)
