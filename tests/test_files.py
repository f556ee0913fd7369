"""Files appear whole or not at all, and a lock ends with its process."""

import os
import subprocess
import sys
import threading

import pytest

from visionpipe.files import FileLock, appearing_whole, write_whole


def names(folder):
    return sorted(path.name for path in folder.iterdir())


# ------------------------------------------------------------------------------- appearing whole


def test_old_content_stays_until_the_block_ends(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with appearing_whole(path) as draft:
        assert not draft.exists() and draft.parent == tmp_path
        draft.write_bytes(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new" and names(tmp_path) == ["file"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_leaves_the_old_content_and_no_draft(tmp_path, error):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(error), appearing_whole(path) as draft:
        draft.write_bytes(b"half of the n")
        raise error
    assert path.read_bytes() == b"old" and names(tmp_path) == ["file"]


def test_a_block_that_writes_nothing_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError), appearing_whole(tmp_path / "file"):
        pass
    assert names(tmp_path) == []


def test_the_content_reaches_the_disk_before_it_gets_its_name(tmp_path, monkeypatch):
    steps, fsync, replace = [], os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda handle: steps.append("fsync") or fsync(handle))
    monkeypatch.setattr(os, "replace", lambda *a: steps.append("replace") or replace(*a))
    with appearing_whole(tmp_path / "file") as draft:
        draft.write_bytes(b"new")
    assert steps == ["fsync", "replace", "fsync"][: 3 if os.name == "posix" else 2]


def test_two_writers_at_a_time_do_not_meet(tmp_path):
    path = tmp_path / "file"
    with appearing_whole(path) as first, appearing_whole(path) as second:
        first.write_bytes(b"first")
        second.write_bytes(b"second")
    assert path.read_bytes() == b"first"  # its block ended last
    assert names(tmp_path) == ["file"]


def test_text_is_utf_8(tmp_path):
    write_whole(tmp_path / "file", "Wörter\n")
    assert (tmp_path / "file").read_bytes() == b"W\xc3\xb6rter" + os.linesep.encode()


# ------------------------------------------------------------------------------------------ locks

HOLD = """
import os, sys, time
from visionpipe.files import FileLock
assert FileLock(sys.argv[1]).acquire() is (sys.argv[2] == "free")
lock = FileLock(sys.argv[3])
assert lock.acquire()
if sys.argv[4] == "stay":
    print("held", flush=True)
elif not os.fork():
    lock.release()  # not the child's to release
    print(os.getpid(), flush=True)
    os.close(1)
time.sleep(60)
"""


def holder(*arguments):
    """A process that holds a lock, and what it has printed by then."""
    command = [sys.executable, "-c", HOLD, *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    return process, process.stdout.readline().strip()


def kill(process):
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_lock_holds_against_other_processes_until_they_are_killed(tmp_path):
    ours, theirs = FileLock(tmp_path / "ours"), FileLock(tmp_path / "theirs")
    assert ours.acquire()
    process, said = holder(ours.path, "held", theirs.path, "stay")
    try:
        assert said == "held" and not theirs.acquire()
    finally:
        kill(process)
    assert theirs.acquire()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_a_forked_child_neither_releases_a_lock_nor_keeps_it(tmp_path):
    lock = FileLock(tmp_path / "lock")
    process, child = holder(tmp_path / "other", "free", lock.path, "fork")
    try:
        assert not lock.acquire()
        kill(process)
        assert lock.acquire()  # while the child lives
    finally:
        kill(process)
        os.kill(int(child), 9)


def test_a_lock_holds_against_other_threads(tmp_path):
    lock, found = FileLock(tmp_path / "lock"), []
    assert lock.acquire()

    def other_thread():
        found.append(FileLock(lock.path).acquire())

    for _ in range(2):
        thread = threading.Thread(target=other_thread)
        thread.start()
        thread.join()
        lock.release()
    assert found == [False, True]


def test_releasing_is_for_all_copies_of_the_handle(tmp_path):
    lock = FileLock(tmp_path / "lock")
    assert lock.acquire()
    copy = os.dup(lock._file.fileno())  # as a child has between fork and exec
    lock.release()
    assert FileLock(lock.path).acquire()
    os.close(copy)


def test_releasing_what_is_not_held_does_nothing(tmp_path):
    held, other = FileLock(tmp_path / "lock"), FileLock(tmp_path / "lock")
    assert held.acquire() and not other.acquire()
    other.release()
    assert not other.acquire()


def test_a_lock_in_no_folder(tmp_path):
    with pytest.raises(OSError):
        FileLock(tmp_path / "missing" / "lock").acquire()
