"""Evaluation during training: the score and other metrics of the moving average."""

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
        # Statistics of the real side, once per run.
        self._states = {
            name: evaluator.init(dataset, examples, metric_key)
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

    `score` is that of the first evaluator. Other values have the names
    `eval/<evaluator>/<value>`, or `eval/<evaluator>` if both names are the same. A
    first value that is the score itself is not repeated.

    >>> plain = Evaluator(init=lambda *_: None, run=lambda *_: {})
    >>> names_in_log(
    ...     {"fid": plain, "modes": plain},
    ...     {"fid": {"fid": 9.0}, "modes": {"modes": 7.0, "kl": 0.5}},
    ... )
    {'score': 9.0, 'eval/modes': 7.0, 'eval/modes/kl': 0.5}
    """
    named = {
        f"eval/{name}" if value == name else f"eval/{name}/{value}": float(number)
        for name, own in values.items()
        for value, number in own.items()
    }
    first, evaluator = next(iter(evaluators.items()))
    if evaluator.score is not None:
        return {"score": float(evaluator.score(values[first])), **named}
    # The values of the first evaluator come first.
    score = named.pop(next(iter(named)))
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
    return data.normalize(dataset.read(numbers), dataset.example)
