"""The judges of text on sets whose order is known: real text, n-grams, repetition.

    python benchmarks/text_judges.py --path=sentences.txt --out=text_judges.json

The file has one sentence per line. Of its shuffled lines, the first `--n` are the
references, the next `--n` are held out, and the n-gram models learn from the rest.
Rows damage the held-out sentences in known ways, so that a judge that ranks them
wrongly cannot be trusted with a generator.

    python benchmarks/text_judges.py --path=sentences.txt --samples lm.txt gan.txt

compares files of samples, as `jaxgan.sample` writes them, of runs with
`--dataset=text:sentences.txt --tokens=words`: the references are the lines that these
runs hold out, and rows are means over `--draws` sets of as many texts.
"""

import argparse
import json
import random
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jaxgan.data import load
from jaxgan.data.text import END, decode, encode
from jaxgan.data.text_files import read_text
from jaxgan.data.text_set import TextReading
from jaxgan.evaluation.build_metrics import Metrics, build_text_metrics
from jaxgan.evaluation.protocol import environment
from jaxgan.evaluation.text_methods import REPEATED, make_judge, plain_methods
from jaxgan.evaluation.text_table import table
from jaxgan.types import ExampleSpec, Field

METRICS = "fd(minilm)|kid(minilm, subsets=1, size={n})|bleu(4)|distinct|copies"
"""The kernel distance is that of whole sets of sentences; `{n}` is their number."""

TRAINING = "training text"
"""The row of real texts that samples are compared with."""

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
    metrics = metrics.replace("{n}", str(n))
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
    facts = {
        "fake": "sentences",
        "n_fake": n,
        "real": f"{n:,} of {len(lines):,} sentences",
        "train": len(train),
        "seed": seed,
    }
    return report_of(values, built, facts, REPEATED)


def judge_samples(
    path: Path, files: Sequence[Path], n: int, metrics: str, draws: int
) -> dict:
    """Returns the report of files of samples, and of plain methods.

    Args:
      path: the sentences, of which one in 20 are held out by their content.
      files: samples, one per line.
      n: references, and texts of a set; all held-out ones if there are fewer.
      metrics: those of texts.
      draws: sets of texts of each row, at most.
    """
    lines = [x.split() for x in read_text("--path", path).split("\n")]
    sizes = max(map(len, lines)), 2 + len({word for line in lines for word in line})
    reading = TextReading("lines", "words", *sizes)
    train, test = (
        load(f"text:{path}", split=x, text=reading) for x in ("train", "test")
    )
    names, n = train.example["tokens"].names, min(n, test.size)
    rows, held_out = (x.read(np.arange(x.size))["tokens"] for x in (train, test))
    known, real = decode(rows, names), decode(held_out, names)
    # In the order of a file, neighbors are alike.
    real = random.Random(0).sample(real, n)
    methods = {TRAINING: random.Random(0).sample(known, min(draws * n, len(known)))}
    methods |= plain_methods(rows, names, draws * n)
    methods |= {x.stem: read_text("--samples", x).split("\n") for x in files}
    built = build_text_metrics(
        metrics.replace("{n}", str(n)), None, None, example=train.example
    )
    work = make_judge(built, real, known, "words")
    values, deviations = {}, {}
    for name, whole in methods.items():
        texts = [x for x in whole if x.strip()]
        parts = [texts[i * n : (i + 1) * n] for i in range(min(draws, len(texts) // n))]
        if name == REPEATED:
            parts = parts[:1]
        found = [work.values(x, name) for x in parts]
        values[name], deviations[name] = (
            {k: float(f([x[k] for x in found])) for k in found[0]}
            for f in (np.mean, np.std)
        )
        print(f"{name}: {len(found)} sets", flush=True)
    facts = {
        "fake": f"means over up to {draws} sets of sentences",
        "n_fake": n,
        "real": f"{n:,} of {test.size:,} held-out sentences",
        "train": len(known),
        "seed": 0,
    }
    return report_of(values, built, facts, files[0].stem) | {"deviations": deviations}


def report_of(values: dict, built: Metrics, facts: dict, main_row: str) -> dict:
    """Returns a report as `jaxgan.evaluate` writes it.

    Args:
      values: by row and name.
      built: the metrics.
      facts: of the protocol.
      main_row: the row whose values are the metrics of the report.
    """
    return {
        "metrics": {x: {"value": y} for x, y in values[main_row].items()},
        "rows": values,
        "protocol": {
            **facts,
            "std_over": [],
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
    add("--samples", nargs="+", type=Path, help="files of samples, in place of damage")
    add("--draws", type=int, default=4, help="sets of each row of these (default: 4)")
    add("--out", type=Path, help="file for the values, none by default")
    args = parser.parse_args(argv)
    if args.samples:
        made = (Path(args.path), args.samples, args.n, args.metrics, args.draws)
        finish(judge_samples(*made), args.out)
        return
    text = read_text("--path", Path(args.path))
    lines = list(dict.fromkeys(x for x in text.split("\n") if x.strip()))
    if len(lines) < 4 * args.n:
        raise SystemExit(f"--n={args.n}: use --n={len(lines) // 4} for this file")
    finish(judge(lines, args.n, args.metrics, args.seed), args.out)


def finish(report: dict, out: Path | None) -> None:
    """Prints the table of a report, and writes it."""
    print("\n".join(table(report)))
    if out:
        out.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
