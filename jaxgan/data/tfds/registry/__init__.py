"""Data sets of pictures from packages of npm, PyPI and Debian, in TFDS's layout."""

from jaxgan.data.tfds.registry.emoji import EMOJI
from jaxgan.data.tfds.registry.recipe import Recipe

RECIPES: dict[str, Recipe] = {**EMOJI}
"""Recipes of the data sets by name."""
