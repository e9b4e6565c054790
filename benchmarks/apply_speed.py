"""Seconds of `python -m jaxgan.apply` on one picture, network by network.

    python benchmarks/apply_speed.py --presets=pix2pix,cyclegan --out=apply.json

Networks have their initial parameters, since values do not change the time. The table
has, for a random picture of `--size`, the first call, which compiles or reads the
compilation cache, and the median of later calls. Reading and writing the file is
included. The aim is under 2 s for 512 x 512 on two cores.
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np
from arms import about, table
from PIL import Image

from jaxgan.config.applying import MapOptions
from jaxgan.config.resolve import make_config
from jaxgan.environment import enable_compilation_cache
from jaxgan.evaluation.load_run import Run
from jaxgan.evaluation.mapping import Mapper
from jaxgan.evaluation.picture_files import encode, read_picture
from jaxgan.gan import builder
from jaxgan.types import ExampleSpec, Field


class Untrained(Run):
    """A run without a folder, with the initial variables."""

    def restore_step(self, which: Any = "last", *, raw: bool = False) -> Any:
        """Returns step 0 and the variables."""
        return 0, jax.jit(self.gan.init)(jax.random.key(0)).ema


def run_of(preset: str, side: int) -> Run:
    """Returns a run of a preset on images with this side."""
    image = Field((side, side, 3))
    label = Field((), np.dtype(np.int32), "label", ("first", "second"))
    fields = {"image": image, "source": image, "label": label}
    if preset in ("srgan", "esrgan", "inpaint"):
        fields.pop("source")
    example = ExampleSpec(fields)
    config = make_config(dataset="pairs:none", preset=preset)
    gan = builder.build_gan(config, example)
    return Untrained(Path(preset), config, example, gan)


def measure(preset: str, args: argparse.Namespace) -> dict[str, Any]:
    """Returns the row of a preset."""
    run = run_of(preset, args.side)
    label = "second" if run.config.task.startswith("domains") else ""
    mapper = Mapper(run, MapOptions(label=label, tile=args.tile))
    mapper.restore()
    rng, seconds = np.random.default_rng(0), []
    pixels = rng.integers(0, 256, (args.size, args.size, 3), np.uint8)
    mask = None
    if "mask" in mapper.facts.reads:
        mask = np.zeros((args.size, args.size), bool)
        mask[args.size // 4 : args.size // 2, args.size // 4 : args.size // 2] = True
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "in.png")
        Image.fromarray(pixels).save(file)
        for _ in range(args.repeats + 1):
            began = time.perf_counter()
            result = mapper(read_picture(file, 3).pixels, mask)
            Path(folder, "out.png").write_bytes(encode(result, ".png"))
            seconds.append(time.perf_counter() - began)
    return {
        "preset": preset,
        "networks": run.config.networks,
        "size": args.size,
        "tile": mapper.tile_for((args.size, args.size)),
        "result": result.shape,
        "first": seconds[0],
        "later": statistics.median(seconds[1:]),
        "all": seconds,
    }


def speed_table(rows: list[dict[str, Any]]) -> list[str]:
    """Returns the rows as lines of Markdown."""
    head = ["preset", "picture", "tile", "result", "first s", "later s"]
    return table(
        head,
        [
            [
                *(row["preset"], f"{row['size']} x {row['size']}"),
                " x ".join(map(str, row["tile"])),
                " x ".join(map(str, row["result"][:2])),
                *(f"{row['first']:.2f}", f"{row['later']:.2f}"),
            ]
            for row in rows
        ],
    )


def main() -> None:
    """Measures all presets, prints a table and writes JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--presets", default="pix2pix,cyclegan,stargan,srgan,inpaint")
    parser.add_argument("--side", type=int, default=64, help="of images in training")
    parser.add_argument("--size", type=int, default=512, help="of the picture")
    parser.add_argument("--tile", type=int, default=0, help="0 to choose it")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", help="JSON file for the results")
    args = parser.parse_args()
    enable_compilation_cache()
    found = about()
    print(found["machine"])
    rows = [measure(preset, args) for preset in args.presets.split(",")]
    print("\n".join(speed_table(rows)))
    if args.out:
        Path(args.out).write_text(json.dumps({**found, "apply": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
