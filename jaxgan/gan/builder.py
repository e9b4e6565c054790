"""Builds a GAN from a configuration. The only module that imports all tables."""

import contextlib
import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import optax

from jaxgan import augment, data, spec
from jaxgan.arguments import out_of_range
from jaxgan.augment import AUGMENTATIONS, PROBABILITIES
from jaxgan.config.extensions import import_extensions
from jaxgan.config.training import Config
from jaxgan.errors import (
    FieldError,
    ImageSizeError,
    UsageError,
)
from jaxgan.gan import objective
from jaxgan.gan.build_evaluators import build_evaluators
from jaxgan.gan.data_checks import (
    check_networks,
    check_new,
    check_pair,
    check_sizes,
    networks_example,
)
from jaxgan.gan.flag_texts import (
    CHECKED_EXAMPLE,
    build_from,
    build_one,
    build_value,
    shape_errors,
    with_field,
    with_flag,
    with_image_size,
    without_labels,
)
from jaxgan.gan.gan import GAN, example_batch, make_generate, make_play
from jaxgan.gan.train_step import init_state, make_step, unwrapped, with_raw_batches
from jaxgan.losses import LOSSES, REGULARIZERS
from jaxgan.losses.gamma import AUTO, gamma_of, uses_auto
from jaxgan.networks import DISCRIMINATORS, GENERATORS, NETWORKS, WRAPPERS
from jaxgan.networks.ops.platform import platform
from jaxgan.networks.precision import PRECISIONS, with_precision
from jaxgan.networks.styles import innermost
from jaxgan.networks.wrappers import check_wrappers
from jaxgan.optimizers import chain
from jaxgan.ranges import NON_NEGATIVE
from jaxgan.schedules import ema_decay, schedules_of
from jaxgan.tasks import TASKS
from jaxgan.types import (
    Augment,
    Batch,
    ExampleSpec,
    Players,
    Task,
    Term,
    TrainState,
)


class Placed(NamedTuple):
    """The shardings of a step's arguments, None for no mesh.

    A trace of arrays with a mesh is not one of arrays without.
    """

    state: jax.sharding.NamedSharding | None
    """Of the state, and of all that is computed with it."""
    batches: jax.sharding.NamedSharding | None


NOWHERE = Placed(None, None)


def build(config: Config, dataset: data.Dataset) -> GAN:
    """Builds the GAN of a configuration for one device, with compiled functions.

    Args:
      config: the configuration.
      dataset: the data to train on; only its fields are used.

    Raises:
      UsageError: naming the flag, if something cannot be built, or if the task is not
        one for these data.

    >>> from jaxgan.config.resolve import make_config
    >>> from jaxgan.data import load
    >>> gan = build(make_config(dataset="ring8", batch_size=8), load("ring8"))
    >>> state = gan.init(jax.random.key(0))
    >>> gan.sample(state.ema, jax.random.key(1), n=5).shape
    (5, 2)
    """
    check_dataset(config, dataset)
    gan = build_gan(
        without_labels(config, dataset.example),
        dataset.example,
        # XLA for CPU is slow at convolutions in a loop.
        unroll=platform() == "cpu",
    )
    return gan._replace(
        init=jax.jit(gan.init),
        train_step=jax.jit(gan.train_step),
        # The fourth argument is a function.
        generate=jax.jit(gan.generate, static_argnums=3),
        play=jax.jit(gan.play, static_argnums=3),
    )


def build_gan(
    config: Config,
    example: ExampleSpec,
    *,
    axis: str | None = None,
    devices: int = 1,
    unroll: bool = False,
    wrap_gradient: Callable[[Callable], Callable] = unwrapped,
    placed: Placed = NOWHERE,
    trains: bool = True,
) -> GAN:
    """Builds the GAN of a configuration; its functions are not compiled.

    Args:
      config: the configuration.
      example: the fields of an example.
      axis: name of the device axis, if there are several devices.
      devices: number of devices that a batch is split over.
      unroll: unroll the discriminator updates instead of scanning over them.
      wrap_gradient: wrapper of the gradient function, see `make_step`.
      placed: the shardings of a step's arguments, with which the step is traced once.
      trains: trace the first step, to find shapes that do not fit. False for a run
        that was trained: tracing its networks' first state is faster.

    Raises:
      UsageError: naming the flag, if something cannot be built.
    """
    # First, as the user's modules add to the tables.
    import_extensions(config.import_)
    # Each factory gets those that it has a parameter for.
    task = task_for(config, example)
    facts = {"example": networks_example(task, example), "axis_name": axis}
    check_networks(config, example)
    networks = build_networks(config, facts)
    check_settings(config, task, networks.generator)
    if trains:
        check_sizes(config, task, networks.generator, example)
    augmentation = build_augment(config)
    terms = build_terms(config, augmentation, task.defaults, facts["example"])
    optimizers = build_optimizers(config)
    local, parts = config.batch_size // devices, config.accumulate

    def init(key):
        # Networks see one micro-batch at a time.
        batch = example_batch(example, local // parts)
        return init_state(key, task, networks, terms, optimizers, batch)

    loss = objective.make_loss(
        task, networks, terms, augment=augmentation, axis=axis, parts=parts
    )
    # Made twice if the gradient is wrapped, for the check without the wrapper.
    make = functools.partial(
        make_step,
        loss,
        optimizers,
        decay=build_decay(config),
        axis=axis,
        unroll=unroll,
        parts=parts,
        same_latents=config.g_latents == "same",
        stage=task.stage,
    )
    # Errors of shapes are found before anything is compiled or written.
    # Training traces the same step, within its program: jit keeps the trace.
    step = jax.jit(make(), inline=True)
    if trains:
        batches = example_batch(example, config.d_updates * local)
        check_step(config, init, step, batches, axis, devices, placed)
    else:
        with shape_errors(config):
            jax.eval_shape(init, jax.random.key(0))
    if wrap_gradient is not unwrapped:
        step = make(wrap_gradient=wrap_gradient)
    train_step = with_raw_batches(step, example)
    sampling = make_generate(task, networks), make_play(task, networks)
    return GAN(task, networks, terms, optimizers, init, train_step, *sampling)


def check_settings(config: Config, task: Task, net: nn.Module) -> None:
    """Raises UsageError if the generator and the task have different settings."""
    own, given = getattr(innermost(net), "settings", None), task.settings
    if own is None or given is None or own == given:
        return
    names = [x for x in given._fields if getattr(own, x) != getattr(given, x)]
    ours, theirs = (
        ", ".join(f"{x}={getattr(one, x):g}" for x in names) for one in (own, given)
    )
    raise UsageError(
        f"--networks={config.networks} has {ours}, and --task={config.task} {theirs}: "
        "use the same settings in both"
    )


def check_texts(config: Config) -> None:
    """Builds everything that needs no data, to find wrong flags before a download.

    Networks are built for a small picture with labels, but not initialized. Those that
    need other fields are checked with the data.

    Raises:
      UsageError: naming the flag.
    """
    import_extensions(config.import_)
    with contextlib.suppress(FieldError):
        build_networks(config, {"example": CHECKED_EXAMPLE, "axis_name": None})
    defaults = Players("", "")
    with contextlib.suppress(FieldError):
        task = build_one("task", config, TASKS, example=CHECKED_EXAMPLE)
        defaults = task.defaults
    build_terms(config, build_augment(config), defaults, CHECKED_EXAMPLE)
    build_optimizers(config)
    build_decay(config)
    build_evaluators(config)


def build_task(config: Config, example: ExampleSpec) -> Task:
    """Builds the task.

    Raises:
      UsageError: if the examples lack a field that it reads.
    """
    task = build_one("task", config, TASKS, example=example)
    missing = [field for field in task.requires if field not in example]
    if missing:
        raise FieldError(
            f"--task={config.task} needs {missing[0]!r} with each example, "
            f"which --dataset={config.dataset} does not have: its fields are "
            f"{', '.join(example)}; {with_field(missing[0], task, config)}"
        )
    return task


def task_for(config: Config, example: ExampleSpec) -> Task:
    """Builds the task for the networks of the configuration.

    Raises:
      UsageError: if the task refuses the examples. If the networks refuse them too,
        theirs is raised, as it names what fits examples of this kind.
    """
    try:
        return build_task(config, example)
    except UsageError:
        build_networks(config, {"example": example, "axis_name": None})
        raise


def check_dataset(config: Config, dataset: data.Dataset) -> None:
    """Checks that the task of a new run is one for its data.

    Raises:
      UsageError: naming flags that work.
    """
    import_extensions(config.import_)
    check_new(config, task_for(config, dataset.example), dataset)


def build_networks(config: Config, facts: dict[str, Any]) -> Players[nn.Module]:
    """Builds both networks with their wrappers."""
    # Networks of pairs are arguments: `image_to_image(generator=unet(32))`.
    nested = {**GENERATORS, **DISCRIMINATORS}

    def build_pair(text):
        check_pair(config, text, facts["example"])
        try:
            return spec.build_one(text, NETWORKS, nested, remat=config.remat, **facts)
        except ImageSizeError as error:
            raise FieldError(with_image_size(error)) from error

    pair = build_from("networks", config, build_pair)
    dtype = PRECISIONS[config.precision]
    # The innermost wrapper, so that all others compute in float32.
    pair = Players(*(with_precision(net, dtype, config.remat) for net in pair))
    for player in Players._fields:
        name = f"{player}_wrap"

        def read(text, player=player):
            check_wrappers(player, text)
            return spec.build(text, WRAPPERS, **facts)

        for wrap in build_from(name, config, read).values():
            pair = pair._replace(**{player: wrap(getattr(pair, player))})
    for net in pair:
        check_call(config, net)
    return pair


def check_call(config: Config, net: nn.Module) -> None:
    """Raises UsageError unless a network takes (inputs, condition, train)."""
    try:
        inspect.signature(net.__call__).bind(None, None, train=True)
    except TypeError as error:
        raise UsageError(
            f"--networks={config.networks}: {type(net).__name__}.__call__ must take "
            f"(inputs, condition=None, *, train): {error}"
        ) from error


def build_augment(config: Config) -> Augment | None:
    """Builds the augmentation of the discriminator's inputs, or None."""
    parts = build_from("augment", config, lambda text: spec.build(text, AUGMENTATIONS))
    if not parts:
        return None
    # A number, a schedule, or an adaptive probability.
    probability = build_value("augment_p", config, PROBABILITIES)
    # Errors of the probability name its flag too.
    built = build_from(
        "augment_p", config, lambda _: augment.build(list(parts.values()), probability)
    )
    return with_flag("augment", built)


def build_terms(
    config: Config,
    augment: Augment | None,
    defaults: Players[str],
    example: ExampleSpec,
) -> Players[dict[str, Term]]:
    """Builds the adversarial loss of each player and the terms added to it.

    Args:
      config: the configuration.
      augment: augmentation of the discriminator's inputs.
      defaults: recipes of the task's terms, of which a flag overrides those it names.
      example: the fields of an example, by which `auto` chooses gamma.
    """
    if config.precision != "float32" and "approximate_r" in config.d_terms:
        raise UsageError(
            f"--precision={config.precision}: approximate_r1 and approximate_r2 are "
            "differences that bfloat16 rounds off: use r1 and r2, or float32"
        )
    loss = build_one("loss", config, LOSSES)
    # A term of value 0 carries the state of the augmentation.
    adaptive = {} if augment is None else {"augment": objective.augment_term(augment)}

    def read(text):
        return _parse_terms(text, config, example.shape)

    def given(name):
        terms = build_from(name, config, read)
        return {key: with_flag(name, term) for key, term in terms.items()}

    return Players(
        generator={
            "loss": loss.generator,
            **read(defaults.generator),
            **given("g_terms"),
        },
        discriminator={
            "loss": loss.discriminator,
            **read(defaults.discriminator),
            **given("d_terms"),
            **adaptive,
        },
    )


def build_optimizers(config: Config) -> Players[optax.GradientTransformation]:
    """Builds the optimizer of each player."""

    def build(flag, updates):
        return build_from(flag, config, lambda text: chain(text, updates))

    return Players(
        build("g_optimizer", config.steps),
        build("d_optimizer", config.steps * config.d_updates),
    )


def build_decay(config: Config) -> Callable[[jax.Array], jax.typing.ArrayLike]:
    """Builds the decay of the moving average, a function of the step."""
    value = build_value("ema_half_life", config)
    # Both ends of a schedule are checked.
    if not NON_NEGATIVE.holds(value):
        message = out_of_range("the half-life", value, NON_NEGATIVE)
        raise UsageError(f"--ema_half_life: {message}: use 32000")
    return ema_decay(value, config.batch_size, config.ema_ramp)


def check_step(
    config: Config,
    init: Callable[[jax.Array], TrainState],
    train_step: Callable,
    examples: Batch,
    axis: str | None = None,
    devices: int = 1,
    placed: Placed = NOWHERE,
) -> None:
    """Traces the first step without compiling it, to find shapes that do not fit.

    Args:
      config: the configuration, whose flags are named in errors.
      init: maps a key to a state.
      train_step: maps (state, batches, key) to (state, metrics).
      examples: of all updates of a step, one after the other.
      axis: name of the device axis, if the step runs on several devices.
      devices: number of devices on that axis.
      placed: the shardings of a step's arguments; all devices have equal batches here.

    Raises:
      UsageError: if shapes do not fit. Other errors of a network or a task are not
        caught.
    """
    k = config.d_updates
    key = jax.random.key(0)
    mapped_step = map_over_devices(train_step, axis, devices, placed)

    def shaped(tree, sharding):
        return jax.tree.map(
            lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), tree
        )

    def first_step(state, examples, key):
        # `[k * B, ...]` to `[k, B, ...]`.
        batches = jax.tree.map(lambda x: x.reshape(k, -1, *x.shape[1:]), examples)
        return mapped_step(state, batches, key)

    with shape_errors(config):
        # The trace of `init` is that of the first state, too.
        state = shaped(jax.eval_shape(init, key), placed.state)
        examples, key = shaped(examples, placed.batches), shaped(key, placed.state)
        jax.eval_shape(first_step, state, examples, key)


def map_over_devices(
    train_step: Callable, axis: str | None, devices: int, placed: Placed
) -> Callable:
    """Returns `train_step` as it runs on devices, for a trace.

    Args:
      train_step: maps (state, batches, key) to (state, metrics).
      axis: name of the device axis, if the step runs on several devices.
      devices: number of devices on that axis.
      placed: the shardings of a step's arguments. Without them, a named axis stands
        for the devices.
    """
    if axis is None:
        return train_step
    if not placed.state:
        nones = (None, None, None)
        return jax.vmap(train_step, nones, axis_name=axis, axis_size=devices)
    # As in `pmap` and in a mesh, but with equal batches.
    spec = jax.sharding.PartitionSpec()
    return jax.shard_map(
        train_step,
        mesh=placed.state.mesh,
        in_specs=spec,
        out_specs=spec,
        check_vma=False,
    )


def _parse_terms(text: str, config: Config, shape: Sequence[int]) -> dict[str, Term]:
    # Arguments may be schedules, other terms and augmentations.
    nested = {**schedules_of(config.steps), **REGULARIZERS, **AUGMENTATIONS}
    if uses_auto(text):
        nested[AUTO] = lambda: gamma_of(shape)
    return spec.build(text, REGULARIZERS, nested)
