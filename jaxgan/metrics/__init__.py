"""Metrics of sets of samples; each docstring has the protocol.

`EVALUATORS` has those that training computes at each checkpoint.
"""

from collections.abc import Callable

from jaxgan.metrics.evaluators import SAMPLE_EVALUATORS, Evaluator, SampleFn
from jaxgan.metrics.feature_evaluators import FEATURE_EVALUATORS
from jaxgan.metrics.pair_evaluators import PAIR_EVALUATORS
from jaxgan.metrics.spectral import SPECTRAL_EVALUATORS
from jaxgan.metrics.text_evaluators import TEXT_EVALUATORS

__all__ = ["EVALUATORS", "Evaluator", "SampleFn"]

EVALUATORS: dict[str, Callable[..., Evaluator]] = {
    **SAMPLE_EVALUATORS,
    **FEATURE_EVALUATORS,
    **PAIR_EVALUATORS,
    **SPECTRAL_EVALUATORS,
    **TEXT_EVALUATORS,
}
"""Factories of evaluators by name.

Each gets those facts of the data that it has a keyword parameter for: `example`, an
`ExampleSpec`; `modes`, those of a toy set or None; `held_out`, real examples that
training does not see, or None; `train`, the training set, or None before it is read;
`task`, a `Task`, or None before there are data; and `aligned`, True if the samples of
that task have targets. An argument may name an
extractor, such as `fd(classifier)`: a `metrics.features.shared.SharedExtractor`.
"""
