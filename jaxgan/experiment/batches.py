"""Checks that batches divide over devices, and that flags of devices have an effect."""

import logging

from jaxgan import parallel
from jaxgan.config.training import Config
from jaxgan.errors import UsageError
from jaxgan.ranges import ceil_div

log = logging.getLogger("jaxgan")


def check_batch_size(config: Config, layout: parallel.Layout) -> None:
    """Raises UsageError if a batch does not divide over devices and micro-batches."""
    batch, parts, devices = config.batch_size, config.accumulate, layout.parts
    each = config.batch_per_device
    if each % parts:
        raise UsageError(
            f"--batch_per_device={each} does not divide into --accumulate={parts} "
            f"parts: use --batch_per_device={ceil_div(each, parts) * parts}"
        )
    # The next larger batch size that divides.
    fits = ceil_div(batch, devices * parts) * devices * parts
    if batch % devices:
        raise UsageError(
            f"--batch_size={batch} does not divide over {devices} devices: "
            f"use --batch_size={fits} or --devices=1"
        )
    if batch % (devices * parts):
        raise UsageError(
            f"--batch_size={batch} does not divide into --accumulate={parts} "
            f"parts on each of {devices} device(s): use --batch_size={fits}"
        )


def log_unused(config: Config, layout: parallel.Layout) -> None:
    """Logs flags of several devices that share no batch, as they have no effect."""
    if layout.axis:
        return
    why = "there is one device"
    if config.runs > 1:
        why = f"each of --runs={config.runs} has its own batches"
    flags = ["--shard_state"] * config.shard_state
    flags += [f"--parallel={config.parallel}"] * (config.parallel != Config.parallel)
    if flags:
        log.info("%s without effect: %s", " and ".join(flags), why)
