"""Registers the toys of `anomaly_toys`, for `--import`."""

import anomaly_toys

anomaly_toys.register()
