"""A toy of each kind of GAN that is to come: fields, networks, tasks and a data set.

`register` adds them to the tables.
"""

from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.config.resolve import make_config
from jaxgan.data import SOURCES, from_fields
from jaxgan.losses import REGULARIZERS
from jaxgan.networks import NETWORKS
from jaxgan.networks.streams import example_rngs
from jaxgan.tasks import TASKS, pool
from jaxgan.terms import leaf_mean, stateless
from jaxgan.types import (
    DiscriminatorOutput,
    ExampleSpec,
    Field,
    Players,
    Samples,
    Task,
)

SIZE = 48
WORDS = ("the", "cat", "sat", "on", "a", "mat")


class MLP(nn.Module):
    """Two layers, on the last axis."""

    out: int

    @nn.compact
    def __call__(self, x):
        return nn.Dense(self.out)(nn.relu(nn.Dense(16)(x)))


class Judge(nn.Module):
    """One logit per leaf of a sample, beside its condition."""

    @nn.compact
    def __call__(self, x, condition=None, *, train):
        def judge(leaf):
            parts = [y.reshape(len(y), -1) for y in jax.tree.leaves((leaf, condition))]
            return MLP(1)(jnp.concatenate(parts, -1))[:, 0]

        return DiscriminatorOutput(jax.tree.map(judge, x), features=x)


class JointJudge(nn.Module):
    """One logit for all leaves of a sample together."""

    @nn.compact
    def __call__(self, x, condition=None, *, train):
        leaves = [leaf.reshape(len(leaf), -1) for leaf in jax.tree.leaves(x)]
        return DiscriminatorOutput(MLP(1)(jnp.concatenate(leaves, -1))[:, 0])


class Alone(nn.Module):
    """A generator of one input, of any shape of samples."""

    shape: tuple[int, ...]
    noisy: bool = False

    @nn.compact
    def __call__(self, inputs, condition=None, *, train):
        x = MLP(int(np.prod(self.shape)))(inputs)
        if self.noisy:
            keys = example_rngs(self, "noise", len(x))
            x += jax.vmap(lambda key: jax.random.normal(key, x.shape[1:]))(keys)
        return x.reshape(-1, *self.shape)


class Domains(nn.Module):
    """Two generators, one from each domain to the other."""

    @nn.compact
    def __call__(self, inputs, condition=None, *, train):
        to_a, to_b = MLP(4, name="to_a"), MLP(4, name="to_b")
        return {"a": to_a(inputs["b"]), "b": to_b(inputs["a"])}


class Encoder(nn.Module):
    """A generator from latents and an encoder to latents."""

    @nn.compact
    def __call__(self, inputs, condition=None, *, train):
        decoder, encoder = MLP(4, name="decoder"), MLP(2, name="encoder")
        return {"image": decoder(inputs["z"]), "z": encoder(inputs["image"])}


def latents(keys):
    return jax.vmap(lambda key: jax.random.normal(key, (2,)))(keys)


def translate():
    """Paired vectors."""

    def play(generator, batch, keys, step):
        source = batch["source"]
        return Samples(batch["image"], generator(source), condition=source)

    return Task(
        play,
        requires=("image", "source"),
        inputs=("source",),
        preview=lambda s: {"source": s.condition, "fake": s.fake, "real": s.real},
        defaults=Players("distance(2)", ""),
    )


def exchange():
    """Unpaired vectors of two domains, with a pool of past samples."""

    def play(generator, batch, keys, step):
        real = {"a": batch["a"], "b": batch["b"]}
        fake = generator(real)
        return Samples(real, fake, reconstruction=generator(fake))

    return Task(
        play,
        requires=("a", "b"),
        inputs=("a", "b"),
        preview=lambda s: {"fake": s.fake["b"], "source": s.real["a"]},
        defaults=Players("cycle(10)", ""),
        stage=pool(12),
    )


def infer():
    """Samples with their latents."""

    def play(generator, batch, keys, step):
        x, z = batch["image"], latents(keys)
        made = generator({"image": x, "z": z})
        real, fake = {"image": x, "z": made["z"]}, {"image": made["image"], "z": z}
        return Samples(real, fake, latents=z)

    return Task(play, preview=lambda s: {"fake": s.fake["image"]})


def write():
    """Sequences of tokens, as probabilities."""

    def play(generator, batch, keys, step):
        real = jax.nn.one_hot(batch["tokens"], len(WORDS))
        return Samples(real, nn.softmax(generator(latents(keys))))

    return Task(play, requires=("tokens",))


def speak():
    """Waveforms."""

    def play(generator, batch, keys, step):
        return Samples(batch["waveform"], jnp.tanh(generator(latents(keys))))

    return Task(play, requires=("waveform",))


def distance(weight=1.0):
    def term(s):
        return weight * leaf_mean(
            lambda real, fake: jnp.abs(real - fake), s.samples.real, s.samples.fake
        )

    return stateless(term)


VECTOR = Field((4,), np.dtype(np.float32), "vector")
LABEL = Field((), np.dtype(np.int32), "label", ("zero", "one", "two"))
TOKENS = Field((5,), np.dtype(np.int32), "tokens", WORDS)
WAVEFORM = Field((16, 1), np.dtype(np.int16), "waveform", rate=8_000)


class Kind(NamedTuple):
    """The flags and the fields of a kind."""

    task: str
    networks: str
    example: ExampleSpec


KINDS = {
    "paired": Kind("translate", "alone", ExampleSpec(image=VECTOR, source=VECTOR)),
    "domains": Kind("exchange", "domains", ExampleSpec(a=VECTOR, b=VECTOR)),
    "encoder": Kind("infer", "encoder", ExampleSpec(image=VECTOR, label=LABEL)),
    "noise": Kind("generate(2)", "noisy", ExampleSpec(image=VECTOR)),
    "tokens": Kind("write", "writer", ExampleSpec(tokens=TOKENS)),
    "waveform": Kind("speak", "alone", ExampleSpec(waveform=WAVEFORM)),
}
"""By the name of the data set."""


def examples(name, count=SIZE):
    """Raw examples, the same ones every time."""
    rng = np.random.default_rng(3)
    draw = {
        "image": lambda shape: rng.integers(0, 256, shape, np.uint8),
        "attributes": lambda shape: rng.integers(0, 2, shape).astype(bool),
        "vector": lambda shape: rng.normal(size=shape).astype(np.float32),
        "label": lambda shape: rng.integers(0, 3, shape, np.int32),
        "tokens": lambda shape: rng.integers(0, len(WORDS), shape, np.int32),
        "waveform": lambda shape: rng.integers(-(2**15), 2**15, shape, np.int16),
    }
    fields = KINDS[name].example.items()
    return {key: draw[field.kind]((count, *field.shape)) for key, field in fields}


def source(request):
    """A data set of SOURCES."""
    name = request.name
    return from_fields(
        name, examples(name), example=KINDS[name].example, origin="a toy of the tests"
    )


def flags(name, **other):
    """Flags of a tiny run of a kind."""
    sgd = {"g_optimizer": "sgd(0.05)", "d_optimizer": "sgd(0.05)"}
    kind = KINDS[name]
    own = {"dataset": name, "task": kind.task, "networks": kind.networks, **sgd}
    return {
        # That of the data set `domains` is for images.
        "preset": "default",
        "loss": "non_saturating",
        "d_terms": "r1(1)",
        "batch_size": 8,
        **own,
    } | other


def config(name, **other):
    return make_config(**flags(name, **other))


def register():
    """Adds all of them to the tables."""
    TASKS.update({f.__name__: f for f in (translate, exchange, infer, write, speak)})
    REGULARIZERS.update({"distance": distance})
    NETWORKS["alone"] = lambda *, example: Players(Alone(example.shape), Judge())
    NETWORKS["noisy"] = lambda *, example: Players(Alone(example.shape, True), Judge())
    NETWORKS["writer"] = lambda *, example: Players(
        Alone((*example.shape, len(example["tokens"].names))), Judge()
    )
    NETWORKS["domains"] = lambda *, example: Players(Domains(), Judge())
    NETWORKS["encoder"] = lambda *, example: Players(Encoder(), JointJudge())
    SOURCES.update(dict.fromkeys(KINDS, source))


TABLES: list[dict[str, Any]] = [TASKS, REGULARIZERS, NETWORKS, SOURCES]
