"""A Transformer that writes texts and knows how likely texts are.

The decoder of https://arxiv.org/abs/1706.03762, in the form of GPT-2
(https://cdn.openai.com/better-language-models/language_models_are_unsupervised_multitask_learners.pdf):
normalization before each part of a block, learned positions, and residual projections
that start smaller the more blocks there are.
"""

from collections.abc import Callable
from typing import Annotated, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgan.errors import UsageError
from jaxgan.networks.layers import Dropout, unconditional
from jaxgan.networks.ops.arrays import add_bias, at_least_float32
from jaxgan.networks.ops.gumbel import gumbel_noise
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
from jaxgan.ranges import Fraction, Range, Width
from jaxgan.types import ExampleSpec, Tree

WIDER = 4
"""Units between the two layers of a block's perceptron, in widths."""
EPSILON = 1e-5
"""Added to variances in normalizations."""
ROWS = nn.initializers.normal(0.02)
"""Of embeddings and positions."""


class Block(NamedTuple):
    """The parameters of a block."""

    norm: jax.Array
    """`[2, E]`: scale and bias before the attention."""
    inputs: jax.Array
    """`[E, 3 E]`: queries, keys, values."""
    inputs_bias: jax.Array
    outputs: jax.Array
    """`[E, E]`"""
    outputs_bias: jax.Array
    second_norm: jax.Array
    up: jax.Array
    """`[E, 4 E]`"""
    up_bias: jax.Array
    down: jax.Array
    """`[4 E, E]`"""
    down_bias: jax.Array


class Weights(NamedTuple):
    """The parameters of a `TransformerGenerator`."""

    embedding: jax.Array
    """`[V + 1, E]`; the last row stands before the first token."""
    positions: jax.Array
    """`[T, E]`"""
    blocks: tuple[Block, ...]
    norm: jax.Array
    outputs: jax.Array
    """`[E, V]`"""
    outputs_bias: jax.Array


Attend = Callable[[jax.Array, jax.Array, jax.Array], jax.Array]
"""Maps queries, keys and values of new places, `[B, T, E]`, to `[B, T, E]`."""


def layer_norm(x: jax.Array, weights: jax.Array) -> jax.Array:
    """Normalizes each vector, https://arxiv.org/abs/1607.06450, in float32."""
    wide = at_least_float32(x)
    centered = wide - wide.mean(-1, keepdims=True)
    variance = jnp.square(centered).mean(-1, keepdims=True)
    scale, bias = at_least_float32(weights)
    normal = centered * jax.lax.rsqrt(variance + EPSILON)
    return (normal * scale + bias).astype(x.dtype)


def attention(
    q: jax.Array, k: jax.Array, v: jax.Array, seen: jax.Array, heads: int
) -> jax.Array:
    """Returns the attention of all heads, equation 1 of the paper.

    Args:
      q: queries `[B, T, E]`.
      k: keys `[B, S, E]`.
      v: values `[B, S, E]`.
      seen: True where a query sees a place; broadcasts to `[T, S]`.
      heads: number of heads, which divides E.

    Returns:
      `[B, T, E]`.
    """
    q, k, v = (x.reshape(*x.shape[:2], heads, -1) for x in (q, k, v))
    scores = jnp.einsum("bthd,bshd->bhts", q, k) * q.shape[-1] ** -0.5
    # The sum of a softmax is over many places.
    scores = jnp.where(seen, at_least_float32(scores), -jnp.inf)
    mixed = jnp.einsum("bhts,bshd->bthd", nn.softmax(scores).astype(v.dtype), v)
    return mixed.reshape(*mixed.shape[:2], -1)


def block(
    w: Block,
    x: jax.Array,
    attend: Attend,
    drop: Callable[[jax.Array], jax.Array] = lambda x: x,
) -> jax.Array:
    """Returns x `[B, T, E]` plus attention, plus a perceptron of that."""
    inside = add_bias(layer_norm(x, w.norm) @ w.inputs, w.inputs_bias)
    mixed = attend(*jnp.split(inside, 3, -1))
    x = x + drop(add_bias(mixed @ w.outputs, w.outputs_bias))
    inside = nn.gelu(add_bias(layer_norm(x, w.second_norm) @ w.up, w.up_bias))
    return x + drop(add_bias(inside @ w.down, w.down_bias))


class TransformerGenerator(nn.Module):
    """Writes texts by causal attention; see `writing` for inputs and outputs.

    It samples with the keys and values of earlier places kept. While it trains, logits
    of all places are then computed at once, as tokens have no gradients.
    """

    form: Form
    width: int
    layers: int
    heads: int
    dropout: float
    axis_name: str | None = None

    @nn.compact
    def __call__(
        self, inputs: dict[str, jax.Array], condition: Tree = None, *, train: bool
    ) -> Tree:
        unconditional(condition)
        w = self._weights()
        if "tokens" in inputs:
            tokens = inputs["tokens"].astype(jnp.int32)
            logits = self._logits(w, tokens, dropout=train)
            return log_likelihoods(logits, tokens, self.form)
        return self._write(w, inputs, train)

    def _weights(self) -> Weights:
        e, form = self.width, self.form
        kernel, zeros = nn.initializers.lecun_normal(), nn.initializers.zeros
        # Each block adds two terms.
        last = nn.initializers.variance_scaling(
            0.5 / self.layers, "fan_in", "truncated_normal"
        )
        made = {
            "norm": (norm_weights, (2, e)),
            "inputs": (kernel, (e, 3 * e)),
            "inputs_bias": (zeros, (3 * e,)),
            "outputs": (last, (e, e)),
            "outputs_bias": (zeros, (e,)),
            "second_norm": (norm_weights, (2, e)),
            "up": (kernel, (e, WIDER * e)),
            "up_bias": (zeros, (WIDER * e,)),
            "down": (last, (WIDER * e, e)),
            "down_bias": (zeros, (e,)),
        }
        blocks = tuple(
            Block(**{k: self.param(f"block_{i}_{k}", *x) for k, x in made.items()})
            for i in range(self.layers)
        )
        # Restored parameters are NumPy arrays, which no traced number can index.
        return Weights(
            jnp.asarray(self.param("embedding", ROWS, (form.size + 1, e))),
            jnp.asarray(self.param("positions", ROWS, (form.length, e))),
            blocks,
            self.param("norm", norm_weights, (2, e)),
            self.param("outputs", kernel, (e, form.size)),
            self.param("outputs_bias", zeros, (form.size,)),
        )

    def _logits(self, w: Weights, tokens: jax.Array, *, dropout: bool) -> jax.Array:
        """Returns the logits of each token after the ones before it, `[B, T, V]`."""

        def drop(x):
            return Dropout(self.dropout, self.axis_name)(x, train=dropout)

        count = tokens.shape[1]
        seen = jnp.tril(jnp.ones((count, count), bool))
        before = tokens_before(tokens, self.form)
        x = drop(w.embedding[before] + w.positions[:count])
        for own in w.blocks:
            x = block(
                own, x, lambda q, k, v: attention(q, k, v, seen, self.heads), drop
            )
        return last_layer(w, x)

    def _write(
        self, w: Weights, inputs: dict[str, jax.Array], train: bool
    ) -> jax.Array:
        form, count = self.form, len(inputs["temperature"])
        words = noise_words(self, count)
        shape = (2, count, form.length, self.width)
        empty = tuple(jnp.zeros(shape, w.outputs.dtype) for _ in w.blocks)
        fixed = jax.lax.stop_gradient(w) if train else w

        def step(kept, ids, number):
            return next_logits(fixed, kept, ids, number, self.heads)

        ids = write(step, empty, inputs, words, form, train=train)
        if not train:
            return ids
        logits = self._logits(w, ids, dropout=False)
        noise = jax.vmap(lambda i: gumbel_noise(words, i, form.size), out_axes=1)(
            jnp.arange(form.length)
        )
        ended = jnp.zeros(ids.shape, bool)
        if form.ends:
            ended = jnp.cumprod(tokens_before(ids, form) != 0, 1) == 0
        relaxation = relaxation_of(inputs)[:, None, None]
        return relaxed_rows(logits + noise.astype(logits.dtype), ids, ended, relaxation)


def norm_weights(
    key: jax.Array, shape: tuple[int, int], dtype: jnp.dtype = jnp.float32
) -> jax.Array:
    """Returns a scale of 1 and a bias of 0, `[2, E]`."""
    del key
    return jnp.stack([jnp.ones(shape[1:], dtype), jnp.zeros(shape[1:], dtype)])


def last_layer(w: Weights, x: jax.Array) -> jax.Array:
    """Maps states `[..., E]` to logits `[..., V]`."""
    return add_bias(layer_norm(x, w.norm) @ w.outputs, w.outputs_bias)


def next_logits(
    w: Weights,
    kept: tuple[jax.Array, ...],
    ids: jax.Array,
    number: jax.Array,
    heads: int,
) -> tuple[tuple[jax.Array, ...], jax.Array]:
    """Returns the logits of one place, from keys and values of the places before it.

    Args:
      w: the parameters.
      kept: keys and values `[2, B, T, E]` of each block.
      ids: the token before the place, `[B]`.
      number: of the place.
      heads: number of heads.

    Returns:
      `kept` with those of the place, and logits `[B, V]`.
    """
    new, seen = [], jnp.arange(len(w.positions)) <= number

    def attend(own: jax.Array) -> Attend:
        def call(q, k, v):
            both = jnp.stack([k, v])
            new.append(jax.lax.dynamic_update_slice_in_dim(own, both, number, 2))
            return attention(q, new[-1][0], new[-1][1], seen, heads)

        return call

    x = (w.embedding[ids] + w.positions[number])[:, None]
    for own, before in zip(w.blocks, kept, strict=True):
        x = block(own, x, attend(before))
    return tuple(new), last_layer(w, x)[:, 0]


def transformer_generator(
    width: Width = 128,
    layers: Annotated[int, Range(1, 100)] = 2,
    heads: Annotated[int, Range(1, 1_000)] = 4,
    dropout: Fraction = 0.0,
):
    """Returns a factory of `TransformerGenerator`.

    Args:
      width: numbers that stand for a token.
      layers: number of blocks.
      heads: of the attention; divides `width`.
      dropout: rate of dropout of embeddings and of what blocks add, for likelihoods
        only.

    Raises:
      UsageError: if `heads` does not divide `width`.
    """
    if width % heads:
        raise UsageError(
            f"transformer_generator(width={width}, heads={heads}): heads must divide "
            f"the width: use width={-(-width // heads) * heads}"
        )

    def make(
        *, example: ExampleSpec, axis_name: str | None = None
    ) -> TransformerGenerator:
        form = form_of(example, "transformer_generator")
        return TransformerGenerator(form, width, layers, heads, dropout, axis_name)

    return make
