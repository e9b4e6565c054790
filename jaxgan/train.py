"""Trains a GAN: `python -m jaxgan.train --dataset=mnist`."""

import sys
from collections.abc import Sequence

from jaxgan.cli import run_main
from jaxgan.config.training import parse_args
from jaxgan.distributed import initialize
from jaxgan.environment import start_jax


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit code."""

    def train():
        config = parse_args(
            argv
        )  # before jax is imported, so that --help answers at once
        with initialize(config):
            start_jax()
            from jaxgan.training.trainer import train

            return train(config)

    return run_main(train)


if __name__ == "__main__":
    sys.exit(main())
