"""The divergence of the classes of samples from those of real examples."""

import numpy as np

from jaxgan.errors import UsageError
from jaxgan.metrics.mode_coverage import Floor


def histogram_divergence(fake: np.ndarray, real: np.ndarray) -> np.ndarray:
    """Returns KL(fake shares || real shares) along the last axis, in nats.

    A class that no real example has counts as half of a real example, since the
    divergence would be infinite if a fake has it.

    Args:
      fake: counts of the classes among samples, `[..., k]`.
      real: those among real examples, `[..., k]`.

    Raises:
      UsageError: if either set is empty, or the numbers of classes differ.

    >>> round(float(histogram_divergence(np.array([4, 0]), np.array([3, 3]))), 4)
    0.6931
    """
    fake, real = (np.asarray(x, np.float64) for x in (fake, real))
    if fake.shape[-1] != real.shape[-1]:
        raise UsageError(
            f"samples have {fake.shape[-1]} classes, real examples {real.shape[-1]}; "
            "use one extractor for both"
        )
    if not (fake.sum(-1).all() and real.sum(-1).all()):
        raise UsageError("a histogram of no examples; use at least 1 of each set")
    real = np.where(real > 0, real, 0.5)
    p, q = (x / x.sum(-1, keepdims=True) for x in (fake, real))
    # 0 log 0 is 0.
    return np.sum(p * np.log(np.where(p > 0, p, 1) / np.where(p > 0, q, 1)), -1)


def histogram_floor(
    n: int, real: np.ndarray, *, seed: int = 0, draws: int = 1000
) -> Floor:
    """Returns the expected divergence of `n` samples of a perfect generator.

    Both histograms are samples, so that it is (k - 1) / 2 (1/n + 1/m) for large n and m
    with k classes, and positive although both sets have the same distribution.

    Args:
      n: number of samples.
      real: counts of the classes among m real examples, `[k]`, whose shares are taken
        as the distribution.
      seed: seed of the simulation.
      draws: number of simulations, each of n samples and m real examples.

    >>> [round(x, 4) for x in histogram_floor(1000, np.full(10, 100))]
    [0.009, 0.009]
    """
    real = np.asarray(real)
    m, k = int(real.sum()), int(np.count_nonzero(real))
    random = np.random.default_rng(seed)
    fakes, reals = (random.multinomial(x, real / m, size=draws) for x in (n, m))
    simulated = histogram_divergence(fakes, reals)
    return Floor((k - 1) / 2 * (1 / n + 1 / m), float(np.mean(simulated)))
