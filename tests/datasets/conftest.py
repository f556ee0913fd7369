"""A registry of small sets, and a server on this machine that offers them."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import small_sets

from visionpipe.datasets import registry


class Server(ThreadingHTTPServer):
    """Offers `content`, bytes by path, in the ways that its attributes say."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = {}
        self.knows_ranges = True
        self.mistakes_ranges = False  # and sends all as if it were the rest
        self.cuts = []  # after how many bytes of an answer to break off, for each request
        self.states_length = True
        self.headers = {}  # more of them
        self.requests = []  # path, Range header and bytes sent, or the error, of each
        self.on_request = lambda: None
        self.resume = threading.Event()  # what an answer that was cut waits for, if `hangs`
        self.hangs = False

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_port}/"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        server.on_request()
        content, wanted = server.content.get(self.path), self.headers.get("Range")
        start = int(wanted.removeprefix("bytes=").split("-")[0]) if wanted else 0
        if content is None:
            server.requests.append((self.path, wanted, 404))
            self.send_error(404)
        elif wanted and server.knows_ranges and start >= len(content):
            server.requests.append((self.path, wanted, 416))
            self.send_error(416)
        else:
            start = start if server.knows_ranges and not server.mistakes_ranges else 0
            self._answer(content, start, wanted)

    def _answer(self, content, start, wanted):
        server = self.server
        is_part = start or (wanted and server.mistakes_ranges)
        self.send_response(206 if is_part else 200)
        if is_part:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        if server.states_length:
            self.send_header("Content-Length", str(len(content) - start))
        for name, value in server.headers.items():
            self.send_header(name, value)
        self.end_headers()
        cut = server.cuts.pop(0) if server.cuts else None
        sent = content[start:][:cut]
        server.requests.append((self.path, wanted, len(sent)))
        self.wfile.write(sent)
        self.wfile.flush()
        if cut is not None and server.hangs:
            server.resume.wait(30)

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch):
    """Nothing offered yet."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.resume.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def small_registry(server, tmp_path, monkeypatch):
    """The small sets instead of the real ones, offered by `server`; what it offers comes along."""
    offered = small_sets.offered()
    path = tmp_path / "registry.toml"
    small_sets.write_registry(path, offered, [server.address])
    monkeypatch.setattr(registry, "registry_path", lambda: path)
    monkeypatch.delenv("VISIONPIPE_DATA", raising=False)
    for name, files in offered.items():
        server.content |= {f"/{name}/{file}": content for file, content in files.items()}
    return offered


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home"
