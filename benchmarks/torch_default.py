# pyright: reportMissingImports=false
"""The default networks and recipe in PyTorch; samples for the judge of `recipes.py`.

    cd benchmarks
    python torch_default.py --npz=folder --steps_file=steps.json --calibrate=10
    python torch_default.py --npz=folder --steps_file=steps.json --out=runs/torch
    python recipes.py --torch=runs/torch ...

The first command adds the steps per second of PyTorch to a file of `recipes.py
--calibrate`. The second one trains as many steps as the given minutes allow there, and
writes 10,000 samples at eight checkpoints of each seed. It runs on a GPU if there is
one. Neither jax nor jaxgan is needed, only `peers/`, NumPy and PyTorch.

Networks, losses, penalties and optimizers are those of `peers/`, which
`tests/test_peers.py` compares with ours; initialization and moving average are here.
"""

import argparse
import copy
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from peers import pytorch
from peers.pytorch import Game
from torch import Tensor, nn

STARTED = time.monotonic()
BATCH, HALF_LIFE, RAMP = 64, 32_000.0, 0.1
"""Batch size, and the half-life of the moving average in images with its ramp."""
TRUNCATED = 0.87962566103423978
"""Standard deviation of a unit normal that is truncated at two."""
POINTS, SAMPLES, AT_ONCE = 8, 10_000, 500
LATENT_SEED = 2**20
"""Seed of the latents of samples, the same at all checkpoints."""
NAME = "pytorch"
"""In the file of rates."""


def main() -> None:
    """Measures the rate, or trains all seeds of all data sets."""
    args = parse()
    sets = args.sets.split(",")
    if args.calibrate:
        calibrate(args, sets[0])
        return
    rates = json.loads(Path(args.steps_file).read_text())["rates"]
    if NAME not in rates:
        raise SystemExit(f"{args.steps_file} lacks {NAME}: add it by --calibrate=10")
    rate = rates[NAME]
    seconds = 60 * args.minutes - rate["startup"]
    steps = args.steps or int(rate["steps_per_second"] * seconds)
    for name in sets:
        for seed in map(int, args.seeds.split(",")):
            folder = Path(args.out, name, str(seed))
            if not file_of(folder, steps).exists():
                train(args, name, seed, steps, folder, rate["steps_per_second"])


def parse() -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--npz", required=True, help="folder of mnist.npz and fashion_mnist.npz")
    add("--sets", default="mnist,fashion_mnist", help="separated by commas")
    add("--seeds", default="0,1,2", help="training seeds, separated by commas")
    add("--minutes", type=float, default=10, help="of each run, with startup")
    add("--steps", type=int, help="of each run, instead of --minutes")
    add("--steps_file", required=True, help="rates by arm, with pytorch")
    add("--calibrate", type=float, help="seconds; adds the rate to --steps_file")
    add("--variant", default="channels_last+expert", help="see peers/pytorch.py")
    add("--n", type=int, default=SAMPLES, help="samples of a checkpoint")
    add("--out", default="runs/torch", help="folder of the samples")
    return parser.parse_args()


def calibrate(args: argparse.Namespace, name: str) -> None:
    """Measures steps per second and adds them to the file of rates."""
    game = game_of(read_images(args.npz, name), args.variant)
    steps, mean = trained(game), copy.deepcopy(game.generator)
    advance(game, mean, steps, 0, 5)  # warm up
    startup, began, done = time.monotonic() - STARTED, time.monotonic(), 5
    while time.monotonic() < began + args.calibrate:
        advance(game, mean, steps, done, 10)
        done += 10
    rate = (done - 5) / (time.monotonic() - began)
    file = Path(args.steps_file)
    found = json.loads(file.read_text())
    found["rates"][NAME] = {"steps_per_second": rate, "startup": startup}
    found["versions"]["torch"] = torch.__version__
    file.write_text(json.dumps(found, indent=1) + "\n")
    print(f"{NAME}: {rate:.2f} steps/s after {startup:.1f} s")


def train(
    args: argparse.Namespace,
    name: str,
    seed: int,
    steps: int,
    folder: Path,
    rate: float,
) -> None:
    """Trains one seed, and writes samples at the checkpoints."""
    game = game_of(read_images(args.npz, name), args.variant, seed)
    numbers, mean, done = trained(game), copy.deepcopy(game.generator), 0
    for i in range(POINTS):
        target = -(-steps * (i + 1) // POINTS)
        advance(game, mean, numbers, done, target - done)
        done = target
        write(file_of(folder, done), samples(mean, args.n, game.device), done, rate)
        print(name, seed, done, flush=True)


def file_of(folder: Path, step: int) -> Path:
    """Returns the file of the samples of a step."""
    return folder / f"{step:08}.npz"


def read_images(folder: str, name: str) -> Tensor:
    """Returns the training images of a file, uint8 `[n, C, H, W]`."""
    with np.load(Path(folder, f"{name}.npz")) as arrays:
        key = next(k for k in ("train_image", "x_train", "image") if k in arrays)
        images = arrays[key].reshape(len(arrays[key]), 28, 28, -1)
    return torch.tensor(images.transpose(0, 3, 1, 2).copy())


def game_of(images: Tensor, variant: str, seed: int = 0) -> Game:
    """Returns both players of the default recipe, initialized like ours.

    The same seed gives other numbers than in jaxgan.
    """
    _, channels, height, width = images.shape
    job = {"preset": "default", "variant": variant, "shape": [height, width, channels]}
    game = pytorch.game_of({**job, "examples": 1})
    torch.manual_seed(seed)
    initialize(game.generator, game.discriminator)
    # The moving average is taken here, with its ramp.
    return game._replace(pictures=images.to(game.device), mean=[])


def initialize(generator: nn.Module, discriminator: nn.Module) -> None:
    """Initializes both networks from the distributions that ours have.

    Kernels are truncated normal with variance 2 / fan_in, in the last layer of each
    network 1 / fan_in; biases are zero.
    """
    for net in (generator, discriminator):
        layers = [x for x in net.modules() if isinstance(x, nn.Conv2d | nn.Linear)]
        for layer in layers:
            scale = 1.0 if layer is layers[-1] else 2.0
            fan_in = layer.weight[0].numel()
            std = (scale / fan_in) ** 0.5 / TRUNCATED
            nn.init.trunc_normal_(layer.weight, 0.0, std, -2 * std, 2 * std)
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)


def trained(game: Game) -> Iterator[Tensor]:
    """Yields the numbers of the examples of each step, `[1, B]`, shuffled by epoch."""
    while True:
        order = torch.randperm(len(game.pictures), device=game.device)
        whole = len(order) // BATCH * BATCH
        yield from order[:whole].view(-1, 1, BATCH)


def advance(
    game: Game, mean: nn.Module, numbers: Iterator[Tensor], first: int, count: int
) -> None:
    """Trains for some steps, and updates the moving average of the generator."""
    old, new = list(mean.parameters()), list(game.generator.parameters())
    for step in range(first, first + count):
        pytorch.step(game, next(numbers))
        with torch.no_grad():
            torch._foreach_lerp_(old, new, 1 - decay(step))  # type: ignore[reportPrivateImportUsage]
    pytorch.synchronize(game)


def decay(step: int) -> float:
    """Returns the decay of the moving average at a step.

    >>> round(decay(0), 6), round(decay(10**6), 6)
    (0.000977, 0.998615)
    """
    life = min(HALF_LIFE, RAMP * (step + 1) * BATCH)
    return 0.5 ** (BATCH / life)


@torch.no_grad()
def samples(mean: nn.Module, n: int, device: torch.device) -> np.ndarray:
    """Draws samples of a generator, `[n, H, W, C]` uint8."""
    rng = torch.Generator().manual_seed(LATENT_SEED)
    latent = pytorch.RECIPES["default"].latent
    parts = []
    for z in torch.randn(n, latent, generator=rng).split(AT_ONCE):
        images = mean(z.to(device)).clamp(-1, 1)
        parts.append(((images + 1) * 127.5).round().to(torch.uint8).cpu())
    return torch.cat(parts).permute(0, 2, 3, 1).numpy()


def write(file: Path, images: np.ndarray, step: int, rate: float) -> None:
    """Writes the samples of a step, and the steps per second where they count."""
    file.parent.mkdir(parents=True, exist_ok=True)
    facts: dict[str, Any] = {"step": step, "steps_per_second": rate}
    part = file.with_suffix(".part")
    with part.open("wb") as stream:
        np.savez_compressed(stream, samples=images, **facts)
    part.replace(file)


if __name__ == "__main__":
    main()
