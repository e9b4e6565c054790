"""Runs one train step on any number of devices.

Start with `choose_devices` and `layout_of`. A `Layout` holds the devices and the
strategy: a single device, data parallelism (`pmap` or `shard_map`), a sharded state
(ZeRO) or several seeds at once. Then:

* `resident` or `streamed` makes a `Feed`, the source of the batches.
* `place`, or the strategy's `init`, puts the state on the devices.
* `make_compiler` compiles the train step for a feed and a layout.

The train step itself is the same function in all strategies.
"""

from jaxgan.parallel.devices import choose_devices as choose_devices
from jaxgan.parallel.devices import default_steps_per_call as default_steps_per_call
from jaxgan.parallel.devices import describe_devices as describe_devices
from jaxgan.parallel.devices import resident_limit as resident_limit
from jaxgan.parallel.devices import (
    warn_of_unused_accelerator as warn_of_unused_accelerator,
)
from jaxgan.parallel.feed import Feed as Feed
from jaxgan.parallel.feed import resident as resident
from jaxgan.parallel.feed import streamed as streamed
from jaxgan.parallel.layout import AXIS as AXIS
from jaxgan.parallel.layout import Layout as Layout
from jaxgan.parallel.layout import Strategy as Strategy
from jaxgan.parallel.placement import fetch_metrics as fetch_metrics
from jaxgan.parallel.placement import from_processes as from_processes
from jaxgan.parallel.placement import place as place
from jaxgan.parallel.placement import put as put
from jaxgan.parallel.placement import to_local as to_local
from jaxgan.parallel.strategies import STRATEGIES as STRATEGIES
from jaxgan.parallel.strategies import format_costs as format_costs
from jaxgan.parallel.strategies import layout_of as layout_of
from jaxgan.parallel.strategies import make_compiler as make_compiler
