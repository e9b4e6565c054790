"""A recurrent network that writes texts and knows how likely texts are."""

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgan.data.text import END
from jaxgan.errors import FieldError
from jaxgan.networks.layers import Dropout, unconditional
from jaxgan.networks.ops.gumbel import gumbel_noise, straight_through
from jaxgan.networks.streams import example_rngs
from jaxgan.ranges import Fraction, Width
from jaxgan.types import ExampleSpec, Field, Tree

COLDEST = 1e-6
"""The lowest temperature; a lower one chooses the likeliest token as well."""


class Weights(NamedTuple):
    """The parameters of a `RecurrentGenerator`."""

    embedding: jax.Array
    """`[V + 1, E]`; the last row stands before the first token."""
    inputs: jax.Array
    """`[E, 3 H]`: reset gate, update gate, candidate."""
    hidden: jax.Array
    """`[H, 3 H]`"""
    bias: jax.Array
    """`[3 H]`"""
    hidden_bias: jax.Array
    """`[H]`, of the candidate, inside the reset gate."""
    outputs: jax.Array
    """`[H, V]`"""
    outputs_bias: jax.Array
    """`[V]`"""


def gru(w: Weights, x: jax.Array, h: jax.Array) -> jax.Array:
    """Returns the new state of a gated recurrent unit, https://arxiv.org/abs/1406.1078.

    The reset gate multiplies the product with the state, as in cuDNN.

    Args:
      w: the parameters.
      x: the products of the inputs with `w.inputs`, plus `w.bias`, `[B, 3 H]`.
      h: the state, `[B, H]`.
    """
    reset, update, new = jnp.split(x, 3, -1)
    h_reset, h_update, h_new = jnp.split(h @ w.hidden, 3, -1)
    reset, update = nn.sigmoid(reset + h_reset), nn.sigmoid(update + h_update)
    new = jnp.tanh(new + reset * (h_new + w.hidden_bias))
    return (1 - update) * new + update * h


class RecurrentGenerator(nn.Module):
    """Writes texts token by token, or returns the log-likelihood of given ones.

    Inputs are a dict. With `tokens` `[B, T]` int32, it returns a dict of
    `log_likelihood` `[B, T]`, of each token after the ones before it, and `is_token`
    `[B, T]`, 1 up to the first `END`, and 0 after it, where the log-likelihood is 0.

    Otherwise it writes. Inputs are `temperature` `[B]`, which divides the logits of
    samples, and `relaxation` `[B]`, the temperature of the Gumbel-softmax. While it
    trains, it returns one-hot rows `[B, length, V]` of samples of temperature 1, with
    the gradients of softmax((logits + noise) / relaxation). The next input is the
    number of the token, without a gradient, https://openreview.net/forum?id=rJedV3R5tm.
    Else it returns numbers of tokens, `[B, length]` int32. `prompt` `[B, length]`, -1
    where the network writes, is optional.
    """

    length: int
    size: int
    """Tokens of the vocabulary."""
    ends: bool
    """True if token 0 is `END`, after which a text is filled with it."""
    width: int
    embedding: int
    dropout: float
    axis_name: str | None = None

    @nn.compact
    def __call__(
        self, inputs: dict[str, jax.Array], condition: Tree = None, *, train: bool
    ) -> Tree:
        unconditional(condition)
        w = self._weights()
        if "tokens" in inputs:
            return self._likelihoods(w, inputs["tokens"].astype(jnp.int32), train)
        return self._write(w, inputs, train)

    def _weights(self) -> Weights:
        h, e, v = self.width, self.embedding, self.size
        kernel, zeros = nn.initializers.lecun_normal(), nn.initializers.zeros
        # Rows of mean square 1 / E.
        rows = nn.initializers.variance_scaling(1.0, "fan_in", "normal", out_axis=0)
        made = {
            "embedding": (rows, (v + 1, e)),
            "inputs": (kernel, (e, 3 * h)),
            "hidden": (kernel, (h, 3 * h)),
            "bias": (zeros, (3 * h,)),
            "hidden_bias": (zeros, (h,)),
            "outputs": (kernel, (h, v)),
            "outputs_bias": (zeros, (v,)),
        }
        # Restored parameters are NumPy arrays, which no traced number can index.
        return Weights(
            **{name: jnp.asarray(self.param(name, *how)) for name, how in made.items()}
        )

    def _likelihoods(
        self, w: Weights, tokens: jax.Array, train: bool
    ) -> dict[str, jax.Array]:
        # The input at each place is the token before it.
        before = jnp.pad(tokens[:, :-1], ((0, 0), (1, 0)), constant_values=self.size)
        x = Dropout(self.dropout, self.axis_name)(w.embedding[before], train=train)
        # All products but those with the state are outside of the loop.
        x = jnp.swapaxes(x @ w.inputs + w.bias, 0, 1)

        def step(h, x):
            h = gru(w, x, h)
            return h, h

        start = jnp.zeros((len(tokens), self.width), x.dtype)
        states = jnp.swapaxes(jax.lax.scan(step, start, x)[1], 0, 1)
        states = Dropout(self.dropout, self.axis_name)(states, train=train)
        logits = states @ w.outputs + w.outputs_bias
        chosen = jnp.take_along_axis(nn.log_softmax(logits), tokens[..., None], -1)
        is_token = jnp.ones(tokens.shape, logits.dtype)
        if self.ends:
            # A text goes on as long as no token before was the end.
            is_token = (jnp.cumprod(before != 0, 1)).astype(logits.dtype)
        return {"log_likelihood": chosen[..., 0] * is_token, "is_token": is_token}

    def _write(
        self, w: Weights, inputs: dict[str, jax.Array], train: bool
    ) -> jax.Array:
        count = len(inputs["temperature"])
        keys = example_rngs(self, "gumbel", count)
        words = jax.vmap(lambda key: jax.random.bits(key, (2,), jnp.uint32))(keys)
        prompt = inputs.get("prompt", jnp.full((count, self.length), -1, jnp.int32))
        heat = jnp.maximum(inputs["temperature"], COLDEST)[:, None]
        relaxation = jnp.maximum(inputs["relaxation"], COLDEST)[:, None]

        def step(carry, x):
            h, ids, ended = carry
            number, given = x
            h = gru(w, w.embedding[ids] @ w.inputs + w.bias, h)
            logits = h @ w.outputs + w.outputs_bias
            noise = gumbel_noise(words, number, self.size).astype(logits.dtype)
            noisy = logits + noise if train else logits / heat + noise
            ids = jnp.where(given < 0, jnp.argmax(noisy, -1), given)
            ids = jnp.where(ended, 0, ids)
            carry = h, ids, ended | (ids == 0) if self.ends else ended
            if not train:
                return carry, ids
            rows = straight_through(nn.softmax(noisy / relaxation), ids)
            # What follows the end is no choice, and has no gradient.
            filled = jax.nn.one_hot(ids, self.size, dtype=rows.dtype)
            return carry, jnp.where(ended[:, None], filled, rows)

        start = (
            jnp.zeros((count, self.width), w.hidden.dtype),
            jnp.full(count, self.size, jnp.int32),
            jnp.zeros(count, bool),
        )
        xs = jnp.arange(self.length), prompt.T.astype(jnp.int32)
        return jnp.swapaxes(jax.lax.scan(step, start, xs)[1], 0, 1)


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


def recurrent_generator(
    width: Width = 256, embedding: Width = 64, dropout: Fraction = 0.0
):
    """Returns a factory of `RecurrentGenerator`.

    Args:
      width: units of the state.
      embedding: numbers that stand for a token.
      dropout: rate of dropout of embeddings and outputs, for likelihoods only.
    """

    def make(
        *, example: ExampleSpec, axis_name: str | None = None
    ) -> RecurrentGenerator:
        field = tokens_field(example, "recurrent_generator")
        size, ends = len(field.names), field.names[:1] == (END,)
        return RecurrentGenerator(
            field.shape[0], size, ends, width, embedding, dropout, axis_name
        )

    return make
