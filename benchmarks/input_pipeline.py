"""Images per second of each data source, and the time that a step waits for them.

    python benchmarks/input_pipeline.py --preset=default --out=input_pipeline.json

The sources are MNIST of TFDS (in its prepared format: array_record or TFRecord) and
`--count` synthetic images of `--size` as a folder of PNGs, a folder of JPEGs and an
npz. *images/s* is the speed of batches when nothing else runs: streamed by the threads
that decode, or gathered from the device. *waits* is the share of its time that the
trainer with `--preset` waits for the next batch. *overhead* compares its steps with
bare calls on a batch that is already loaded (`overhead.py` measures both in turns).
"""

import argparse
import json
import logging
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from arms import about, table
from overhead import against_bare, config_of, show
from PIL import Image

from jaxgan.config.training import Config
from jaxgan.environment import enable_compilation_cache
from jaxgan.experiment.setup import setup

HEAD = ["source", "shape", "input", "images/s (range)", "trainer ms", "waits"]


def pictures(count: int, size: int) -> Iterator[np.ndarray]:
    """Yields smooth images with some noise, which compress about as well as photos."""
    rng = np.random.default_rng(0)
    for _ in range(count):
        coarse = rng.integers(0, 256, (8, 8, 3), np.uint8)
        smooth = Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC)
        noise = rng.normal(0, 6, (size, size, 3))
        yield np.clip(np.asarray(smooth) + noise, 0, 255).astype(np.uint8)


def written(folder: Path, count: int, size: int) -> dict[str, str]:
    """Writes the images in each format; returns values of `--dataset` by name."""
    made = list(pictures(count, size))
    for suffix in ("png", "jpg"):
        (folder / suffix).mkdir()
        for i, picture in enumerate(made):
            Image.fromarray(picture).save(folder / suffix / f"{i:05}.{suffix}")
    np.savez(folder / "all.npz", images=np.stack(made))
    return {
        "folder of PNGs": f"folder:{folder}/png",
        "folder of JPEGs": f"folder:{folder}/jpg",
        "npz": f"npz:{folder}/all.npz",
    }


def speeds(config: Config, args: argparse.Namespace) -> tuple[list[float], str]:
    """Returns the images per second of each window, and the shape of an image."""
    plan = setup(config)
    count = plan.steps_per_call
    images = config.batch_size * config.d_updates * count
    with plan.open_feed(0) as feed:
        get = jax.jit(lambda passed, step: feed.select(passed, step, jnp.int32(0)))
        gather: Callable = get if plan.resident else lambda passed, _: passed
        step, rates = 0, []
        for window in range(args.blocks + 1):
            began, done = time.perf_counter(), 0
            while done < 4 or time.perf_counter() - began < args.seconds:
                passed = feed.at(step, count)
                jax.block_until_ready(gather(passed, jnp.int32(step)))
                step, done = step + count, done + 1
            if window:  # the first warms up
                rates.append(done * images / (time.perf_counter() - began))
    return rates, "x".join(map(str, plan.dataset.shape))


def measure(name: str, dataset: str, place: str, args: argparse.Namespace) -> dict:
    """Measures one source and returns its row."""
    flags = {"dataset": dataset, "input": place, "steps_per_call": 1}
    config = config_of(args.preset, args, **flags)
    rates, shape = speeds(config, args)
    beside = against_bare(config, args)
    return {
        **{"source": name, "shape": shape, "input": place, "rates": rates},
        "images_per_second": statistics.median(rates),
        **{name: beside[name] for name in ("ms_trainer", "overhead", "waits")},
    }


def cells(row: dict) -> list[str]:
    """Returns one row of the table."""
    low, high = min(row["rates"]), max(row["rates"])
    return [
        *(row["source"], row["shape"], row["input"]),
        f"{row['images_per_second']:,.0f} ({low:,.0f} to {high:,.0f})",
        *(f"{row['ms_trainer']:.1f}", f"{row['waits']:.2%}", f"{row['overhead']:.1%}"),
    ]


def table_of(found: dict) -> list[str]:
    """Returns a Markdown table as lines."""
    return table([*HEAD, "overhead"], [cells(row) for row in found["rows"]])


def main() -> None:
    """Measures all sources, prints a table and writes JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--preset", default="default", help="preset of the trainer")
    parser.add_argument(
        "--size", type=int, default=32, help="side length of images in pixels"
    )
    parser.add_argument("--count", type=int, default=2_000, help="number of images")
    parser.add_argument("--seconds", type=float, default=2, help="length of a window")
    parser.add_argument("--blocks", type=int, default=3, help="number of windows")
    parser.add_argument("--data_dir", default="", help="folder of TFDS datasets")
    parser.add_argument("--out", help="JSON file for the results")
    args = parser.parse_args()
    logging.basicConfig(format="%(message)s")
    enable_compilation_cache()
    known = about()
    print(known["machine"])
    with tempfile.TemporaryDirectory() as folder:
        sources = {"TFDS mnist": "mnist"}
        sources |= written(Path(folder), args.count, args.size)
        rows = [
            measure(name, dataset, place, args)
            for name, dataset in sources.items()
            for place in ("device", "host")
        ]
    found = {**known, "preset": args.preset, "rows": rows}
    show(table_of(found))
    if args.out:
        Path(args.out).write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
