"""Processes wait for one another before jax does, which ends them where one is absent.

Process 0 listens where its coordinator will, and says so when all are there. Each side
proves that it knows the secret of the run, if one is given. Nothing here imports jax.
"""

import contextlib
import hashlib
import hmac
import json
import logging
import re
import secrets
import socket
import time
from typing import Any, NamedTuple

from jaxgan.distributed.connections import (
    GREETING_SECONDS,
    Connection,
    address,
    arrivals,
    connect,
    listen,
    reason,
)
from jaxgan.errors import UsageError, printable

log = logging.getLogger("jaxgan")

ANSWER_SECONDS = 5.0
"""Seconds to wait for a first answer, and before it says so."""

TOKEN_VARIABLE = "JAXGAN_TOKEN"
"""The environment variable that holds the secret of a run."""


class Meeting(NamedTuple):
    """The address and number of a process, before it meets the others."""

    host: str
    port: int
    count: int
    """Of processes."""
    number: int
    """Of this one, from 0."""
    secret: str
    """Which all processes share; empty for none."""

    @property
    def flag(self) -> str:
        """Returns the flag as a user would write it."""
        return f"--coordinator={address(self.host, self.port)}"


def meet(
    place: str,
    count: int,
    number: int,
    wait: float,
    where: Any = None,
    secret: str = "",
) -> Any:
    """Returns when all processes are there: in each, what process 0 gives as `where`.

    Args:
      place: `host:port` of process 0.
      count: of processes.
      number: of this one, from 0.
      wait: seconds at most.
      where: the others are to turn to next, as JSON has it.
      secret: shared by all processes; one that does not know it is not let in.

    Raises:
      UsageError: naming the flags, when the address is of no use, when others do not
        come in time, or when they do not fit together.
    """
    host, port = split_address(place)
    if not 0 <= number < count:
        raise UsageError(
            f"--process_id={number}: of --num_processes={count} the numbers are 0 to "
            f"{count - 1}"
        )
    meeting = Meeting(host, port, count, number, secret)
    ends = time.monotonic() + wait
    if number == 0:
        _await_all(meeting, ends, where)
        return where
    return _join(meeting, ends)


def split_address(place: str) -> tuple[str, int]:
    """Returns host and port of an address; raises UsageError for other texts.

    >>> split("127.0.0.1:1234"), split("[::1]:1234")
    (('127.0.0.1', 1234), ('::1', 1234))
    """
    found = re.fullmatch(r"(?:\[([\w:.%]+)\]|([^\[\]:\s]+)):([0-9]{1,5})", place)
    host = (found[1] or found[2]) if found else ""
    port = int(found[3]) if found else 0
    if not _is_name(host) or not 0 < port < 2**16:
        raise UsageError(
            f"--coordinator={printable(place[:80])}: give HOST:PORT of process 0, such "
            "as 127.0.0.1:1234 or [::1]:1234"
        )
    return host, port


def _is_name(host: str) -> bool:
    try:
        return host.isprintable() and bool(host.encode("idna"))
    except UnicodeError:  # a label that is empty or too long
        return False


def listen_at(host: str, port: int, flag: str) -> socket.socket:
    """Returns a socket that listens; raises UsageError naming the flag if it cannot."""
    try:
        return listen(host, port)
    except OSError as error:
        raise UsageError(
            f"{flag}: process 0 cannot listen there ({reason(error)}); give an "
            "address of its own machine and a free port"
        ) from None


def _await_all(meeting: Meeting, ends: float, where: Any) -> None:
    count = meeting.count
    there: dict[int, tuple[Connection, dict[str, Any]]] = {}
    with contextlib.ExitStack() as stack:
        flag = meeting.flag
        listener = stack.enter_context(listen_at(meeting.host, meeting.port, flag))

        def over() -> bool:
            if len(there) == count - 1:  # but some may have died in the meantime
                for number in [n for n, (x, _) in there.items() if not x.is_open()]:
                    del there[number]
            return len(there) == count - 1 or time.monotonic() >= ends

        for other, said in arrivals(listener, _challenge(meeting), over):
            stack.callback(other.close)
            problem = _mismatch(said, count, there)
            if problem:
                _answer(meeting, [(other, said), *there.values()], problem)
                raise UsageError(problem)
            there[said["number"]] = other, said
        missing = sorted(set(range(1, count)) - set(there))
        problem = ""
        if missing:
            problem = (
                f"of --num_processes={count}, {missing} did not come to {flag} in "
                "time: start them with the same flags and their own --process_id"
            )
        _answer(meeting, list(there.values()), problem, where)
        if problem:
            raise UsageError(problem)


def _challenge(meeting: Meeting) -> Any:
    """Returns greet(connection): what another process says of itself."""
    warned: set[int] = set()

    def greet(other: Connection) -> dict[str, Any]:
        challenge = secrets.token_hex()
        other.send({"challenge": challenge})
        said = other.receive(GREETING_SECONDS)
        count, number, nonce = (said.get(x) for x in ("count", "number", "nonce"))
        if type(count) is not int or type(number) is not int:
            raise ConnectionError("no process of ours")
        if not 0 < number < max(count, 1) or not isinstance(nonce, str):
            raise ConnectionError("no process of ours")
        own = proof(meeting.secret, challenge, nonce, count, number)
        if not same_secret(own, said.get("proof")):
            if number < meeting.count and number not in warned:
                log.warning(
                    "process %d has another %s: give all the same, or none",
                    *(number, TOKEN_VARIABLE),
                )
                warned.add(number)
            other.send({"refused": TOKEN_VARIABLE})
            raise ConnectionError("does not know the secret")
        return {"count": count, "number": number, "nonce": nonce}

    return greet


def proof(secret: str, *facts: Any) -> str:
    """Returns an HMAC of some facts, which only those who know the secret can make."""
    key, text = secret.encode(errors="surrogateescape"), json.dumps(facts).encode()
    return hmac.new(key, text, hashlib.sha256).hexdigest()


def same_secret(own: str, theirs: Any) -> bool:
    """Compares a secret text with another's in a time that tells nothing of it."""
    if not isinstance(theirs, str):
        return False
    return hmac.compare_digest(own.encode(), theirs.encode(errors="replace"))


def _mismatch(said: dict[str, Any], count: int, there: dict[int, Any]) -> str:
    number = said["number"]
    if said["count"] != count:
        return (
            f"--num_processes is {count} in process 0 and {said['count']} in process "
            f"{number}: give both the same"
        )
    if number in there and there[number][0].is_open():
        return f"two processes have --process_id={number}: give each its own"
    return ""


def _answer(meeting: Meeting, others: list[Any], problem: str, where: Any = None):
    for other, said in others:
        own = proof(meeting.secret, said["nonce"], problem, where)
        with contextlib.suppress(OSError):
            other.send({"problem": problem, "where": where, "proof": own})


def _join(meeting: Meeting, ends: float) -> Any:
    began, told = time.monotonic(), False
    while True:
        left = ends - time.monotonic()
        try:
            answer = _exchange(meeting, max(left, 0.01))
        except OSError as error:
            why = reason(error)
            if left <= 0:
                raise UsageError(
                    f"{meeting.flag} does not answer: start process 0 there, with "
                    f"--num_processes={meeting.count} --process_id=0 ({why})"
                ) from None
            if not told and time.monotonic() > began + ANSWER_SECONDS:
                log.info("waiting for %s (%s)", meeting.flag, why)
                told = True
            time.sleep(min(0.2, max(ends - time.monotonic(), 0)))
            continue
        if answer["problem"]:
            raise UsageError(printable(answer["problem"])[:1000])
        return answer["where"]


def _exchange(meeting: Meeting, seconds: float) -> dict[str, Any]:
    """Returns process 0's answer; raises OSError for none, or for one by another."""
    other = connect(meeting.host, meeting.port, min(seconds, ANSWER_SECONDS))
    with contextlib.closing(other):
        patience = min(seconds + 1.0, ANSWER_SECONDS)
        challenge = other.receive(patience).get("challenge")
        nonce = secrets.token_hex()
        count, number = meeting.count, meeting.number
        own = proof(meeting.secret, challenge, nonce, count, number)
        hello = {"count": count, "number": number, "nonce": nonce, "proof": own}
        other.send(hello)
        answer = other.receive(seconds + ANSWER_SECONDS)
    if "refused" in answer:
        raise ConnectionError(
            f"it has another {TOKEN_VARIABLE}: give all the same, or none"
        )
    problem, where = answer.get("problem"), answer.get("where")
    own = proof(meeting.secret, nonce, problem, where)
    if not isinstance(problem, str) or not same_secret(own, answer.get("proof")):
        raise ConnectionError("a strange answer")
    return {"problem": problem, "where": where}
