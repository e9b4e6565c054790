"""The flags of `python -m jaxgan.doctor`."""

import dataclasses
import math
from collections.abc import Sequence

from jaxgan.config.flags import Parser, parse_float
from jaxgan.errors import UsageError
from jaxgan.files import local_path

SECONDS = 10.0
MOST_SECONDS = 600.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class DoctorConfig:
    """The checks to make."""

    data_dir: str = ""
    """The folder of prepared data sets; empty for the default of TFDS."""
    seconds: float = SECONDS
    """Of training after compilation; 0 for none."""
    offline: bool = False
    """True to send no request."""


def parse_args(argv: Sequence[str] | None = None) -> DoctorConfig:
    """Returns the configuration of a command line.

    Args:
      argv: arguments; those of the program if None.

    Raises:
      UsageError: naming the flag and a value that works.
    """
    args = make_parser().parse_flags(argv)
    seconds = args.seconds
    if not (math.isfinite(seconds) and 0 <= seconds <= MOST_SECONDS):
        raise UsageError(
            f"--seconds={seconds:g}: must be from 0 (no training) to "
            f"{MOST_SECONDS:.0f}, such as --seconds={SECONDS:g}"
        )
    folder = str(local_path("--data_dir", args.data_dir)) if args.data_dir else ""
    return DoctorConfig(data_dir=folder, seconds=seconds, offline=args.offline)


def make_parser() -> Parser:
    """Returns the parser of the program."""
    parser = Parser(
        "python -m jaxgan.doctor",
        description="Check this installation: versions, devices, folders, servers of "
        "data sets, and a short training. Attach the output to a report of a fault.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--data_dir", default="", metavar="DIR", help="folder of prepared data sets")
    add(
        "--seconds",
        type=parse_float,
        default=SECONDS,
        metavar="FLOAT",
        help=f"time of training after compilation, 0 for none (default: {SECONDS:g})",
    )
    add("--offline", action="store_true", help="send no request to servers of data")
    return parser
