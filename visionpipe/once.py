"""Each image computed once: its row is read from a feature store, else computed and kept there."""

import logging
import time
import uuid
from hashlib import sha256
from struct import Struct

import numpy as np

from visionpipe.store import as_store

__all__ = [
    "HEAD",
    "compute_once",
    "digest_of_arrays",
    "keys_of",
    "rows_of_vectors",
    "store_for",
    "vectors_of_rows",
]

HEAD = Struct("<5i")  # height, width and channels of the image, rows and columns of the value

FIRST_CHUNK = 16  # images between two looks into the store
CHUNK_SECONDS = 0.2  # that a chunk should take
CHUNK_BYTES = 1 << 25  # that it may bring
POLL_SECONDS = 0.02  # while others compute

# For store="auto": what is long enough to be measured, and how many rows are written and read
PROBE_SECONDS = 0.005
PROBE_ROWS = 64
READS_PER_WRITE = 4  # a search of five folds reads each row at least so often

logger = logging.getLogger(__name__)


def keys_of(source, setting):
    """Keys of the rows that a setting makes of images, or of sets of descriptors.

    Parameters
    ----------
    source : Images or Descriptors
        Its ``digests()`` are an array (n,) of dtype V16; ``afresh()`` is the same with digests of
        what files hold now, if it ``reads_files``.
    setting : str
        All that decides a row beside the image.

    Returns
    -------
    list of bytes
        Of length 16.
    """
    start, keys = sha256(setting.encode()), []
    for digest in source.digests().tolist():
        key = start.copy()
        key.update(digest)
        keys.append(key.digest()[:16])
    return keys


def digest_of_arrays(arrays):
    """Digest of what an estimator has learned.

    Parameters
    ----------
    arrays : dict of str to array-like

    Returns
    -------
    str
        SHA-256, hexadecimal.
    """
    digest = sha256()
    for name, value in sorted(arrays.items()):
        value = np.ascontiguousarray(value)
        digest.update(f"{name} {value.dtype.str} {value.shape}\n".encode())
        digest.update(value)
    return digest.hexdigest()


def rows_of_vectors(vectors, shapes):
    """Rows, (head, value) of bytes, of vectors (n, f), float32, of images of shapes (n, 3)."""
    return [
        (HEAD.pack(*shape, 1, len(vector)), vector.tobytes())
        for vector, shape in zip(vectors, shapes, strict=True)
    ]


def vectors_of_rows(rows):
    """Vectors (n, f), float32, of rows whose values are of one length."""
    values = np.frombuffer(b"".join(value for _, value in rows), dtype=np.float32)
    return values.reshape(len(rows), -1)


# --------------------------------------------------------------------------- each of them once


def compute_once(store, source, setting, compute, take, *, keys=None, heads_only=False):
    """Read the rows that are in a store, and compute and keep the others.

    Processes that want the same rows at the same time share the work: each claims what it is going
    to compute, leaves alone what others have claimed, and takes their rows at the end.

    Parameters
    ----------
    store : FeatureStore
    source : Images or Descriptors
    setting : str
        As in `keys_of`.
    compute : callable
        Of a part of `source`; returns a list of its rows, (head, value) of bytes.
    take : callable
        Of a list of positions in `source` and a list of their rows. Every position comes once.
    keys : list of bytes, default=None
        What `keys_of` has returned; None calls it.
    heads_only : bool, default=False
        Rows that are in the store come with None as value.

    Returns
    -------
    bool
        Whether all that was computed is in the store now.
    """
    keys = keys_of(source, setting) if keys is None else keys
    once = _Once(store, source, setting, compute, take, heads_only)
    once.run(keys)
    return once.kept


class _Once:
    def __init__(self, store, source, setting, compute, take, heads_only):
        self.store, self.source, self.setting = store, source, setting
        self.compute, self.take, self.heads_only = compute, take, heads_only
        self.owner, self.kept, self.has_claimed = uuid.uuid4().bytes, True, False
        self.positions = {}  # of each key: an image may be there several times

    def run(self, keys):
        for position, key in enumerate(keys):
            self.positions.setdefault(key, []).append(position)
        elsewhere = []  # keys of rows that others compute
        try:
            for keys in self._chunks(list(self.positions)):
                missing = self._read(keys)
                if missing:
                    elsewhere += self._compute_unclaimed(missing)
            while elsewhere:
                elsewhere = self._read(elsewhere)
                left = self._compute_unclaimed(elsewhere) if elsewhere else []
                if left == elsewhere:
                    time.sleep(POLL_SECONDS)
                elsewhere = left
        finally:
            if self.has_claimed:
                self.store.release(self.owner)

    def _chunks(self, keys):
        """Cut keys into chunks that keep the caller busy for about `CHUNK_SECONDS` each."""
        start, size = 0, FIRST_CHUNK
        while start < len(keys):
            began, self.n_bytes = time.perf_counter(), 0
            yield keys[start : start + size]
            start += size
            seconds = time.perf_counter() - began
            if seconds > 2 * CHUNK_SECONDS or self.n_bytes > CHUNK_BYTES:
                size = max(1, size // 2)
            elif seconds < CHUNK_SECONDS / 2 and self.n_bytes < CHUNK_BYTES / 2:
                size *= 2

    def _read(self, keys):
        """Take the rows that are in the store; return the keys of the others."""
        if self.heads_only:
            rows = {key: (head, None) for key, head in self.store.get_heads(keys).items()}
        else:
            rows = self.store.get(keys)
        self._take(rows)
        return [key for key in keys if key not in rows]

    def _compute_unclaimed(self, keys):
        """Compute, keep and take the rows that nobody else computes; return the other keys."""
        self.has_claimed = True
        ours = self.store.claim(keys, self.owner)
        if ours:
            part = self.source[[self.positions[key][0] for key in ours]]
            rows = dict(zip(ours, self.compute(part), strict=True))
            self.kept &= self.store.put(self._of_unchanged_files(part, rows))
            self._take(rows)
        ours = set(ours)
        return [key for key in keys if key not in ours]

    def _of_unchanged_files(self, part, rows):
        """Leave out the rows of files that were written to while they were being read."""
        if not part.reads_files:
            return rows
        now = zip(rows.items(), keys_of(part.afresh(), self.setting), strict=True)
        return {key: row for (key, row), key_now in now if key == key_now}

    def _take(self, rows):
        if rows:
            where = [position for key in rows for position in self.positions[key]]
            repeated = [row for key, row in rows.items() for _ in self.positions[key]]
            self.n_bytes += sum(len(value) for _, value in repeated if value is not None)
            self.take(where, repeated)


# ------------------------------------------------------------------------------- whether at all

_worth_storing = {}  # (path, setting) -> bool, as this process has measured it


def store_for(store, source, setting_of, compute):
    """Return the store to use for the rows of a setting, or None, and the setting.

    Parameters
    ----------
    store : None, "auto", path-like or FeatureStore
        With "auto", some rows are computed, written and read back, once in each process: they are
        kept if reading them, with what it takes to know the image again, costs less than computing
        them.
    source, compute
        As in `compute_once`.
    setting_of : callable
        Returns the setting; called only where there is a store, which alone needs it.

    Returns
    -------
    store : FeatureStore or None
    setting : str or None
    """
    resolved = as_store(store)
    if resolved is None:
        return None, None
    setting = setting_of()
    if store != "auto":
        return resolved, setting
    measured = (resolved.path, setting)
    if measured not in _worth_storing and len(source) >= FIRST_CHUNK:
        _worth_storing[measured] = _is_cheaper_to_read(resolved, source, setting, compute)
    return (resolved, setting) if _worth_storing.get(measured) else (None, None)


def _is_cheaper_to_read(store, source, setting, compute):
    computing, part, rows = _time_computing(source, compute)
    part, rows = part[:PROBE_ROWS], rows[:PROBE_ROWS]
    len(store)  # opens the file
    keys = keys_of(part, setting)
    writing, written = _seconds(lambda: store.put(dict(zip(keys, rows, strict=True))), n_runs=1)
    knowing, _ = _seconds(lambda: keys_of(part, setting))
    getting, _ = _seconds(lambda: store.get(keys, from_memory=False))
    reading, writing = (knowing + getting) / len(keys), writing / len(keys)
    cheaper = written and reading + writing / READS_PER_WRITE < computing
    logger.info(
        "%s: %.0f microseconds an image to compute, %.0f to read, %.0f to write: %s",
        setting,
        1e6 * computing,
        1e6 * reading,
        1e6 * writing,
        f"kept in {store.path}" if cheaper else "computed again each time",
    )
    return cheaper


def _time_computing(source, compute):
    """Seconds an image, and the images and rows that were measured last."""
    start, size = 0, FIRST_CHUNK // 2
    while True:
        part = source[start : start + size]
        seconds, rows = _seconds(lambda part=part: compute(part), n_runs=2)
        start, size = start + size, 2 * size
        if start >= len(source) or seconds > PROBE_SECONDS:
            return seconds / len(part), part, rows


def _seconds(job, n_runs=3):
    """The least time of several runs, which nothing else has lengthened, and the result."""
    least = np.inf
    for _ in range(n_runs):
        began = time.perf_counter()
        result = job()
        least = min(least, time.perf_counter() - began)
    return least, result
