"""Do generated images help? `python -m jaxgan.augment --dataset=mnist`."""

import sys
from collections.abc import Sequence

from jaxgan.cli import program
from jaxgan.config.augmenting import parse_args
from jaxgan.environment import start_jax


@program
def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line and returns the exit code."""
    config = parse_args(argv)
    start_jax()
    from jaxgan.training import augmentation

    return augmentation.augment(config)


if __name__ == "__main__":
    sys.exit(main())
