"""The feature store: what is put is what is got, whatever happens to the file."""

import copy
import os
import pickle
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from hashlib import shake_256
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline, make_union
from sklearn.svm import LinearSVC
from stores import forget

from visionpipe import HOG, LBP, FeatureStore, Resize, use_store
from visionpipe.store import as_store
from visionpipe.store import file as store_file
from visionpipe.store import rows as rows_in_file

ROOT = Path(__file__).resolve().parent.parent
PICTURES = np.random.default_rng(0).integers(0, 256, (20, 24, 24), dtype=np.uint8)


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "features.sqlite")


def key(number):
    return b"%016d" % number


def rows(numbers, n_bytes=100):
    """Rows whose content follows from their key, and looks like nothing else."""
    return {
        key(i): (shake_256(b"head" + key(i)).digest(20), shake_256(key(i)).digest(n_bytes))
        for i in numbers
    }


def check_features(path, match=None):
    """Features with a store in whatever state are those without; there is one warning, or none."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = HOG(store=path).fit_transform(PICTURES)
    about = [str(w.message) for w in caught if "feature store" in str(w.message)]
    assert len(about) == (match is not None), about
    assert match is None or match in about[0]
    np.testing.assert_array_equal(found, HOG().fit_transform(PICTURES))


# -------------------------------------------------------------------------------- put and get


def test_what_is_put_is_got(path):
    some = {**rows(range(2500)), key(-1): (b"", b""), key(-2): (b"head", bytes(3_000_000))}
    assert FeatureStore(path).put(some)
    for from_memory in (True, False):
        found = FeatureStore(path).get([*some, key(9999)], from_memory=from_memory)
        assert found == some
    forget()
    assert FeatureStore(path).get([*some, key(9999)]) == some
    heads = FeatureStore(path).get_heads([*some, key(9999)])
    assert heads == {k: head for k, (head, _) in some.items()}
    assert len(FeatureStore(path)) == len(some)


def test_nothing_is_put_and_got(path):
    assert FeatureStore(path).put({})
    assert FeatureStore(path).get([]) == FeatureStore(path).get_heads([]) == {}
    assert len(FeatureStore(path)) == 0
    assert FeatureStore(path)  # also when it is empty


def test_rows_that_are_there_stay(path):
    FeatureStore(path).put(rows([1]))
    other = {key(1): (b"other", b"other"), **rows([2])}
    assert FeatureStore(path).put(other)
    for from_memory in (True, False):
        found = FeatureStore(path).get([key(1), key(2)], from_memory=from_memory)
        assert found == rows([1, 2])


def test_memory_is_bounded_and_right(path, monkeypatch):
    monkeypatch.setattr(store_file, "MAX_BYTES_IN_MEMORY", 50_000)
    some = rows(range(300), 1000)
    for start in range(0, 300, 10):
        part = list(some)[start : start + 10]
        FeatureStore(path).put({k: some[k] for k in part})
        assert FeatureStore(path).get(part) == {k: some[k] for k in part}
    memory = store_file.file_at(path).memory
    in_memory = dict(memory._rows)
    assert 30_000 < sum(map(store_file.row_bytes, in_memory.values())) == memory._n_bytes <= 50_000
    assert in_memory == {k: some[k] for k in in_memory}
    assert FeatureStore(path).put({key(-1): (b"", bytes(60_000))})  # larger than the memory
    assert key(-1) not in memory._rows
    assert FeatureStore(path).get([key(-1), *some]) == {**some, key(-1): (b"", bytes(60_000))}


def test_memory_spares_the_file(path):
    some = rows(range(5))
    FeatureStore(path).put(some)
    with sqlite3.connect(path) as other:
        other.execute("DELETE FROM entries")
    assert FeatureStore(path).get(list(some)) == some
    assert FeatureStore(path).get(list(some), from_memory=False) == {}


# --------------------------------------------------------------------------------------- limits


def file_bytes(path):
    connection = store_file.file_at(path)._connect()
    return connection.execute("PRAGMA page_count").fetchone()[0] * rows_in_file.PAGE_BYTES


@pytest.mark.parametrize(("n_bytes", "n_rows"), [(100, 50), (3000, 20), (9000, 1), (40_000, 3)])
def test_the_file_stays_below_its_limit(path, n_bytes, n_rows):
    limited = FeatureStore(path, max_bytes=1_000_000)
    for start in range(0, 3_000_000 // n_bytes, n_rows):
        some = rows(range(start, start + n_rows), n_bytes)
        assert limited.put(some)
        assert limited.get(list(some), from_memory=False) == some
        # what is written last may want a page of its own for each row, and some for the tree
        assert file_bytes(path) <= 1_000_000 + (n_rows + 4) * rows_in_file.PAGE_BYTES
    assert len(limited) * n_bytes > 300_000


def test_what_is_larger_than_the_limit_is_not_put(path):
    limited = FeatureStore(path, max_bytes=1_000_000)
    assert limited.put(rows([1]))
    assert not limited.put({key(2): (b"", bytes(1_000_001))})
    assert limited.get([key(1), key(2)]) == rows([1])
    check_features(FeatureStore(path, max_bytes=0))


def test_what_was_not_used_for_longest_goes_first(path, monkeypatch):
    hour = 100
    monkeypatch.setattr(rows_in_file, "this_hour", lambda: hour)
    limited = FeatureStore(path, max_bytes=1_000_000)
    for hour in (101, 102, 103):
        limited.put(rows(range(10 * hour, 10 * hour + 10), 15_000))
    hour = 104
    limited.get([key(1010)], from_memory=False)
    limited.get_heads([key(1011)])
    everything = [key(i) for i in range(1010, 1040)]
    hour = 105
    for i in range(70):
        limited.put(rows([2000 + i], 15_000))
        with sqlite3.connect(path) as connection:
            left = {k for (k,) in connection.execute("SELECT key FROM entries")}
        gone = [i for i, k in enumerate(everything) if k not in left]
        expected = [*range(2, 30), 0, 1]  # the two that were read go last
        assert sorted(gone) == sorted(expected[: len(gone)])
    assert len(gone) > 20


# -------------------------------------------------------------------------------- damaged files


def fill(path, n_bytes=5000):
    some = rows(range(100), n_bytes)
    FeatureStore(path).put(some)
    forget()  # the last to close the file carries all rows into it
    assert not os.path.exists(path + "-wal")
    return some


def damage_garbage(path):
    Path(path).write_bytes(random.Random(0).randbytes(200_000))


def damage_short(path):
    Path(path).write_bytes(b"SQLite format 3\0 or so")


def damage_cut(path):
    os.truncate(path, os.path.getsize(path) // 2)


def damage_cut_within_a_page(path):
    os.truncate(path, 20_000)


def damage_format(path):
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {rows_in_file.FORMAT + 1}")
    connection.close()


@pytest.mark.parametrize(
    "damage",
    [damage_garbage, damage_short, damage_cut, damage_cut_within_a_page, damage_format],
)
def test_damaged_files_are_set_aside(path, damage):
    some = fill(path)
    damage(path)
    damaged = Path(path).read_bytes()
    with pytest.warns(UserWarning, match=r"was set aside as .*aside-"):
        assert FeatureStore(path).get(list(some)) == {}
    (aside,) = Path(path).parent.glob("features.sqlite.aside-*")
    assert aside.read_bytes() == damaged
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert FeatureStore(path).put(some)
        assert FeatureStore(path).get(list(some), from_memory=False) == some
    forget()
    assert FeatureStore(path).get(list(some)) == some


@pytest.mark.parametrize("damage", [damage_garbage, damage_cut, damage_format])
def test_features_of_damaged_files_are_right(path, damage):
    HOG(store=path).fit_transform(PICTURES)
    forget()
    damage(path)
    check_features(path, "set aside")
    check_features(path)
    assert len(FeatureStore(path)) == len(PICTURES)


@pytest.mark.parametrize("n_bytes", [50, 5000, 50_000])
@pytest.mark.parametrize("part", ["head", "value"])
def test_damaged_rows_are_never_returned(path, part, n_bytes):
    some = fill(path, n_bytes)
    head, value = some[key(42)]
    content = Path(path).read_bytes()
    place = content.find(head if part == "head" else value[-40:])
    assert place > 0
    with open(path, "r+b") as file:
        file.seek(place + 5)
        file.write(bytes([content[place + 5] ^ 1]))
    others = {k: row for k, row in some.items() if k != key(42)}
    if part == "head":
        with pytest.warns(UserWarning, match="1 rows of the feature store .* are damaged"):
            assert len(FeatureStore(path).get_heads(list(some))) == 99
    else:
        with pytest.warns(UserWarning, match="1 rows of the feature store .* are damaged"):
            assert FeatureStore(path).get(list(some)) == others
    assert FeatureStore(path).get(list(some), from_memory=False) == others
    assert FeatureStore(path).put(rows([42], n_bytes))
    assert FeatureStore(path).get(list(some), from_memory=False) == some


def test_features_of_damaged_rows_are_computed_again(path):
    HOG(store=path).fit_transform(PICTURES)
    value = HOG().fit_transform(PICTURES[7:8]).tobytes()
    forget()
    content = bytearray(Path(path).read_bytes())
    content[content.find(value[:200]) + 3] ^= 128
    Path(path).write_bytes(content)
    check_features(path, "1 rows")
    check_features(path)


def test_entries_without_contents_are_computed_again(path, monkeypatch):
    """As a flipped bit in a row number leaves them."""
    HOG(store=path).fit_transform(PICTURES)
    forget()
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM contents WHERE id = 3")
    connection.close()

    def sleep(seconds):
        raise AssertionError("waits for a row that nobody computes")

    monkeypatch.setattr(time, "sleep", sleep)
    with pytest.warns(UserWarning, match="1 rows .* are damaged; they are computed again"):
        found = HOG(store=path).fit_transform(PICTURES)
    np.testing.assert_array_equal(found, HOG().fit_transform(PICTURES))


# ------------------------------------------------------------------- files that cannot be used


def test_unusable_places(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    check_features(str(tmp_path / "file" / "features.sqlite"), "computed without it")
    check_features("/proc/nonexistent/features.sqlite", "computed without it")
    for unusable in (tmp_path / "file" / "features.sqlite", "/proc/nonexistent/features.sqlite"):
        assert not FeatureStore(unusable).put(rows([1]))
        assert FeatureStore(unusable).get([key(1)]) == {}
        assert FeatureStore(unusable).claim([key(1)], b"owner") == [key(1)]
        assert len(FeatureStore(unusable)) == 0


def test_what_failed_is_tried_again_later(tmp_path, monkeypatch):
    path = str(tmp_path / "place" / "features.sqlite")
    (tmp_path / "place").write_text("in the way")
    check_features(path, "computed without it")
    (tmp_path / "place").unlink()
    check_features(path)
    assert not os.path.exists(path)
    now = time.monotonic()
    monkeypatch.setattr(store_file.time, "monotonic", lambda: now + store_file.RETRY_SECONDS + 1)
    check_features(path)
    assert len(FeatureStore(path)) == len(PICTURES)


def test_full_disk(path):
    stored = rows(range(10))
    FeatureStore(path).put(stored)
    connection = store_file.file_at(path)._connect()
    (n_pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {n_pages}")
    with pytest.warns(UserWarning, match="no good for writing .*full"):
        assert not FeatureStore(path).put(rows(range(10, 1000)))
    everything = [key(i) for i in range(1000)]
    assert FeatureStore(path).get(everything, from_memory=False) == stored
    check_features(path)
    assert FeatureStore(path).get(everything, from_memory=False) == stored


def test_features_on_a_full_disk(path):
    FeatureStore(path).put(rows(range(10), 1400))  # nearly a page, so that the next are too many
    connection = store_file.file_at(path)._connect()
    (n_pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {n_pages}")
    check_features(path, "no good for writing")


def test_locked_by_another(path, monkeypatch):
    monkeypatch.setattr(store_file, "BUSY_SECONDS", 0.1)
    stored = rows(range(10))
    FeatureStore(path).put(stored)
    forget()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    check_features(path, "locked")
    assert FeatureStore(path).get(list(stored)) == stored
    other.close()


def test_what_is_there_is_read_while_another_writes(path, monkeypatch):
    monkeypatch.setattr(store_file, "BUSY_SECONDS", 0.1)
    monkeypatch.setattr(rows_in_file, "this_hour", lambda: 100)
    HOG(store=path).fit_transform(PICTURES)
    forget()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        check_features(path)
    finally:
        other.close()


def test_new_file_locked_by_another(path, monkeypatch):
    monkeypatch.setattr(store_file, "BUSY_SECONDS", 0.1)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    check_features(path, "locked")
    other.close()


def test_waits_while_another_writes(path):
    FeatureStore(path).put(rows([1]))
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    threading.Timer(0.3, other.close).start()
    assert FeatureStore(path).put(rows([2]))


def test_read_only(path):
    stored = rows(range(10))
    FeatureStore(path).put(stored)
    store_file.file_at(path)._connect().execute("PRAGMA query_only = ON")
    check_features(path, "no good for writing")
    assert FeatureStore(path).get(list(stored), from_memory=False) == stored


def test_folders_are_refused(tmp_path):
    for use in (FeatureStore(tmp_path).__len__, lambda: HOG(store=tmp_path).fit(PICTURES)):
        with pytest.raises(ValueError, match=f"{tmp_path}.* is a folder; wanted a file"):
            use()


def test_files_of_other_programs_are_refused_and_left_alone(path):
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE mine (x)")
    connection.close()
    before = Path(path).read_bytes()
    for use in (FeatureStore(path).__len__, lambda: HOG(store=path).fit(PICTURES)):
        with pytest.raises(ValueError, match=f"{path} is a SQLite file of another program"):
            use()
    assert Path(path).read_bytes() == before
    assert os.listdir(Path(path).parent) == ["features.sqlite"]


# ------------------------------------------------------------------ removed or replaced while open


@pytest.mark.parametrize("with_log", [True, False])
def test_removed_while_open(path, with_log):
    some = rows(range(10))
    FeatureStore(path).put(some)
    for suffix in ("", "-wal", "-shm") if with_log else ("",):
        os.remove(path + suffix)
    assert FeatureStore(path).put(rows(range(20, 30)))
    found = FeatureStore(path).get([key(i) for i in range(40)], from_memory=False)
    assert found == {k: row for k, row in rows(range(40)).items() if k in found}
    assert rows(range(20, 30)).items() <= found.items()
    check_features(path)


def test_replaced_while_open(path):
    FeatureStore(path + ".other").put(rows(range(10)))
    FeatureStore(path).put(rows(range(100, 110)))
    forget()
    assert len(FeatureStore(path)) == 10
    os.replace(path + ".other", path)
    found = FeatureStore(path).get([key(i) for i in range(200)])
    assert found == rows(range(10))
    assert FeatureStore(path).put(rows([50]))
    forget()
    assert FeatureStore(path).get([key(0), key(50), key(100)]) == rows([0, 50])


# ----------------------------------------------------------------------------- what store may be


def test_as_store(tmp_path, monkeypatch):
    assert as_store(None) is None
    mine = FeatureStore(tmp_path / "x", max_bytes=7)
    assert as_store(mine) is mine
    assert as_store(tmp_path / "x") == as_store(str(tmp_path / "x")) == FeatureStore(tmp_path / "x")
    assert as_store(tmp_path / "x") != mine
    monkeypatch.chdir(tmp_path)
    assert as_store("x").path == str(tmp_path / "x")
    for bad in ("", 3, True, b"x", ["x"]):
        with pytest.raises(ValueError, match="wanted None, 'auto', a path or a FeatureStore"):
            as_store(bad)
        with pytest.raises(ValueError, match="store="):
            HOG(store=bad).fit(PICTURES)


def test_default_path(tmp_path, monkeypatch):
    monkeypatch.setenv("VISIONPIPE_STORE", str(tmp_path / "a.sqlite"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert as_store("auto").path == str(tmp_path / "a.sqlite")
    monkeypatch.delenv("VISIONPIPE_STORE")
    assert as_store("auto").path == str(tmp_path / "cache" / "visionpipe" / "features.sqlite")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    expected = tmp_path / "home" / ".cache" / "visionpipe" / "features.sqlite"
    assert as_store("auto").path == str(expected)


def test_use_store_reaches_what_is_nested():
    union = make_union(HOG(), make_pipeline(Resize(8), LBP()))
    search = GridSearchCV(make_pipeline(union, LinearSVC()), {"linearsvc__C": [1, 2]})
    for wanted in ("auto", "x.sqlite", Path("x.sqlite"), FeatureStore("x.sqlite"), None):
        assert use_store(search, wanted) is search
        found = {k: v for k, v in search.get_params().items() if k.endswith("store")}
        assert len(found) == 2 and set(found.values()) == {wanted}
    assert use_store(HOG(), "auto").store == "auto"
    svc = LinearSVC()
    assert use_store(svc, "auto") is svc
    with pytest.raises(ValueError, match="store=3"):
        use_store(search, 3)
    assert union.get_params()["hog__store"] is None


# --------------------------------------------------------------------------- copies and processes


def test_copies_hold_no_connection_and_no_rows(path):
    limited = FeatureStore(path, max_bytes=10**9)
    for made in (limited, HOG(store=limited).fit(PICTURES)):
        limited.put(rows(range(100), 10_000))
        for copied in (pickle.loads(pickle.dumps(made)), copy.deepcopy(made), copy.copy(made)):
            assert repr(copied) == repr(made)
        assert len(pickle.dumps(made)) < 1000
    fitted = HOG(store=path).fit(PICTURES)
    expected = HOG().fit_transform(PICTURES)
    for copied in (clone(fitted).fit(PICTURES), pickle.loads(pickle.dumps(fitted))):
        np.testing.assert_array_equal(copied.transform(PICTURES), expected)
    cloned = clone(HOG(store=limited))
    assert cloned.store == limited and hash(cloned.store) == hash(limited)
    assert repr(limited) == f"FeatureStore({path!r}, max_bytes=1000000000)"


def put_and_get(path, numbers, of_the_parent):
    assert id(store_file.file_at(path)) != of_the_parent
    found = FeatureStore(path).get([key(i) for i in range(100)])
    return FeatureStore(path).put(rows(numbers)), found


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_forks_go_on_with_the_store(path):
    FeatureStore(path).put(rows(range(10)))
    ours = store_file.file_at(path)  # held, or its address may be given away again
    with get_context("fork").Pool(2) as pool:
        numbers = [range(10, 30), range(20, 50)]
        results = pool.starmap(put_and_get, [(path, some, id(ours)) for some in numbers])
    for written, found in results:
        assert written and rows(range(10)).items() <= found.items()
    FeatureStore(path).put(rows(range(50, 60)))
    forget()
    assert FeatureStore(path).get([key(i) for i in range(100)]) == rows(range(60))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_fork_may_outlive_its_parent(path):
    """The parent's connection, the last that holds a lock, deletes the child's log when closed."""
    FeatureStore(path).put(rows(range(10)))
    child_has_written, parent_has_closed = os.pipe(), os.pipe()
    written, child = False, os.fork()
    if child == 0:
        try:
            FeatureStore(path).put(rows(range(10, 20)))
            os.write(child_has_written[1], b".")
            os.read(parent_has_closed[0], 1)
            written = FeatureStore(path).put(rows(range(20, 30)))
        finally:
            os._exit(0 if written else 1)
    os.read(child_has_written[0], 1)
    forget()
    os.write(parent_has_closed[1], b".")
    assert os.waitpid(child, 0)[1] == 0
    assert FeatureStore(path).get([key(i) for i in range(30)]) == rows(range(30))


def test_threads_share_the_store(path, monkeypatch):
    monkeypatch.setattr(store_file, "MAX_BYTES_IN_MEMORY", 20_000)

    def work(thread):
        for i in range(40):
            some = rows(range(7 * i + thread, 7 * i + thread + 10))
            assert FeatureStore(path).put(some)
            assert FeatureStore(path).get(list(some)) == some
            assert len(FeatureStore(path).get_heads(list(some))) == 10

    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(work, thread) for thread in range(4)]:
            done.result()
    everything = rows(range(7 * 39 + 3 + 10))
    assert FeatureStore(path).get(list(everything), from_memory=False) == everything


# ---------------------------------------------------------------------------------------- claims


def test_claims(path):
    some = FeatureStore(path)
    some.put(rows([1]))
    wanted = [key(i) for i in (1, 2, 3)]
    assert some.claim(wanted, b"first") == wanted[1:]  # the other is there
    assert some.claim([*wanted, key(4)], b"second") == [key(4)]
    some.release(b"first")
    assert some.claim(wanted, b"third") == wanted[1:]
    assert some.claim([key(4)], b"third") == []
    some.put(rows([2]))  # ends the claim
    with sqlite3.connect(path) as connection:
        claimed = {k for (k,) in connection.execute("SELECT key FROM claims")}
    assert claimed == {key(3), key(4)}


def test_claims_expire(path, monkeypatch):
    some, now = FeatureStore(path), time.time()
    assert some.claim([key(1)], b"killed") == [key(1)]
    for seconds, expected in (
        (rows_in_file.LEASE_SECONDS / 2, []),
        (rows_in_file.LEASE_SECONDS + 1, [key(1)]),
    ):
        monkeypatch.setattr(time, "time", lambda later=now + seconds: later)
        assert some.claim([key(1)], b"next") == expected


def test_claims_out_of_the_future_do_not_count(path):
    """As they are after a clock was set back."""
    FeatureStore(path).claim([key(1)], b"killed")
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE claims SET until = until + 1e6")
    connection.close()
    assert FeatureStore(path).claim([key(1)], b"next") == [key(1)]


# ------------------------------------------------------------------------------ two, one killed

WRITER = '''
"""Write random rows for a minute, and log the keys of those that are said to be there."""

import random
import sys
import time
from hashlib import sha256, shake_256

from visionpipe import FeatureStore


def row(key):
    length = int.from_bytes(key[:2], "big") // 100 + (50_000 if key[2] < 2 else 0)
    return key[::-1], shake_256(key).digest(length)


if __name__ == "__main__":
    path, log, seed, seconds, pause = sys.argv[1:]
    rng, stop = random.Random(seed), time.monotonic() + float(seconds)
    store, written = FeatureStore(path, max_bytes=4 << 30), []
    with open(log, "w") as log:
        while time.monotonic() < stop:
            numbers = [rng.randrange(1_000_000) for _ in range(rng.randint(1, 40))]
            keys = [sha256(str(n).encode()).digest()[:16] for n in numbers]
            if not store.put({key: row(key) for key in keys}):
                sys.exit("a put failed")
            log.writelines(key.hex() + "\\n" for key in keys)
            log.flush()
            written += keys
            some = rng.sample(written, min(10, len(written)))
            if store.get(some, from_memory=False) != {key: row(key) for key in some}:
                sys.exit("a row was wrong or missing")
            time.sleep(float(pause))
'''


def test_a_store_that_another_process_creates_meanwhile(path):
    """Between two looks at the new file its tables appear: they are ours, not a stranger's."""
    looking, creating = (sqlite3.connect(path, timeout=0, isolation_level=None) for _ in range(2))

    def create_behind_its_back(statement):
        if "sqlite_master" in statement:
            with suppress(sqlite3.OperationalError):  # locked out, which is fine
                rows_in_file.create(creating)

    looking.set_trace_callback(create_behind_its_back)
    rows_in_file.is_ours(looking, path)
    looking.set_trace_callback(None)
    with suppress(sqlite3.OperationalError):
        rows_in_file.create(creating)
    assert rows_in_file.is_ours(looking, path)
    looking.close()
    creating.close()


def test_two_writers_one_killed(tmp_path, path):
    """For a minute, to give a kill and the other writer's rows many ways to collide."""
    script = tmp_path / "writer.py"
    script.write_text(WRITER)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    logs = [tmp_path / f"{i}.log" for i in (0, 1)]
    writers = [
        subprocess.Popen(
            [sys.executable, script, path, log, pause, "60", pause], env=environment, cwd=ROOT
        )
        for log, pause in zip(logs, ("0.003", "0.02"), strict=True)  # the first is killed at work
    ]
    try:
        time.sleep(30)
        assert [writer.poll() for writer in writers] == [None, None]
        writers[0].send_signal(signal.SIGKILL)
        assert writers[1].wait(timeout=120) == 0
        assert writers[0].wait() == -signal.SIGKILL
    finally:
        for writer in writers:
            writer.kill()

    row = {"__name__": "writer"}
    exec(WRITER, row)
    row = row["row"]
    read = FeatureStore(path)
    for log in logs:
        keys = [bytes.fromhex(line) for line in log.read_text().split("\n")[:-1]]
        assert len(keys) > 2000
        for start in range(0, len(keys), 1000):
            some = keys[start : start + 1000]
            assert read.get(some, from_memory=False) == {k: row(k) for k in some}
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()
