"""What was computed for an image once, kept in one SQLite file for whoever needs it again."""

import os
import sqlite3
import threading
import time
import warnings
from contextlib import contextmanager
from pathlib import Path
from zlib import crc32

__all__ = ["FeatureStore", "as_store", "use_store"]

MAX_BYTES = 8 << 30
MAX_BYTES_IN_MEMORY = 64 << 20
LARGEST_IN_MEMORY = 1 << 14  # a row: of larger ones, to copy the bytes is most of the work
ADMITTED_WHEN_FULL = 8  # to the memory: every eighth row, so that going round in it finds the rest
LEASE_SECONDS = 10  # for which others wait for rows that a process has claimed
BUSY_SECONDS = 30  # for which a process waits for the file while another writes to it
RETRY_SECONDS = 60  # after which a file that could not be used is tried again
KEYS_PER_STATEMENT = 1000
EVICTED_AT_ONCE = 0.05  # of the rows
BYTES_BESIDE_A_ROW = 100  # keys, checksums and indices
PAGE_BYTES = 1 << 14  # large values are read five times as fast as with SQLite's 4 kB

APPLICATION_ID = 0x76697370  # tells our files from those of other programs
FORMAT = 1
DAMAGE = ("SQLITE_CORRUPT", "SQLITE_NOTADB")

SCHEMA = """
CREATE TABLE entries (
    id INTEGER PRIMARY KEY,
    key BLOB NOT NULL UNIQUE,
    head BLOB NOT NULL,
    head_check INTEGER NOT NULL,
    value_check INTEGER NOT NULL,
    used INTEGER NOT NULL
);
CREATE TABLE contents (id INTEGER PRIMARY KEY, value BLOB NOT NULL);
CREATE TABLE claims (key BLOB PRIMARY KEY, owner BLOB NOT NULL, until REAL NOT NULL) WITHOUT ROWID;
"""
# `used` is the hour since 1970 in which a row was last read or written. Values are apart from the
# entries, so that heads are read and hours written without walking through what is large.


# ---------------------------------------------------------------------------------- FeatureStore


class FeatureStore:
    """Rows by key, in one SQLite file that several processes may use at the same time.

    Estimators make one of their parameter ``store``; make one yourself to set `max_bytes`. It holds
    a path, no connection, so it can be copied, pickled and cloned.

    A file that cannot be used never stops a computation: there is a warning, and the process goes
    on without it for a minute. A damaged file is set aside under another name, and a new one begun.
    Every row has a checksum; one that does not match counts as missing.

    Parameters
    ----------
    path : path-like
        Of the file; folders on the way are made. It has to lie on a disk of this machine: SQLite
        shares memory between processes.
    max_bytes : int, default=8 GiB
        Size that the file may grow to. Beyond it, the rows that were not used for longest go first
        (to the hour; within an hour, those written first).

    Raises
    ------
    ValueError
        When it is first used, if the path is a folder, or a SQLite file of another program.

    Examples
    --------
    >>> import tempfile
    >>> from visionpipe import HOG, FeatureStore, load_faces
    >>> images = load_faces().images
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     store = FeatureStore(folder + "/features.sqlite", max_bytes=100_000_000)
    ...     computed = HOG(store=store).fit_transform(images)
    ...     read = HOG(store=store).fit_transform(images)
    ...     bool((computed == read).all()), len(store)
    (True, 200)
    """

    def __init__(self, path, *, max_bytes=MAX_BYTES):
        self.path = os.path.abspath(os.fspath(path))
        self.max_bytes = max_bytes

    def __repr__(self):
        limit = "" if self.max_bytes == MAX_BYTES else f", max_bytes={self.max_bytes}"
        return f"FeatureStore({self.path!r}{limit})"

    def __eq__(self, other):
        return isinstance(other, FeatureStore) and vars(self) == vars(other)

    def __hash__(self):
        return hash((self.path, self.max_bytes))

    def __len__(self):
        """Return the number of rows; 0 if the file cannot be used."""
        return _file(self.path).run(_count, default=0)

    def __bool__(self):
        return True  # also when empty

    def get(self, keys, *, from_memory=True):
        """Read rows, from the memory of this process where they are there.

        Parameters
        ----------
        keys : list of bytes
        from_memory : bool, default=True
            False reads from the file.

        Returns
        -------
        dict of bytes to (bytes, bytes)
            Head and value of each key that is there.
        """
        file = _file(self.path)
        found = file.memory.get(keys) if from_memory else {}
        missing = [key for key in keys if key not in found]
        read = file.run(lambda connection: _select_rows(connection, missing), default={})
        self._after_reading(file, read)
        rows = {key: row for key, (row, sound, _) in read.items() if sound}
        file.memory.put(rows)
        return {**found, **rows}

    def get_heads(self, keys):
        """Read the heads of rows, which is fast however large their values are.

        Parameters
        ----------
        keys : list of bytes

        Returns
        -------
        dict of bytes to bytes
        """
        file = _file(self.path)
        read = file.run(lambda connection: _select_heads(connection, keys), default={})
        self._after_reading(file, read)
        return {key: head for key, (head, sound, _) in read.items() if sound}

    def _after_reading(self, file, read):
        """Drop damaged rows, and note the hour in which the others were used."""
        hour = _hour()
        damaged = [key for key, (_, sound, _) in read.items() if not sound]
        stale = [key for key, (_, _, used) in read.items() if used < hour]
        if damaged:
            warnings.warn(
                f"{len(damaged)} rows of the feature store {self.path} are damaged; they are "
                "computed again",
                stacklevel=2,
            )
            file.run(lambda connection: _delete(connection, damaged), writes=True)
        elif stale:
            file.run(lambda connection: _set_used(connection, stale, hour), writes=True)

    def put(self, rows):
        """Write rows, all of them or none; those that are there already stay as they are.

        Parameters
        ----------
        rows : dict of bytes to (bytes, bytes)
            Head and value of each key.

        Returns
        -------
        bool
            Whether they are there now.
        """
        file = _file(self.path)
        n_bytes = sum(map(_bytes_on_disk, rows.values()))
        if n_bytes > self.max_bytes:
            return False

        def write(connection):
            _make_room(connection, n_bytes, self.max_bytes)
            _insert(connection, rows)
            return True

        written = file.run(write, default=False, writes=True)
        if written:
            file.memory.put(rows)
        return written

    def claim(self, keys, owner):
        """Announce that rows are going to be computed, so that nobody else computes them too.

        A claim ends when the row is written, or after 10 seconds: who waits for one that was killed
        does not wait forever, and who takes longer is not alone, but nothing is wrong.

        Parameters
        ----------
        keys : list of bytes
        owner : bytes
            Unlike that of anyone else.

        Returns
        -------
        list of bytes
            The keys that are claimed now by `owner`: without those that are there by now, and those
            that others have claimed. All, if the file cannot be written.
        """
        return _file(self.path).run(
            lambda connection: _claim(connection, keys, owner), default=keys, writes=True
        )

    def release(self, owner):
        """Give up all claims of an owner.

        Parameters
        ----------
        owner : bytes
        """
        _file(self.path).run(
            lambda connection: connection.execute("DELETE FROM claims WHERE owner = ?", (owner,)),
            writes=True,
        )


def as_store(store):
    """Make a `FeatureStore` of what an estimator's parameter ``store`` may be.

    Parameters
    ----------
    store : None, "auto", path-like or FeatureStore
        "auto" is the file that the environment variable VISIONPIPE_STORE names, else
        ``visionpipe/features.sqlite`` in the user's cache folder.

    Returns
    -------
    FeatureStore or None
    """
    if store is None or isinstance(store, FeatureStore):
        return store
    if not isinstance(store, (str, os.PathLike)) or store == "":
        raise ValueError(f"store={store!r}: wanted None, 'auto', a path or a FeatureStore")
    return FeatureStore(_default_path() if store == "auto" else store)


def _default_path():
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return os.environ.get("VISIONPIPE_STORE") or Path(cache, "visionpipe", "features.sqlite")


def use_store(estimator, store):
    """Set the parameter ``store`` of an estimator and of all estimators inside it.

    Parameters
    ----------
    estimator : estimator
        A pipeline, a search, a union of features, or a single estimator; changed in place. Those
        that are listed in a grid are not inside the estimator.
    store : None, "auto", path-like or FeatureStore

    Returns
    -------
    estimator

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.svm import SVC
    >>> from visionpipe import HOG, Resize, use_store
    >>> use_store(make_pipeline(Resize(64), HOG(), SVC()), "auto")["hog"]
    HOG(store='auto')
    """
    as_store(store)
    names = [name for name in estimator.get_params() if name == "store" or name.endswith("__store")]
    return estimator.set_params(**dict.fromkeys(names, store))


# ------------------------------------------------------------------------------ files and memory

_files = {}  # path -> _File, of this process


def _file(path):
    if path not in _files:
        _files.setdefault(path, _File(path))
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


class _File:
    """One file as this process sees it: a connection, the rows in memory, and what went wrong."""

    def __init__(self, path):
        self.path = path
        self.memory = _Memory(MAX_BYTES_IN_MEMORY)
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
                    with _transaction(connection):
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
        while not _is_ours(connection, self.path):
            try:
                connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
                connection.execute("PRAGMA journal_mode = WAL")
                _create(connection)
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


class _Memory:
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
        n_bytes = _row_bytes(row)
        if n_bytes > min(LARGEST_IN_MEMORY, self._max_bytes):
            return
        if self._n_bytes + n_bytes > self._max_bytes:
            self._n_refused += 1
            if self._n_refused % ADMITTED_WHEN_FULL:
                return
        while self._n_bytes + n_bytes > self._max_bytes:
            self._n_bytes -= _row_bytes(self._rows.pop(next(iter(self._rows))))
        self._rows[key] = row
        self._n_bytes += n_bytes

    def clear(self):
        with self._lock:
            self._rows, self._n_bytes = {}, 0


def _row_bytes(row):
    return 200 + sum(map(len, row))  # with what Python needs for a key, a tuple and two objects


def _inode(path):
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


class _OtherFormat(sqlite3.DatabaseError):
    """A file of this program, but of another version of it."""


def _is_damage(error):
    name = getattr(error, "sqlite_errorname", "")
    return isinstance(error, _OtherFormat) or name.startswith(DAMAGE)


# --------------------------------------------------------------------------------------- SQLite


@contextmanager
def _transaction(connection):
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _is_ours(connection, path):
    """Whether the tables are there; False for an empty file, an error for that of another."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application == APPLICATION_ID:
        if version != FORMAT:
            raise _OtherFormat(f"it has format {version}, this visionpipe reads {FORMAT}")
        return True
    if connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        raise ValueError(f"{path} is a SQLite file of another program; give store another path")
    return False


def _create(connection):
    with _transaction(connection):
        if connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            return  # another process was faster
        for statement in SCHEMA.split(";"):
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {FORMAT}")


def _select(connection, columns, keys):
    """Yield rows of a statement that ends with the keys it looks for."""
    for start in range(0, len(keys), KEYS_PER_STATEMENT):
        some = keys[start : start + KEYS_PER_STATEMENT]
        marks = ",".join("?" * len(some))
        yield from connection.execute(f"SELECT {columns} WHERE key IN ({marks})", some)


def _select_rows(connection, keys):
    columns = (
        "key, head, head_check, value_check, used, value FROM entries LEFT JOIN contents USING (id)"
    )
    return {
        key: (
            (head, value),
            value is not None  # a row number was damaged
            and head_check == _head_check(key, head)
            and value_check == crc32(value, head_check),
            used,
        )
        for key, head, head_check, value_check, used, value in _select(connection, columns, keys)
    }


def _select_heads(connection, keys):
    columns = "key, head, head_check, used FROM entries"
    return {
        key: (head, head_check == _head_check(key, head), used)
        for key, head, head_check, used in _select(connection, columns, keys)
    }


def _head_check(key, head):
    return crc32(head, crc32(key))


def _present(connection, keys):
    return {key for (key,) in _select(connection, "key FROM entries", keys)}


def _insert(connection, rows):
    present = _present(connection, list(rows))
    new = [(key, head, value) for key, (head, value) in rows.items() if key not in present]
    (last,) = connection.execute("SELECT coalesce(max(id), 0) FROM entries").fetchone()
    entries, hour = [], _hour()
    for position, (key, head, value) in enumerate(new, start=last + 1):
        check = _head_check(key, head)
        entries.append((position, key, head, check, crc32(value, check), hour))
    connection.executemany("INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?)", entries)
    connection.executemany(
        "INSERT INTO contents VALUES (?, ?)",
        ((position, value) for position, (_, _, value) in enumerate(new, start=last + 1)),
    )
    connection.executemany("DELETE FROM claims WHERE key = ?", ((key,) for key in rows))


def _make_room(connection, n_bytes, max_bytes):
    """Delete what was not used for longest until there is room for so many bytes."""
    while _used_bytes(connection) + n_bytes > max_bytes:
        n_rows = _count(connection)
        if n_rows == 0:
            return
        oldest = connection.execute(
            "SELECT key FROM entries ORDER BY used, id LIMIT ?",
            (max(1, int(n_rows * EVICTED_AT_ONCE)),),
        )
        _delete(connection, [key for (key,) in oldest])


def _bytes_on_disk(row):
    """Rows that are large for a page do not share it."""
    n_bytes = BYTES_BESIDE_A_ROW + sum(map(len, row))
    return n_bytes if n_bytes < PAGE_BYTES // 4 else -(-n_bytes // PAGE_BYTES) * PAGE_BYTES


def _used_bytes(connection):
    counts = (
        connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("page_count", "freelist_count")
    )
    n_pages, n_free = counts
    return (n_pages - n_free) * PAGE_BYTES


def _count(connection):
    return connection.execute("SELECT count(*) FROM entries").fetchone()[0]


def _delete(connection, keys):
    ids = [(i,) for (i,) in _select(connection, "id FROM entries", keys)]
    connection.executemany("DELETE FROM contents WHERE id = ?", ids)
    connection.executemany("DELETE FROM entries WHERE id = ?", ids)


def _set_used(connection, keys, hour):
    connection.executemany(
        "UPDATE entries SET used = ? WHERE key = ?", ((hour, key) for key in keys)
    )


def _claim(connection, keys, owner):
    now = time.time()
    until = now + LEASE_SECONDS
    connection.execute("DELETE FROM claims WHERE until < ? OR until > ?", (now, until))
    claimed = {key for (key,) in _select(connection, "key FROM claims", keys)}
    taken = claimed | _present(connection, keys)
    ours = [key for key in dict.fromkeys(keys) if key not in taken]
    connection.executemany(
        "INSERT INTO claims VALUES (?, ?, ?)", ((key, owner, until) for key in ours)
    )
    return ours


def _hour():
    return int(time.time() // 3600)
