"""Discriminators that compare the examples of a batch, on any number of examples."""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgan.errors import BatchSizeError
from jaxgan.gan.objective import bind
from jaxgan.types import DiscriminatorOutput, Tree

Critic = Callable[..., DiscriminatorOutput]
"""A function of (inputs, condition=None)."""


def judge_alone(
    net: nn.Module, variables: Tree, inputs: Tree, condition: Tree, keys: jax.Array
) -> DiscriminatorOutput:
    """Returns the outputs of a discriminator for each example by itself.

    Each one is a batch of its own, in which the deviation is 0.

    Args:
      net: the discriminator.
      variables: its parameters and statistics.
      inputs: `[B, ...]`.
      condition: of the examples, `[B, ...]`, or None.
      keys: of the examples, `[B]`, for noise.

    Raises:
      BatchSizeError: if the discriminator judges several examples as one.
    """

    def judge(*example):
        own, condition, key = jax.tree.map(lambda x: x[None], example)
        critic, _ = bind(net, variables, key)
        return jax.tree.map(lambda x: x[0], critic(own, condition))

    return jax.vmap(judge)(inputs, condition, keys)


def in_whole_groups(critic: Critic) -> Critic:
    """Returns a discriminator that takes any number of examples.

    Where the last group is not whole, it is filled with the first examples, whose
    outputs are computed twice and returned once.
    """

    def judge(inputs: Tree, condition: Tree = None) -> DiscriminatorOutput:
        try:
            return critic(inputs, condition)
        except BatchSizeError as error:
            count = len(jax.tree.leaves(inputs)[0])
            # A network inside of packs has fewer rows than there are examples.
            rows = jnp.arange(count * error.fits // error.count) % count
        filled = jax.tree.map(lambda x: x[rows], (inputs, condition))
        return jax.tree.map(lambda x: x[:count], critic(*filled))

    return judge
