"""The flags of scores of anomalies, which several programs share."""

import sys

from jaxgan.config.flags import Parser, format_value, parse_float, parse_numbers
from jaxgan.errors import UsageError

USUAL_RATE = 0.01
"""The default of `--false_alarms`."""

LEAST_RATE, MOST_RATE = 1e-6, 0.5

WEIGHTS = "pixels=1,features=1"
"""An example of `--weights`."""


def check_rate(rate: float) -> float:
    """Returns a rate of false alarms if it is one.

    Raises:
      UsageError: naming the range.
    """
    if not LEAST_RATE <= rate <= MOST_RATE:  # also for NaN
        raise UsageError(
            f"--false_alarms={format_value(rate)}: must be from {LEAST_RATE:f} to "
            f"{MOST_RATE}, such as --false_alarms={USUAL_RATE} for one in a hundred"
        )
    return rate


def parse_weights(text: str) -> dict[str, float]:
    """Returns the weights of the parts of a score by name.

    Raises:
      UsageError: for another form, or a weight below 0.

    >>> parse_weights("pixels=1, latent=0.5")
    {'pixels': 1.0, 'latent': 0.5}
    """
    return parse_numbers("weights", text, sys.float_info.max, WEIGHTS)


def add_anomaly_flags(parser: Parser) -> None:
    """Adds the flags of the threshold and of the weights, without defaults."""
    parser.add_argument(
        "--false_alarms",
        type=parse_float,
        help="share of normal pictures that may count as anomalies; the threshold is "
        f"set on held-out normal examples (default: {USUAL_RATE})",
    )
    parser.add_argument(
        "--weights",
        help=f"weights of the parts of the score, such as {WEIGHTS} (default: chosen "
        "on held-out normal examples, or those of the task for --score_weights=task "
        "and runs of earlier versions)",
    )
