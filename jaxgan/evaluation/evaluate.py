"""Evaluation during training: the score and other metrics of the moving average.

The variables are a snapshot on the host. Samples have their own keys, and the state of
the run is not read otherwise, so that evaluation does not change training.
"""

import functools
from collections.abc import Mapping, Sequence

import jax
import numpy as np

from jaxgan import data
from jaxgan.evaluation.previews import generate_in_batches
from jaxgan.gan.gan import GAN
from jaxgan.gan.objective import example_keys
from jaxgan.metrics.evaluators import Evaluator, Values, number_of
from jaxgan.types import Samples, Tree


class Evaluation:
    """Runs evaluators on samples of fixed examples and noise.

    Args:
      gan: the GAN.
      evaluators: by name; the first one has the score.
      dataset: the training examples.
      examples: the fixed ones, `[n, ...]` by field, see `fixed_examples`.
      sample_key: a PRNG key for the noise of samples.
      metric_key: a PRNG key for the evaluators.
    """

    def __init__(
        self,
        gan: GAN,
        evaluators: Mapping[str, Evaluator],
        dataset: data.Dataset,
        examples: data.Examples,
        *,
        sample_key: jax.Array,
        metric_key: jax.Array,
    ) -> None:
        self._evaluators, self._examples = dict(evaluators), examples
        self._sample_key = sample_key
        # Compiled at the first call.
        self._play = jax.jit(gan.play)
        self._dataset, self._metric_key = dataset, metric_key

    @property
    def score_name(self) -> str:
        """The name of the evaluator that has the score, such as `fd_classifier`."""
        return next(iter(self._evaluators))

    def prepare(self) -> None:
        """Computes the statistics of the real side, which `evaluate` needs, once."""
        _ = self._states

    @functools.cached_property
    def _states(self) -> dict[str, Tree]:
        """The states of the evaluators."""
        return {
            name: evaluator.init(self._dataset, self._examples, self._metric_key)
            for name, evaluator in self._evaluators.items()
        }

    def evaluate(self, variables: Sequence[Tree]) -> dict[str, np.ndarray]:
        """Returns the values of all evaluators by their names in the log.

        Args:
          variables: the generator's, of each seed.

        Returns:
          `score` first, then the others as in `names_in_log`, float64 `[seeds]`.
        """
        rows = [self._evaluate(x) for x in variables]
        return {name: np.array([row[name] for row in rows]) for name in rows[0]}

    def _evaluate(self, variables: Tree) -> Values:
        """Returns the values of one seed."""
        sample_fn = functools.partial(self._sample, variables)
        values = {
            name: evaluator.run(self._states[name], sample_fn)
            for name, evaluator in self._evaluators.items()
        }
        return names_in_log(self._evaluators, values)

    def _sample(self, variables: Tree, count: int, first: int = 0) -> Samples:
        """Draws samples; see `SampleFn`."""
        # The fixed examples start over after the last one.
        numbers = np.arange(first, first + count) % number_of(self._examples)
        batch = {name: x[numbers] for name, x in self._examples.items()}
        keys = example_keys(self._sample_key, count, first)
        return generate_in_batches(self._play, variables, batch, keys)


def names_in_log(
    evaluators: Mapping[str, Evaluator], values: Mapping[str, Values]
) -> Values:
    """Returns the values of evaluators by their names in the log.

    `score` is that of the first evaluator. Values of an evaluator with its own name are
    `eval/<value>`. Those of others are `eval/<evaluator>/<value>`, or
    `eval/<evaluator>` if both names are the same, and a first value that is the score
    itself is not repeated.

    >>> plain = Evaluator(init=lambda *_: None, run=lambda *_: {})
    >>> own = plain._replace(name="recall_it")
    >>> names_in_log(
    ...     {"gap": plain, "modes": plain, "recall_it": own},
    ...     {"gap": {"gap": 9.0}, "modes": {"modes": 7.0, "kl": 0.5},
    ...      "recall_it": {"recall": 0.8}},
    ... )
    {'score': 9.0, 'eval/modes': 7.0, 'eval/modes/kl': 0.5, 'eval/recall': 0.8}
    """

    def shown(name: str, value: str) -> str:
        unique = evaluators[name].name or value == name
        return f"eval/{value}" if unique else f"eval/{name}/{value}"

    named = {
        shown(name, value): float(number)
        for name, own in values.items()
        for value, number in own.items()
    }
    first, evaluator = next(iter(evaluators.items()))
    if evaluator.score is not None:
        return {"score": float(evaluator.score(values[first])), **named}
    # The values of the first evaluator come first.
    value = next(iter(named))
    score = named[value] if evaluator.name else named.pop(value)
    return {"score": score, **named}


def fixed_examples(dataset: data.Dataset, count: int, seed: int) -> data.Examples:
    """Reads the same examples for the same seed, at most `count`, normalized.

    Args:
      dataset: the training examples.
      count: number of examples.
      seed: selects them.
    """
    # Examples in the order of epoch 0, sorted so that they are read in sequence.
    numbers = np.sort(data.epoch_order(seed, 0, dataset.size)[:count])
    return data.normalize(data.read_some(dataset, numbers), dataset.example)
