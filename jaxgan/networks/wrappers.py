"""What any network can be wrapped in: `spectral_norm|pack(2)`, each around all before.

Those for discriminators read what the network inside returns, its logits and features.
"""

from collections.abc import Callable
from typing import Annotated, Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgan.networks.spectral_norm import SpectralNorm
from jaxgan.ranges import Range, Size, Width
from jaxgan.types import DiscriminatorOutput, Tree, UsageError

Wrap = Callable[[nn.Module], nn.Module]


class Pack(nn.Module):
    """A discriminator of `size` examples at a time."""

    net: nn.Module
    size: int

    @nn.compact
    def __call__(
        self, x: Tree, condition: Tree = None, *, train: bool
    ) -> DiscriminatorOutput:
        x, condition = jax.tree.map(lambda leaf: join(leaf, self.size), (x, condition))
        critique = _output("pack", self.net, x, condition, train)
        if critique.class_logits is not None:
            raise UsageError("classifier reads single examples: leave out pack")
        return critique


def join(x: jax.Array, size: int) -> jax.Array:
    """Consecutive examples along the last axis: `[B, ..., C]` to `[B/s, ..., sC]`.

    >>> join(jnp.arange(6), 2).tolist()
    [[0, 1], [2, 3], [4, 5]]
    """
    packs = _grouped(x, size, "pack")
    if x.ndim == 1:
        return packs
    last = jnp.moveaxis(packs, 1, -2)
    return last.reshape(*last.shape[:-2], size * x.shape[-1])


class WithHead(nn.Module):
    """A discriminator with more made of what it returns."""

    net: nn.Module
    called: str
    more: Callable[[DiscriminatorOutput, Tree, Tree], DiscriminatorOutput]
    """(critique, x, condition) to the critique; makes layers of its own."""

    @nn.compact
    def __call__(
        self, x: Tree, condition: Tree = None, *, train: bool
    ) -> DiscriminatorOutput:
        critique = _output(self.called, self.net, x, condition, train)
        return self.more(critique, x, condition)


OTHER_NETWORKS = "embed wraps a generator of vectors: --generator_wrap=embed"


class Embed(nn.Module):
    """A generator that is told a label: `net(z, label)`."""

    net: nn.Module
    classes: int
    dim: int

    @nn.compact
    def __call__(
        self, z: jax.Array, label: jax.Array | None = None, *, train: bool
    ) -> Tree:
        if jnp.ndim(z) != 2:
            raise UsageError(OTHER_NETWORKS)
        label = _label(label, len(z), "embed")
        told = nn.Embed(self.classes, self.dim or z.shape[-1])(label)
        out = self.net(jnp.concatenate([z, told], axis=-1), train=train)
        if isinstance(out, DiscriminatorOutput):
            raise UsageError(OTHER_NETWORKS)
        return out


def _output(
    name: str, net: nn.Module, x: Tree, condition: Tree, train: bool
) -> DiscriminatorOutput:
    given = () if condition is None else (condition,)
    out = net(x, *given, train=train)
    if not isinstance(out, DiscriminatorOutput):
        raise UsageError(f"{name} wraps a discriminator: --discriminator_wrap={name}")
    return out


def _features(critique: DiscriminatorOutput, name: str) -> jax.Array:
    """All features of an example in a row, `[B, F]`."""
    rows = [leaf.reshape(len(leaf), -1) for leaf in jax.tree.leaves(critique.features)]
    if not rows:
        raise UsageError(
            f"{name} reads the discriminator's features, and this one returns none: "
            "choose other --networks, such as mlp"
        )
    return jnp.concatenate(rows, axis=-1)


def _grouped(x: jax.Array, size: int, name: str) -> jax.Array:
    """Consecutive examples in groups: `[B, ...]` to `[B / size, size, ...]`."""
    if len(x) % size:
        raise UsageError(
            f"{name}({size}) takes {size} examples at a time, a device has {len(x)}: "
            f"choose a --batch_size that gives it a multiple of {size}, "
            f"such as {-(-len(x) // size) * size} on one device"
        )
    return x.reshape(-1, size, *x.shape[1:])


def _label(label: Any, count: int, name: str) -> jax.Array:
    if label is None:
        raise UsageError(f"{name} reads labels: choose --task=conditional")
    if getattr(label, "shape", None) != (count,):
        raise UsageError(
            f"{name} reads one label for each of {count} rows: "
            "choose --task=conditional, and no pack"
        )
    return label


def _plus(critique: DiscriminatorOutput, more: jax.Array) -> DiscriminatorOutput:
    """The critique with `[B]` added to every logit of an example."""

    def add(logits):
        return logits + more.reshape(-1, *[1] * (logits.ndim - 1))

    return critique._replace(logits=jax.tree.map(add, critique.logits))


def spectral_norm(steps: Annotated[int, Range(1, 100)] = 1) -> Wrap:
    """Every kernel divided by its largest singular value, arXiv 1802.05957.

    For either player. Kernels are parameters of two axes or more, `[..., O]` taken as a
    matrix of O columns, embeddings too.

    Args:
      steps: of power iteration at every call.
    """
    _at_least(1, steps, "steps")
    return lambda net: SpectralNorm(net, steps)


def pack(size: Width = 2) -> Wrap:
    """The discriminator judges `size` examples as one, https://arxiv.org/abs/1712.04086.

    Consecutive examples are joined along channels, conditions likewise; logits and
    features are `[B / size, ...]`. Each device's batch is a multiple of `size`.
    """
    _at_least(1, size, "size")
    return lambda net: Pack(net, size)


def minibatch_std(group: Annotated[int, Range(2, 2**20)] = 4) -> Wrap:
    """Minibatch standard deviation, https://arxiv.org/abs/1710.10196, section 3.

    Of features, over groups of consecutive examples, averaged over features. The last
    layer reads it as one more feature: a learned multiple of it is added to the logits
    (of size 1 and not learned within `spectral_norm`: `spectral_norm|minibatch_std`).
    Each device's batch is a multiple of `group`, so that any number agrees.
    """
    _at_least(2, group, "group")

    def more(critique, x, condition):
        features = _features(critique, "minibatch_std")
        groups = _grouped(features, group, "minibatch_std")
        spread = jnp.sqrt(jnp.var(groups, axis=1) + 1e-8).mean(-1)
        scale = (features.shape[-1] + 1) ** -0.5  # as in a layer of all of them
        last = nn.Dense(1, use_bias=False, kernel_init=nn.initializers.normal(scale))
        return _plus(critique, last(jnp.repeat(spread, group)[:, None])[:, 0])

    return lambda net: WithHead(net, "minibatch_std", more)


def projection(*, classes: int = 0) -> Wrap:
    """The projection discriminator, https://arxiv.org/abs/1802.05637, equation 4.

    <v_y, features> is added to the logits, with a learned v for each of the data set's
    `classes` y.
    """
    _labelled(classes, "projection")

    def more(critique, x, condition):
        features = _features(critique, "projection")
        label = _label(condition, len(features), "projection")
        directions = nn.Embed(classes, features.shape[-1])(label)
        return _plus(critique, jnp.sum(directions * features, axis=-1))

    return lambda net: WithHead(net, "projection", more)


def classifier(outputs: Size = 0, *, classes: int = 0) -> Wrap:
    """A second head on the features, for AC-GAN (arXiv 1610.09585) and InfoGAN.

    Args:
      outputs: of the head, `class_logits` `[B, outputs]`; 0 for one per class.
      classes: of the data set.
    """
    _at_least(0, outputs, "outputs")
    if not outputs:
        _labelled(classes, "classifier")

    def more(critique, x, condition):
        features = _features(critique, "classifier")
        if len(features) != len(jax.tree.leaves(x)[0]):
            raise UsageError("classifier reads single examples: leave out pack")
        head = nn.Dense(outputs or classes)
        return critique._replace(class_logits=head(features))

    return lambda net: WithHead(net, "classifier", more)


def embed(dim: Size = 0, *, classes: int = 0) -> Wrap:
    """The generator's latent is followed by a learned embedding of the label.

    So any generator becomes conditional, https://arxiv.org/abs/1411.1784.

    Args:
      dim: entries of the embedding; 0 for as many as the latent has.
      classes: of the data set.
    """
    _at_least(0, dim, "dim")
    _labelled(classes, "embed")
    return lambda net: Embed(net, classes, dim)


def _labelled(classes: int, name: str) -> None:
    if not classes:
        raise UsageError(f"{name} wants labels: choose a --dataset that has them")


def _at_least(low: int, value: int, name: str) -> None:
    if value < low:
        raise UsageError(f"{name}={value}: choose {low} or more")


WRAPPERS = {
    f.__name__: f
    for f in (spectral_norm, pack, minibatch_std, projection, classifier, embed)
}
