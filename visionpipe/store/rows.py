"""The rows of a feature store in SQLite: tables, and statements about many rows at a time."""

import sqlite3
import time
from contextlib import contextmanager
from zlib import crc32

__all__ = [
    "OtherFormat",
    "bytes_on_disk",
    "claim",
    "count",
    "create",
    "delete",
    "insert",
    "is_ours",
    "make_room",
    "release",
    "select_heads",
    "select_rows",
    "set_used",
    "this_hour",
    "transaction",
]

LEASE_SECONDS = 10  # for which others wait for rows that a process has claimed
KEYS_PER_STATEMENT = 1000
EVICTED_AT_ONCE = 0.05  # of the rows
BYTES_BESIDE_A_ROW = 100  # keys, checksums and indices
PAGE_BYTES = 1 << 14  # large values are read five times as fast as with SQLite's 4 kB

APPLICATION_ID = 0x76697370  # tells our files from those of other programs
FORMAT = 1

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


class OtherFormat(sqlite3.DatabaseError):
    """A file of this program, but of another version of it."""


@contextmanager
def transaction(connection):
    """Commit what is done inside; of an error, nothing."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def is_ours(connection, path):
    """Whether the tables are there; False for an empty file, an error for that of another."""
    connection.execute("BEGIN")  # all of it as of one moment: another process may be creating them
    try:
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (n_tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    finally:
        connection.execute("COMMIT")
    if application == APPLICATION_ID:
        if version != FORMAT:
            raise OtherFormat(f"it has format {version}, this visionpipe reads {FORMAT}")
        return True
    if n_tables:
        raise ValueError(f"{path} is a SQLite file of another program; give store another path")
    return False


def create(connection):
    """Make the tables in an empty file."""
    with transaction(connection):
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


def select_rows(connection, keys):
    """Of each key that is there: (head, value), whether they are sound, and the hour of use."""
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


def select_heads(connection, keys):
    """Of each key that is there: head, whether it is sound, and the hour of use."""
    columns = "key, head, head_check, used FROM entries"
    return {
        key: (head, head_check == _head_check(key, head), used)
        for key, head, head_check, used in _select(connection, columns, keys)
    }


def _head_check(key, head):
    return crc32(head, crc32(key))


def _present(connection, keys):
    return {key for (key,) in _select(connection, "key FROM entries", keys)}


def insert(connection, rows):
    """Write rows, key to (head, value), that are not there yet, and end the claims on them."""
    present = _present(connection, list(rows))
    new = [(key, head, value) for key, (head, value) in rows.items() if key not in present]
    (last,) = connection.execute("SELECT coalesce(max(id), 0) FROM entries").fetchone()
    entries, hour = [], this_hour()
    for position, (key, head, value) in enumerate(new, start=last + 1):
        check = _head_check(key, head)
        entries.append((position, key, head, check, crc32(value, check), hour))
    connection.executemany("INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?)", entries)
    connection.executemany(
        "INSERT INTO contents VALUES (?, ?)",
        ((position, value) for position, (_, _, value) in enumerate(new, start=last + 1)),
    )
    connection.executemany("DELETE FROM claims WHERE key = ?", ((key,) for key in rows))


def make_room(connection, n_bytes, max_bytes):
    """Delete what was not used for longest until there is room for so many bytes."""
    while _used_bytes(connection) + n_bytes > max_bytes:
        n_rows = count(connection)
        if n_rows == 0:
            return
        oldest = connection.execute(
            "SELECT key FROM entries ORDER BY used, id LIMIT ?",
            (max(1, int(n_rows * EVICTED_AT_ONCE)),),
        )
        delete(connection, [key for (key,) in oldest])


def bytes_on_disk(row):
    """What a row takes of the file; those that are large for a page do not share it."""
    n_bytes = BYTES_BESIDE_A_ROW + sum(map(len, row))
    return n_bytes if n_bytes < PAGE_BYTES // 4 else -(-n_bytes // PAGE_BYTES) * PAGE_BYTES


def _used_bytes(connection):
    counts = (
        connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("page_count", "freelist_count")
    )
    n_pages, n_free = counts
    return (n_pages - n_free) * PAGE_BYTES


def count(connection):
    """Return the number of rows."""
    return connection.execute("SELECT count(*) FROM entries").fetchone()[0]


def delete(connection, keys):
    """Delete rows."""
    ids = [(i,) for (i,) in _select(connection, "id FROM entries", keys)]
    connection.executemany("DELETE FROM contents WHERE id = ?", ids)
    connection.executemany("DELETE FROM entries WHERE id = ?", ids)


def set_used(connection, keys, hour):
    """Note the hour in which rows were read."""
    connection.executemany(
        "UPDATE entries SET used = ? WHERE key = ?", ((hour, key) for key in keys)
    )


def claim(connection, keys, owner):
    """Claim those rows that are neither there nor claimed by others; return their keys."""
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


def this_hour():
    """Hours since 1970."""
    return int(time.time() // 3600)


def release(connection, owner):
    """Give up all claims of an owner."""
    connection.execute("DELETE FROM claims WHERE owner = ?", (owner,))
