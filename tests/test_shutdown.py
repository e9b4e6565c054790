"""Signals that stop a run, and those that a program is to ignore."""

import os
import signal
import subprocess
import sys

import pytest

from jaxgan.training.shutdown import catch_signals


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_gives_its_exit_code(name):
    number = getattr(signal, name)
    before = signal.getsignal(number)
    with catch_signals() as ask:
        assert ask() == 0
        os.kill(os.getpid(), number)
        assert ask() == 128 + number
    assert signal.getsignal(number) == before


def test_a_hangup_that_is_ignored_stays_ignored():
    """As nohup leaves it."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with catch_signals() as ask:
            os.kill(os.getpid(), signal.SIGHUP)
            assert ask() == 0
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_where_others_wait_a_second_signal_is_an_exception():
    with catch_signals(alone=False) as ask:
        os.kill(os.getpid(), signal.SIGINT)
        assert ask() == 130
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


TWICE = """
import os, signal, sys
from jaxgan.training.shutdown import catch_signals

class Late:
    def __del__(self):  # an exception in here would be printed, and passed over
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), getattr(signal, sys.argv[1]))

with catch_signals():
    Late()
    print("went on")
"""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_second_signal_ends_the_program_at_once_and_quietly(name):
    done = subprocess.run([sys.executable, "-c", TWICE, name], capture_output=True)
    assert done.returncode == 128 + getattr(signal, name)
    assert (done.stdout, done.stderr) == (b"", b"\nerror: interrupted\n")


def test_a_second_signal_ends_a_program_whose_terminal_is_gone():
    code = TWICE.replace("with catch", "os.close(2)\nwith catch")
    done = subprocess.run([sys.executable, "-c", code, "SIGHUP"], capture_output=True)
    assert done.returncode == 128 + signal.SIGHUP
