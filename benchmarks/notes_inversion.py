"""How many recordings of notes keep their pitch after SpecGAN's inversion?

    python benchmarks/notes_inversion.py --mels 64 128 --iterations 32 128 \\
        --out=notes_inversion.json

Held-out recordings of `notes` become log-mel spectrograms, as generated ones are, and
waveforms again by Griffin-Lim. The share that is still within 50 cents of its pitch
bounds `pitch_as_asked` of a generator of such spectrograms.
"""

import argparse
import functools
import itertools
import json
from collections.abc import Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from arms import about, table

from jaxgan import data
from jaxgan.metrics.pitch import fundamental, note_frequency
from jaxgan.networks.spectrograms import MELS, to_pictures, to_waveforms

CENTS = 50
"""The largest distance from the pitch, in hundredths of a semitone."""


def share(waveforms: np.ndarray, rate: int, wanted: np.ndarray) -> float:
    """Returns the share of sounds within `CENTS` of their frequencies.

    Args:
      waveforms: `[n, T, 1]` in [-1, 1].
      rate: samples per second.
      wanted: `[n]` in Hz.
    """
    cents = 1_200 * np.abs(np.log2(fundamental(waveforms, rate) / wanted))
    return float(np.mean(cents < CENTS))  # NaN is no pitch


def main(argv: Sequence[str] | None = None) -> None:
    """Prints the shares, and writes them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    add = parser.add_argument
    add("--iterations", nargs="+", type=int, default=[32], help="of Griffin-Lim")
    add("--mels", nargs="+", type=int, default=[MELS], help="bands of spectrograms")
    add("--out", type=Path, help="file of the shares, none by default")
    args = parser.parse_args(argv)
    held_out = data.load("notes", split="test")
    examples = data.read_all(held_out)
    field = held_out.example["waveform"]
    waves = np.asarray(data.normalize(examples, held_out.example)["waveform"])
    names = np.array([note_frequency(name) for name in held_out.classes])
    wanted = names[examples["label"]]
    shares = {"recordings": share(waves, field.rate, wanted)}
    for mels, count in itertools.product(args.mels, args.iterations):
        pictures = to_pictures(jnp.asarray(waves), field, mels)
        invert = functools.partial(to_waveforms, field=field, iterations=count)
        again = np.asarray(jax.jit(invert)(pictures))
        shares[f"{mels} bands, {count} iterations"] = share(again, field.rate, wanted)
    print("\n".join(table(["", "share"], [[x, f"{y:.3f}"] for x, y in shares.items()])))
    if args.out:
        args.out.write_text(json.dumps({"shares": shares, **about()}, indent=1) + "\n")


if __name__ == "__main__":
    main()
