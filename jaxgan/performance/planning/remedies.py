"""Searches for flags that make a step fit, by compiling it."""

import dataclasses
import itertools
import logging
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from jaxgan.config.training import Config
from jaxgan.errors import UsageError
from jaxgan.performance.planning.checks import fits
from jaxgan.performance.planning.chips import Slice
from jaxgan.performance.planning.compiling import DoesNotFit, Step

log = logging.getLogger("jaxgan")


class Remedy(NamedTuple):
    """Flags that were tried, and their result."""

    flags: str
    needed: float
    """Bytes per device."""
    step: Step | None
    """The compiled step, if it fits."""


def changes(config: Config) -> Iterator[dict[str, Any]]:
    """Yields the changes to try: single ones first, then several at once.

    Within each group, smaller batches come last.

    >>> [list(x) for x in itertools.islice(changes(Config()), 3)]
    [['remat'], ['precision'], ['shard_state']]
    """
    # Single flags that are not set yet.
    first: list[dict[str, Any]] = [
        {name: value}
        for name, value in (
            ("remat", True),
            ("precision", "mixed"),
            ("shard_state", True),
        )
        if getattr(config, name) != value
    ]
    # More micro-batches need less memory for the same batch.
    parts: list[dict[str, Any]] = [
        {"accumulate": config.accumulate * n} for n in (2, 4, 8)
    ]
    # A fraction of the batch, if it divides.
    smaller: list[dict[str, Any]] = [
        {"batch_size": config.batch_size // n, "batch_per_device": 0}
        for n in (2, 4, 8)
        if config.batch_size % n == 0
    ]
    yield from first
    yield from parts
    yield from smaller
    # Several at once: two, all, then all with more micro-batches or a smaller batch.
    sums = [dict(_joined(first[:n])) for n in range(2, len(first) + 1)]
    yield from sums
    # All single flags together.
    most = sums[-1] if sums else dict(_joined(first))
    if most:
        yield from ({**most, **part} for part in parts)
        yield from ({**most, **part} for part in smaller)
    # Last: the most micro-batches and a smaller batch.
    for part, less in itertools.product(parts[-1:], smaller):
        yield {**most, **part, **less}


def _joined(several: list[dict[str, Any]]) -> Iterator[tuple[str, Any]]:
    for one in several:
        yield from one.items()


def written(change: dict[str, Any]) -> str:
    """Formats a change as flags.

    >>> written({"remat": True, "accumulate": 2})
    '--remat --accumulate=2'
    """
    return " ".join(
        f"--{name}" if value is True else f"--{name}={value}"
        for name, value in change.items()
        # A 0 only clears the batch per device in favor of --batch_size.
        if not (name == "batch_per_device" and value == 0)
    )


def search(
    config: Config, slice_: Slice, compile_: Callable[[Config], Step]
) -> list[Remedy]:
    """Tries changes until one fits.

    Changes that are impossible (a batch that does not divide) are skipped.

    Args:
      config: the config that does not fit.
      slice_: the slice that it should fit on.
      compile_: compiles the step of a config.

    Returns:
      All changes that were tried. Only the last one can fit, and its `step` is None if
      it does not.
    """
    tried = []
    for change in changes(config):
        flags = written(change)
        try:
            step = compile_(dataclasses.replace(config, **change))
        except UsageError:
            # Training would refuse this combination.
            continue
        except DoesNotFit as error:
            tried.append(Remedy(flags, error.needed, None))
        else:
            # A step that compiles may still exceed the limit of the slice.
            fit = fits(step, slice_)
            tried.append(Remedy(flags, step.memory.total, step if fit else None))
        log.info("  tried %s: %.2f GiB", flags, tried[-1].needed / 2**30)
        if tried[-1].step:
            break
    return tried
