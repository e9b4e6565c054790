"""Serves the viewer's pages in a thread, for tests."""

import asyncio
import contextlib
import threading
from pathlib import Path

from tornado.ioloop import IOLoop

from jaxgan.config.viewing import parse_args
from jaxgan.viewer import server

SECONDS = 60


@contextlib.contextmanager
def served(*flags):
    """Serves the pages of a command line; yields their address."""
    ready, box = threading.Event(), {}

    def serve():
        asyncio.set_event_loop(asyncio.new_event_loop())
        made = server.make_server(parse_args([*flags, "--port=0"]))
        made.start()
        box.update(loop=IOLoop.current(), port=made.port)
        IOLoop.current().add_callback(ready.set)
        IOLoop.current().start()
        server.close(made)
        IOLoop.current().close(all_fds=True)

    thread = threading.Thread(target=serve)
    thread.start()
    assert ready.wait(SECONDS)
    try:
        yield f"http://127.0.0.1:{box['port']}"
    finally:
        box["loop"].add_callback(box["loop"].stop)
        thread.join(2 * SECONDS)
        assert not thread.is_alive()


def written_run(folder: Path, config: str = '{"steps": 10}', rows: str = "") -> Path:
    """Writes the files of a run that were not trained."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(config)
    (folder / "metrics.jsonl").write_text(rows)
    return folder
