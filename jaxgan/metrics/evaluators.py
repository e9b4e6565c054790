"""Evaluators: metrics of a generator during training.

An evaluator compares samples with the data. It knows nothing of files and flags: it
gets arrays, and a function that draws samples. `metrics.EVALUATORS` has all factories,
`SAMPLE_EVALUATORS` those that compare samples themselves and not their features.
"""

from collections.abc import Callable
from typing import Annotated, NamedTuple, Protocol

import jax
import numpy as np

from jaxgan.data.dataset import Dataset, Examples, Modes
from jaxgan.errors import UsageError
from jaxgan.metrics.mode_coverage import coverage
from jaxgan.metrics.sliced_wasserstein import distance
from jaxgan.metrics.vendi import relative_diversity
from jaxgan.ranges import Range, Width
from jaxgan.types import Samples, Tree

Values = dict[str, float]
"""The values of a metric by name."""


class SampleFn(Protocol):
    """Draws samples of a generator, in evaluation mode."""

    def __call__(self, count: int, first: int = 0) -> Samples:
        """Returns the samples with the numbers `first` to `first + count`.

        A sample of the same number has the same example and the same noise, so that
        many samples can be drawn in parts. Beyond the last of the fixed examples these
        start over, with other noise.

        Args:
          count: number of samples; every number is allowed.
          first: number of the first sample.

        Returns:
          NumPy arrays `[count, ...]`, with images in [-1, 1]. Each fake is paired with
          the real example, and the condition, that it was generated for.
        """
        ...


class Evaluator(NamedTuple):
    """A metric of a generator as pure functions.

    >>> def make_samples(count, first=0):
    ...     return Samples(real=np.zeros((count, 2)), fake=np.ones((count, 2)))
    >>> gap = Evaluator(
    ...     init=lambda dataset, examples, key: examples["image"].mean(),
    ...     run=lambda mean, sample_fn: {"gap": sample_fn(4).fake.mean() - mean},
    ... )
    >>> state = gap.init(None, {"image": np.zeros((8, 2))}, jax.random.key(0))
    >>> float(gap.run(state, make_samples)["gap"])
    1.0
    """

    init: Callable[[Dataset, Examples, jax.Array], Tree]
    """(training set, fixed examples, PRNG key) to a state, computed once per run.

    Statistics of the real side belong in the state. The examples are NumPy arrays
    `[n, ...]` by field, with images in [-1, 1]: those of the first n samples.
    """
    run: Callable[[Tree, SampleFn], Values]
    """(state, sample_fn) to values by name."""
    score: Callable[[Values], float] | None = None
    """The score of values, by which the best checkpoint is selected: less is better.

    None if the first value is the score itself, such as a distance. A score should not
    be negative, since the detectors of failures compare scores by their ratio.
    """
    name: str = ""
    """Its name in the log, if it differs from that in a text, such as `fd_classifier`.

    The names of its values must then be unique, as they are logged as `eval/<value>`.
    """
    open: Callable[[], object] = lambda: None
    """Opens what `init` needs, once, before the first step. It may take minutes."""


def sliced_wasserstein() -> Evaluator:
    """Measures the sliced Wasserstein distance between samples and fixed examples.

    The value `sliced_wasserstein` is `sliced_wasserstein.distance` of as many samples
    as there are fixed examples, with the same directions and patches at every step. For
    samples of several arrays it is the mean over these.
    """
    compiled = jax.jit(distance)

    def init(dataset, examples, key):
        return number_of(examples), key

    def run(state, sample_fn):
        count, key = state
        samples = sample_fn(count)
        pairs = zip(*map(jax.tree.leaves, (samples.real, samples.fake)), strict=True)
        distances = [float(compiled(real, fake, key)) for real, fake in pairs]
        return {"sliced_wasserstein": float(np.mean(distances))}

    return Evaluator(init, run)


def mode_coverage(samples: Width = 2500, *, modes: Modes | None) -> Evaluator:
    """Counts the modes of a known mixture that samples reach.

    The values are the `modes`, `quality` and `kl` of `mode_coverage.coverage`. The
    score is the number of modes that are missing, plus the fraction of samples that are
    not of high quality. It is 0 if samples are perfect.

    Args:
      samples: number of samples; published results have 2,500.
      modes: the mixture that the data were sampled from, if it is known.

    Raises:
      UsageError: if it is not known.
    """
    if modes is None:
        raise UsageError(
            "mode_coverage needs data whose modes are known: ring8 or grid25; use "
            "modes(channels) for stacked_mnist, and classes(classifier) for others"
        )

    def init(dataset, examples, key):
        return None

    def run(state, sample_fn):
        fake = sample_fn(samples).fake
        return coverage(fake, modes.centers, modes.sigma)._asdict()

    def score(values):
        return len(modes.centers) - values["modes"] + 1 - values["quality"]

    return Evaluator(init, run, score)


def diversity(samples: Annotated[int, Range(2, 2**13)] = 256) -> Evaluator:
    """Measures the diversity of samples relative to that of the data.

    The value `diversity` is that of `vendi.relative_diversity`: 0 if all samples are
    equal, about 1 if they vary like the data. The score is its distance from 1, since
    noise is more diverse than data. If nearly all examples are equal, the value means
    nothing.

    Args:
      samples: number of samples and examples, at most that of the fixed examples.
    """
    compiled = jax.jit(relative_diversity)

    def init(dataset, examples, key):
        return min(samples, number_of(examples))

    def run(count, sample_fn):
        drawn = sample_fn(count)
        value, _ = compiled(drawn.real, drawn.fake)
        return {"diversity": float(value)}

    return Evaluator(init, run, score=lambda values: abs(1 - values["diversity"]))


def number_of(examples: Examples) -> int:
    """Returns the number of examples.

    >>> number_of({"image": np.zeros((3, 2)), "label": np.zeros(3)})
    3
    """
    return len(next(iter(examples.values())))


SAMPLE_EVALUATORS: dict[str, Callable[..., Evaluator]] = {
    f.__name__: f for f in (sliced_wasserstein, mode_coverage, diversity)
}
"""Factories of evaluators by name."""
