"""Trains a GAN: `python -m jaxgan.train --dataset=mnist`."""

import sys
from collections.abc import Sequence

from jaxgan.cli import program
from jaxgan.config.resolve import parse_args
from jaxgan.experiment.cpu_devices import request
from jaxgan.training.fit import fit


@program
def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line and returns the exit code."""
    config = parse_args(argv)
    request(config)
    return fit(config)


if __name__ == "__main__":
    sys.exit(main())
