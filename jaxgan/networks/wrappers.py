"""Wrappers of networks: `spectral_norm|pack(2)`, of which the first is innermost.

Wrappers of discriminators read the logits and features of the network inside.
"""

from collections.abc import Callable
from typing import Annotated

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgan import spec
from jaxgan.errors import BatchSizeError, ConditionError, UsageError
from jaxgan.networks.conditions import condition_size, embed_condition
from jaxgan.networks.spectral_norm import SpectralNorm
from jaxgan.networks.streams import keys_of_packs
from jaxgan.networks.styles import Styles, ToStyles, Truncated
from jaxgan.ranges import Range, Size, Width
from jaxgan.types import DiscriminatorOutput, ExampleSpec, Tree

Wrap = Callable[[nn.Module], nn.Module]
"""A function of a network that returns the wrapped network."""


class Pack(nn.Module):
    """A discriminator that judges `size` examples as one."""

    net: nn.Module
    size: int

    @nn.compact
    def __call__(
        self, x: Tree, condition: Tree = None, *, train: bool
    ) -> DiscriminatorOutput:
        x, condition = jax.tree.map(lambda leaf: join(leaf, self.size), (x, condition))
        with keys_of_packs(self.size):
            output = _call_discriminator("pack", self.net, x, condition, train)
        # The labels are of single examples.
        if output.class_logits is not None:
            raise UsageError("classifier reads single examples: leave out pack")
        return output


def join(x: jax.Array, size: int) -> jax.Array:
    """Joins consecutive examples along channels: `[B, ..., C]` to `[B/s, ..., sC]`.

    >>> join(jnp.arange(6), 2).tolist()
    [[0, 1], [2, 3], [4, 5]]
    """
    packs = grouped(x, size, "pack")
    # Labels become `[B / size, size]`.
    if x.ndim == 1:
        return packs
    # The examples of a pack go next to the channels.
    last = jnp.moveaxis(packs, 1, -2)
    return last.reshape(*last.shape[:-2], size * x.shape[-1])


class WithHead(nn.Module):
    """A discriminator with a head that changes its output."""

    net: nn.Module
    called: str
    """Name of the wrapper in messages."""
    more: Callable[[DiscriminatorOutput, Tree, Tree], DiscriminatorOutput]
    """(output, x, condition) to the new output; may create layers."""
    deviation_group: int = 0
    """See `group_of`."""

    @nn.compact
    def __call__(
        self, x: Tree, condition: Tree = None, *, train: bool
    ) -> DiscriminatorOutput:
        output = _call_discriminator(self.called, self.net, x, condition, train)
        return self.more(output, x, condition)


OTHER_NETWORKS = (
    "embed wraps only a generator of latents [B, d]: wrap the generator in embed, or "
    "the discriminator in projection"
)
"""The message of `Embed` around any other network."""


class Embed(nn.Module):
    """A conditional generator: `net` of the latent and an embedding of the condition.

    The condition is a label, or attributes.
    """

    net: nn.Module
    size: int
    """Number of classes or of attributes."""
    dim: int
    """Entries of the embedding; 0 for those of the latent."""

    @nn.compact
    def __call__(
        self,
        z: jax.Array | Styles | ToStyles | Truncated,
        condition: jax.Array | None = None,
        *,
        train: bool,
    ) -> Tree:
        # Styles are of latents and conditions already.
        if isinstance(z, Styles):
            return self.net(z, train=train)
        latents = z.z if isinstance(z, ToStyles | Truncated) else z
        if jnp.ndim(latents) != 2:
            raise UsageError(OTHER_NETWORKS)
        dim = self.dim or latents.shape[-1]
        embedding = embed_condition(
            condition, latents.shape[0], self.size, dim, "embed"
        )
        # The network inside gets a longer latent, `[B, d + dim]`, and no condition.
        longer = jnp.concatenate([latents, embedding], axis=-1)
        inputs = z._replace(z=longer) if isinstance(z, ToStyles | Truncated) else longer
        out = self.net(inputs, train=train)
        # Only the output shows that a network of vectors is a discriminator.
        if isinstance(out, DiscriminatorOutput):
            raise UsageError(OTHER_NETWORKS)
        return out


def _call_discriminator(
    name: str, net: nn.Module, x: Tree, condition: Tree, train: bool
) -> DiscriminatorOutput:
    """Calls the network in a wrapper; raises UsageError if it is no discriminator."""
    out = net(x, condition, train=train)
    if not isinstance(out, DiscriminatorOutput):
        raise UsageError(
            f"{name} wraps only a network that returns a DiscriminatorOutput: wrap the "
            f"discriminator in {name}, not the generator"
        )
    return out


def _flat_features(output: DiscriminatorOutput, name: str) -> jax.Array:
    """Returns all features of each example as one vector, `[B, F]`.

    Of several layers, as PatchGAN returns them, each channel of an image is averaged:
    their pixels would make heads of millions of parameters.
    """
    leaves = jax.tree.leaves(output.features)
    if len(leaves) > 1:
        leaves = [x.mean((1, 2)) if x.ndim == 4 else x for x in leaves]
    # Each leaf is `[B, ...]`.
    rows = [leaf.reshape(len(leaf), -1) for leaf in leaves]
    if not rows:
        raise UsageError(
            f"{name} reads the discriminator's features, and this one returns none: "
            "use networks that return features, such as mlp"
        )
    return jnp.concatenate(rows, axis=-1)


def grouped(x: jax.Array, size: int, name: str) -> jax.Array:
    """Groups consecutive examples: `[B, ...]` to `[B / size, size, ...]`.

    Raises:
      BatchSizeError: if B is not a multiple of the size.
    """
    # Groups cannot reach across devices.
    if len(x) % size:
        problem = f"{name}({size}) takes {size} examples at a time, and a device has "
        raise BatchSizeError(f"{problem}{len(x)}", len(x), size)
    return x.reshape(-1, size, *x.shape[1:])


def grouped_for_deviation(x: jax.Array, group: int) -> jax.Array:
    """Groups consecutive examples like `grouped`, a smaller batch as one group.

    The size is min(group, B), as in StyleGAN2, https://arxiv.org/abs/1912.04958. The
    deviation of a group of one is 0.

    Raises:
      BatchSizeError: if B is larger than a group and not a multiple of it.
    """
    return grouped(x, min(group, len(x)), "minibatch_std")


def group_of(net: nn.Module) -> int:
    """Returns the examples in a discriminator's groups, 0 if it has no deviation.

    Several layers with a deviation have the largest group.
    """
    inside = getattr(net, "inside", getattr(net, "net", None))
    own = getattr(net, "deviation_group", 0)
    return max(own, group_of(inside)) if inside else own


def _add_to_logits(
    output: DiscriminatorOutput, summand: jax.Array
) -> DiscriminatorOutput:
    """Adds `[B]` to all logits of each example."""

    # Logits may have more axes, such as positions.
    def add(logits):
        return logits + summand.reshape(-1, *[1] * (logits.ndim - 1))

    return output._replace(logits=jax.tree.map(add, output.logits))


def spectral_norm(steps: Annotated[int, Range(1, 100)] = 1) -> Wrap:
    """Spectral normalization of all kernels, https://arxiv.org/abs/1802.05957.

    For either player. Each kernel is divided by its largest singular value. Kernels are
    parameters with two axes or more, also embeddings, reshaped to a matrix `[-1, O]`.

    Args:
      steps: steps of power iteration at every call.
    """
    _at_least(1, steps, "steps")
    return lambda net: SpectralNorm(net, steps)


def pack(size: Width = 2) -> Wrap:
    """Packs examples for the discriminator, https://arxiv.org/abs/1712.04086 (PacGAN).

    It judges `size` consecutive examples as one. Examples and conditions are joined
    along channels; logits and features are `[B / size, ...]`.

    Args:
      size: examples in a pack. The batch of each device must be a multiple of it.
    """
    _at_least(1, size, "size")
    return lambda net: Pack(net, size)


def minibatch_std(group: Annotated[int, Range(2, 2**20)] = 4) -> Wrap:
    """Minibatch standard deviation, https://arxiv.org/abs/1710.10196, section 3.

    The standard deviation of features over groups of consecutive examples, averaged
    over features. It is one more feature of the last layer: a learned multiple of it is
    added to the logits. Write `spectral_norm|minibatch_std`; in the other order, the
    factor would be normalized to 1 and not learned.

    Args:
      group: examples in a group. A device that has fewer at a time makes one group of
        them. Otherwise it must have a multiple of the group, and the result does not
        depend on the number of devices.
    """
    _at_least(2, group, "group")

    def more(output, x, condition):
        features = _flat_features(output, "minibatch_std")
        # `[B / group, group, F]`, and one deviation per group.
        groups = grouped_for_deviation(features, group)
        # The epsilon keeps the gradient of equal examples finite.
        deviation = jnp.sqrt(jnp.var(groups, axis=1) + 1e-8).mean(-1)
        # The initial scale is that of a layer with all features as inputs.
        scale = (features.shape[-1] + 1) ** -0.5
        last = nn.Dense(1, use_bias=False, kernel_init=nn.initializers.normal(scale))
        # All examples of a group get the same feature.
        repeated = jnp.repeat(deviation, groups.shape[1])
        return _add_to_logits(output, last(repeated[:, None])[:, 0])

    return lambda net: WithHead(net, "minibatch_std", more, group)


def projection(*, example: ExampleSpec) -> Wrap:
    """The projection discriminator, https://arxiv.org/abs/1802.05637, equation 4.

    Adds <v_y, features> to the logits, with a learned v for each class y. That of
    attributes is the sum of the v of those that are present.

    Args:
      example: the fields of an example, with a label or attributes.
    """
    size = _require_condition(example, "projection")

    def more(output, x, condition):
        features = _flat_features(output, "projection")
        count, width = features.shape
        # v_y for the condition of each example, `[B, F]`.
        directions = embed_condition(condition, count, size, width, "projection")
        return _add_to_logits(output, jnp.sum(directions * features, axis=-1))

    return lambda net: WithHead(net, "projection", more)


def classifier(outputs: Size = 0, *, example: ExampleSpec) -> Wrap:
    """A second head on the features, with `class_logits` `[B, outputs]`.

    For AC-GAN, https://arxiv.org/abs/1610.09585, InfoGAN,
    https://arxiv.org/abs/1606.03657, and StarGAN, https://arxiv.org/abs/1711.09020.

    Args:
      outputs: number of class logits; 0 for one per class of the label, or per
        attribute if there is no label.
      example: the fields of an example, with a label or attributes.
    """
    _at_least(0, outputs, "outputs")
    # By default there is one output per class or attribute.
    outputs = outputs or _require_condition(example, "classifier")

    def more(output, x, condition):
        features = _flat_features(output, "classifier")
        # Packs have fewer rows than there are examples.
        if len(features) != len(jax.tree.leaves(x)[0]):
            raise UsageError("classifier reads single examples: leave out pack")
        head = nn.Dense(outputs)
        return output._replace(class_logits=head(features))

    return lambda net: WithHead(net, "classifier", more)


def embed(dim: Size = 0, *, example: ExampleSpec) -> Wrap:
    """Makes any generator conditional, https://arxiv.org/abs/1411.1784.

    Appends a learned embedding of the label, or of the attributes, to the latent.

    Args:
      dim: entries of the embedding; 0 for as many as the latent has.
      example: the fields of an example, with a label or attributes.
    """
    _at_least(0, dim, "dim")
    size = _require_condition(example, "embed")
    return lambda net: Embed(net, size, dim)


ONLY_FOR = {
    "embed": "generator",
    "pack": "discriminator",
    "minibatch_std": "discriminator",
    "projection": "discriminator",
    "classifier": "discriminator",
}
"""The player of wrappers that are for one of them."""


def check_wrappers(player: str, text: str) -> None:
    """Raises UsageError for wrappers that are for the other player.

    Args:
      player: `generator` or `discriminator`.
      text: the recipe of its wrappers.
    """
    for call in spec.parse(text):
        only = ONLY_FOR.get(call.name, player)
        if only != player:
            other = ", or the discriminator in projection" * (call.name == "embed")
            raise UsageError(f"wrap the {only} in {call.name}, not the {player}{other}")


def _require_condition(example: ExampleSpec, name: str) -> int:
    """Returns the size of a condition; raises ConditionError if there is none."""
    size = condition_size(example)
    if not size:
        raise ConditionError(f"{name} needs labels or attributes")
    return size


def _at_least(low: int, value: int, name: str) -> None:
    """Raises UsageError if a value is too small."""
    # Recipes check annotated ranges already; calls from Python do not.
    if value < low:
        raise UsageError(f"{name}={value}: choose {low} or more")


WRAPPERS: dict[str, Callable[..., Wrap]] = {
    f.__name__: f
    for f in (spectral_norm, pack, minibatch_std, projection, classifier, embed)
}
"""Factories of wrappers by name."""
