"""Quality against diversity of text over the temperature of samples.

    python benchmarks/text_temperature.py --workdirs runs/lm runs/gan \\
        --out=text_temperature.json --picture=text_temperature.png

Any generator of text has better and fewer texts at a lower temperature, so that a
single value of BLEU says little: generators are compared as curves, as in "Language
GANs Falling Short", https://arxiv.org/abs/1811.02549. BLEU (quality) is that of samples
against held-out texts, and self-BLEU (less diversity) that of samples against each
other. Real text, n-gram models and one sentence repeated are points.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from jaxgan.config.evaluating import EvaluateConfig
from jaxgan.evaluation.build_metrics import build_text_metrics
from jaxgan.evaluation.load_run import Run, load_run
from jaxgan.evaluation.protocol import environment
from jaxgan.evaluation.real_examples import load_real
from jaxgan.evaluation.text_methods import make_judge
from jaxgan.evaluation.text_outputs import draw
from jaxgan.evaluation.text_report import plain_rows, read_texts
from jaxgan.metrics.text_comparisons import unit_of

TEMPERATURES = (0.5, 0.7, 0.85, 1.0, 1.2)
METRICS = "bleu(3)|copies|length"

Values = dict[str, float]


def curve(
    run: Run, temperatures: Sequence[float], metrics: str, n: int
) -> tuple[dict[float, Values], dict[str, Values]]:
    """Returns the values of samples by temperature, and those of plain methods.

    Args:
      run: one that writes text.
      temperatures: factors of that of the generator, above 0.
      metrics: those of texts.
      n: number of texts of each row.
    """
    config = EvaluateConfig(workdir=run.folder, n=n)
    examples = load_real(run, config)
    train, held_out = examples.train, examples.held_out
    assert held_out is not None
    texts = read_texts(config, examples)
    built = build_text_metrics(metrics, train, held_out)
    judge = make_judge(built, texts.real, texts.train, unit_of(texts.real))
    rows = {}
    for temperature in temperatures:
        some = draw(run, run.variables, train, seed=0, count=n, temperature=temperature)
        rows[temperature] = judge.values(some, f"samples at {temperature:g}")
        shown = ", ".join(f"{k} {x:.4g}" for k, x in rows[temperature].items())
        print(f"{run.folder.name}, temperature {temperature:g}: {shown}", flush=True)
    return rows, plain_rows(judge, texts, n)


def picture(
    path: Path,
    curves: Mapping[str, Mapping[float, Values]],
    plain: Mapping[str, Values],
    x: str = "self_bleu_3",
    y: str = "bleu_3",
) -> None:
    """Writes a picture of all curves, with a number at each temperature.

    Args:
      path: a .png file.
      curves: values by run and temperature.
      plain: values by method.
      x: the value of the horizontal axis.
      y: the value of the vertical axis.
    """
    with mpl.rc_context({"font.size": 9, "font.family": "DejaVu Sans"}):
        figure = Figure((6.4, 4.4), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        for name, rows in curves.items():
            points = [(v[x], v[y]) for v in rows.values()]
            axes.plot(*zip(*points, strict=True), marker="o", label=name)
            for temperature, point in zip(rows, points, strict=True):
                axes.annotate(
                    f"{temperature:g}", point, (4, 4), textcoords="offset points"
                )
        for name, values in plain.items():
            axes.plot(values[x], values[y], "x", color="#666666")
            at = (values[x], values[y])
            axes.annotate(
                name, at, (4, -9), textcoords="offset points", color="#666666"
            )
        axes.set_xlabel(f"{x}: less is more diverse")
        axes.set_ylabel(f"{y} against held-out text")
        axes.legend(frameon=False)
        figure.savefig(path, dpi=110)


def main(argv: Sequence[str] | None = None) -> None:
    """Prints the values of all runs, and writes them and the picture."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    add = parser.add_argument
    add("--workdirs", nargs="+", required=True, help="runs of the same text")
    add("--temperatures", nargs="+", type=float, default=TEMPERATURES)
    add("--metrics", default=METRICS, help=f"metrics of texts (default: {METRICS})")
    add("--n", type=int, default=1_000, help="texts of each row (default: 1000)")
    add("--out", type=Path, help="file for the values, none by default")
    add("--picture", type=Path, help="file for the picture, none by default")
    args = parser.parse_args(argv)
    curves, plain = {}, {}
    for folder in args.workdirs:
        found, plain = curve(load_run(folder), args.temperatures, args.metrics, args.n)
        curves[Path(folder).name] = found
    for name, values in plain.items():
        shown = ", ".join(f"{k} {x:.4g}" for k, x in values.items())
        print(f"{name}: {shown}")
    if args.picture:
        picture(args.picture, curves, plain)
    if args.out:
        whole: dict[str, Any] = {"curves": curves, "plain": plain, "n": args.n}
        args.out.write_text(json.dumps(whole | environment(), indent=2) + "\n")


if __name__ == "__main__":
    main()
