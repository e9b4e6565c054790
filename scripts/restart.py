"""Runs a command again while it asks for that, and survives a lost connection.

    python3 restart.py --log=run.log -- python -m jaxgan.train --workdir=gs://bucket/run

`jaxgan.train` exits with 75 when its time is over or its machine is about to stop, and
with 143 when a signal stopped it after saving. After these the command runs again, a
bounded number of times; any other code is the code of this script. A SIGTERM or Ctrl-C
to this script goes to the command, which is not run again then.

With --log the command runs in the background, apart from this terminal, and its output
is shown. The same line after a lost connection shows it from the start, and does not
start a second one. `run.log.code` has the code of the last run.

It needs Python 3.8 and nothing else, so that it can be copied to any machine.
"""

import argparse
import fcntl
import signal
import subprocess
import sys
import time
from pathlib import Path

AGAIN = (75, 143)
"""Exit codes after which the command runs again."""

LONGEST = 300.0
"""The longest pause before a restart in seconds, and a run that resets the pauses."""


class Stopped(Exception):
    """This script received a signal."""


def run_again(command, restarts, backoff, say=print):
    """Runs a command until its exit code is final.

    Args:
      command: the command as a list.
      restarts: the most times that it runs again.
      backoff: seconds before the first restart. They double with each restart, unless
        the run lasted longer than `LONGEST`.
      say: is called with lines about restarts.

    Returns:
      The exit code of the last run.
    """
    pause = backoff
    for attempt in range(restarts + 1):
        started = time.monotonic()
        code, stopped = run_once(command)
        if stopped or code not in AGAIN:
            return code
        if attempt == restarts:
            break
        if time.monotonic() - started > LONGEST:
            pause = backoff
        say(
            f"restart: exit code {code}, running again in {pause:g} s "
            f"({attempt + 1} of {restarts})"
        )
        if wait_or_stop(pause):
            return code
        pause = min(2 * pause, LONGEST)
    say(f"restart: exit code {code} after {restarts} restarts, giving up")
    return code


def run_once(command):
    """Returns the exit code of a command, and True if this script was told to stop."""
    received = []
    child = None

    def forward(number, _):
        received.append(number)
        if child is not None and child.poll() is None:
            child.send_signal(number)

    old = {x: signal.signal(x, forward) for x in (signal.SIGTERM, signal.SIGINT)}
    try:
        # Its own session, so that Ctrl-C reaches it once, from here.
        child = subprocess.Popen(command, start_new_session=True)
        # A signal that came before the command started.
        if received:
            child.send_signal(received[0])
        code = child.wait()
    except OSError as error:
        print(f"error: {command[0]}: {error.strerror}", file=sys.stderr)
        return 127, bool(received)
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
    # A command that a signal killed has the negative number of the signal.
    return (code if code >= 0 else 128 - code), bool(received)


def wait_or_stop(seconds):
    """Sleeps; returns True at once if a SIGTERM or Ctrl-C arrives."""

    def stop(number, _):
        raise Stopped

    old = {x: signal.signal(x, stop) for x in (signal.SIGTERM, signal.SIGINT)}
    try:
        time.sleep(seconds)
        return False
    except Stopped:
        return True
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


def in_background(arguments, log):
    """Runs this script again apart from the terminal, unless it is running already."""
    with open(f"{log}.lock", "ab") as lock:
        if not take(lock):
            return
        code = Path(f"{log}.code")
        code.unlink(missing_ok=True)
        with open(log, "ab") as output:
            subprocess.Popen(
                [sys.executable, __file__, f"--code={code}", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                # The lock is held as long as that process runs, however it ends.
                pass_fds=[lock.fileno()],
            )


def take(lock):
    """Takes the lock of an open file; returns False if another process has it."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def running(log):
    """Returns True while the process of a log runs."""
    with open(f"{log}.lock", "ab") as lock:
        return not take(lock)


def follow(log):
    """Shows a log while its process runs; returns the exit code that it wrote."""
    code = Path(f"{log}.code")
    with open(log, errors="replace") as lines:
        while True:
            # Asked first, so that what is written before the end is still shown.
            alive = not code.exists() and running(log)
            for line in lines:
                print(line, end="", flush=True)
            if not alive:
                break
            time.sleep(0.2)
    if code.exists():
        return int(code.read_text())
    print(f"error: the run of {log} ended without an exit code", file=sys.stderr)
    return 1


def parse_args(argv):
    """Returns the flags, and the command behind `--`."""
    if "--" not in argv:
        argv = [*argv, "--"]
    split = argv.index("--")
    parser = argparse.ArgumentParser(
        prog="restart.py",
        usage="restart.py [--restarts=N] [--backoff=S] [--log=FILE] -- COMMAND",
        allow_abbrev=False,
    )
    parser.add_argument("--restarts", type=int, default=50)
    parser.add_argument("--backoff", type=float, default=10.0)
    parser.add_argument("--log")
    parser.add_argument("--code", help=argparse.SUPPRESS)
    args = parser.parse_args(argv[:split])
    args.command = argv[split + 1 :]
    if not args.command:
        parser.error("a command is missing: write it behind --")
    if not 0 <= args.restarts <= 10_000:
        parser.error(f"--restarts={args.restarts}: must be from 0 to 10,000")
    if not 0 <= args.backoff <= LONGEST:
        parser.error(f"--backoff={args.backoff:g}: must be from 0 to {LONGEST:g}")
    return args


def main(argv):
    """Runs the command, here or in the background. Returns the exit code."""
    args = parse_args(argv)
    if args.log:
        own = [f"--restarts={args.restarts}", f"--backoff={args.backoff}"]
        in_background([*own, "--", *args.command], args.log)
        return follow(args.log)
    code = run_again(
        args.command,
        args.restarts,
        args.backoff,
        say=lambda line: print(line, file=sys.stderr, flush=True),
    )
    if args.code:
        # Renamed, so that a reader never sees a part of it.
        part = Path(f"{args.code}.part")
        part.write_text(f"{code}\n")
        part.replace(args.code)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
