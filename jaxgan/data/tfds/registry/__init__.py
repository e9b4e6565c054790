"""Data sets of pictures from packages of npm, PyPI and Debian, in TFDS's layout."""

from jaxgan.data.tfds.registry.drawings import DRAWINGS
from jaxgan.data.tfds.registry.emoji import EMOJI
from jaxgan.data.tfds.registry.faces import FACES
from jaxgan.data.tfds.registry.icons import ICONS
from jaxgan.data.tfds.registry.photographs import PHOTOGRAPHS
from jaxgan.data.tfds.registry.recipe import Recipe

RECIPES: dict[str, Recipe] = {**EMOJI, **DRAWINGS, **FACES, **ICONS, **PHOTOGRAPHS}
"""Recipes of the data sets by name."""
