"""Draws from a checkpoint: `python -m jaxgan.sample --workdir=runs/mnist-default`."""

import sys
from collections.abc import Sequence

from jaxgan.program import guarded
from jaxgan.request import parse


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit code."""

    def draw():
        request = parse(argv)  # before jax is imported, so that --help answers at once
        from jaxgan.sampler import sample

        return sample(request)

    return guarded(draw)


if __name__ == "__main__":
    sys.exit(main())
