"""Sampling of texts token by token, and their likelihoods, for any generator of them.

Inputs of such a generator are a dict. With `tokens` `[B, T]` int32, it returns the
result of `log_likelihoods`. Otherwise it writes: `temperature` `[B]` divides the logits
of samples, and `relaxation` `[B]` is the temperature of the Gumbel-softmax. While it
trains, it returns one-hot rows `[B, length, V]` of samples of temperature 1, with the
gradients of softmax((logits + noise) / relaxation). The next input is the number of the
token, without a gradient, https://openreview.net/forum?id=rJedV3R5tm. Else it returns
numbers of tokens, `[B, length]` int32. `prompt` `[B, length]`, -1 where the network
writes, is optional.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgan.data.text import END
from jaxgan.errors import FieldError
from jaxgan.networks.ops.gumbel import gumbel_noise, straight_through
from jaxgan.networks.streams import example_rngs
from jaxgan.types import ExampleSpec, Field, Tree

COLDEST = 1e-6
"""The lowest temperature; a lower one chooses the likeliest token as well."""

Step = Callable[[Tree, jax.Array, jax.Array], tuple[Tree, jax.Array]]
"""Maps a state, the tokens before `[B]` and their place to a state and logits."""


class Form(NamedTuple):
    """The texts that a generator writes."""

    length: int
    size: int
    """Tokens of the vocabulary; this number stands before the first token."""
    ends: bool
    """True if token 0 is `END`, after which a text is filled with it."""


def tokens_field(example: ExampleSpec, name: str) -> Field:
    """Returns the first field of an example, whose kind is `tokens`.

    Args:
      example: the fields of an example.
      name: of the network or the task, for messages.

    Raises:
      FieldError: if it is of another kind.
    """
    field = example[example.generated]
    if field.kind != "tokens":
        raise FieldError(
            f"{name} is for texts, not a field of kind {field.kind}: use a data set of "
            "texts, such as text:PATH"
        )
    return field


def form_of(example: ExampleSpec, name: str) -> Form:
    """Returns the form of the texts of an example; raises as `tokens_field`."""
    field = tokens_field(example, name)
    return Form(field.shape[0], len(field.names), field.names[:1] == (END,))


def tokens_before(tokens: jax.Array, form: Form) -> jax.Array:
    """Returns the token before each one, `[B, T]`."""
    return jnp.pad(tokens[:, :-1], ((0, 0), (1, 0)), constant_values=form.size)


def log_likelihoods(
    logits: jax.Array, tokens: jax.Array, form: Form
) -> dict[str, jax.Array]:
    """Returns the log-likelihood of texts, by token.

    Args:
      logits: of each token after the ones before it, `[B, T, V]`.
      tokens: `[B, T]` int32.
      form: of the texts.

    Returns:
      `log_likelihood` `[B, T]`, and `is_token` `[B, T]`, 1 up to the first `END`, and 0
      after it, where the log-likelihood is 0.
    """
    chosen = jnp.take_along_axis(nn.log_softmax(logits), tokens[..., None], -1)
    is_token = jnp.ones(tokens.shape, logits.dtype)
    if form.ends:
        # A text goes on as long as no token before was the end.
        before = tokens_before(tokens, form)
        is_token = (jnp.cumprod(before != 0, 1)).astype(logits.dtype)
    return {"log_likelihood": chosen[..., 0] * is_token, "is_token": is_token}


def noise_words(module: nn.Module, count: int) -> jax.Array:
    """Returns the keys of `gumbel_noise` of a generator, uint32 `[B, 2]`."""
    keys = example_rngs(module, "gumbel", count)
    return jax.vmap(lambda key: jax.random.bits(key, (2,), jnp.uint32))(keys)


def relaxation_of(inputs: dict[str, jax.Array]) -> jax.Array:
    """Returns the temperature of the Gumbel-softmax, `[B]`, above 0."""
    return jnp.maximum(inputs["relaxation"], COLDEST)


def relaxed_rows(
    noisy: jax.Array, ids: jax.Array, ended: jax.Array, relaxation: jax.Array
) -> jax.Array:
    """Returns one-hot rows with the gradients of the Gumbel-softmax.

    What follows the end is no choice, and has no gradient.

    Args:
      noisy: logits with noise, `[..., V]`.
      ids: the chosen tokens, `[...]`.
      ended: True after the end of a text, `[...]`.
      relaxation: temperature of the softmax; broadcasts to `noisy`.
    """
    rows = straight_through(nn.softmax(noisy / relaxation), ids)
    filled = jax.nn.one_hot(ids, noisy.shape[-1], dtype=rows.dtype)
    return jnp.where(ended[..., None], filled, rows)


def write(
    step: Step,
    start: Tree,
    inputs: dict[str, jax.Array],
    words: jax.Array,
    form: Form,
    *,
    train: bool,
    emit: Callable[[jax.Array, jax.Array, jax.Array], Any] = lambda noisy, ids, _: ids,
) -> Any:
    """Samples texts token by token, in a loop.

    Args:
      step: returns the next logits.
      start: the state before the first token.
      inputs: those of the generator.
      words: of `noise_words`.
      form: of the texts.
      train: True for samples of temperature 1.
      emit: maps logits with noise `[B, V]`, the tokens `[B]`, and a flag of texts that
        ended before, to what is kept of a step.

    Returns:
      What `emit` returned, `[B, length, ...]`; by default the tokens, `[B, length]`.
    """
    count = len(inputs["temperature"])
    prompt = inputs.get("prompt", jnp.full((count, form.length), -1, jnp.int32))
    heat = jnp.maximum(inputs["temperature"], COLDEST)[:, None]

    def advance(carry, x):
        state, ids, ended = carry
        number, given = x
        state, logits = step(state, ids, number)
        noise = gumbel_noise(words, number, form.size).astype(logits.dtype)
        noisy = logits + noise if train else logits / heat + noise
        ids = jnp.where(given < 0, jnp.argmax(noisy, -1), given)
        ids = jnp.where(ended, 0, ids)
        after = ended | (ids == 0) if form.ends else ended
        return (state, ids, after), emit(noisy, ids, ended)

    first = jnp.full(count, form.size, jnp.int32), jnp.zeros(count, bool)
    xs = jnp.arange(form.length), prompt.T.astype(jnp.int32)
    _, kept = jax.lax.scan(advance, (start, *first), xs)
    return jax.tree.map(lambda x: jnp.swapaxes(x, 0, 1), kept)
