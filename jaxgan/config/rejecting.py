"""The flags of `python -m jaxgan.sample` that leave out samples."""

import argparse
from collections.abc import Sequence
from typing import NamedTuple

from jaxgan.config.flags import Parser, parse_float, parse_int, shorten
from jaxgan.errors import UsageError

REJECTS = ("none", "discriminator", "classifier")

MOST_PROPOSALS = 10_000

LEAST_SHARE = 0.01


class RejectFlags(NamedTuple):
    """The way in which samples are rejected."""

    reject: str = "none"
    """One of `REJECTS`."""
    reject_share: float = 0.5
    """Share of proposals that the discriminator rejects on average."""
    max_proposals: int = 100
    """Largest number of proposals for one sample, on average over those of a class."""


def rejection_of(args: argparse.Namespace) -> RejectFlags:
    """Returns the flags of rejection."""
    usual = RejectFlags()
    given = {name: getattr(args, name) for name in usual._fields}
    chosen = {name: x for name, x in given.items() if x is not None}
    if args.interpolate and chosen.get("reject", "none") != "none":
        raise UsageError(
            f"--interpolate draws a row between two samples, of which none can be left "
            f"out: leave out --reject={args.reject}"
        )
    return check_rejection(usual._replace(**chosen), tuple(chosen))


def check_rejection(flags: RejectFlags, given: Sequence[str] = ()) -> RejectFlags:
    """Returns flags of rejection if they are in their ranges.

    Args:
      flags: the flags.
      given: the names of those that are not defaults, which must have an effect.

    Raises:
      UsageError: naming the flag and a value that works.
    """
    if flags.reject not in REJECTS:
        raise UsageError(
            f"--reject={shorten(flags.reject)}: choose none, discriminator or "
            "classifier"
        )
    needed = {"reject_share": ("discriminator",), "max_proposals": REJECTS[1:]}
    for name, ways in needed.items():
        if name in given and flags.reject not in ways:
            raise UsageError(
                f"--{name} has no effect with --reject={flags.reject}: add "
                f"--reject={ways[0]}, or leave it out"
            )
    if not LEAST_SHARE <= flags.reject_share <= 1 - LEAST_SHARE:  # also for NaN
        raise UsageError(
            f"--reject_share={flags.reject_share:g}: must be from {LEAST_SHARE} to "
            f"{1 - LEAST_SHARE}, such as --reject_share=0.5"
        )
    if not 1 <= flags.max_proposals <= MOST_PROPOSALS:
        raise UsageError(
            f"--max_proposals={flags.max_proposals}: must be from 1 to "
            f"{MOST_PROPOSALS:,}, such as --max_proposals=100"
        )
    return flags


def add_rejection(parser: Parser) -> None:
    """Adds the flags that leave out samples, without defaults."""
    add, usual = parser.add_argument, RejectFlags()
    add(
        "--reject",
        help="samples to leave out: none, discriminator (rather those that it judges "
        "to be generated), or classifier (those that a classifier of the training set "
        f"sees in another class than asked for) (default: {usual.reject})",
    )
    add(
        "--reject_share",
        type=parse_float,
        help="of --reject=discriminator: the share that is left out (default: "
        f"{usual.reject_share})",
    )
    add(
        "--max_proposals",
        type=parse_int,
        help="of --reject: the largest number of proposals for one sample, after which "
        f"it stops (default: {usual.max_proposals})",
    )
