"""A file of rows as this process sees it: a connection, the rows in memory, and what went wrong."""

import os
import sqlite3
import threading
import time
import warnings

from visionpipe.store.rows import PAGE_BYTES, OtherFormat, create, is_ours, transaction

__all__ = ["File", "file_at"]

BUSY_SECONDS = 30  # for which a process waits for the file while another writes to it
RETRY_SECONDS = 60  # after which a file that could not be used is tried again
DAMAGE = ("SQLITE_CORRUPT", "SQLITE_NOTADB")

MAX_BYTES_IN_MEMORY = 64 << 20
LARGEST_IN_MEMORY = 1 << 14  # a row: of larger ones, to copy the bytes is most of the work
ADMITTED_WHEN_FULL = 8  # to the memory: every eighth row, so that going round in it finds the rest


_files = {}  # path -> File, of this process


def file_at(path):
    """Return the `File` of this process at an absolute path."""
    if path not in _files:
        _files.setdefault(path, File(path))
    return _files[path]


# SQLite in a child would take the locks of its parent's open connections for its own
_paused = []


def _before_fork():
    _paused.extend(_files.values())
    for file in _paused:
        file.pause()


def _after_fork_in_parent():
    while _paused:
        _paused.pop().resume()


def _after_fork_in_child():
    _paused.clear()
    _files.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=_after_fork_in_parent,
        after_in_child=_after_fork_in_child,
    )


class File:
    """One file as this process sees it: a connection, the rows in memory, and what went wrong."""

    def __init__(self, path):
        self.path = path
        self.memory = Memory(MAX_BYTES_IN_MEMORY)
        self._connection, self._inode, self._lock = None, None, threading.RLock()
        self._closed_until = {"reading": 0.0, "writing": 0.0}

    def run(self, job, *, default=None, writes=False):
        """Return what a function of the connection returns; `default` if the file fails."""
        purpose = "writing" if writes else "reading"
        if time.monotonic() < self._closed_until[purpose]:
            return default
        with self._lock:
            for attempt in (1, 2):
                try:
                    connection = self._connect()
                    if not writes:
                        return job(connection)
                    with transaction(connection):
                        return job(connection)
                except (sqlite3.DatabaseError, OSError) as error:
                    if isinstance(error, sqlite3.ProgrammingError):
                        raise
                    if attempt == 1 and _is_damage(error):
                        self._set_aside(str(error))
                    else:
                        self._give_up(error, purpose)
                        return default

    def _connect(self):
        inode = _inode(self.path)
        if self._connection is None or inode != self._inode:  # new, or removed, or set aside
            if inode != self._inode:
                self._close()
            os.makedirs(os.path.dirname(self.path), exist_ok=True)
            if os.path.isdir(self.path):
                raise ValueError(f"store={self.path!r} is a folder; wanted a file in it")
            connection = sqlite3.connect(
                self.path, BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            try:
                self._prepare(connection)
            except BaseException:
                connection.close()
                raise
            self._connection, self._inode = connection, _inode(self.path)
        return self._connection

    def _prepare(self, connection):
        """Create the tables in a new file; refuse the files of other programs."""
        deadline = time.monotonic() + BUSY_SECONDS
        while not is_ours(connection, self.path):
            try:
                connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
                connection.execute("PRAGMA journal_mode = WAL")
                create(connection)
            except sqlite3.OperationalError as error:
                # to change the journal's mode SQLite does not wait for others as it does else
                if error.sqlite_errorname != "SQLITE_BUSY" or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
        connection.execute("PRAGMA synchronous = NORMAL")  # a crash loses no row, WAL sees to it

    def pause(self):
        """Let go of the file, when nobody uses it; only `resume` lets anybody use it again."""
        self._lock.acquire()
        self._close_connection()

    def resume(self):
        self._lock.release()

    def _close(self):
        self.memory.clear()
        self._close_connection()

    def _close_connection(self):
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _set_aside(self, reason):
        self._close()
        aside = f"{self.path}.aside-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
        for suffix in ("", "-wal", "-shm"):
            if os.path.exists(self.path + suffix):
                os.replace(self.path + suffix, aside + suffix)
        warnings.warn(
            f"the feature store {self.path} cannot be read ({reason}): it was set aside as "
            f"{aside}, and a new one is begun",
            stacklevel=4,
        )

    def _give_up(self, error, purpose):
        until = time.monotonic() + RETRY_SECONDS
        self._closed_until["writing"] = until
        if purpose == "reading":
            self._closed_until["reading"] = until
        warnings.warn(
            f"the feature store {self.path} is no good for {purpose} ({error}); "
            "features are computed without it",
            stacklevel=4,
        )


def _inode(path):
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def _is_damage(error):
    name = getattr(error, "sqlite_errorname", "")
    return isinstance(error, OtherFormat) or name.startswith(DAMAGE)


class Memory:
    """A bounded number of small rows that were read or written."""

    def __init__(self, max_bytes):
        self._max_bytes, self._n_bytes, self._n_refused = max_bytes, 0, 0
        self._rows, self._lock = {}, threading.Lock()

    def get(self, keys):
        rows = self._rows
        return {key: rows[key] for key in keys if key in rows}

    def put(self, rows):
        with self._lock:
            for key, row in rows.items():
                if key not in self._rows:
                    self._admit(key, row)

    def _admit(self, key, row):
        n_bytes = row_bytes(row)
        if n_bytes > min(LARGEST_IN_MEMORY, self._max_bytes):
            return
        if self._n_bytes + n_bytes > self._max_bytes:
            self._n_refused += 1
            if self._n_refused % ADMITTED_WHEN_FULL:
                return
        while self._n_bytes + n_bytes > self._max_bytes:
            self._n_bytes -= row_bytes(self._rows.pop(next(iter(self._rows))))
        self._rows[key] = row
        self._n_bytes += n_bytes

    def clear(self):
        with self._lock:
            self._rows, self._n_bytes = {}, 0


def row_bytes(row):
    return 200 + sum(map(len, row))  # with what Python needs for a key, a tuple and two objects
