"""Registers the toys of `kinds` when it is imported."""

import kinds

kinds.register()
