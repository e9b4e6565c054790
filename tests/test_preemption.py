"""A machine's own word that it is about to end."""

import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from jaxgan.distributed.preemption import watch_notices
from jaxgan.environment import has_tpu


@pytest.fixture
def machine():
    """Its address and what its metadata say, by name."""
    says = {"maintenance-event": "NONE", "preempted": "FALSE"}

    class Metadata(BaseHTTPRequestHandler):
        def do_GET(self):
            name = self.path.removeprefix("/computeMetadata/v1/instance/")
            known = name in says and self.headers["Metadata-Flavor"] == "Google"
            self.send_response(200 if known else 404)
            self.end_headers()
            self.wfile.write(says.get(name, "?").encode())

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Metadata) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_port}", says
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("name", "value"),
    [("maintenance-event", "TERMINATE_ON_HOST_MAINTENANCE"), ("preempted", "TRUE")],
)
def test_a_notice_is_told_of(machine, name, value):
    host, says = machine
    with watch_notices(host, 0.05) as told:
        time.sleep(0.2)
        assert not told()
        says[name] = value
        ends = time.monotonic() + 5
        while not told() and time.monotonic() < ends:
            time.sleep(0.02)
        assert told()


def test_no_answer_and_no_such_name_are_no_notice(machine):
    host, says = machine
    says.clear()
    for place in (host, "127.0.0.1:9"):
        with watch_notices(place, 0.05) as told:
            time.sleep(0.2)
            assert not told()


@pytest.mark.parametrize(
    "value", ["<html>Please log in</html>", "", "none", "\xff", "A" * 5000]
)
def test_another_server_at_that_name_is_not_believed(machine, value):
    host, says = machine
    says["preempted"] = value
    with watch_notices(host, 0.05) as told:
        time.sleep(0.3)
        assert not told()


def test_a_server_that_speaks_no_http_is_not_believed():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        with watch_notices(f"127.0.0.1:{listener.getsockname()[1]}", 0.05) as told:
            for _ in range(3):
                with listener.accept()[0] as there:
                    there.recv(4096)
                    there.sendall(b"what?\n")
        assert not told()


def test_a_proxy_is_not_asked(machine, monkeypatch):
    host, says = machine
    monkeypatch.setenv("http_proxy", f"http://{host}")
    says["preempted"] = "TRUE"
    with watch_notices("127.0.0.1:9", 0.05) as told:
        time.sleep(0.3)
        assert not told()


def test_machines_without_chips_are_not_asked(tmp_path):
    with watch_notices() as told:
        assert not told()
    assert not has_tpu({}, str(tmp_path))
    (tmp_path / "accel0").touch()
    assert has_tpu({}, str(tmp_path))
    assert has_tpu({"JAX_PLATFORMS": "tpu,cpu"}, str(tmp_path))
    assert not has_tpu({"JAX_PLATFORMS": "cpu"}, str(tmp_path))
