"""A GAN and a variational autoencoder: same data, decoder, time and metrics.

    python benchmarks/gan_or_vae.py --seconds=120 --seeds=3 \
        --out=benchmarks/results/gan_or_vae.json --picture=gan_or_vae.png

trains the default GAN and a VAE (https://arxiv.org/abs/1312.6114) on MNIST for as many
CPU seconds each, without compilation. The VAE's decoder is the generator of the GAN,
and its encoder has the layers of the discriminator. Both sample from 64 normal latents
and a moving average of the parameters. 10,000 samples are compared with the test split.
The same command resumes.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import arms
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import recipe_judge
from PIL import Image

import jaxgan
from jaxgan.environment import enable_compilation_cache, silence_libtpu
from jaxgan.files import atomic_write

COUNT = 10_000
LATENTS = 64
SHOWN = 24
FORMS = {
    "fd": "{:.2f}",
    "confident": "{:.1%}",
    "precision": "{:.3f}",
    "recall": "{:.3f}",
}
"""Values in the table, and their formats."""
DECAY = 0.999
"""Of the VAE's moving average."""


class Encoder(nn.Module):
    """Means and logarithms of variances of latents, `[B, 64]` each."""

    @nn.compact
    def __call__(self, images):
        x = images
        for width in (32, 64):  # as the discriminator: 14 and 7 pixels
            x = nn.leaky_relu(nn.Conv(width, (3, 3), (2, 2))(x), 0.2)
            x = nn.leaky_relu(nn.Conv(width, (3, 3))(x), 0.2)
        out = nn.Dense(2 * LATENTS)(x.reshape(len(x), -1))
        return out[:, :LATENTS], out[:, LATENTS:]


def bound(parts: Any, decoder: nn.Module, images: jax.Array, key: jax.Array):
    """Returns the negative evidence lower bound, in nats per image.

    Pixels in [0, 1] are probabilities of a Bernoulli variable, as is usual for MNIST.
    """
    encoded: Any = Encoder().apply(parts["encoder"], images)
    mean, log_variance = encoded
    z = mean + jnp.exp(log_variance / 2) * jax.random.normal(key, mean.shape)
    decoded: Any = decoder.apply(parts["decoder"], z, None, train=True)
    probability = jnp.clip((decoded + 1) / 2, 1e-4, 1 - 1e-4)
    target = (images + 1) / 2
    likelihood = target * jnp.log(probability)
    likelihood += (1 - target) * jnp.log1p(-probability)
    kl = (jnp.exp(log_variance) + mean**2 - 1 - log_variance) / 2
    return (kl.sum(-1) - likelihood.sum((1, 2, 3))).mean()


def train_vae(dataset, config, seed: int, seconds: float) -> tuple[Callable, int]:
    """Returns a function that samples from a VAE, and its number of steps."""
    decoder = jaxgan.build(config, dataset).networks.generator
    key = jax.random.key(seed)
    z, image = jnp.zeros((1, LATENTS)), jnp.zeros((1, *dataset.shape))
    parts = {
        "encoder": Encoder().init(key, image),
        "decoder": decoder.init(key, z, None, train=True),
    }
    optimizer = optax.adam(1e-3)

    @jax.jit
    def step(state, raw, key, i):
        parts, average, moments = state
        images = raw.astype(jnp.float32) / 127.5 - 1
        gradient = jax.grad(bound)(parts, decoder, images, key)
        update, moments = optimizer.update(gradient, moments)
        parts = optax.apply_updates(parts, update)
        # Short at first, or the average would contain the initial parameters.
        decay = jnp.minimum(DECAY, (1 + i) / (10 + i))
        average = optax.incremental_update(parts, average, 1 - decay)
        return parts, average, moments

    def advance(state, batch, i):
        return step(state, batch["image"][0], jax.random.fold_in(key, i), i)

    state = (parts, parts, optimizer.init(parts))
    (_, average, _), steps = spend(advance, state, dataset, config, seconds)
    sample = jax.jit(lambda z: decoder.apply(average["decoder"], z, None, train=False))
    return lambda key, n: sample(jax.random.normal(key, (n, LATENTS))), steps


def train_gan(dataset, config, seed: int, seconds: float) -> tuple[Callable, int]:
    """Returns a function that samples from the default GAN, and its number of steps."""
    gan = jaxgan.build(config, dataset)
    key = jax.random.key(seed)

    def advance(state, batch, i):
        return gan.train_step(state, batch, key)[0]

    state, steps = spend(advance, gan.init(key), dataset, config, seconds)
    sample = jax.jit(gan.sample, static_argnums=2)
    return lambda key, n: sample(state.ema, key, n), steps


METHODS = {"GAN (default)": train_gan, "VAE": train_vae}


def spend(advance, state, dataset, config, seconds: float) -> tuple[Any, int]:
    """Trains for a number of CPU seconds after the first step, which is compiled.

    Returns:
      The state and the number of steps.
    """
    start, steps = 0.0, 0
    for batch in jaxgan.batches(dataset, config):
        state = jax.block_until_ready(advance(state, batch, steps))
        steps += 1
        if steps == 1:
            start = time.process_time()
        elif time.process_time() - start > seconds:
            break
    return state, steps


def measure(
    judge: recipe_judge.Judge, method: str, seed: int, seconds: float
) -> tuple[dict[str, Any], np.ndarray]:
    """Returns the facts of a method, and some of its samples."""
    config = jaxgan.make_config(dataset="mnist", seed=seed)
    sample, steps = METHODS[method](judge.train, config, seed, seconds)
    parts = [np.asarray(sample(jax.random.key(i), 500)) for i in range(COUNT // 500)]
    images = np.round((np.concatenate(parts) + 1) * 127.5).clip(0, 255).astype(np.uint8)
    values = judge.values(judge.of_images(images))
    return {"steps": steps, "cpu_seconds": seconds, **values}, images[:SHOWN]


def table_of(found: dict[str, Any]) -> list[str]:
    """Returns the lines of the table in Markdown: means, least and most over seeds."""
    lines = [
        "| | steps | Frechet | confident | precision | recall |",
        "|---|---|---|---|---|---|",
    ]
    for method in ("training images", *METHODS):
        rows = [x for k, x in found.items() if k.startswith(f"{method}/")]
        cells = [f"{np.mean([x['steps'] for x in rows]):,.0f}" if rows else ""]
        for key, form in FORMS.items():
            values = [x[key] for x in rows]
            if not values:
                continue
            least, most = (form.format(x) for x in (min(values), max(values)))
            spread = f" ({least} to {most})" if len(values) > 1 else ""
            cells.append(form.format(np.mean(values)) + spread)
        lines.append(f"| {method} | " + " | ".join(cells) + " |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=120, help="CPU s of training")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--picture", type=Path)
    args = parser.parse_args()
    silence_libtpu()
    enable_compilation_cache()
    found = json.loads(args.out.read_text()) if args.out.exists() else {}
    judge = recipe_judge.open_judge("mnist", COUNT)
    found["training images/0"] = {"steps": 0, **recipe_judge.floor_of(judge)}
    pictures = []
    for seed in range(args.seeds):
        for method in METHODS:
            if (name := f"{method}/{seed}") in found:
                continue
            facts, images = measure(judge, method, seed, args.seconds)
            found[name] = {**facts, **arms.about()}
            atomic_write(args.out, json.dumps(found, indent=1).encode())
            print(name, facts, flush=True)
            if seed == 0:
                pictures.append(images)
    print("\n".join(table_of(found)))
    # Both are drawn if the first seeds were trained by this call.
    if args.picture and len(pictures) == len(METHODS):
        rows = np.concatenate([x.reshape(2, 12, 28, 28) for x in pictures])
        sheet = rows.transpose(0, 2, 1, 3).reshape(len(rows) * 28, 12 * 28)
        image = Image.fromarray(sheet)
        double = (image.width * 2, image.height * 2)
        image.resize(double, Image.Resampling.NEAREST).save(args.picture)


if __name__ == "__main__":
    main()
