"""Tables and pictures of the results of `recipes.py`.

    python benchmarks/recipe_tables.py recipes.json --picture=docs/recipes.png \\
        --curve=docs/recipes_curve.png
"""

import argparse
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import drawing
import matplotlib as mpl
from arms import spread, table
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from recipe_arms import ABLATIONS, ARMS

TORCH = "default in PyTorch"
"""Arm of the samples of `torch_default.py`."""
ORDER = [*ARMS, TORCH, *ABLATIONS]
HEAD = [
    *("recipe", "steps", "Frechet", "least, most", "of the floor", "confident %"),
    *("classes", "precision", "recall", "as asked %"),
]
LABELS = {
    "default": "`default`: no labels",
    "default, not clipped": "`default` of version 0.1.0, without clipped updates",
    "projection": "the same with labels, by projection",
    "acgan, not clipped": "the same with labels, by a classifier",
    "projection to 8150": "by projection, with rates that fall to the end",
    "conditional": "`conditional`: that with the non-saturating loss",
}
"""Words for the README's first table, by arm."""
VALUES = ("Frechet", "confident %", "precision", "recall")
"""Columns of the README's tables."""
PRESETS = {
    "default": "relativistic loss, R1 + R2, small convolutional pair",
    "projection": "projection on the label, relativistic loss, R1 + R2",
    "conditional": "the same with the non-saturating loss, and rates that fall",
    "acgan": "a classifier in the discriminator, relativistic loss, R1 + R2",
    "infogan": "ten categories and two numbers that can be recovered from a sample",
    "mlp": "perceptrons 100-256-512-1024-784 and 784-1024-512-256-1, dropout",
    "mlp-small": "one hidden layer of 256 in each network",
    "goodfellow": "one hidden layer of 128, the minimax value function",
    "goodfellow-ns": "the same, non-saturating",
    "dcgan": "the DCGAN of the tutorials",
    "lsgan": "least squares, perceptrons",
    "wgan": "Wasserstein, clipped weights, five critic updates, perceptrons",
    "wgan-gp": "Wasserstein, gradient penalty, five critic updates",
    "sngan": "hinge, spectral normalization, five discriminator updates",
}
"""Words for the README's table of presets."""
EFFICIENTNET = "fd_efficientnet"
"""A value of `jaxgan.evaluate` that a results file may have for each row and floor."""
OURS, OTHER, GRAY = "#1546c0", "#c05415", "#777777"


def rows_of(found: dict[str, Any], dataset: str) -> dict[str, list[dict[str, Any]]]:
    """Returns the rows of each arm, in the order of tables."""
    rows = [row for row in found["rows"] if row["dataset"] == dataset]
    each = {arm: [x for x in rows if x["arm"] == arm] for arm in names_of(found)}
    return {arm: own for arm, own in each.items() if own}


def names_of(found: dict[str, Any]) -> list[str]:
    """Returns the arms that have results: known ones in their order, then others."""
    names = list(dict.fromkeys(row["arm"] for row in found["rows"]))
    return sorted(names, key=lambda x: ORDER.index(x) if x in ORDER else len(ORDER))


def number(values: Iterable[float], digits: int) -> str:
    """Returns mean and deviation of several values, a single one alone.

    >>> number([1.0, 3.0], 1), number([0.5], 2)
    ('2.0 ± 1.4', '0.50')
    """
    several = list(values)
    mean, deviation = spread(several)
    more = f" ± {deviation:.{digits}f}" if len(several) > 1 else ""
    return f"{mean:.{digits}f}{more}"


def cells(arm: str, steps: str, own: list[dict[str, float]], floor: float) -> list[str]:
    """Returns one row of a table, from the values of each seed."""

    def cell(name: str, digits: int, times: float = 1.0) -> str:
        return number((times * x[name] for x in own), digits)

    distances = sorted(x["fd"] for x in own)
    ends = f"{distances[0]:.2f}, {distances[-1]:.2f}" if len(own) > 1 else ""
    asked = all("as_requested" in x for x in own)
    return [
        *(arm, steps, cell("fd", 2), ends),
        *(f"{spread(distances)[0] / floor:.2f} x", cell("confident", 1, 100)),
        f"{min(x['classes'] for x in own):.0f}",
        *(cell("precision", 3), cell("recall", 3)),
        cell("as_requested", 1, 100) if asked else "",
        *([cell(EFFICIENTNET, 1)] if EFFICIENTNET in own[0] else []),
    ]


def table_of(found: dict[str, Any], dataset: str) -> list[str]:
    """Returns the table of a data set: the floor, then the arms, as Markdown."""
    floor = found["sets"][dataset]["floor"]
    rows = [cells("*training images*", "", [floor], floor["fd"])]
    for arm, own in rows_of(found, dataset).items():
        steps = f"{sum(row['steps'] for row in own) // len(own):,}"
        rows.append(cells(arm, steps, [row["values"] for row in own], floor["fd"]))
    more = ["Frechet, EfficientNet"] if len(rows[0]) > len(HEAD) else []
    return table([*HEAD, *more], rows)


def labels(found: dict[str, Any]) -> list[str]:
    """Returns the README's first table: what labels and falling rates do for MNIST."""
    arms, floor = rows_of(found, "mnist"), found["sets"]["mnist"]["floor"]
    rows = [["*floor: training images*", "", "", *values_of([floor])]]
    for arm, text in LABELS.items():
        values = [row["values"] for row in arms[arm]]
        facts = [text, f"{arms[arm][0]['steps']:,}", str(len(values))]
        rows.append([*facts, *values_of(values)])
    return table(["ten CPU minutes", "steps", "seeds", *VALUES], rows)


def presets(found: dict[str, Any]) -> list[str]:
    """Returns the README's table of presets, with distances for Fashion-MNIST too."""
    arms, other = rows_of(found, "mnist"), rows_of(found, "fashion_mnist")
    floors = [found["sets"][name]["floor"] for name in ("mnist", "fashion_mnist")]
    mnist, fashion = (values_of([floor]) for floor in floors)
    rows = [["*floor: training images*", "", "", *mnist, fashion[0]]]
    for arm in filter(arms.get, PRESETS):
        values = [row["values"] for row in arms[arm]]
        clothes = [row["values"] for row in other.get(arm, [])]
        facts = [f"`{arm}`", PRESETS[arm], f"{arms[arm][0]['steps']:,}"]
        fashion = values_of(clothes)[0] if clothes else ""
        rows.append([*facts, *values_of(values), fashion])
    head = ["preset", "description", "steps", *VALUES, "Frechet, Fashion-MNIST"]
    return table(head, rows)


def values_of(seeds: list[dict[str, float]]) -> list[str]:
    """Returns the cells of `VALUES`, from the values of each seed."""
    facts = (("fd", 2, 1), ("confident", 1, 100), ("precision", 2, 1), ("recall", 2, 1))
    return [number((k * x[name] for x in seeds), d) for name, d, k in facts]


def protocol_of(found: dict[str, Any], dataset: str) -> list[str]:
    """Returns sentences about how the values of a table were measured."""
    facts, budget = found["sets"][dataset]["protocol"], found["budget"]
    of, classifier = f"`{dataset}`", facts["classifier"]
    steps = f"{budget['steps']} steps"
    if not budget["steps"]:
        steps = f"the steps of {budget['minutes']:g} minutes on {budget['counted_on']}"
    places = sorted({row.get("trained_on", "PyTorch") for row in found["rows"]})
    return [
        f"{of}: {facts['n_fake']:,} samples of the moving average after {steps}, "
        f"against {facts['n_real']:,} images of the split {facts['split']}; the floor "
        "has as many training images in place of samples. Features are the "
        f"{classifier['layer']} of the classifier {classifier['digest']}, which is "
        f"right on {100 * classifier['accuracy']:.2f} % of {classifier['tested']:,} "
        f"test images. Mean ± standard deviation over training seeds. Trained on "
        f"{'; '.join(places)}.",
    ]


def markdown(found: dict[str, Any]) -> str:
    """Returns all tables with their protocols."""
    lines = []
    for dataset in found["sets"]:
        lines += [*protocol_of(found, dataset), "", *table_of(found, dataset), ""]
    return "\n".join(lines)


def draw_arms(file: Path, found: dict[str, Any]) -> None:
    """Draws the distance of every seed of every arm, beside the floor."""
    names = names_of(found)

    def paint(axis: Axes, dataset: str) -> None:
        for place, own in enumerate(map(rows_of(found, dataset).get, names)):
            values = [row["values"]["fd"] for row in own or []]
            color = OTHER if names[place] == TORCH else OURS
            style: dict[str, Any] = {"color": color, "ls": ""}
            axis.plot(values, [place] * len(values), marker="o", ms=4.5, mew=0, **style)
            if values:
                axis.plot(spread(values)[0], place, marker="|", ms=11, **style)
        axis.set_yticks(range(len(names)), names)
        axis.set_ylim(len(names) - 0.5, -0.5)
        axis.grid(axis="y", color="#eeeeee")
        axis.axvline(floor_of(found, dataset), color=GRAY, ls="--", lw=1)
        axis.set(xscale="log", xlabel="Frechet distance (dots: seeds; dashed: floor)")
        plain_numbers(axis.xaxis)

    panels(file, found, (8.4, 0.21 * len(names) + 1.2), paint)


def draw_curves(file: Path, found: dict[str, Any]) -> None:
    """Draws distance against time of the arms that were scored at checkpoints."""

    def paint(axis: Axes, dataset: str) -> None:
        for arm in (x for x in names_of(found) if seeds_of(found, dataset, x)):
            seeds = seeds_of(found, dataset, arm)
            color = OTHER if arm == TORCH else OURS
            for i, points in enumerate(seeds):
                minutes = [point["seconds"] / 60 for point in points]
                values = [point["values"]["fd"] for point in points]
                name = arm if i == 0 else None
                axis.plot(minutes, values, "o-", ms=2.5, lw=1, color=color, label=name)
        axis.axhline(floor_of(found, dataset), color=GRAY, ls="--", lw=1, label="floor")
        axis.set(
            yscale="log", title=dataset, xlabel="minutes of training", xlim=(0, None)
        )
        axis.set_ylabel("Frechet distance")
        plain_numbers(axis.yaxis)
        axis.legend(frameon=False)

    panels(file, found, (8.4, 3.1), paint)


def plain_numbers(axis: Axis) -> None:
    """Labels a logarithmic axis with 1, 2, 5, 10 and so on."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    axis.set_minor_formatter(NullFormatter())


def seeds_of(found: dict[str, Any], dataset: str, arm: str) -> list[list[dict]]:
    """Returns the points of a curve by seed, each in the order of steps."""
    own = [p for p in found["points"] if (p["arm"], p["dataset"]) == (arm, dataset)]
    seeds = sorted({point["seed"] for point in own})
    each = ([point for point in own if point["seed"] == seed] for seed in seeds)
    return [sorted(points, key=lambda point: point["step"]) for points in each]


def floor_of(found: dict[str, Any], dataset: str) -> float:
    """Returns the distance of training images."""
    return found["sets"][dataset]["floor"]["fd"]


def panels(
    file: Path,
    found: dict[str, Any],
    size: tuple[float, float],
    paint: Callable[[Axes, str], None],
) -> None:
    """Draws a panel for each data set side by side."""
    sets = list(found["sets"])
    with mpl.rc_context({"font.size": 9, "font.family": "DejaVu Sans"}):
        figure = Figure(size, dpi=100)
        grid = figure.subplots(1, len(sets), squeeze=False)[0]
        for axis, dataset in zip(grid, sets, strict=True):
            paint(axis, dataset)
            axis.set_title(dataset, fontsize=10)
            axis.spines[["top", "right"]].set_visible(False)
        for axis in grid[1:]:  # as in the first panel
            axis.set_ylabel("")
            if axis.get_yscale() == "linear":
                axis.set_yticklabels([])
        figure.tight_layout()
        drawing.save(figure, file)


def main() -> None:
    """Prints the tables and draws the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", help="JSON file of recipes.py")
    parser.add_argument("--picture", help=".png file of all arms")
    parser.add_argument("--curve", help=".png file of distance against time")
    args = parser.parse_args()
    found = json.loads(Path(args.results).read_text())
    print(markdown(found))
    if args.picture:
        draw_arms(Path(args.picture), found)
    if args.curve:
        draw_curves(Path(args.curve), found)


if __name__ == "__main__":
    main()
