"""The types that all modules share; no logic."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

import flax.struct
import jax
import numpy as np

from jaxgan.errors import FieldError

T = TypeVar("T")
Tree = Any
"""Any pytree of arrays."""

Device = Any
"""A `jax.Device`, which type checkers do not accept as a type."""

Batch = dict[str, jax.Array]
"""Examples by field: `image` `[B, H, W, C]` in [-1, 1] (or `[B, d]`), `label` `[B]`."""


class Field(NamedTuple):
    """One field of an example.

    >>> Field((28, 28, 1)).kind
    'image'
    """

    shape: tuple[int, ...]
    """Of one example: `(H, W, C)`, `(d,)`, `(T, C)`, `(T,)`, or `()`."""
    dtype: np.dtype = np.dtype(np.uint8)
    """Of the raw data, before they are normalized."""
    kind: str = "image"
    """`image`, `mask`, `vector`, `waveform`, `label`, `attributes` or `tokens`;
    `spectrogram` for networks alone, never of data."""
    names: tuple[str, ...] = ()
    """Names of a label's classes, of attributes, or of the vocabulary of tokens."""
    rate: int = 0
    """Samples per second of a waveform."""


class ExampleSpec(dict[str, Field]):
    """The fields of an example by name. The first one is generated.

    A data set promises these fields, a task requires some of them, and the factories of
    networks receive all of them.

    >>> spec = ExampleSpec(image=Field((8, 8, 3)), label=Field((), kind="label"))
    >>> spec.generated, spec.shape
    ('image', (8, 8, 3))
    """

    def __missing__(self, name: str) -> Field:
        """Raises FieldError."""
        raise FieldError(
            f"there is no field {name!r} in the examples, but {', '.join(self)}"
        )

    @property
    def generated(self) -> str:
        """The name of the first field."""
        return next(iter(self))

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the first field."""
        return self[self.generated].shape

    @property
    def dtype(self) -> np.dtype:
        """The dtype of the first field."""
        return self[self.generated].dtype

    @property
    def classes(self) -> tuple[str, ...]:
        """The class names of the field `label`; `()` if there is none."""
        return self["label"].names if "label" in self else ()


def image_example(
    shape: Sequence[int],
    dtype: Any = np.uint8,
    classes: Sequence[str] | int = (),
) -> ExampleSpec:
    """Returns the fields of images or vectors, with a label if there are classes.

    Args:
      shape: `(H, W, C)` of images, `(d,)` of vectors.
      dtype: of the raw data.
      classes: class names, or their number.

    >>> list(image_example((2,), np.float32, classes=3))
    ['image', 'label']
    """
    if isinstance(classes, int):
        classes = [str(i) for i in range(classes)]
    kind = "image" if len(shape) == 3 else "vector"
    spec = ExampleSpec(image=Field(tuple(shape), np.dtype(dtype), kind))
    if classes:
        spec["label"] = Field((), np.dtype(np.int32), "label", tuple(classes))
    return spec


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
    mask at every call. Pass it samples that are not augmented yet: as many as there
    are in the batch, or every n-th of them.
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
    styles: Callable[[Tree], Tree] | None = None
    """Latents to the styles that the generator takes in their place: one per layer, a
    leaf `[B, layers, d]`. None for a generator without a mapping network."""


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


class Stage(NamedTuple):
    """State between a task and the discriminator, such as a pool of past samples.

    It is part of the discriminator's `term_state`, saved and restored with it.

    >>> previous = Stage(
    ...     init=lambda samples: 0.0,
    ...     apply=lambda keys, samples, state: samples._replace(fake=state),
    ...     update=lambda keys, samples, state: samples.fake,
    ... )
    >>> previous.apply(None, Samples(real=1.0, fake=2.0), 3.0).fake
    3.0
    """

    init: Callable[[Samples], Tree]
    """Samples, of which only shapes are read, to the first state."""
    apply: Callable[[jax.Array, Samples, Tree], Samples]
    """(keys `[B]`, samples, state) to the samples of the discriminator's update."""
    update: Callable[[jax.Array, Samples, Tree], Tree]
    """(keys, samples, state) to the new state, once per update of the discriminator.

    The samples are those of the whole batch of all devices, before `apply`, with the
    same keys.
    """


Generate = Callable[..., Tree]
"""A generator as a function of (inputs, condition=None)."""


def fakes(samples: Samples) -> dict[str, Tree]:
    """Returns the generated samples for a preview: the default of a task."""
    return {"fake": samples.fake}


class AnomalyParts(NamedTuple):
    """Parts of an anomaly score, before they are weighted: large for unusual examples.

    >>> AnomalyParts(reconstruction=0.5, pixels=0.1, features=0.2).more
    {}
    """

    reconstruction: Tree
    """The nearest example that the generator makes, `[B, H, W, C]` in [-1, 1]."""
    pixels: jax.Array
    """The distance of each pixel to its reconstruction, `[B, H, W]` (or `[B, d]`), at
    least 0; its sum over pixels is the reconstruction's part of the score."""
    features: jax.Array
    """The distance of the discriminator's features of an example to those of its
    reconstruction, `[B]`, at least 0."""
    more: dict[str, jax.Array] = {}  # noqa: RUF012
    """Further parts by name, `[B]`, at least 0."""


class Task(NamedTuple):
    """A task: how samples are generated for a batch, and the defaults of that.

    >>> task = Task(lambda g, batch, keys, step: Samples(batch["image"], g(keys)))
    >>> task.requires, task.preview(Samples(real=1.0, fake=0.0))
    (('image',), {'fake': 0.0})
    """

    play: Callable[[Generate, Batch, jax.Array, jax.typing.ArrayLike], Samples]
    """play(generator, batch, keys, step), with one PRNG key per example, `[B]`."""
    requires: tuple[str, ...] = ("image",)
    """Fields of an example that `play` reads."""
    inputs: tuple[str, ...] = ()
    """Required fields that samples depend on, such as a label or a source image."""
    preview: Callable[[Samples], dict[str, Tree]] = fakes
    """Samples to the columns of a preview by name, such as source, fake and real."""
    defaults: Players[str] = Players("", "")
    """Recipes of terms that are added for each player, unless a flag names the term."""
    stage: Stage | None = None
    """State between the task and the discriminator."""
    transform: Callable[[Generate, Batch, jax.Array], Tree] | None = None
    """transform(generator, inputs, keys `[B]`) to images `[B, H, W, C]`, of a task that
    maps images to images; None if samples start from noise. `inputs` has the user's
    `source` `[B, h, w, c]` in [-1, 1], and what the task reads beside it: `mask`
    `[B, h, w, 1]` (1 in holes), `label` `[B]` or `attributes` `[B, k]`."""
    augment: Callable[[Batch, jax.Array], Batch] | None = None
    """augment(batch, keys `[B]`) to the batch that a train step plays instead, such as
    one with mirrored images. Batches that are sampled from or evaluated stay."""
    finish: Callable[[Samples], Samples] | None = None
    """Samples of the networks to those that are shown, evaluated and written, such as
    spectrograms to waveforms. None if they are the same. Train steps do not finish."""
    score: Callable[..., AnomalyParts] | None = None
    """score(generator, critic, inputs, keys `[B]`) to the parts of the anomaly score of
    each input, of a task that finds unusual examples. `inputs` has the first field,
    `[B, H, W, C]` in [-1, 1]; `critic` maps samples to a `DiscriminatorOutput`. Both
    networks are bound for sampling, without dropout."""
    weights: Mapping[str, float] = {}
    """Weights of the parts of a score by name; 1 for others, such as `pixels`."""
    settings: Any = None
    """A NamedTuple that a generator with a field of this name must share, such as the
    settings of spectrograms."""
    aligned: bool = False
    """True if images of an example must belong together, as a source and its target."""
    source: Field | None = None
    """The field `source` that the task makes of an example itself, such as a smaller
    image, for the factories of networks. None if sources are a field of the data."""
    generated: Field | None = None
    """The field that networks generate and judge, such as spectrograms of sounds, for
    the factories of networks. None for the first field of an example."""
    refused: str = ""
    """The reason for which a new run may not train on these data, and another task.
    A run of an earlier version, which did, can be opened and resumed."""


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
    """The state of the loss terms, by name, for each player; the discriminator's also
    has that of the augmentation and of the task's stage."""
    ema: Tree
    """The running mean of the generator's variables, used for sampling."""
