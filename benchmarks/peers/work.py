"""How many FLOP a step takes: one figure for all contestants of a row.

Counted are products of matrices and convolutions, two for each multiplication with its
addition, in our own compiled step without dead code, in the plain form that GPUs and
TPUs get (not as `networks/ops/convolutions.py` rearranges it for a CPU). Nothing runs.
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
    """Compiles the step of a job for this CPU, to read it."""
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
