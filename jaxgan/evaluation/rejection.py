"""Rejection of samples by the discriminator: the more real ones are kept more often.

Discriminator rejection sampling, https://arxiv.org/abs/1810.06758.
"""

from collections.abc import Callable

import jax
import numpy as np

from jaxgan.errors import UsageError
from jaxgan.evaluation.class_samples import by_class
from jaxgan.evaluation.progress_bar import Progress
from jaxgan.gan import builder
from jaxgan.gan.gan import make_play
from jaxgan.gan.judging import in_whole_groups
from jaxgan.gan.objective import bind
from jaxgan.types import Batch, ExampleSpec, Players, Tree

EPSILON = 1e-6
"""Keeps the logarithm finite at the largest logit."""

SHARE = 0.5
"""Quantile of the samples that is kept with a probability of one half."""


def acceptance(logits: np.ndarray, share: float | None = SHARE) -> np.ndarray:
    """Returns the probabilities with which samples are kept, `[n]` in (0, 1).

    With F = D - M - log(1 - exp(D - M - epsilon)), D the logit and M the largest one,
    the probability is sigmoid(F - gamma). If D is the logarithm of the ratio of the
    densities of data and samples, up to a constant, and gamma is 0, then it is exp(D -
    M), and the samples that are kept are distributed like the data. In the paper, D is
    trained further until it is nearly so. Here it is used as it is, so that the order
    of samples counts more than the values.

    Args:
      logits: of the samples, `[n]`.
      share: gamma is this quantile of F; None for a gamma of 0, which keeps few.

    >>> acceptance(np.log([1.0, 2.0, 4.0]), None).round(3).tolist()
    [0.25, 0.5, 1.0]
    """
    largest = float(np.max(logits))
    gamma = 0.0
    if share is not None:
        gamma = float(np.quantile(log_odds(logits, largest), share))
    return acceptance_by(logits, largest, gamma)


def log_odds(logits: np.ndarray, largest: float) -> np.ndarray:
    """Returns F of `acceptance`, `[n]`; logits above the largest count as that one."""
    below = np.minimum(np.asarray(logits, np.float64) - largest, 0.0)
    return below - np.log1p(-np.exp(below - EPSILON))


def acceptance_by(logits: np.ndarray, largest: float, gamma: float) -> np.ndarray:
    """Returns `acceptance` for a largest logit and a gamma that are known, `[n]`."""
    return 1 / (1 + np.exp(gamma - log_odds(logits, largest)))


def gamma_for(odds: np.ndarray, share: float) -> float:
    """Returns the gamma by which a share of samples is rejected on average.

    Args:
      odds: F of `acceptance`, `[n]`.
      share: in (0, 1).

    >>> odds = log_odds(np.log([1.0, 2.0, 4.0]), np.log(4.0))
    >>> kept = acceptance_by(np.log([1.0, 2.0, 4.0]), np.log(4.0), gamma_for(odds, 0.5))
    >>> round(float(kept.mean()), 6)
    0.5
    """
    low, high = float(odds.min()) - 50, float(odds.max()) + 50
    # The mean falls with gamma.
    for _ in range(100):
        gamma = (low + high) / 2
        kept = np.mean(1 / (1 + np.exp(gamma - odds)))
        low, high = (gamma, high) if kept > 1 - share else (low, gamma)
    return (low + high) / 2


def scored_play(
    gan: builder.GAN, example: ExampleSpec
) -> Callable[[Players[Tree], Batch, jax.Array], tuple[np.ndarray, np.ndarray]]:
    """Returns a function that draws samples, and the discriminator's logits of them.

    Args:
      gan: the GAN.
      example: the fields of its data.

    Returns:
      (variables of both networks, batch, keys `[n]`) to samples `[n, ...]` and logits
      `[n]`. It raises UsageError if the discriminator judges several samples together.
    """
    task = gan.task
    # The discriminator judges samples as the networks make them.
    networks_play = make_play(task._replace(finish=None), gan.networks)

    @jax.jit
    def play(variables: Players[Tree], batch: Batch, keys: jax.Array) -> Tree:
        samples = networks_play(variables.generator, batch, keys)
        critic, _ = bind(gan.networks.discriminator, variables.discriminator, keys)
        logits = in_whole_groups(critic)(samples.fake, samples.condition).logits
        return (task.finish(samples) if task.finish else samples).fake, logits

    def call(variables: Players[Tree], batch: Batch, keys: jax.Array) -> Tree:
        fake, logits = play(variables, batch, keys)
        sizes = [x.size for x in jax.tree.leaves(logits)]
        if sizes != [len(keys)]:
            raise UsageError(
                f"--reject=discriminator: the discriminator has {sum(sizes)} logits "
                f"for {len(keys)} samples: use --reject=classifier, or none"
            )
        fake = fake[example.generated] if isinstance(fake, dict) else fake
        return fake, jax.tree.leaves(logits)[0].reshape(-1)

    return call


def draw_scored(
    gan: builder.GAN,
    example: ExampleSpec,
    variables: Players[Tree],
    *,
    per_class: int,
    seed: int,
    progress: Progress,
) -> tuple[list[tuple[int, np.ndarray]], np.ndarray]:
    """Draws equally many samples of every class with the discriminator's logits.

    Args:
      gan: a conditional GAN.
      example: the fields of its data.
      variables: of both networks.
      per_class: number of samples of each class.
      seed: of the latents.
      progress: counts the samples.

    Returns:
      Classes with samples of them, as `labeled_set.draw` yields them, and the logits
      `[n]` of all samples.

    Raises:
      UsageError: if the discriminator judges several samples together.
    """

    play = scored_play(gan, example)

    def call(batch: Batch, keys: jax.Array) -> Tree:
        return play(variables, batch, keys)

    parts, logits = [], []
    found = by_class(call, example, per_class=per_class, seed=seed)
    for label, (samples, own) in found:
        parts.append((label, samples))
        logits.append(own)
        progress.advance(len(samples))
    return parts, np.concatenate(logits)


def accepted(logits: np.ndarray, labels: np.ndarray, seed: int) -> np.ndarray:
    """Returns the samples to keep, `[n]` bool: about half of each class.

    Args:
      logits: of the samples, `[n]`.
      labels: their classes, `[n]`, in each of which logits are compared.
      seed: of the random choice.
    """
    rng = np.random.default_rng([seed, 18])
    keep = np.zeros(len(logits), bool)
    for label in np.unique(labels):
        own = labels == label
        keep[own] = rng.random(own.sum()) < acceptance(logits[own])
    return keep
