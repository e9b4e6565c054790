"""Registers the toys of `maps`, for `--import`."""

import maps

maps.register()
