"""The numbers of vectors as their features: no network."""

import numpy as np

from jaxgan.errors import UsageError
from jaxgan.metrics.features.base import Extractor, Features
from jaxgan.types import ExampleSpec


def values(*, example: ExampleSpec) -> Extractor:
    """Returns the numbers of vectors themselves, `[n, d]`, such as points of ring8.

    Args:
      example: the fields of the examples; the first one is a vector.

    Raises:
      UsageError: for images, sounds and texts, whose single numbers say little.
    """
    field = example[example.generated]
    if field.kind != "vector":
        raise UsageError(
            f"values needs vectors, not {field.kind} of shape {list(field.shape)}: use "
            "efficientnet for images, mel for sounds, minilm for texts, or classifier "
            "where there are labels"
        )

    def extract(rows: np.ndarray) -> Features:
        return Features(np.asarray(rows, np.float32).reshape(len(rows), -1))

    return Extractor("values", "none", {"layer": "numbers", "resize": "none"}, extract)
