"""Texts of a generator, and the likelihood that it gives to texts."""

import jax
import numpy as np

from jaxgan import data
from jaxgan.evaluation.load_run import Run
from jaxgan.evaluation.previews import AT_ONCE
from jaxgan.evaluation.scores import Values
from jaxgan.gan import builder
from jaxgan.gan.objective import example_keys
from jaxgan.metrics.features import minilm
from jaxgan.parallel import multi_seed
from jaxgan.types import Tree


def draw(
    run: Run,
    variables: Tree,
    train: data.Dataset,
    *,
    seed: int,
    count: int,
    temperature: float = 1.0,
) -> list[str]:
    """Draws texts of a run.

    Labels, if the run is conditional, are those of training examples in a fixed order.
    Each text has a PRNG key by its number.

    Args:
      run: the run.
      variables: the generator's.
      train: the training examples.
      seed: of the samples.
      count: number of texts.
      temperature: a factor of the generator's own, if it has one.

    Returns:
      A list of texts.
    """
    field = train.example.generated

    def warm(inputs: Tree) -> Tree:
        if not isinstance(inputs, dict) or "temperature" not in inputs:
            return inputs
        return {**inputs, "temperature": temperature * inputs["temperature"]}

    generate = jax.jit(lambda *args: run.gan.generate(*args, warm))
    key = multi_seed.key_of(seed)
    order, found = data.epoch_order(0, 1, train.size), []
    for start in range(0, count, AT_ONCE):
        # The last batch is full too, so that one program is compiled.
        places = np.arange(start, start + AT_ONCE)
        batch = data.normalize(train.read(order[places % train.size]), train.example)
        keys = example_keys(key, AT_ONCE, start)
        drawn = generate(variables, batch, keys)
        drawn = drawn[field] if isinstance(drawn, dict) else drawn
        # Probabilities of many tokens are large, so that they become texts here.
        found += minilm.texts_of(np.asarray(drawn), train.example[field].names)
    return found[:count]


def nll(run: Run, variables: Tree, field: str, rows: np.ndarray) -> Values:
    """Returns the negative log-likelihood of texts, if the generator has one.

    Args:
      run: the run.
      variables: the generator's.
      field: the name of the tokens.
      rows: tokens of the texts, `[n, length]` int32.

    Returns:
      `nll`, in nats per token, ends included; {} for generators without likelihoods.
    """
    batch = builder.example_batch(run.example, AT_ONCE)
    keys = example_keys(multi_seed.key_of(0), AT_ONCE)
    play, total, tokens = jax.jit(run.gan.play), 0.0, 0.0
    for start in range(0, len(rows), AT_ONCE):
        part = rows[start : start + AT_ONCE]
        # All batches have one size.
        filled = np.resize(part, (AT_ONCE, rows.shape[1]))
        found = play(variables, {**batch, field: filled}, keys).reconstruction
        if not isinstance(found, dict) or "log_likelihood" not in found:
            return {}
        total -= float(np.sum(found["log_likelihood"][: len(part)]))
        tokens += float(np.sum(found["is_token"][: len(part)]))
    return {"nll": total / tokens}
