"""A recurrent network that writes texts and knows how likely texts are."""

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgan.networks.layers import Dropout, unconditional
from jaxgan.networks.writing import (
    Form,
    form_of,
    log_likelihoods,
    noise_words,
    relaxation_of,
    relaxed_rows,
    tokens_before,
    write,
)
from jaxgan.ranges import Fraction, Width
from jaxgan.types import ExampleSpec, Tree


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
    """Writes texts by a gated recurrent unit; see `writing` for inputs and outputs."""

    form: Form
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
        h, e, v = self.width, self.embedding, self.form.size
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
        before = tokens_before(tokens, self.form)
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
        return log_likelihoods(logits, tokens, self.form)

    def _write(
        self, w: Weights, inputs: dict[str, jax.Array], train: bool
    ) -> jax.Array:
        count = len(inputs["temperature"])
        words = noise_words(self, count)
        relaxation = relaxation_of(inputs)[:, None]

        def step(h, ids, number):
            h = gru(w, w.embedding[ids] @ w.inputs + w.bias, h)
            return h, h @ w.outputs + w.outputs_bias

        def rows(noisy, ids, ended):
            return relaxed_rows(noisy, ids, ended, relaxation)

        start = jnp.zeros((count, self.width), w.hidden.dtype)
        more = {"emit": rows} if train else {}
        return write(step, start, inputs, words, self.form, train=train, **more)


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
        form = form_of(example, "recurrent_generator")
        return RecurrentGenerator(form, width, embedding, dropout, axis_name)

    return make
