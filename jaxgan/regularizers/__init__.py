"""What is added to an adversarial loss, on either side."""

from collections.abc import Callable

from jaxgan.core import Term
from jaxgan.regularizers.features import (
    auxiliary_classifier,
    feature_matching,
    mutual_information,
)
from jaxgan.regularizers.logits import consistency, lecam
from jaxgan.regularizers.memory import every
from jaxgan.regularizers.slopes import (
    approximate_r1,
    approximate_r2,
    dragan,
    gradient_penalty,
    path_length,
    r1,
    r2,
    slope,
)
from jaxgan.regularizers.weights import orthogonal

REGULARIZERS: dict[str, Callable[..., Term]] = {
    f.__name__: f
    for f in (
        r1,
        r2,
        approximate_r1,
        approximate_r2,
        gradient_penalty,
        dragan,
        lecam,
        consistency,
        feature_matching,
        path_length,
        orthogonal,
        auxiliary_classifier,
        mutual_information,
        every,
    )
}

__all__ = [
    "REGULARIZERS",
    "approximate_r1",
    "approximate_r2",
    "auxiliary_classifier",
    "consistency",
    "dragan",
    "every",
    "feature_matching",
    "gradient_penalty",
    "lecam",
    "mutual_information",
    "orthogonal",
    "path_length",
    "r1",
    "r2",
    "slope",
]
