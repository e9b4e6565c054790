"""Inverts pictures: `python -m jaxgan.invert --workdir=RUN photo.png`."""

import sys
from collections.abc import Sequence

from jaxgan.cli import program
from jaxgan.config.inverting import parse_args
from jaxgan.environment import start_jax


@program
def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line and returns the exit code."""
    config = parse_args(argv)  # jax is not imported yet, so that --help is fast
    start_jax()
    from jaxgan.evaluation.invert import invert

    return invert(config)


if __name__ == "__main__":
    sys.exit(main())
