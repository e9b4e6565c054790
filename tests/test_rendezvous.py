"""Processes meet in time, despite strangers, and only with those who know a secret."""

import contextlib
import json
import logging
import socket
import threading
import time
from typing import Any

import pytest
from test_processes import free_port
from test_watchdog import free_address, has

from jaxgan.distributed import connections
from jaxgan.distributed.connections import connect, is_own
from jaxgan.distributed.rendezvous import meet, proof, split_address
from jaxgan.errors import UsageError

WHERE = ["10.0.0.1", 1234, "token"]
"""As process 0 gives it to the others."""


def met(address, who, wait=20.0, secrets=("", "", ""), between=lambda: None):
    """Runs several `meet(address, count, number)` at once.

    `between` is called once the first has begun.
    """
    outcome: dict[int, Any] = {}

    def one(place, count, number):
        given = WHERE if number == 0 else None
        try:
            where = meet(address, count, number, wait, given, secrets[place])
            outcome[place] = "met" if list(where) == WHERE else where
        except UsageError as error:
            outcome[place] = str(error)

    threads = [
        threading.Thread(target=one, args=(place, *x)) for place, x in enumerate(who)
    ]
    threads[0].start()
    between()
    for thread in threads[1:]:
        thread.start()
    for thread in threads:
        thread.join(30)
    return [outcome[place] for place in range(len(who))]


def test_they_meet_or_say_what_is_wrong():
    address = f"127.0.0.1:{free_port()}"
    assert met(address, [(3, 0), (3, 2), (3, 1)]) == ["met"] * 3
    for told in met(address, [(2, 0), (3, 1)]):
        assert "--num_processes is 2 in process 0 and 3 in process 1" in told
    assert (
        "two processes have --process_id=1" in met(address, [(3, 0), (3, 1), (3, 1)])[0]
    )


def test_a_wait_is_bounded_and_names_who_did_not_come():
    address = f"127.0.0.1:{free_port()}"
    began = time.monotonic()
    [alone] = met(address, [(2, 1)], wait=1.0)
    assert f"--coordinator={address} does not answer: start process 0" in alone
    for told in met(address, [(4, 0), (4, 2)], wait=2.0):
        assert "processes [1, 3] of --num_processes=4 did not connect" in told
    assert time.monotonic() - began < 15


def test_a_stranger_at_the_door_is_no_process():
    port = free_port()

    def stranger():
        for _ in range(100):
            try:
                with socket.create_connection(("127.0.0.1", port), 1) as s:
                    s.sendall(b"GET / HTTP/1.1\n")
                    return
            except OSError:
                time.sleep(0.05)

    other = threading.Thread(target=stranger)
    other.start()
    assert met(f"127.0.0.1:{port}", [(2, 0)], wait=2.0) == [
        "processes [1] of --num_processes=2 did not connect to "
        f"--coordinator=127.0.0.1:{port} in time: start them with the same flags and "
        "their own --process_id"
    ]
    other.join()


def test_a_port_in_use():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        [told] = met(f"127.0.0.1:{port}", [(2, 0)], wait=1.0)
    assert "process 0 cannot listen there" in told


def knock(port, said):
    """A connection by a stranger, once somebody listens."""
    for _ in range(200):
        with contextlib.suppress(OSError):
            there = socket.create_connection(("127.0.0.1", port), 5)
            there.sendall(said)
            return there
        time.sleep(0.05)
    raise AssertionError("nobody listens")


def met_beside(strangers, who, **other):
    """The same while strangers are there; each is what one of them says."""
    port, came = free_port(), []

    def come():
        came.extend(knock(port, said) for said in strangers)

    outcome = met(f"127.0.0.1:{port}", who, between=come, **other)
    for stranger in came:
        stranger.close()
    return outcome


def test_silent_connections_delay_nobody(monkeypatch):
    monkeypatch.setattr("jaxgan.distributed.rendezvous.GREETING_SECONDS", 60.0)
    strangers = [b""] * 12 + [b'{"count"']
    assert met_beside(strangers, [(2, 0), (2, 1)]) == ["met"] * 2


@pytest.mark.parametrize(
    "said",
    [
        {"count": 2, "number": 0, "nonce": ""},
        {"count": 2, "number": 2, "nonce": ""},
        {"count": 2, "number": True, "nonce": ""},
        {"count": 2, "number": 1e400, "nonce": ""},
        {"count": 2, "number": 1, "nonce": "", "proof": "a"},
        {"count": 3, "number": 1, "nonce": "", "proof": proof("", "", "", 3, 1)},
        [2, 1],
    ],
)
def test_strangers_neither_take_a_place_nor_end_the_meeting(said):
    strangers = [json.dumps(said).encode() + b"\n"]
    assert met_beside(strangers, [(2, 0), (2, 1)]) == ["met"] * 2


def test_those_who_share_a_secret_meet():
    address = f"127.0.0.1:{free_port()}"
    secrets = ["s\udce9cret"] * 3  # any bytes, as the environment holds them
    assert met(address, [(3, 0), (3, 1), (3, 2)], secrets=secrets) == ["met"] * 3


@pytest.mark.parametrize("secrets", [("a", "b"), ("", "b"), ("a", "")])
def test_one_without_the_secret_is_not_let_in(secrets, caplog):
    address = f"127.0.0.1:{free_port()}"
    first, other = met(address, [(2, 0), (2, 1)], wait=1.0, secrets=secrets)
    assert "processes [1] of --num_processes=2 did not connect" in first
    why = "has a different JAXGAN_TOKEN: use the same in all, or none"
    assert f"(it {why})" in other
    told = [x.message for x in caplog.records if x.levelno == logging.WARNING]
    assert told == [f"process 1 {why}"]


def by_another(answer):
    """A server that is not process 0: it answers whoever comes first, then goes."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        with listener, listener.accept()[0] as there:
            answer(there)

    thread = threading.Thread(target=serve)
    thread.start()
    return listener.getsockname()[1], thread


def echo(there):
    """As a connection to oneself does."""
    there.sendall(b'{"count": 2, "number": 1}\n')
    there.sendall(there.recv(4096))


def impostor(there):
    there.sendall(b'{"challenge": "00"}\n')
    there.recv(4096)
    where = {"problem": "", "where": ["6.6.6.6", 6, "t"], "proof": "00"}
    there.sendall(json.dumps(where).encode() + b"\n")


def ends_it(there):
    there.sendall(b'{"challenge": "00"}\n')
    there.recv(4096)
    there.sendall(b'{"problem": "\\u001b[31mbe gone", "where": null}\n')


@pytest.mark.parametrize(
    "answer",
    [
        echo,
        impostor,
        ends_it,
        lambda there: there.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
        lambda there: there.sendall(b"0" * 100_000),
        lambda there: None,
    ],
)
def test_another_than_process_0_is_not_believed(answer):
    port, thread = by_another(answer)
    outcome = []

    def follow():
        outcome.append(meet(f"127.0.0.1:{port}", 2, 1, 20.0, secret="s"))

    follower = threading.Thread(target=follow)
    follower.start()
    thread.join()
    meet(f"127.0.0.1:{port}", 2, 0, 20.0, WHERE, "s")
    follower.join()
    assert outcome == [WHERE]


def test_a_connection_to_oneself_is_recognized():
    with socket.socket() as there:
        there.bind(("127.0.0.1", 0))
        there.connect(there.getsockname())  # as a client that was given that port
        assert is_own(there)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        other = connect("127.0.0.1", listener.getsockname()[1], 5.0)
        assert not is_own(other._socket)
        listener.accept()[0].close()
        other.close()


def test_a_client_that_reaches_itself_has_reached_nobody(monkeypatch):
    def reach_itself(where, _):
        there = socket.socket()
        there.bind(where)
        there.connect(where)
        return there

    monkeypatch.setattr(connections.socket, "create_connection", reach_itself)
    with pytest.raises(ConnectionRefusedError, match="no process listens there"):
        connect("127.0.0.1", free_port(), 5.0)


def test_a_process_that_is_started_again_takes_its_old_place():
    address = f"127.0.0.1:{free_port()}"
    port = int(address.rpartition(":")[2])

    def die_young():
        there = connect_when_open(port)
        challenge = there.receive(5.0)["challenge"]
        hello = {"count": 3, "number": 1, "nonce": "n"}
        there.send({**hello, "proof": proof("", challenge, "n", 3, 1)})
        time.sleep(0.3)
        there.close()

    assert met(address, [(3, 0), (3, 2), (3, 1)], between=die_young) == ["met"] * 3


def connect_when_open(port):
    knock(port, b"").close()
    return connect("127.0.0.1", port, 5.0)


def test_an_address_of_ipv6():
    if has("::1"):
        assert met(free_address("::1"), [(2, 0), (2, 1)]) == ["met"] * 2
    assert split_address("[fe80::1%eth0]:80") == ("fe80::1%eth0", 80)


@pytest.mark.parametrize(
    "place",
    [
        *("here", "a:99999", "a:0", ":12", "a:", "a b:12", "[::1]", "[:12", "::1:80"),
        *("1.2.3.4:²", "1.2.3.4:１２", "1.2.3.4:-1", "1.2.3.4:1e3", "a:" + "1" * 5000),
        *("a..b:12", "a" * 5000 + ":12", ".".join("a" * 64 for _ in "ab") + ":12"),
        *("\x1b[31mred:12", "a\n:12", "[a]:12:13", "http://a:12"),
    ],
)
def test_texts_that_are_no_address(place):
    with pytest.raises(UsageError, match="use HOST:PORT of process 0, such as") as e:
        split_address(place)
    assert str(e.value).isprintable()
    assert len(str(e.value)) < 250


@pytest.mark.parametrize(
    ("place", "why"),
    [
        ("192.0.2.1:1234", "Cannot assign requested address"),
        ("nowhere.invalid:1234", "Name or service not known|name resolution"),
        ("[2001:db8::1]:1234", "Cannot assign requested address|not supported"),
    ],
)
def test_an_address_that_is_not_of_this_machine(place, why):
    [told] = met(place, [(2, 0)])
    assert told.startswith(f"--coordinator={place}: process 0 cannot listen there (")
    assert any(x in told for x in why.split("|"))
    [told] = met(place, [(2, 1)], wait=0.2)
    assert f"--coordinator={place} does not answer: start process 0 there" in told
