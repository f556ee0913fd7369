"""One file off a server on this machine, which breaks off, lies, hangs or is not there."""

import gzip
import hashlib
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import numpy as np
import pooch
import pytest

from visionpipe.datasets import download as module
from visionpipe.datasets.download import DownloadError, download
from visionpipe.datasets.registry import RemoteFile

CONTENT = np.random.default_rng(0).bytes(100_000)
HALF = 40_000


@pytest.fixture
def file(server):
    """A file that two paths of the server offer."""
    server.content = {"/a/data.bin": CONTENT, "/b/data.bin": CONTENT}
    return remote(server.address + "a/", server.address + "b/")


def remote(*addresses, content=CONTENT, size=100_000):
    return RemoteFile(
        "data.bin",
        tuple(f"{address}data.bin" for address in addresses),
        f"sha256:{hashlib.sha256(content).hexdigest()}",
        size,
    )


@pytest.fixture
def nobody():
    """An address where nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return f"http://127.0.0.1:{port}/"


@pytest.fixture
def logged():
    """What pooch reports while a test runs."""
    records, handler = [], logging.Handler()
    handler.emit = records.append
    pooch.get_logger().addHandler(handler)
    yield records
    pooch.get_logger().removeHandler(handler)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def assert_fetched(path):
    assert path.read_bytes() == CONTENT
    assert names(path.parent) == [".lock", "data.bin"]


@pytest.mark.parametrize("size", [len(CONTENT), None])
def test_good(home, server, file, size, capfd, logged):
    file = remote(*(address.removesuffix("data.bin") for address in file.addresses), size=size)
    assert_fetched(download(file, home))
    assert server.requests == [("/a/data.bin", None, len(CONTENT))]
    assert capfd.readouterr() == ("", "") and not logged
    download(file, home)
    assert len(server.requests) == 1


@pytest.mark.parametrize("size", [len(CONTENT), None])
def test_cut_is_resumed(home, server, file, size):
    file, server.cuts = remote(file.addresses[0].removesuffix("data.bin"), size=size), [HALF]
    with pytest.raises(DownloadError, match=r"a/data.bin \(.*broke off\).*what has come stays in"):
        download(file, home)
    assert (home / "data.bin.part").read_bytes() == CONTENT[:HALF]
    assert names(home) == [".lock", "data.bin.part"]
    assert_fetched(download(file, home))
    assert server.requests[1] == ("/a/data.bin", f"bytes={HALF}-", len(CONTENT) - HALF)


def test_next_address_goes_on_from_a_cut(home, server, file):
    server.cuts = [HALF]
    assert_fetched(download(file, home))
    assert server.requests[1] == ("/b/data.bin", f"bytes={HALF}-", len(CONTENT) - HALF)


def test_server_that_ignores_ranges(home, server, file):
    server.cuts, server.knows_ranges = [HALF], False
    assert_fetched(download(file, home))
    assert [n for *_, n in server.requests] == [HALF, len(CONTENT)]


def test_server_that_mistakes_ranges(home, server, file):
    server.cuts, server.mistakes_ranges = [HALF], True
    assert_fetched(download(file, home))
    assert [wanted for _, wanted, _ in server.requests] == [None, f"bytes={HALF}-", None]


@pytest.mark.parametrize(
    "wrong",
    [CONTENT[::-1], CONTENT + b"more", b"<html>Please log in</html>", b""],
    ids=["other", "longer", "page", "empty"],
)
def test_wrong_content_is_never_named(home, server, file, wrong):
    server.content["/a/data.bin"] = wrong
    named = []
    server.on_request = lambda: named.append((home / "data.bin").exists())
    assert_fetched(download(file, home))
    assert named == [False, False]


def test_all_wrong_leaves_nothing(home, server, file):
    server.content = dict.fromkeys(server.content, CONTENT[::-1])
    with pytest.raises(DownloadError) as info:
        download(file, home)
    assert str(info.value).count("its checksum is wrong") == 2 and "\n" not in str(info.value)
    assert names(home) == [".lock"]


def test_addresses_in_order_until_one_has_it(home, server, file, nobody):
    server.content.pop("/a/data.bin")
    assert_fetched(download(remote(nobody, *[a[:-8] for a in file.addresses]), home))
    assert server.requests == [("/a/data.bin", None, 404), ("/b/data.bin", None, len(CONTENT))]


def test_all_fail(home, server, nobody):
    file = remote(nobody, server.address, content=b"")
    with pytest.raises(OSError) as info:
        download(file, home)
    assert str(info.value) == (
        f"cannot fetch data.bin: {nobody}data.bin (no connection), "
        f"{server.address}data.bin (404 Not Found); it may also be put into {home} by hand"
    )


@pytest.mark.parametrize("n_bytes", [len(CONTENT), len(CONTENT) + 1])
def test_part_that_is_too_long_is_thrown_away(home, server, file, n_bytes):
    home.mkdir()
    (home / "data.bin.part").write_bytes(bytes(n_bytes))
    assert_fetched(download(file, home))
    assert server.requests == [("/a/data.bin", None, len(CONTENT))]


def test_part_of_another_file_is_thrown_away(home, server, file):
    home.mkdir()
    (home / "data.bin.part").write_bytes(bytes(HALF))
    assert_fetched(download(remote(server.address + "a/"), home))
    assert [wanted for _, wanted, _ in server.requests] == [f"bytes={HALF}-", None]


def test_part_that_the_server_cannot_follow(home, server, file):
    home.mkdir()
    (home / "data.bin.part").write_bytes(bytes(2 * len(CONTENT)))
    assert_fetched(download(remote(server.address + "a/", size=None), home))


def test_longer_content_whose_length_nobody_states(home, server, file):
    server.content["/a/data.bin"], server.states_length = CONTENT + CONTENT, False
    server.content.pop("/b/data.bin")
    with pytest.raises(DownloadError, match="it sends more than the 100,000 bytes of the file"):
        download(file, home)
    assert names(home) == [".lock"]


def test_server_that_hangs(home, server, file, monkeypatch):
    monkeypatch.setattr(module, "TIMEOUT", (0.2, 0.2))
    server.cuts, server.hangs = [HALF, 0], True
    begun = time.monotonic()
    with pytest.raises(DownloadError, match=r"a/data.bin \(no answer in time\), .*b/data.bin \(no"):
        download(file, home)
    assert time.monotonic() - begun < 5
    assert HALF - module.CHUNK < (home / "data.bin.part").stat().st_size <= HALF


def test_killed_halfway(home, server, file):
    server.cuts, server.hangs = [HALF], True
    code = (
        "import sys; from pathlib import Path\n"
        "from visionpipe.datasets.download import download\n"
        "from visionpipe.datasets.registry import RemoteFile\n"
        f"download({file!r}, Path(sys.argv[1]))"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(home)])
    part, stop = home / "data.bin.part", time.monotonic() + 60
    while not (part.exists() and part.stat().st_size) and time.monotonic() < stop:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert names(home) == [".lock", "data.bin.part"]
    assert_fetched(download(file, home))
    (_, wanted, n_sent) = server.requests[1]
    assert wanted != "bytes=0-" and wanted.startswith("bytes=") and n_sent < len(CONTENT)


def test_two_at_once_fetch_once(home, server, file):
    gate = threading.Barrier(4)

    def fetch():
        gate.wait()
        download(file, home)

    server.on_request = lambda: time.sleep(0.2)
    threads = [threading.Thread(target=fetch) for _ in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert_fetched(home / "data.bin")
    assert len(server.requests) == 1


def test_what_a_server_calls_an_encoding_is_left_alone(home, server):
    packed = gzip.compress(CONTENT)
    server.content, server.headers = {"/data.bin": packed}, {"Content-Encoding": "gzip"}
    path = download(remote(server.address, content=packed, size=len(packed)), home)
    assert path.read_bytes() == packed


def test_another_file_of_the_name_is_left_alone(home, server, file):
    home.mkdir()
    (home / "data.bin").write_bytes(b"mine")
    with pytest.raises(ValueError, match="data.bin is damaged: its checksum is not .*; remove it"):
        download(file, home)
    assert (home / "data.bin").read_bytes() == b"mine" and not server.requests


def test_folder_that_cannot_be_written(tmp_path, file):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="cannot write to .*file/sub.*data_home.*VISIONPIPE_DATA"):
        download(file, tmp_path / "file" / "sub")
