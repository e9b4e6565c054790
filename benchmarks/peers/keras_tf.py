# pyright: reportMissingImports=false
"""Training steps of Keras like in TensorFlow's DCGAN tutorial: one tf.function.

If both players use the same samples, two tapes compute both gradients before any
update, like in the tutorial: the generator runs once, and both losses share one call of
D on its samples. If G draws new samples, its update follows D's. Variants: `function`,
and `function_jit`, which XLA compiles.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf
from keras import layers

from peers import protocol
from peers.protocol import Contestant

LATENT = 100
VARIANTS = ("function", "function_jit")

Pair = tuple[keras.Model, keras.Model]


class Recipe(NamedTuple):
    """A pair of models and the hyperparameters of Adam."""

    pair: Callable[[tuple[int, ...]], Pair]
    rate: float
    b1: float
    eps: float = 1e-8
    again: bool = False
    """True if G's update draws new samples instead of reusing those of D's."""


def perceptrons(
    g: Sequence[int],
    d: Sequence[int],
    slope: float = 0.2,
    dropout: float = 0.0,
    output: str = "tanh",
) -> Callable[[tuple[int, ...]], Pair]:
    """Returns two multi-layer perceptrons; `slope` is that of D, 0 for ReLU."""

    def pair(shape):
        size = shape[0] * shape[1] * shape[2]
        hidden = [layers.Dense(width, activation="relu") for width in g]
        last = [layers.Dense(size, activation=output), layers.Reshape(shape)]
        seen = []
        for width in d:
            seen += [layers.Dense(width), layers.LeakyReLU(slope)]
            seen += [layers.Dropout(dropout)] if dropout else []
        return (
            keras.Sequential([layers.Input((LATENT,)), *hidden, *last]),
            keras.Sequential(
                [layers.Input(shape), layers.Flatten(), *seen, layers.Dense(1)]
            ),
        )

    return pair


def dcgan(shape: tuple[int, ...], width: int = 64) -> Pair:
    """Returns the tutorial's pair, for images whose sides are multiples of 4."""
    height, wide, channels = shape
    if height % 4 or wide % 4:
        raise ValueError(f"dcgan needs sides that are multiples of 4, not {shape}")
    low = (height // 4, wide // 4, 4 * width)

    def up(features, stride):
        return layers.Conv2DTranspose(
            features, 5, stride, padding="same", use_bias=False
        )

    def normed():
        return [layers.BatchNormalization(), layers.LeakyReLU(0.3)]

    def down(features):
        conv = layers.Conv2D(features, 5, 2, padding="same")
        return [conv, layers.LeakyReLU(0.3), layers.Dropout(0.3)]

    start = layers.Dense(low[0] * low[1] * low[2], use_bias=False)
    generator = [start, *normed(), layers.Reshape(low)]
    generator += [up(2 * width, 1), *normed(), up(width, 2), *normed()]
    generator += [up(channels, 2), layers.Activation("tanh")]
    last = [layers.Flatten(), layers.Dense(1)]
    discriminator = [*down(width), *down(2 * width), *last]
    return (
        keras.Sequential([layers.Input((LATENT,)), *generator]),
        keras.Sequential([layers.Input(shape), *discriminator]),
    )


RECIPES = {
    "mlp": Recipe(
        perceptrons((256, 512, 1024), (1024, 512, 256), dropout=0.3),
        2e-4,
        0.5,
        again=True,
    ),
    "mlp-small": Recipe(
        perceptrons((256,), (256,), slope=0.0, output="linear"), 1e-3, 0.9, again=True
    ),
    "dcgan": Recipe(dcgan, 1e-4, 0.9, eps=1e-7),
}


class Game(NamedTuple):
    """A recipe with its models and its compiled step."""

    generator: keras.Model
    discriminator: keras.Model
    step: Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]
    """Maps indices of examples, `[B]`, to both losses."""


def game_of(job: dict[str, Any]) -> Game:
    """Builds the game of a job.

    Raises:
      ValueError: if the preset or the variant does not exist.
    """
    if job["preset"] not in RECIPES:
        raise ValueError(f"the preset {job['preset']} is not implemented in Keras")
    if job["variant"] not in VARIANTS:
        raise ValueError(
            f"no variant {job['variant']}: choose from {', '.join(VARIANTS)}"
        )
    recipe = protocol.with_latents(RECIPES[job["preset"]], job)
    shape = tuple(job["shape"])
    keras.utils.set_random_seed(0)
    g, d = recipe.pair(shape)
    g_move, d_move = (mover(net, recipe) for net in (g, d))
    size = (job["examples"], *shape)
    pictures = tf.cast(tf.random.uniform(size, 0, 256, tf.int32), tf.uint8)
    turn = in_turn if recipe.again else at_once

    @tf.function(jit_compile=job["variant"] == "function_jit")
    def step(numbers):
        real = (tf.cast(tf.gather(pictures, numbers), tf.float32) - 127.5) / 127.5
        return turn(g, d, g_move, d_move, real)

    return Game(g, d, step)


def mover(net: keras.Model, recipe: Recipe) -> Callable[[Any, Any], None]:
    """Returns move(tape, loss), which applies one update of Adam."""
    optimizer = keras.optimizers.Adam(recipe.rate, recipe.b1, epsilon=recipe.eps)
    own = net.trainable_variables
    optimizer.build(own)

    def move(tape, loss):
        optimizer.apply_gradients(zip(tape.gradient(loss, own), own, strict=True))

    return move


def entropy(logits: tf.Tensor, target: float) -> tf.Tensor:
    """Returns the binary cross-entropy with one target for all logits."""
    of: Any = keras.losses.BinaryCrossentropy(from_logits=True)
    return of(tf.fill(tf.shape(logits), target), logits)


def drawn(g: keras.Model, real: tf.Tensor) -> tf.Tensor:
    """Draws one sample for each real image."""
    return g(tf.random.normal((tf.shape(real)[0], LATENT)), training=True)


def at_once(g, d, g_move, d_move, real) -> tuple[tf.Tensor, tf.Tensor]:
    """Runs both updates from one pass and returns both losses."""
    with tf.GradientTape() as g_tape, tf.GradientTape() as d_tape:
        fake = drawn(g, real)
        of_real, of_fake = d(real, training=True), d(fake, training=True)
        d_loss = entropy(of_real, 1.0) + entropy(of_fake, 0.0)
        g_loss = entropy(of_fake, 1.0)
    g_move(g_tape, g_loss)
    d_move(d_tape, d_loss)
    return d_loss, g_loss


def in_turn(g, d, g_move, d_move, real) -> tuple[tf.Tensor, tf.Tensor]:
    """Runs D's update, then G's on new samples, and returns both losses."""
    fake = drawn(g, real)
    with tf.GradientTape() as tape:
        of_real, of_fake = d(real, training=True), d(fake, training=True)
        d_loss = entropy(of_real, 1.0) + entropy(of_fake, 0.0)
    d_move(tape, d_loss)
    with tf.GradientTape() as tape:
        g_loss = entropy(d(drawn(g, real), training=True), 1.0)
    g_move(tape, g_loss)
    return d_loss, g_loss


def parameters(game: Game) -> dict[str, int]:
    """Returns the number of parameters of each player."""
    return {
        name: sum(int(tf.size(v)) for v in net.trainable_variables)
        for name, net in zip(Game._fields[:2], game[:2], strict=True)
    }


def build(job: dict[str, Any]) -> Contestant:
    """Builds the steps of a job."""
    game, batch = game_of(job), job["batch_size"]
    per_epoch = job["examples"] // batch
    order, done = tf.zeros(0, tf.int32), 0

    def run(steps: int) -> int:
        nonlocal order, done
        losses: tuple[tf.Tensor, ...] = ()
        for _ in range(steps):
            place = done % per_epoch
            if place == 0:
                order = tf.random.shuffle(tf.range(job["examples"]))
            losses = game.step(order[place * batch : (place + 1) * batch])
            done += 1
        for loss in losses:
            loss.numpy()  # waits for the step
        return steps

    devices = tf.config.list_physical_devices("GPU")
    facts = {
        "parameters": parameters(game),
        "arithmetic": "tf32" if devices else "float32",
        "device": "gpu" if devices else "cpu",
        "versions": {"tensorflow": tf.__version__, "keras": keras.__version__},
    }
    return Contestant(run, memory, facts)


def memory() -> int:
    """Returns the peak bytes of the allocator, or of the process on a CPU."""
    if tf.config.list_physical_devices("GPU"):
        return tf.config.experimental.get_memory_info("GPU:0")["peak"]
    return protocol.peak_rss()


if __name__ == "__main__":
    protocol.serve(build)
