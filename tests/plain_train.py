"""Trains like `python -m jaxgan.train`, without curves and a report at the end.

Their libraries take longer than a tiny run.
"""

import sys

from jaxgan import train
from jaxgan.config.training import Config


def fit(config: Config) -> int:
    """Trains as `jaxgan.training.fit` does."""
    # Imports jax, for which the program has set the environment by now.
    from jaxgan.reporting import metric_writer
    from jaxgan.sharing.report import report

    report.write_safely = lambda folder: None
    metric_writer.losses_plot = lambda *_: True
    return original(config)


if __name__ == "__main__":
    original, train.fit = train.fit, fit
    sys.exit(train.main())
