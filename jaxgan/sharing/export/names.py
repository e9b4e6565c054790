"""Names of arrays in files of weights."""

from collections.abc import Mapping

import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from jaxgan.sharing.export.bundle import Bundle
from jaxgan.types import Players, Tree

SEPARATOR = "/"


def flat_arrays(bundle: Bundle) -> dict[str, np.ndarray]:
    """Returns the arrays to write, by names like `generator/params/Dense_0/kernel`."""
    trees = {"generator": bundle.variables.generator}
    if "discriminator" in bundle.parts:
        trees["discriminator"] = bundle.variables.discriminator
    flat = flatten_dict(trees, sep=SEPARATOR)
    # Files hold contiguous arrays only.
    return {name: np.ascontiguousarray(x) for name, x in flat.items()}


def to_players(arrays: Mapping[str, np.ndarray]) -> Players[Tree | None]:
    """Returns the variables of the players in the arrays of a file.

    >>> to_players({"generator/params/b": np.zeros(2)}).generator
    {'params': {'b': array([0., 0.])}}
    """
    trees = unflatten_dict(dict(arrays), sep=SEPARATOR)
    return Players(trees.get("generator"), trees.get("discriminator"))
