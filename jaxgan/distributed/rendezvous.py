"""Waits until all processes are connected, before `jax.distributed` starts.

If a process is missing, jax would abort the others. Here process 0 listens at the
coordinator's address first and answers the others when all have connected. Each side
proves that it knows the run's secret, if there is one. This module does not import jax.
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
"""Seconds to wait for a first answer, and until waiting is logged."""

TOKEN_VARIABLE = "JAXGAN_TOKEN"
"""The environment variable with the secret of a run."""


class Meeting(NamedTuple):
    """The address of process 0, and the number of this process."""

    host: str
    port: int
    count: int
    """Number of processes."""
    number: int
    """Number of this process, from 0."""
    secret: str
    """The secret that all processes share, or an empty string."""

    @property
    def flag(self) -> str:
        """The flag with the address, as a user writes it."""
        return f"--coordinator={address(self.host, self.port)}"


def meet(
    place: str,
    count: int,
    number: int,
    wait: float,
    where: Any = None,
    secret: str = "",
) -> Any:
    """Waits until all processes are connected, and sends `where` to all of them.

    Args:
      place: `host:port` of process 0.
      count: number of processes.
      number: number of this process, from 0.
      wait: maximum time to wait, in seconds.
      where: in process 0, a JSON value: the address to which the others connect next.
      secret: shared by all processes. A process with another one is rejected.

    Returns:
      The `where` of process 0.

    Raises:
      UsageError: naming the flags, if the address is invalid, if processes are missing
        after `wait` seconds, or if their flags do not fit together.
    """
    host, port = split_address(place)
    if not 0 <= number < count:
        raise UsageError(
            f"--process_id={number}: must be from 0 to {count - 1} with "
            f"--num_processes={count}"
        )
    meeting = Meeting(host, port, count, number, secret)
    ends = time.monotonic() + wait
    # Process 0 listens, and the others connect to it.
    if number == 0:
        _await_all(meeting, ends, where)
        return where
    return _join(meeting, ends)


def split_address(place: str) -> tuple[str, int]:
    """Splits an address into host and port.

    Raises:
      UsageError: if the text is not a valid address.

    >>> split_address("127.0.0.1:1234"), split_address("[::1]:1234")
    (('127.0.0.1', 1234), ('::1', 1234))
    """
    # `[IPv6]:port` or `host:port`.
    match = re.fullmatch(r"(?:\[([\w:.%]+)\]|([^\[\]:\s]+)):([0-9]{1,5})", place)
    host = (match[1] or match[2]) if match else ""
    port = int(match[3]) if match else 0
    if not _is_name(host) or not 0 < port < 2**16:
        raise UsageError(
            f"--coordinator={printable(place[:80])}: use HOST:PORT of process 0, such "
            "as 127.0.0.1:1234 or [::1]:1234"
        )
    return host, port


def _is_name(host: str) -> bool:
    """Returns True if `host` can be looked up."""
    try:
        return host.isprintable() and bool(host.encode("idna"))
    except UnicodeError:  # a label that is empty or too long
        return False


def listen_at(host: str, port: int, flag: str) -> socket.socket:
    """Returns a listening socket.

    Raises:
      UsageError: naming `flag`, if the address cannot be used.
    """
    try:
        return listen(host, port)
    except OSError as error:
        raise UsageError(
            f"{flag}: process 0 cannot listen there ({reason(error)}); use an address "
            "of its own machine and a free port"
        ) from None


def _await_all(meeting: Meeting, ends: float, where: Any) -> None:
    """In process 0: accepts the other processes and answers when all are connected.

    Raises:
      UsageError: after sending it to the others, if some are missing at the time `ends`
        or their flags do not fit.
    """
    count = meeting.count
    joined: dict[int, tuple[Connection, dict[str, Any]]] = {}
    with contextlib.ExitStack() as stack:
        flag = meeting.flag
        listener = stack.enter_context(listen_at(meeting.host, meeting.port, flag))

        def over() -> bool:
            # Forget processes that died while waiting: they may be started again.
            if len(joined) == count - 1:
                for number in [n for n, (x, _) in joined.items() if not x.is_open()]:
                    del joined[number]
            return len(joined) == count - 1 or time.monotonic() >= ends

        for other, hello in arrivals(listener, _challenge(meeting), over):
            stack.callback(other.close)
            problem = _mismatch(hello, count, joined)
            # Inform all processes, so that none waits until its timeout.
            if problem:
                _answer(meeting, [(other, hello), *joined.values()], problem)
                raise UsageError(problem)
            joined[hello["number"]] = other, hello
        # Time is over, or all have connected.
        missing = sorted(set(range(1, count)) - set(joined))
        problem = ""
        if missing:
            problem = (
                f"processes {missing} of --num_processes={count} did not connect to "
                f"{flag} in time: start them with the same flags and their own "
                "--process_id"
            )
        _answer(meeting, list(joined.values()), problem, where)
        if problem:
            raise UsageError(problem)


def _challenge(meeting: Meeting) -> Any:
    """Returns greet(connection) -> the hello of a process that knows the secret."""
    warned: set[int] = set()

    def greet(other: Connection) -> dict[str, Any]:
        # The peer proves that it knows the secret, without sending it.
        challenge = secrets.token_hex()
        other.send({"challenge": challenge})
        hello = other.receive(GREETING_SECONDS)
        # The hello is untrusted: check types and ranges first.
        count, number, nonce = (hello.get(x) for x in ("count", "number", "nonce"))
        if type(count) is not int or type(number) is not int:
            raise ConnectionError("it is not a process of this run")
        if not 0 < number < max(count, 1) or not isinstance(nonce, str):
            raise ConnectionError("it is not a process of this run")
        # The proof covers random values of both sides, so it cannot be used again.
        expected = proof(meeting.secret, challenge, nonce, count, number)
        if not same_secret(expected, hello.get("proof")):
            # Warn once, as the process tries again.
            if number < meeting.count and number not in warned:
                log.warning(
                    "process %d has a different %s: use the same in all, or none",
                    *(number, TOKEN_VARIABLE),
                )
                warned.add(number)
            other.send({"refused": TOKEN_VARIABLE})
            raise ConnectionError("it does not know the secret")
        return {"count": count, "number": number, "nonce": nonce}

    return greet


def proof(secret: str, *facts: Any) -> str:
    """Returns the HMAC-SHA256 of some facts, in hexadecimal, with the secret as key."""
    # An environment variable may hold bytes that are not UTF-8.
    key, text = secret.encode(errors="surrogateescape"), json.dumps(facts).encode()
    return hmac.new(key, text, hashlib.sha256).hexdigest()


def same_secret(own: str, theirs: Any) -> bool:
    """Returns True if two secret texts are equal, in time independent of them."""
    if not isinstance(theirs, str):
        return False
    return hmac.compare_digest(own.encode(), theirs.encode(errors="replace"))


def _mismatch(hello: dict[str, Any], count: int, joined: dict[int, Any]) -> str:
    """Returns what is wrong with the flags of a new process, or an empty string."""
    number = hello["number"]
    if hello["count"] != count:
        return (
            f"--num_processes is {count} in process 0 and {hello['count']} in process "
            f"{number}: use the same value in both"
        )
    if number in joined and joined[number][0].is_open():
        return f"two processes have --process_id={number}: use a different one for each"
    return ""


def _answer(
    meeting: Meeting, others: list[Any], problem: str, where: Any = None
) -> None:
    """Sends the outcome to the other processes, with a proof for each."""
    for other, hello in others:
        # The nonce of each process makes its answer unique.
        signature = proof(meeting.secret, hello["nonce"], problem, where)
        with contextlib.suppress(OSError):
            other.send({"problem": problem, "where": where, "proof": signature})


def _join(meeting: Meeting, ends: float) -> Any:
    """In the other processes: connects to process 0, and returns its `where`.

    Raises:
      UsageError: if process 0 does not answer until `ends`, or reports a problem.
    """
    began, logged = time.monotonic(), False
    while True:
        left = ends - time.monotonic()
        # Process 0 may start later, so retry until the deadline.
        try:
            answer = _exchange(meeting, max(left, 0.01))
        except OSError as error:
            why = reason(error)
            if left <= 0:
                raise UsageError(
                    f"{meeting.flag} does not answer: start process 0 there, with "
                    f"--num_processes={meeting.count} --process_id=0 ({why})"
                ) from None
            # Logged once.
            if not logged and time.monotonic() > began + ANSWER_SECONDS:
                log.info("waiting for %s (%s)", meeting.flag, why)
                logged = True
            # Pause between attempts, but not beyond the deadline.
            time.sleep(min(0.2, max(ends - time.monotonic(), 0)))
            continue
        if answer["problem"]:
            raise UsageError(printable(answer["problem"])[:1000])
        return answer["where"]


def _exchange(meeting: Meeting, seconds: float) -> dict[str, Any]:
    """Returns the answer of process 0.

    Raises:
      OSError: if there is no answer, or it is not from process 0 of this run.
    """
    other = connect(meeting.host, meeting.port, min(seconds, ANSWER_SECONDS))
    with contextlib.closing(other):
        # Another program may listen there and send nothing.
        patience = min(seconds + 1.0, ANSWER_SECONDS)
        challenge = other.receive(patience).get("challenge")
        # A random value that only an answer to this attempt can include.
        nonce = secrets.token_hex()
        count, number = meeting.count, meeting.number
        signature = proof(meeting.secret, challenge, nonce, count, number)
        hello = {"count": count, "number": number, "nonce": nonce, "proof": signature}
        other.send(hello)
        # Process 0 answers when all processes have connected, or at its deadline.
        answer = other.receive(seconds + ANSWER_SECONDS)
    if "refused" in answer:
        raise ConnectionError(
            f"it has a different {TOKEN_VARIABLE}: use the same in all, or none"
        )
    # Process 0 proves that it knows the secret too.
    problem, where = answer.get("problem"), answer.get("where")
    expected = proof(meeting.secret, nonce, problem, where)
    if not isinstance(problem, str) or not same_secret(expected, answer.get("proof")):
        raise ConnectionError("the answer is not from process 0 of this run")
    return {"problem": problem, "where": where}
