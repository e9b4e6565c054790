"""Adversarial losses, and the regularizers that are added to either player's loss.

A regularizer is a factory of a `Term`. `LOSSES` and `REGULARIZERS` have them by name.
"""

from collections.abc import Callable

from jaxgan.losses.adversarial import (
    LOSSES,
    hinge,
    least_squares,
    minimax,
    non_saturating,
    none,
    relativistic,
    relativistic_average,
    wasserstein,
)
from jaxgan.losses.encoder import encoder
from jaxgan.losses.features import (
    auxiliary_classifier,
    domain_classification,
    feature_matching,
    mutual_information,
)
from jaxgan.losses.gradient_penalties import (
    approximate_r1,
    approximate_r2,
    dragan,
    gradient_penalty,
    path_length,
    r1,
    r2,
    squared_gradient_norm,
)
from jaxgan.losses.likelihood import likelihood
from jaxgan.losses.logits import consistency, lecam
from jaxgan.losses.perceptual import perceptual
from jaxgan.losses.reconstruction import (
    cycle,
    cycle_l2,
    identity,
    l1,
    l2,
    total_variation,
)
from jaxgan.losses.weights import orthogonal
from jaxgan.terms import every
from jaxgan.types import Term

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
        domain_classification,
        l1,
        l2,
        cycle,
        cycle_l2,
        identity,
        perceptual,
        total_variation,
        encoder,
        likelihood,
        every,
    )
}
"""Factories of regularizers by name."""

__all__ = [
    "LOSSES",
    "REGULARIZERS",
    "approximate_r1",
    "approximate_r2",
    "auxiliary_classifier",
    "consistency",
    "cycle",
    "cycle_l2",
    "domain_classification",
    "dragan",
    "encoder",
    "every",
    "feature_matching",
    "gradient_penalty",
    "hinge",
    "identity",
    "l1",
    "l2",
    "least_squares",
    "lecam",
    "likelihood",
    "minimax",
    "mutual_information",
    "non_saturating",
    "none",
    "orthogonal",
    "path_length",
    "perceptual",
    "r1",
    "r2",
    "relativistic",
    "relativistic_average",
    "squared_gradient_norm",
    "total_variation",
    "wasserstein",
]
