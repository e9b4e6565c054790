"""PSNR of bicubic super-resolution on Set5 and Set14, beside the published figures.

    python benchmarks/super_resolution.py --path=FOLDER --out=super_resolution.json

FOLDER has the folders `Set5` and `Set14` of pictures, which are not part of this
project. The protocol is that of the papers: pictures are cropped to multiples of the
scale, made smaller by an antialiased bicubic filter (a = -0.5, as MATLAB's `imresize`
and Pillow have it) and rounded, enlarged again by the method, and compared on the Y
channel of BT.601, without as many pixels at each side as the scale. Gray pictures are
compared as they are. The figure is the mean over pictures of PSNR.

`--workdir=RUN` adds the generator of a run of super-resolution.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from arms import table
from PIL import Image

from jaxgan.data.decode import open_picture
from jaxgan.data.kinds import as_8_bit
from jaxgan.metrics.baselines import BASELINES, Inputs, with_channels
from jaxgan.metrics.image_similarity import finite_psnr, psnr, ssim

SETS = ("Set5", "Set14")
METHODS = ("nearest", "bicubic", "lanczos")
PUBLISHED: dict[str, dict[str, float]] = {
    "bicubic, published": {"Set5": 28.43, "Set14": 25.99},
    "SRResNet, published": {"Set5": 32.05, "Set14": 28.49},
    "SRGAN, published": {"Set5": 29.40, "Set14": 26.02},
}
"""dB at scale 4. Both networks were trained on 350,000 photographs."""

Upscale = Callable[[np.ndarray, tuple[int, ...]], np.ndarray]
"""Maps a picture `[h, w, C]` uint8 and a shape `(H, W, C)` to one of that shape."""


def read(file: Path) -> np.ndarray:
    """Reads a picture, `[H, W, C]` uint8: one channel if it is gray, else three."""
    with open_picture(file) as picture:
        gray = picture.mode in ("1", "L", "LA", "I", "I;16")
        pixels = np.asarray(picture.convert("L" if gray else "RGB"))
    return pixels[..., None] if gray else pixels


def cropped(picture: np.ndarray, scale: int) -> np.ndarray:
    """Cuts a picture at the right and below to multiples of the scale.

    >>> cropped(np.zeros((13, 9, 3)), 4).shape
    (12, 8, 3)
    """
    height, width = (side // scale * scale for side in picture.shape[:2])
    return picture[:height, :width]


def downscaled(picture: np.ndarray, scale: int) -> np.ndarray:
    """Makes a picture smaller by Pillow's antialiased bicubic filter."""
    height, width, _ = picture.shape
    shape = (height // scale, width // scale, picture.shape[2])
    return resize("bicubic")(picture, shape)


def resize(name: str) -> Upscale:
    """Returns a baseline as a function of one picture."""

    def apply(picture: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        inputs = Inputs(picture[None], shape, np.zeros((1, *shape), np.uint8))
        return BASELINES[name].apply(inputs)[0]

    return apply


def generator(workdir: str) -> Upscale:
    """Returns the generator of a run of super-resolution, on one picture."""
    import jax
    import jax.numpy as jnp

    from jaxgan import load_run
    from jaxgan.gan import objective

    run = load_run(workdir)
    transform = run.gan.task.transform
    if transform is None:
        raise SystemExit(f"--workdir={workdir} maps no images to images")
    variables, keys = run.variables, jax.random.split(jax.random.key(0), 1)

    @jax.jit
    def enlarge(variables, source):
        bound, _ = objective.bind(run.gan.networks.generator, variables, keys)
        return transform(bound, {"source": source}, keys)

    def apply(picture: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        # Networks of colors get gray three times.
        colors = picture.repeat(3, -1) if picture.shape[-1] == 1 else picture
        source = jnp.asarray(colors[None] / 127.5 - 1, jnp.float32)
        image = as_8_bit(np.asarray(enlarge(variables, source)))[0]
        if image.shape[:2] != shape[:2]:
            raise SystemExit(f"--scale: the run makes {image.shape} of {shape}")
        return image if shape[-1] > 1 else with_channels(image, 1)

    return apply


def judge(picture: np.ndarray, scale: int, upscale: Upscale) -> dict[str, float]:
    """Returns PSNR and SSIM of a method on one picture.

    Args:
      picture: `[H, W, C]` uint8.
      scale: the factor.
      upscale: the method.
    """
    real = cropped(picture, scale)
    fake = upscale(downscaled(real, scale), real.shape)
    pair = real[None], fake[None]
    settings: dict[str, Any] = {"channel": "y", "border": scale}
    return {
        "psnr": float(finite_psnr(psnr(*pair, **settings), real.size)[0]),
        "ssim": float(ssim(*pair, window="gaussian", **settings)[0]),
        "psnr_rgb": float(finite_psnr(psnr(*pair, border=scale), real.size)[0]),
    }


def rows_of(folder: Path, scale: int, methods: dict[str, Upscale]) -> dict[str, Any]:
    """Returns the means of each method on a set, and its PSNR by picture."""
    files = sorted(x for x in folder.iterdir() if x.suffix.lower() != ".txt")
    pictures = {file.stem: read(file) for file in files if file.is_file()}
    rows = {}
    for name, upscale in methods.items():
        found = {key: judge(x, scale, upscale) for key, x in pictures.items()}
        mean = {
            metric: round(float(np.mean([x[metric] for x in found.values()])), 4)
            for metric in ("psnr", "ssim", "psnr_rgb")
        }
        each = {key: round(x["psnr"], 3) for key, x in found.items()}
        rows[name] = {"pictures": len(found), **mean, "each": each}
    return rows


def table_of(found: dict[str, Any]) -> list[str]:
    """Returns PSNR of all methods and the published figures as lines of Markdown."""
    own = found["sets"]
    rows = [
        [name, *(f"{own[x][name]['psnr']:.2f}" for x in SETS)] for name in own[SETS[0]]
    ]
    rows += [
        [f"*{name}*", *(f"*{values[x]:.2f}*" for x in SETS)]
        for name, values in found["published"].items()
    ]
    return table(["method", *SETS], rows)


def main() -> None:
    """Judges all methods on both sets, prints a table and writes the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--path", required=True, help="the folder of Set5 and Set14")
    parser.add_argument("--scale", type=int, default=4)
    parser.add_argument("--workdir", default="", help="a run of super-resolution")
    parser.add_argument("--out", default="")
    args = parser.parse_args()
    methods = {name: resize(name) for name in METHODS}
    if args.workdir:
        methods["generator"] = generator(args.workdir)
    results = {x: rows_of(Path(args.path) / x, args.scale, methods) for x in SETS}
    print(f"{'Y, border cut, dB':22}" + "".join(f"{x:>10}" for x in SETS))
    for name in methods:
        values = "".join(f"{results[x][name]['psnr']:10.2f}" for x in SETS)
        print(f"{name:22}{values}")
    for name, values in PUBLISHED.items() if args.scale == 4 else ():
        print(f"{name:22}" + "".join(f"{values[x]:10.2f}" for x in SETS))
    if args.out:
        facts = {
            "scale": args.scale,
            "channel": "Y",
            "border": args.scale,
            "pillow": Image.__version__,
        }
        content = {"protocol": facts, "sets": results, "published": PUBLISHED}
        Path(args.out).write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
