"""The judges of text on sets whose order is known: real text, n-grams, repetition.

    python benchmarks/text_judges.py --path=sentences.txt --out=text_judges.json

The file has one sentence per line. Of its shuffled lines, the first `--n` are the
references, the next `--n` are held out, and the n-gram models learn from the rest.
Rows damage the held-out sentences in known ways, so that a judge that ranks them
wrongly cannot be trusted with a generator.
"""

import argparse
import json
import random
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jaxgan.data.text import END, encode
from jaxgan.data.text_files import read_text
from jaxgan.evaluation.build_metrics import build_text_metrics
from jaxgan.evaluation.protocol import environment
from jaxgan.evaluation.text_methods import REPEATED, make_judge, plain_methods
from jaxgan.evaluation.text_table import table
from jaxgan.types import ExampleSpec, Field

METRICS = "fd(minilm)|kid(minilm, subsets=1, size=1200)|bleu(4)|distinct|copies"
"""The kernel distance is that of whole sets of 1,200 sentences."""

FEW = 60
"""Sentences of the row that repeats a few."""


def damaged(held_out: Sequence[str]) -> dict[str, list[str]]:
    """Returns the held-out sentences with known faults, by their names."""
    words = [x.split() for x in held_out]
    shuffled = [
        " ".join(random.Random(i).sample(x, len(x))) for i, x in enumerate(words)
    ]
    half = list(held_out[: len(held_out) // 2])
    few = [held_out[i % FEW] for i in range(len(held_out))]
    return {"shuffled": shuffled, "half twice": half * 2, f"{FEW} repeated": few}


def judge(lines: Sequence[str], n: int, metrics: str, seed: int) -> dict:
    """Returns the report of all rows.

    Args:
      lines: distinct sentences.
      n: references, and sentences of each row.
      metrics: those of texts.
      seed: of the order of the sentences and of the n-gram models.
    """
    lines = list(lines)
    random.Random(seed).shuffle(lines)
    real, held_out, train = lines[:n], lines[n : 2 * n], lines[2 * n :]
    words = [x.split() for x in train]
    names = (END, *sorted({word for x in words for word in x}))
    rows = encode(words, names, max(map(len, words)))
    example = ExampleSpec(
        tokens=Field(rows.shape[1:], np.dtype(np.int32), "tokens", names)
    )
    built = build_text_metrics(metrics, None, None, example=example)
    work = make_judge(built, real, train, "words")
    methods = {"held-out": held_out, **plain_methods(rows, names, n, seed=seed)}
    methods |= damaged(held_out)
    values = {}
    for name, texts in methods.items():
        start = time.process_time()
        values[name] = work.values(texts, name)
        cost = (time.process_time() - start) / n
        print(f"{name}: {1e3 * cost:.1f} CPU ms a sentence", flush=True)
    return {
        "metrics": {x: {"value": y} for x, y in values[REPEATED].items()},
        "rows": values,
        "protocol": {
            "fake": "sentences",
            "n_fake": n,
            "real": f"{n:,} of {len(lines):,} sentences",
            "train": len(train),
            "std_over": [],
            "seed": seed,
            "metrics": {x.name: x.protocol for x in built.texts},
            "extractors": {},
            "missing": "",
            **environment(),
        },
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Prints the table, and writes the values."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    add = parser.add_argument
    add("--path", required=True, help="file of sentences, one per line")
    add("--n", type=int, default=1_200, help="sentences of each row (default: 1200)")
    add("--metrics", default=METRICS, help=f"metrics (default: {METRICS})")
    add("--seed", type=int, default=0, help="of the order and the models (default: 0)")
    add("--out", type=Path, help="file for the values, none by default")
    args = parser.parse_args(argv)
    text = read_text("--path", Path(args.path))
    lines = list(dict.fromkeys(x for x in text.split("\n") if x.strip()))
    if len(lines) < 4 * args.n:
        raise SystemExit(f"--n={args.n}: use --n={len(lines) // 4} for this file")
    report = judge(lines, args.n, args.metrics, args.seed)
    print("\n".join(table(report)))
    if args.out:
        args.out.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
