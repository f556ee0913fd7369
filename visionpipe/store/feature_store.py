"""What was computed for an image once, kept in one SQLite file for whoever needs it again."""

import os
import warnings
from pathlib import Path

from visionpipe.store import rows as in_file
from visionpipe.store.file import file_at

__all__ = ["FeatureStore", "as_store", "use_store"]

MAX_BYTES = 8 << 30


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
        return file_at(self.path).run(in_file.count, default=0)

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
        file = file_at(self.path)
        found = file.memory.get(keys) if from_memory else {}
        missing = [key for key in keys if key not in found]
        read = file.run(lambda connection: in_file.select_rows(connection, missing), default={})
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
        file = file_at(self.path)
        read = file.run(lambda connection: in_file.select_heads(connection, keys), default={})
        self._after_reading(file, read)
        return {key: head for key, (head, sound, _) in read.items() if sound}

    def _after_reading(self, file, read):
        """Drop damaged rows, and note the hour in which the others were used."""
        hour = in_file.this_hour()
        damaged = [key for key, (_, sound, _) in read.items() if not sound]
        stale = [key for key, (_, _, used) in read.items() if used < hour]
        if damaged:
            warnings.warn(
                f"{len(damaged)} rows of the feature store {self.path} are damaged; they are "
                "computed again",
                stacklevel=2,
            )
            file.run(lambda connection: in_file.delete(connection, damaged), writes=True)
        elif stale:
            file.run(lambda connection: in_file.set_used(connection, stale, hour), writes=True)

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
        file = file_at(self.path)
        n_bytes = sum(map(in_file.bytes_on_disk, rows.values()))
        if n_bytes > self.max_bytes:
            return False

        def write(connection):
            in_file.make_room(connection, n_bytes, self.max_bytes)
            in_file.insert(connection, rows)
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
        return file_at(self.path).run(
            lambda connection: in_file.claim(connection, keys, owner), default=keys, writes=True
        )

    def release(self, owner):
        """Give up all claims of an owner.

        Parameters
        ----------
        owner : bytes
        """
        file_at(self.path).run(lambda connection: in_file.release(connection, owner), writes=True)


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
