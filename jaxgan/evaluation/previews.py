"""What the running mean of the generator draws: pictures and a distance."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan import data, reporting
from jaxgan.experiment.setup import Experiment
from jaxgan.gan.objective import example_keys
from jaxgan.metrics import sliced_wasserstein
from jaxgan.parallel import multi_seed
from jaxgan.types import Batch, Tree

AT_ONCE = 128


class Previews(NamedTuple):
    """The same latents and the same real examples throughout a run."""

    picture: Callable[[Tree], reporting.Picture]
    """The generator's variables to a picture."""
    score: Callable[[Tree], Any]
    """The generator's variables to their distance from real examples.

    Of several runs `[runs]`; the picture has a part of each, one after the other.
    """


def open_previews(plan: Experiment, key: jax.Array) -> Previews:
    """Chooses latents and real examples, and compiles what draws and compares them."""
    config, dataset = plan.config, plan.dataset
    draw = jax.jit(plan.game.draw)
    picture_key, score_key, distance_key = jax.random.split(key, 3)
    count = min(config.score_samples, dataset.size)
    numbers = data.epoch_order(config.seed, 0, dataset.size)
    real = data.normalize(dataset.read(np.sort(numbers[: max(count, config.samples)])))
    distance = jax.jit(sliced_wasserstein.distance)

    def sample(variables, key, n):
        return generate_in_batches(draw, variables, real, example_keys(key, n))

    def picture(variables):
        each = -(-config.samples // config.runs)
        fake = [sample(own, picture_key, each) for own in own_of(variables)]
        return reporting.picture(np.concatenate(fake), real["image"])

    def distance_of(variables):
        fake = sample(variables, score_key, count)
        return float(distance(real["image"][:count], fake, distance_key))

    def score(variables):
        each = [distance_of(own) for own in own_of(variables)]
        return np.array(each) if config.runs > 1 else each[0]

    def own_of(variables):
        if config.runs == 1:
            return [variables]
        return [multi_seed.take_run(variables, 0, i) for i in range(config.runs)]

    return Previews(picture, score)


def generate_in_batches(
    draw: Callable,
    variables: Tree,
    batch: Batch,
    keys: jax.Array,
    at_once: int = AT_ONCE,
) -> np.ndarray:
    """Samples for all keys, some at a time, by one compiled program, `[n, ...]`.

    Args:
      draw: a compiled `Game.draw`.
      variables: the generator's.
      batch: real examples to start from, repeated if there are fewer than keys.
      keys: one per sample, `[n]`.
      at_once: samples per call.
    """
    n = len(keys)
    at_once = min(at_once, n)
    places = np.arange(-(-n // at_once) * at_once)
    done = []
    for part in places.reshape(-1, at_once):
        examples = {name: np.asarray(x)[part % len(x)] for name, x in batch.items()}
        drawn = draw(variables, examples, keys[jnp.asarray(part % n)])
        done.append(np.asarray(jax.block_until_ready(drawn)))  # raises what failed
    return np.concatenate(done)[:n]
