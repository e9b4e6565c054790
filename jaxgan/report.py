"""Writes the report of a run: `python -m jaxgan.report --workdir=runs/1`."""

import sys
from collections.abc import Sequence

from jaxgan.cli import program
from jaxgan.config.reports import parse_args


@program
def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line and returns the exit code."""
    config = parse_args(argv)
    # No device is opened: a TPU may be in use by the run that is looked at.
    from jaxgan.sharing.report.report import report

    return report(config)


if __name__ == "__main__":
    sys.exit(main())
