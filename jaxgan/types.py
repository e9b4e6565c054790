"""The words every other module speaks in. Types only, no logic."""

from collections.abc import Callable
from typing import Any, Generic, NamedTuple, TypeVar

import flax.struct
import jax

from jaxgan.errors import UsageError as UsageError

T = TypeVar("T")
Tree = Any
"""Any pytree of arrays."""

Device = Any
"""A `jax.Device`, which is no type to type checkers."""

Batch = dict[str, jax.Array]
"""Examples by field: `image` `[B, H, W, C]` in [-1, 1] (or `[B, d]`), `label` `[B]`."""


class Players(NamedTuple, Generic[T]):
    """One thing per player: networks, parameters, optimizers, losses."""

    generator: T
    discriminator: T


class Samples(NamedTuple):
    """What one update compares. Trees; axis 0 is the example.

    In paired tasks `real` is also what `fake` should have been.
    """

    real: Tree
    fake: Tree
    condition: Tree = None
    """What both players may read: a label, a source image, a mask."""
    reconstruction: Tree = None
    """What should be found again: `real` after a cycle, the code of a `fake`."""
    latents: Tree = None
    """What the generator was called with, where it was called with noise."""


class DiscriminatorOutput(NamedTuple):
    """What a discriminator returns."""

    logits: Tree
    """High is real, `[B, ...]`; one leaf per scale or domain."""
    features: Tree = ()
    class_logits: jax.Array | None = None


class LossInputs(NamedTuple):
    """The samples as the discriminator sees them: what a loss term is a function of."""

    samples: Samples
    real: DiscriminatorOutput
    fake: DiscriminatorOutput
    critic: Callable[[Tree], DiscriminatorOutput]
    """The discriminator on the same condition, augmented alike, with one dropout mask.

    It takes samples that are not augmented yet, for terms that differentiate it.
    """
    keys: jax.Array
    """One PRNG key per example, `[B]`, the same on any number of devices."""
    step: jax.Array
    """The step, `[]`, int32: what schedules are read at."""
    generator: Callable[[Tree], Tree] | None = None
    """The generator on the same condition, as a function of latents."""
    params: Tree = None
    """The parameters that this loss moves: those of its player."""
    axis: str | None = None
    """The device axis that holds the rest of the batch, for means over all of it."""
    parts: int = 1
    """The number of parts that a device's batch is taken in; this is one of them."""


class Term(NamedTuple):
    """A part of a loss as two pure functions, as optax has it for gradients."""

    init: Callable[[], Tree]
    apply: Callable[[LossInputs, Tree], tuple[jax.Array, Tree]]
    """(inputs, memory) to the value and the next memory.

    Where a batch is taken in parts, each is given the memory of the update before, and
    the next memory is the mean of theirs.
    """


class Augment(NamedTuple):
    """How samples are changed before the discriminator sees them, and how often."""

    init: Callable[[], Tree]
    apply: Callable[[jax.Array, Tree, jax.Array], Tree]
    """(keys `[B]`, samples, p) to samples; the same keys change them alike."""
    strength: Callable[[Tree, jax.Array], jax.Array]
    """(memory, step) to p, `[]` in [0, 1]."""
    update: Callable[[LossInputs, Tree], Tree]
    """D's newest answers and the memory to the next memory."""


Task = Callable[[Callable[..., Tree], Batch, jax.Array], Samples]
"""`task(generator, batch, keys) -> Samples`, with one PRNG key per example."""


class TrainState(flax.struct.PyTreeNode):
    """All that a run is made of. Saved and restored as it stands."""

    step: jax.Array
    params: Players[Tree]
    stats: Players[Tree]
    """The networks' other collections, such as `batch_stats`."""
    opt_state: Players[Tree]
    term_state: Players[Tree]
    """What loss terms carry from step to step."""
    ema: Tree
    """Running mean of the generator's variables: what samples are drawn from."""
