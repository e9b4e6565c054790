"""The connections that end all processes with one; strangers, and those that stop."""

import contextlib
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from functools import partial

import pytest
from test_processes import killed_on_failure

from jaxgan.distributed.connections import MAX_MESSAGE, listen
from jaxgan.distributed.watchdog import EXIT_CODES, MAX_TEXT, Watchdog


def until(condition):
    for _ in range(400):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("not within twenty seconds")


def noted(ends, number, *what):
    ends.setdefault(number, what)


@contextlib.contextmanager
def connected(count, before=lambda port: None):
    """So many that are connected, what each was ended with, and the port."""
    ends: dict[int, tuple[str, int]] = {}
    each = [Watchdog(i, partial(noted, ends, i)) for i in range(count)]
    where = each[0].listen(listen("127.0.0.1", 0), "127.0.0.1")
    each[0].accept(count)
    before(where[1])
    for other in each[1:]:
        other.reach(*where)
    until(lambda: len(each[0]._others) == count - 1)
    try:
        yield each, ends
    finally:
        for one in each:
            one.leave()
        until(lambda: all(x.name != "watchdog" for x in threading.enumerate()))


@pytest.fixture
def lifelines():
    with connected(3) as all_of_it:
        yield all_of_it


def test_a_failure_reaches_all_others_with_its_code(lifelines):
    each, ends = lifelines
    each[2].fail("the disk is full", 2)
    until(lambda: len(ends) == 2)
    assert ends == dict.fromkeys((0, 1), ("process 2: the disk is full", 2))


def test_a_connection_that_breaks_ends_all_and_one_that_is_left_does_not(lifelines):
    each, ends = lifelines
    each[1].leave()
    time.sleep(0.3)
    assert not ends
    each[2]._others[0].shut_down()  # as the system does for the killed
    until(lambda: 0 in ends)
    assert ends[0][0].startswith("process 2: was killed or disconnected")


@pytest.mark.parametrize("code", [0, -1, 300, True, None, "2", 1e9])
def test_no_other_process_ends_one_with_success(lifelines, code):
    each, ends = lifelines
    each[1].fail("\x1b[31mred\n" * 1000, code)
    until(lambda: len(ends) == 2)
    for message, taken in ends.values():
        assert taken == 1
        assert message.isprintable()
        assert message.startswith(r"process 1: \x1b[31mred\n\x1b[31mred")
        assert len(message) <= MAX_TEXT + len("process 1: ")


def test_codes_that_programs_of_ours_end_with_are_kept():
    assert {1, 2, 70, 75, 129, 130, 143} == EXIT_CODES


def test_none_but_the_first_process_speaks_for_others(lifelines):
    each, ends = lifelines
    each[2]._send_all({"failed": 1, "message": "so they say", "code": 2})
    until(lambda: len(ends) >= 2)
    assert ends[0] == ends[1] == ("process 2: so they say", 2)


STRANGE = [
    b"GET / HTTP/1.1\r\n\r\n",
    b'{"number": 1}\n{"failed": 1, "message": "\x1b[31m", "code": 0}\n',
    b'{"number": 1, "token": ""}\n{"failed": 1, "message": "gone", "code": 0}\n',
    b'{"number": 1, "token": "\xc3\xa9"}\n{"left": 1}\n',
    b'{"number": "1", "token": ["x"]}\n',
    b"[" * 9000 + b"\n",
    b"1\n",
    b"\xff\xfe\n",
    b"{" + b" " * 4 * MAX_MESSAGE,
    b"",
]


def test_strangers_neither_end_nor_delay_a_process(monkeypatch):
    monkeypatch.setattr("jaxgan.distributed.watchdog.GREETING_SECONDS", 60.0)
    strangers = []

    def come(port):
        for said in STRANGE + [b'{"num'] * 10:  # and ten that stay silent
            strangers.append(socket.create_connection(("127.0.0.1", port)))
            with contextlib.suppress(OSError):
                strangers[-1].sendall(said)

    with connected(3, come) as (_, ends):
        time.sleep(0.3)
        assert not ends
    for stranger in strangers:
        stranger.close()


def test_one_process_alone_has_nobody_to_wait_for():
    for _ in range(20):
        with connected(1):
            pass


def test_the_wait_begins_with_accept_and_names_who_did_not_come():
    ends = {}
    alone = Watchdog(0, partial(noted, ends, 0))
    host, port, token = alone.listen(listen("127.0.0.1", 0), "127.0.0.1")
    time.sleep(0.6)  # while the processes meet
    alone.accept(3, wait=0.5)
    with socket.create_connection((host, port)) as there:
        there.sendall(json.dumps({"number": 1, "token": token}).encode() + b"\n")
        until(lambda: 1 in alone._others)
        until(lambda: ends)
    why = "process 2: did not connect: check the log of its machine"
    assert ends[0] == (why, 1)


FOLLOWER = """\
import sys, time
from jaxgan.distributed.watchdog import Watchdog
host, port, token = sys.argv[1:]
watchdog = Watchdog(1, silence=4.0)
watchdog.reach(host, int(port), token)
time.sleep(60)
"""


def test_a_process_that_stops_is_named_and_one_that_goes_on_in_time_survives():
    ends = {}
    first = Watchdog(0, partial(noted, ends, 0), silence=4.0)
    where = first.listen(listen("127.0.0.1", 0), "127.0.0.1")
    first.accept(2)
    with (
        subprocess.Popen(
            [sys.executable, "-c", FOLLOWER, *map(str, where)],
            stderr=subprocess.PIPE,
            text=True,
        ) as other,
        killed_on_failure([other]),
    ):
        until(lambda: first._others)
        other.send_signal(signal.SIGSTOP)
        time.sleep(0.8)
        other.send_signal(signal.SIGCONT)
        time.sleep(3.5)  # with the wait before, too long
        assert not ends
        assert other.poll() is None
        other.send_signal(signal.SIGSTOP)
        until(lambda: ends)
        message, code = ends[0]
        assert message.startswith("process 1: sent no heartbeat for 4 s (stopped")
        assert code == 1
        other.send_signal(signal.SIGCONT)  # learns why, although it is late
        assert other.communicate(timeout=30) == (None, f"error: {message}\n")
        assert other.returncode == 1


ALL = """\
import sys, time
from jaxgan.config.resolve import parse_args
from jaxgan.distributed.initialize import initialize
from jaxgan.cli import program
@program
def main():
    with initialize(parse_args(sys.argv[2:])):
        print("together", flush=True)
        time.sleep(float(sys.argv[1]))
    return 0
sys.exit(main())
"""


def started(seconds, address, count, **other):
    """Real processes that know of one another through jax, and only wait."""
    flags = [f"--coordinator={address}", f"--num_processes={count}"]
    flags += [f"--{name}={value}" for name, value in other.items()]
    return [
        subprocess.Popen(
            [sys.executable, "-c", ALL, str(seconds), *flags, f"--process_id={i}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for i in range(count)
    ]


def free_address(host):
    with listen(host, 0) as free:
        port = free.getsockname()[1]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def has(host):
    try:
        listen(host, 0).close()
    except OSError:
        return False
    return True


def test_one_process_with_a_coordinator_ends_well():
    host = "::1" if has("::1") else "127.0.0.1"
    wait = {"heartbeat_seconds": 1e6, "meet_seconds": 1e6}
    [alone] = started(0, free_address(host), 1, **wait)
    with killed_on_failure([alone]):
        out, err = alone.communicate(timeout=120)
    assert (alone.returncode, out) == (0, "together\n"), err


@pytest.mark.parametrize("stopped", [0, 1])
def test_a_stopped_process_ends_the_others_before_jax_does(stopped):
    both = started(100, free_address("127.0.0.1"), 2, heartbeat_seconds=5)
    with killed_on_failure(both):
        for process in both:
            assert process.stdout
            assert process.stdout.readline() == "together\n"
        both[stopped].send_signal(signal.SIGSTOP)
        _, err = both[1 - stopped].communicate(timeout=45)  # jax takes 50 at least
        assert both[1 - stopped].returncode == 1
        told = [line for line in err.splitlines() if line.startswith("error")]
        assert told == [
            f"error: process {stopped}: sent no heartbeat for 5 s (stopped or cut "
            "off): check the log of its machine"
        ]
        assert "***" not in err  # a stack of C++
        both[stopped].send_signal(signal.SIGCONT)
        both[stopped].communicate(timeout=45)
        assert both[stopped].returncode not in (0, None)
