"""Data sets of pictures and sounds from npm, PyPI and Debian, in TFDS's layout."""

from jaxgan.data.tfds.registry.digits import DIGITS
from jaxgan.data.tfds.registry.drawings import DRAWINGS
from jaxgan.data.tfds.registry.emoji import EMOJI
from jaxgan.data.tfds.registry.faces import FACES
from jaxgan.data.tfds.registry.icons import ICONS
from jaxgan.data.tfds.registry.notes import NOTES
from jaxgan.data.tfds.registry.photographs import PHOTOGRAPHS
from jaxgan.data.tfds.registry.recipe import Recipe
from jaxgan.data.tfds.registry.speech import SPEECH

RECIPES: dict[str, Recipe] = {
    **EMOJI,
    **DRAWINGS,
    **FACES,
    **ICONS,
    **PHOTOGRAPHS,
    **SPEECH,
    **NOTES,
    **DIGITS,
}
"""Recipes of the data sets by name."""
