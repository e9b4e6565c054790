"""Evaluates a run or a set: `python -m jaxgan.evaluate --workdir=runs/mnist`."""

import sys
from collections.abc import Sequence

from jaxgan.cli import program
from jaxgan.config.evaluating import parse_args
from jaxgan.distributed.initialize import initialize
from jaxgan.environment import start_jax


@program
def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line and returns the exit code."""
    config = parse_args(argv)  # jax is not imported yet, so that --help is fast
    with initialize(config.processes):
        start_jax()
        from jaxgan.evaluation import report

        return report.evaluate(config)


if __name__ == "__main__":
    sys.exit(main())
