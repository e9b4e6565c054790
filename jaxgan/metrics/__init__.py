"""Metrics of sets of samples; each docstring has the protocol.

`EVALUATORS` has those that training computes at each checkpoint.
"""

from collections.abc import Callable

from jaxgan.metrics.evaluators import SAMPLE_EVALUATORS, Evaluator, SampleFn
from jaxgan.metrics.feature_evaluators import FEATURE_EVALUATORS

__all__ = ["EVALUATORS", "Evaluator", "SampleFn"]

EVALUATORS: dict[str, Callable[..., Evaluator]] = {
    **SAMPLE_EVALUATORS,
    **FEATURE_EVALUATORS,
}
"""Factories of evaluators by name.

Each gets those facts of the data that it has a keyword parameter for: `example`, an
`ExampleSpec`; `modes`, those of a toy set or None; and `held_out`, real examples that
training does not see, or None. An argument may name an extractor, such as
`fd(classifier)`, which is a `metrics.features.shared.SharedExtractor`.
"""
