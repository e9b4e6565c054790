"""FLOP of a step: one figure for all contestants of a table.

The count includes matrix products and convolutions of our own compiled step without
dead code, with two FLOP for each multiplication and its addition. The step has the
plain form for GPUs and TPUs (not the one of `networks/ops/convolutions.py` for CPUs).
Nothing is run.
"""

from typing import Any

import jax

from jaxgan import parallel
from jaxgan.networks.ops.platform import compiling_for
from jaxgan.performance.hlo import parser
from jaxgan.performance.hlo.cost import work_of
from peers import protocol
from peers.ours import config_of, counts, program_of
from peers.protocol import Contestant


def build(job: dict[str, Any]) -> Contestant:
    """Compiles the step of a job for this CPU and counts its FLOP."""
    config, shape = config_of(job), tuple(job["shape"])
    layout = parallel.layout_of(parallel.choose_devices(1))
    key = jax.random.key(0)
    with compiling_for("gpu"):
        gan, feed, _, programs = program_of(config, shape, job["examples"], layout)
        state = jax.eval_shape(gan.init, key)
        program = programs(1, state, feed.at(0, 1), key)
    work = work_of(parser.parse(program.as_text()), 1)
    facts = {
        "flops_per_step": work.flops,
        "parameters": counts(state),
        "d_updates": config.d_updates,
    }
    return Contestant(lambda steps: steps, lambda: 0, facts)


if __name__ == "__main__":
    protocol.serve(build)
