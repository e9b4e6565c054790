"""Plans a run on a TPU slice: `python -m jaxgan.plan --topology=v5e:4x4`."""

import sys
from collections.abc import Sequence

from jaxgan.cli import run_main
from jaxgan.config.planning import parse_args
from jaxgan.environment import start_jax


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit code."""

    def answer():
        config = parse_args(argv)  # before jax is imported: --help answers at once
        from jaxgan.performance.planning.settings import set_environment

        set_environment(config.topologies)
        start_jax()
        from jaxgan.performance.planning.planner import plan

        return plan(config)

    return run_main(answer)


if __name__ == "__main__":
    sys.exit(main())
