"""Plans a run on a TPU slice: `python -m jaxgan.plan --topology=v5e:4x4`."""

import sys
from collections.abc import Sequence

from jaxgan.cli import run_main
from jaxgan.config.planning import parse
from jaxgan.environment import start_jax


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit code."""

    def answer():
        question = parse(argv)  # before jax is imported, so that --help answers at once
        from jaxgan.performance.planning.settings import settle

        settle(question.topologies)
        start_jax()
        from jaxgan.performance.planning.planner import plan

        return plan(question)

    return run_main(answer)


if __name__ == "__main__":
    sys.exit(main())
