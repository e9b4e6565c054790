"""Plans a run on a TPU slice: `python -m jaxgan.plan --topology=v5e:4x4`."""

import sys
from collections.abc import Sequence

from jaxgan.cli import program
from jaxgan.config.planning import parse_args
from jaxgan.environment import start_jax
from jaxgan.experiment.cpu_devices import request


@program
def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line and returns the exit code."""
    config = parse_args(argv)  # jax is not imported yet, so that --help is fast
    from jaxgan.performance.planning.settings import set_environment

    set_environment(config.topologies)
    if "local" in config.topologies:
        request(config.config)
    start_jax()
    from jaxgan.performance.planning import planner

    return planner.plan(config)


if __name__ == "__main__":
    sys.exit(main())
