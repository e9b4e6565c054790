"""Are spoken digits those asked for, to a judge that knows none of the speakers?

    python benchmarks/unseen_speakers.py --recordings=recordings --out=RUNS/folders
    python -m jaxgan.train --dataset=audio:RUNS/folders/three --workdir=RUNS/three
    python benchmarks/unseen_speakers.py --workdir=RUNS/three \\
        --judge=audio:RUNS/folders/others --out=unseen.json

The first call copies recordings such as 7_jackson_32.wav into two folders: `three`,
with those of three speakers, and `others`. A generator is trained on the former, and a
classifier on the latter. The accuracy of that classifier on the real test takes of the
three speakers, whom it never heard, shows how many generated digits it can be expected
to read. It is given with that of the usual judge, which is trained on the same
recordings as the generator.
"""

import argparse
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from arms import about, table

from jaxgan import data
from jaxgan.config.evaluating import EvaluateConfig
from jaxgan.data.audio import TAKES
from jaxgan.evaluation.labeled_set import draw
from jaxgan.evaluation.load_run import load_run
from jaxgan.evaluation.real_examples import load_real
from jaxgan.metrics.features import EXTRACTORS, Extractor

SPEAKERS = ("george", "nicolas", "theo")
"""Those whose recordings a generator learns from."""


def split_folder(recordings: Path, out: Path, speakers: Sequence[str]) -> None:
    """Copies recordings into the folders `three`, of some speakers, and `others`.

    Args:
      recordings: folder of files such as 7_jackson_32.wav.
      out: folder of the two folders.
      speakers: those of `three`.
    """
    for name in ("three", "others"):
        (out / name).mkdir(parents=True, exist_ok=True)
    for file in sorted(recordings.iterdir()):
        if match := TAKES.fullmatch(file.name):
            shutil.copy(file, out / ("three" if match[2] in speakers else "others"))


def accuracy(judge: Extractor, sounds: np.ndarray, labels: np.ndarray) -> list[float]:
    """Returns the share of each class that a judge reads as asked.

    Args:
      judge: a classifier.
      sounds: waveforms in [-1, 1], `[n, T, 1]`.
      labels: the classes asked for, `[n]` int32.
    """
    seen = np.asarray(judge.extract(sounds).probabilities).argmax(1)
    return [float(np.mean(seen[labels == k] == k)) for k in range(labels.max() + 1)]


def judge_run(folder: Path, name: str, per_class: int, seeds: int) -> dict:
    """Returns the accuracies of both judges on real and on generated digits.

    Args:
      folder: a conditional run on recordings of some speakers.
      name: the data set of the unknown judge.
      per_class: generated digits of each class and judge.
      seeds: number of judges of each kind, as their training differs.
    """
    run = load_run(folder)
    train, held_out, *_ = load_real(run, EvaluateConfig(workdir=folder))
    assert held_out is not None
    step, variables = run.restore_step("last", raw=False)
    parts = [*draw(run.gan, run.example, variables, per_class=per_class, seed=0)]
    fakes = np.concatenate([x for _, x in parts])
    asked = np.concatenate([np.full(len(x), k, np.int32) for k, x in parts])
    tests = held_out.read(np.arange(held_out.size))
    real = data.normalize(tests, held_out.example)[run.example.generated]
    unknown = data.load(
        name, rate=run.config.rate, seconds=run.config.seconds, loudness="rms"
    )
    rows = {}
    for row, known in (("same speakers", train), ("other speakers", unknown)):
        found = []
        for seed in range(seeds):
            judge = EXTRACTORS["classifier"](
                seed=seed, example=train.example, train=known, held_out=held_out
            )
            found.append(
                (
                    accuracy(judge, np.asarray(real), tests["label"]),
                    accuracy(judge, fakes, asked),
                )
            )
        by_class = np.mean(found, 0)
        rows[row] = {
            "real": float(by_class[0].mean()),
            "generated": float(by_class[1].mean()),
            "real_by_class": by_class[0].tolist(),
            "generated_by_class": by_class[1].tolist(),
        }
    facts = {"step": step, "per_class": per_class, "judges": seeds, **about()}
    return {"rows": rows, **facts}


def main(argv: Sequence[str] | None = None) -> None:
    """Splits recordings by speaker, or judges a run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    add = parser.add_argument
    add("--recordings", type=Path, help="folder of recordings to copy, without a run")
    add("--speakers", nargs="+", default=SPEAKERS, help="those to generate")
    add("--workdir", type=Path, help="folder of the run")
    add("--judge", help="data set of the other speakers, audio:PATH")
    add("--per_class", type=int, default=100, help="digits of a class (default: 100)")
    add("--seeds", type=int, default=3, help="judges of each kind (default: 3)")
    add("--out", type=Path, required=True, help="folder of recordings, or .json file")
    args = parser.parse_args(argv)
    if args.recordings:
        split_folder(args.recordings, args.out, args.speakers)
        return
    if not (args.workdir and args.judge):
        parser.error("use --recordings, or --workdir with --judge")
    found = judge_run(args.workdir, args.judge, args.per_class, args.seeds)
    args.out.write_text(json.dumps(found, indent=2) + "\n")
    rows = [
        [name, *(f"{100 * row[x]:.1f}" for x in ("real", "generated"))]
        for name, row in found["rows"].items()
    ]
    print("\n".join(table(["judge trained on", "real", "generated"], rows)))


if __name__ == "__main__":
    main()
