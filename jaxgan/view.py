"""Shows runs and the lab in a browser: `python -m jaxgan.view --workdir=runs/1`."""

import sys
from collections.abc import Sequence

from jaxgan.cli import program
from jaxgan.config.viewing import parse_args
from jaxgan.environment import start_jax


@program
def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line and returns the exit code."""
    config = parse_args(argv)  # jax is not imported yet, so that --help is fast
    start_jax()
    from jaxgan.viewer import server

    return server.view(config)


if __name__ == "__main__":
    sys.exit(main())
