"""Metrics of sets of samples; each docstring has the protocol.

`EVALUATORS` has those that training computes at each checkpoint.
"""

from jaxgan.metrics.evaluators import EVALUATORS, Evaluator, SampleFn

__all__ = ["EVALUATORS", "Evaluator", "SampleFn"]
