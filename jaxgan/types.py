"""The types that all modules share; no logic."""

from collections.abc import Callable
from typing import Any, Generic, NamedTuple, TypeVar

import flax.struct
import jax

T = TypeVar("T")
Tree = Any
"""Any pytree of arrays."""

Device = Any
"""A `jax.Device`, which type checkers do not accept as a type."""

Batch = dict[str, jax.Array]
"""Examples by field: `image` `[B, H, W, C]` in [-1, 1] (or `[B, d]`), `label` `[B]`."""


class Players(NamedTuple, Generic[T]):
    """One value per player: networks, parameters, optimizers, losses.

    >>> Players(generator="G", discriminator="D").generator
    'G'
    """

    generator: T
    discriminator: T


class Samples(NamedTuple):
    """Real and generated samples of one update: trees whose axis 0 is the example.

    In paired tasks `real` is also the target of `fake`.

    >>> Samples(real=1.0, fake=0.0).condition is None
    True
    """

    real: Tree
    fake: Tree
    condition: Tree = None
    """The input of both players beside noise: a label, a source image, a mask."""
    reconstruction: Tree = None
    """The target of a reconstruction: `real` after a cycle, or the code of a `fake`."""
    latents: Tree = None
    """The noise that the generator was called with, if any."""


class DiscriminatorOutput(NamedTuple):
    """The output of a discriminator.

    >>> DiscriminatorOutput(logits=0.5).features
    ()
    """

    logits: Tree
    """High for real, `[B, ...]`; one leaf per scale or domain."""
    features: Tree = ()
    class_logits: jax.Array | None = None


class LossInputs(NamedTuple):
    """The inputs of a loss term: samples, and the discriminator's outputs on them.

    >>> LossInputs._fields[:3]
    ('samples', 'real', 'fake')
    """

    samples: Samples
    real: DiscriminatorOutput
    fake: DiscriminatorOutput
    critic: Callable[[Tree], DiscriminatorOutput]
    """The discriminator as a function of samples, for terms that differentiate it.

    It applies the condition and the augmentation of this update, with the same dropout
    mask at every call. Pass it samples that are not augmented yet.
    """
    keys: jax.Array
    """One PRNG key per example, `[B]`, the same on any number of devices."""
    step: jax.Array
    """The step at which schedules are evaluated, `[]`, int32."""
    generator: Callable[[Tree], Tree] | None = None
    """The generator as a function of latents, on the condition of this update."""
    params: Tree = None
    """The parameters of the player that this loss trains."""
    axis: str | None = None
    """The name of the device axis, for means over the batch of all devices."""
    parts: int = 1
    """The number of micro-batches of a device's batch; these inputs are one of them."""


class Term(NamedTuple):
    """A term of a loss as two pure functions, like `optax.GradientTransformation`.

    >>> counting = Term(lambda: 0, lambda inputs, calls: (0.5, calls + 1))
    >>> counting.apply(None, counting.init())
    (0.5, 1)
    """

    init: Callable[[], Tree]
    apply: Callable[[LossInputs, Tree], tuple[jax.Array, Tree]]
    """(inputs, term_state) to (value `[]`, new term_state).

    With several micro-batches, each gets the term state of the previous update, and the
    mean of their new term states is kept.
    """


class Augment(NamedTuple):
    """An augmentation of the discriminator's inputs, and its probability."""

    init: Callable[[], Tree]
    apply: Callable[[jax.Array, Tree, jax.Array], Tree]
    """(keys `[B]`, samples, p) to samples; the same keys give the same changes."""
    strength: Callable[[Tree, jax.Array], jax.Array]
    """(term_state, step) to the probability p, `[]` in [0, 1]."""
    update: Callable[[LossInputs, Tree], Tree]
    """(inputs of the discriminator's update, term_state) to the new term_state."""


Task = Callable[[Callable[..., Tree], Batch, jax.Array], Samples]
"""`task(generator, batch, keys) -> Samples`, with one PRNG key per example."""


class TrainState(flax.struct.PyTreeNode):
    """The complete state of a run. Checkpoints save and restore it unchanged.

    >>> list(TrainState.__dataclass_fields__)
    ['step', 'params', 'stats', 'opt_state', 'term_state', 'ema']
    """

    step: jax.Array
    params: Players[Tree]
    stats: Players[Tree]
    """The networks' other collections, such as `batch_stats`."""
    opt_state: Players[Tree]
    term_state: Players[Tree]
    """The state of the loss terms, by name, for each player."""
    ema: Tree
    """The running mean of the generator's variables, used for sampling."""
