"""Draws from a checkpoint: `python -m jaxgan.sample --workdir=runs/mnist-default`."""

import sys
from collections.abc import Sequence

from jaxgan.cli import run_main
from jaxgan.config.sampling import parse_args
from jaxgan.environment import start_jax


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit code."""

    def draw():
        request = parse_args(
            argv
        )  # before jax is imported, so that --help answers at once
        start_jax()
        from jaxgan.evaluation.sampler import sample

        return sample(request)

    return run_main(draw)


if __name__ == "__main__":
    sys.exit(main())
