"""The train step: discriminator updates, then one generator update."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn

from jaxgan import data
from jaxgan.errors import UsageError
from jaxgan.gan.judging import in_whole_groups
from jaxgan.gan.objective import (
    STAGE,
    Terms,
    example_keys,
    loss_keys,
    training_batch,
)
from jaxgan.networks.streams import keys_of_examples
from jaxgan.types import (
    Batch,
    ExampleSpec,
    Players,
    Stage,
    Task,
    TrainState,
    Tree,
)


def init_state(
    key: jax.Array,
    task: Task,
    networks: Players[nn.Module],
    terms: Terms,
    optimizers: Players[optax.GradientTransformation],
    batch: Batch,
) -> TrainState:
    """Returns a new state. The networks are initialized as the task calls them.

    Call it under `jax.jit`, which makes one program of thousands of small operations.

    Args:
      key: a PRNG key.
      task: maps a generator and a batch to samples.
      networks: one per player.
      terms: by name, for each player.
      optimizers: one per player.
      batch: examples of the shapes to train on.
    """
    g_key, d_key, task_key = jax.random.split(key, 3)
    variables: dict[str, dict] = {}

    def lazily_initialized(name, net, key):
        # The first call initializes, with the arguments that the task passes.
        def call(inputs: Tree, condition: Tree = None) -> Tree:
            if name not in variables:
                variables[name] = dict(net.init(key, inputs, condition, train=False))
            rngs = {"params": key}
            return net.apply(variables[name], inputs, condition, train=False, rngs=rngs)

        return call

    keys = example_keys(task_key, len(jax.tree.leaves(batch)[0]))
    generator = lazily_initialized("generator", networks.generator, g_key)
    critic = lazily_initialized("discriminator", networks.discriminator, d_key)
    # The task calls the generator, and the discriminator reads its samples.
    step = jnp.zeros((), jnp.int32)
    with keys_of_examples(lambda: keys):
        batch = training_batch(task, batch, keys)
        samples = task.play(generator, batch, keys, step)
        # One device may load a run whose groups are whole on several.
        in_whole_groups(critic)(samples.fake, samples.condition)
    # The moving average starts at the new generator.
    ema = variables["generator"]
    params = Players(*(variables[player]["params"] for player in Players._fields))
    stats = Players(*(_without_params(variables[player]) for player in Players._fields))
    opt = Players(*(t.init(p) for t, p in zip(optimizers, params, strict=True)))
    term_state = Players(
        *({name: term.init() for name, term in own.items()} for own in terms)
    )
    if task.stage:
        term_state.discriminator[STAGE] = task.stage.init(samples)
    return TrainState(step, params, stats, opt, term_state, ema)


def _without_params(variables: dict) -> dict:
    return {name: value for name, value in variables.items() if name != "params"}


def unwrapped(gradient: Callable) -> Callable:
    """Returns a gradient function as it is."""
    return gradient


def make_step(
    loss: Callable,
    optimizers: Players[optax.GradientTransformation],
    *,
    decay: Callable[[jax.Array], jax.typing.ArrayLike],
    axis: str | None = None,
    unroll: bool = False,
    parts: int = 1,
    same_latents: bool = False,
    wrap_gradient: Callable[[Callable], Callable] = unwrapped,
    stage: Stage | None = None,
) -> Callable:
    """Returns step(state, batches, key) -> (state, metrics).

    Axis 0 of `batches` holds the batches of the discriminator updates. The generator
    update uses the last of them. The same function runs under jit (`axis=None`) and
    under pmap (`axis` is the name of its axis).

    Args:
      loss: from `make_loss`, with the same axis.
      optimizers: one per player.
      decay: maps the step to the decay of the moving average.
      axis: name of the device axis to average gradients, statistics and metrics over.
      unroll: unroll the discriminator updates instead of scanning (faster on CPU).
      parts: number of micro-batches whose gradients are averaged.
      same_latents: the generator update uses the samples that the discriminator saw
        last. If both updates are unrolled, XLA computes them only once.
      wrap_gradient: wraps gradient(player, state, batch, key), which reads neither
        optimizer state nor moving average, if devices share the rest of the step.
      stage: of the task.
    """
    gradient = wrap_gradient(accumulate(loss, parts, unroll, axis))
    update = make_update(gradient, optimizers, stage)

    def step(state, batches, key):
        k = len(jax.tree.leaves(batches)[0])
        # Keys depend on `key` and the step, so that a resumed run gets the same ones.
        keys = jax.random.split(jax.random.fold_in(key, state.step), k + 1)
        # The key of the last discriminator update gives the same latents.
        g_key = keys[k - 1 if same_latents else k]
        # Discriminator updates.
        state, d_values = loop(
            lambda state, x: update("discriminator", state, *x),
            state,
            (batches, keys[:k]),
            unroll,
        )
        # The last batch, and the metrics of the last discriminator update.
        last = jax.tree.map(lambda x: x[-1], (batches, d_values))
        # Generator update.
        state, g_values = update("generator", state, last[0], g_key)
        # Moving average of the generator.
        now = {"params": state.params.generator, **state.stats.generator}
        ema = optax.incremental_update(now, state.ema, 1 - decay(state.step))
        return state.replace(step=state.step + 1, ema=ema), {**last[1], **g_values}

    return step


def make_update(
    gradient: Callable,
    optimizers: Players[optax.GradientTransformation],
    stage: Stage | None,
) -> Callable:
    """Returns update(player, state, batch, key) -> (state, metrics).

    Args:
      gradient: from `accumulate`.
      optimizers: one per player.
      stage: of the task.
    """

    def update(player, state, batch, key):
        own, opt = getattr(state.params, player), getattr(state.opt_state, player)
        means, played = gradient(player, state, batch, key)
        grads, stats, term_state, values = means
        # The stage sees the whole batch of all devices at once.
        if stage and player == "discriminator":
            count = len(jax.tree.leaves(played)[0])
            keys = example_keys(loss_keys(key, player).stage, count)
            old = state.term_state.discriminator[STAGE]
            term_state = {**term_state, STAGE: stage.update(keys, played, old)}
        updates, opt = getattr(optimizers, player).update(grads, opt, own)
        own = optax.apply_updates(own, updates)
        # Norms for the log; gradients are averaged over devices and parts by now.
        values[f"{player}/grad_norm"] = optax.tree.norm(grads)
        values[f"{player}/param_norm"] = optax.tree.norm(own)
        return _replace(state, player, own, stats, opt, term_state), values

    return update


def with_raw_batches(step: Callable, example: ExampleSpec) -> Callable:
    """Returns a step that normalizes its batches first."""
    return lambda state, batches, key: step(state, normalized(batches, example), key)


def normalized(batches: Batch, example: ExampleSpec) -> Batch:
    """Returns raw batches normalized; raises UsageError like `check_batches`."""
    batches = data.normalize(batches, example)
    check_batches(batches, example)
    return batches


def check_batches(batches: Batch, example: ExampleSpec) -> None:
    """Checks normalized batches, whose fields are `[updates, batch, *shape]`.

    Raises:
      UsageError: for a field that is missing, not a float where its kind is one, or of
        another shape.
    """
    for name, field in example.items():
        if name not in batches:
            raise UsageError(f"the step was given no {name!r}: add it to each batch")
        x, shape, kind = batches[name], field.shape, data.KINDS[field.kind]
        # Integers that are scaled have become floats by now.
        expected = jnp.integer if kind.is_integer else jnp.floating
        if not jnp.issubdtype(x.dtype, expected):
            raise UsageError(
                f"the step was given {name} as {x.dtype}: use "
                f"{' or '.join(kind.dtypes)}"
            )
        if x.shape[2:] != shape or x.ndim != len(shape) + 2:
            axes = ", ".join(map(str, ("updates", "batch", *shape)))
            raise UsageError(
                f"the step was given {name} of shape {list(x.shape)} and takes "
                f"[{axes}]: add the axis of discriminator updates, as data.stream does"
            )


def accumulate(
    loss: Callable, parts: int, unroll: bool, axis: str | None = None
) -> Callable:
    """Returns gradient(player, state, batch, key) -> (means, played).

    `means` are (grads, stats, term_state, values), means over the devices of `axis`.
    `played` is that of `make_loss`, of the whole batch of all devices.

    A batch is processed in `parts` micro-batches, one after the other, which divides
    the memory of activations by that number. Means over the batch inside a term or a
    network are then over one micro-batch. Each starts from the same statistics and term
    state, and the results are averaged, so moving averages decay once per update.
    """

    grad = jax.grad(loss, has_aux=True)

    def gradient(player, state, batch, key):
        own = getattr(state.params, player)
        if parts == 1:
            grads, (*others, played) = grad(own, player, state, batch, key, 0)
            means = (grads, *others)
        else:
            # `[B, ...]` to `[parts, B / parts, ...]`.
            split = jax.tree.map(lambda x: x.reshape(parts, -1, *x.shape[1:]), batch)

            def body(carry, x):
                # There is no carry, as parts do not depend on each other.
                return carry, grad(own, player, state, x[0], key, x[1])

            _, results = loop(body, (), (split, jnp.arange(parts)), unroll)
            grads, (*others, played) = results
            # The mean of integers would be a float.
            means = jax.tree.map(lambda x: x.mean(0).astype(x.dtype), (grads, *others))
            played = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), played)
        if axis is None:
            return means, played
        # The parts of the batch in the order of the devices, which is that of examples.
        played = jax.lax.all_gather(played, axis, tiled=True)
        mean = jax.lax.pmean(means, axis)
        return jax.tree.map(lambda m, x: m.astype(x.dtype), mean, means), played

    return gradient


def loop(
    body: Callable[[Tree, Tree], tuple[Tree, Tree]], carry: Tree, xs: Tree, unroll: bool
) -> tuple[Tree, Tree]:
    """Runs `jax.lax.scan`, or unrolls it.

    XLA for CPU has fast convolutions in the outermost computation only. A loop around
    them makes them three to five times slower, even with a single iteration.
    """
    count = len(jax.tree.leaves(xs)[0])
    # A single iteration needs no loop.
    if not unroll and count > 1:
        return jax.lax.scan(body, carry, xs)
    outs = []
    for i in range(count):
        carry, out = body(carry, jax.tree.map(lambda x, i=i: x[i], xs))
        outs.append(out)
    return carry, jax.tree.map(lambda *leaves: jnp.stack(leaves), *outs)


def _replace(
    state: TrainState, player: str, params, stats, opt, term_state
) -> TrainState:
    """Returns the state with new values for one player."""

    def put(players, own):
        return players._replace(**{player: own})

    return state.replace(
        params=put(state.params, params),
        stats=put(state.stats, stats),
        opt_state=put(state.opt_state, opt),
        term_state=put(state.term_state, term_state),
    )
