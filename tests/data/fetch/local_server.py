"""A web server on this machine that can be told to misbehave."""

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Site(ThreadingHTTPServer):
    """Serves `files` by name. `cuts` are taken one a response: how many bytes of the body to send before hanging up."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.etag = '"1"'
        self.has_ranges = True
        self.heeds_if_range = True
        self.says_length = True
        self.shift = 0  # how far the range sent lies beside the one asked for
        self.cuts: list[int] = []
        self.stalls = False  # after a cut: keep the connection open and send nothing
        self.redirects: dict[str, str] = {}  # name -> Location
        self.statuses: list[int] = []  # taken one a response, instead of the file
        self.asked: list[tuple[str, str]] = []  # (name, Range header)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that hang up are part of the tests."""


class Handler(BaseHTTPRequestHandler):
    server: Site
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        site, name, wanted = self.server, self.path.strip("/").split("?")[0], self.headers.get("Range", "")
        site.asked.append((name, wanted))
        if site.statuses:
            return self.answer(site.statuses.pop(0), b"no", {})
        if name in site.redirects:
            return self.answer(302, b"", {"Location": site.redirects[name]})
        if name not in site.files:
            return self.answer(404, b"no such file", {})
        content, headers = site.files[name], {"ETag": site.etag}
        unchanged = not site.heeds_if_range or self.headers.get("If-Range", site.etag) == site.etag
        if site.has_ranges and (match := re.fullmatch(r"bytes=(\d+)-", wanted)) and unchanged:
            start = int(match[1]) + site.shift
            if start >= len(content):
                return self.answer(416, b"", {"Content-Range": f"bytes */{len(content)}"})
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
            return self.answer(206, content[start:], headers)
        return self.answer(200, content, headers)

    def answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        site = self.server
        self.close_connection = True
        self.send_response(status)
        if site.says_length:
            headers["Content-Length"] = str(len(body))
        for key, value in {**headers, "Connection": "close"}.items():
            self.send_header(key, value)
        self.end_headers()
        cut = site.cuts.pop(0) if site.cuts and status in (200, 206) else len(body)
        self.wfile.write(body[:cut])
        self.wfile.flush()
        while site.stalls and cut < len(body):
            time.sleep(0.02)

    def log_message(self, *_: object) -> None:
        """The tests look at `asked`."""


@contextmanager
def serving() -> Iterator[Site]:
    """A site, up while the block runs."""
    with Site() as site:
        thread = threading.Thread(target=site.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield site
        finally:
            site.stalls = False
            site.shutdown()
            thread.join()
