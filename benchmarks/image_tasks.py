"""Image-to-image presets on held-out pictures, beside plain methods.

    python benchmarks/image_tasks.py --out=benchmarks/results/image_tasks.json

trains every arm one after the other, and evaluates it with `jaxgan.evaluate`: one
output for each held-out input, and the outputs of methods that learn nothing for the
same inputs. An arm whose name ends in "no discriminator" is the same generator, trained
by its reconstruction terms alone (`--loss=none`). The same command resumes: an arm that
the JSON has is not trained again. `--only=paired` takes the arms whose names begin so,
and `--pictures` writes the first outputs of each of them to a folder.
"""

import argparse
import json
import shlex
import shutil
import sys
from pathlib import Path
from typing import Any, NamedTuple

import arms
import recipe_arms

from jaxgan.config.evaluating import EvaluateConfig, check
from jaxgan.environment import enable_compilation_cache
from jaxgan.evaluation.report import report_of_run
from jaxgan.files import atomic_write


class Arm(NamedTuple):
    """Flags of a run, and the metrics of its outputs."""

    flags: dict[str, Any]
    metrics: str = "auto"
    count: int = 400
    """Number of held-out inputs; `emoji_pairs` has no more."""


HOLES = "l1(region='holes')|psnr(region='holes')|psnr|ssim|perceptual|fd(efficientnet)"
"""Metrics of inpainting: pixels outside of holes are equal in all methods."""

ALONE = {"loss": "none", "d_terms": ""}
"""Flags of the same generator without a discriminator."""


def _pair(
    name: str, flags: dict[str, Any], metrics: str = "auto", **alone: str
) -> dict[str, Arm]:
    """Returns an arm, and the same generator with reconstruction terms alone."""
    return {
        name: Arm(flags, metrics),
        f"{name}, no discriminator": Arm({**flags, **ALONE, **alone}, metrics),
    }


def _falling(rate: float, steps: int) -> str:
    """Returns Adam with a learning rate that falls to 1e-5.

    >>> _falling(5e-4, 3_000)
    'adam(cosine(0.0005,1e-5,3000),b1=0.5)'
    """
    return f"adam(cosine({rate:g},1e-5,{steps}),b1=0.5)"


def _long(steps: int, rate: float, **flags: Any) -> dict[str, Any]:
    """Returns flags of a long run: falling rates, and an average of 1,000 steps."""
    both = dict.fromkeys(("g_optimizer", "d_optimizer"), _falling(rate, steps))
    return {**flags, "steps": steps, **both, "ema_half_life": 8_000.0}


EMOJI = {"dataset": "emoji_pairs", "preset": "pix2pix"}
ENLARGE = {"dataset": "emoji", "preset": "srgan"}
FILL = {"dataset": "emoji", "preset": "inpaint"}

ARMS: dict[str, Arm] = {
    **_pair("paired", _long(8_000, 5e-4, **EMOJI)),
    "paired, R1": Arm(_long(8_000, 5e-4, **EMOJI, d_terms="r1(1)", g_terms="l1(30)")),
    **_pair("paired, short", {**EMOJI, "steps": 4_000}),
    "unpaired": Arm(
        _long(5_000, 5e-4, dataset="emoji_pairs/unpaired", preset="cyclegan")
    ),
    "unpaired, short": Arm(
        {
            **{"dataset": "emoji_pairs/unpaired", "preset": "cyclegan", "steps": 1_215},
            **dict.fromkeys(("g_optimizer", "d_optimizer"), _falling(5e-4, 3_000)),
            "g_latents": "fresh",
        }
    ),
    "style": Arm(
        _long(5_000, 5e-4, dataset="avataaars_open_peeps", preset="style"), count=300
    ),
    **_pair("super-resolution x4", _long(8_000, 5e-4, **ENLARGE, d_terms="r1(1)")),
    "super-resolution x4, more reconstruction": Arm(
        _long(
            *(8_000, 5e-4),
            **{**ENLARGE, "d_terms": "r1(1)", "g_terms": "l1(3000)|perceptual(300)"},
        )
    ),
    "super-resolution x4, L1 alone": Arm(
        _long(8_000, 5e-4, **ENLARGE, **ALONE, g_terms="l1(1000)")
    ),
    **_pair(
        "super-resolution x4, short",
        {**ENLARGE, "d_terms": "", "steps": 1_500},
        g_terms="l1(100)|perceptual(1)",
    ),
    "super-resolution x2, short": Arm(
        {**ENLARGE, "task": "super_resolution(2)", "steps": 1_500}
    ),
    "inpainting, center 32": Arm(
        _long(
            *(8_000, 1e-3),
            **{**FILL, "task": "inpainting(mask='center(32)')"},
            g_terms="l2(100,region='holes')|l1(50,region='holes')|perceptual(10)",
        ),
        HOLES,
    ),
    "inpainting, center 32, short": Arm(
        {
            **{**FILL, "steps": 4_400, "task": "inpainting(mask='center(32)')"},
            **{"g_optimizer": _falling(1e-3, 4_400), "g_latents": "fresh"},
        },
        HOLES,
    ),
    "inpainting, strokes": Arm(
        _long(
            *(8_000, 1e-3),
            **{**FILL, "task": "inpainting(mask='strokes')"},
            g_terms="l1(100,region='holes')|perceptual(10)",
        ),
        HOLES,
    ),
    "attributes": Arm(_long(8_000, 5e-4, dataset="dicebear_faces", preset="stargan")),
    "attributes, spectral norm": Arm(
        _long(
            *(8_000, 5e-4),
            **{"dataset": "dicebear_faces", "preset": "stargan", "loss": "hinge"},
            discriminator_wrap="spectral_norm|classifier",
            d_terms="domain_classification(fake=0)",
        )
    ),
    "domains, short": Arm(
        {"dataset": "emoji_domains", "preset": "stargan", "steps": 1_500}
    ),
}
"""Arms by name."""

QUIET = {"log_every": 100, "sample_every": 500, "save_every": 500}
"""Flags of all runs."""

COLUMNS = {
    "l1": ("L1", 2),
    "l1_holes": ("L1, holes", 2),
    "psnr": ("PSNR", 2),
    "psnr_holes": ("PSNR, holes", 2),
    "ssim": ("SSIM", 3),
    "perceptual": ("perceptual", 3),
    "fd_efficientnet": ("Frechet", 1),
    "attribute_accuracy": ("attributes", 3),
    "attribute_accuracy_edited": ("edited", 3),
    "domain_accuracy": ("domain", 3),
}
"""Heads and digits of a table by metric."""


SHOWN = {
    "paired, R1": ("l1", "fd_efficientnet"),
    "unpaired": ("l1",),
    "style": ("fd_efficientnet",),
    "attributes": ("attribute_accuracy_edited", "psnr"),
    "super-resolution x4": ("psnr", "ssim", "perceptual", "fd_efficientnet"),
    "inpainting, strokes": ("l1_holes", "psnr_holes", "perceptual"),
    "inpainting, center 32": (
        *("l1_holes", "psnr_holes", "perceptual", "fd_efficientnet"),
    ),
}
"""Metrics of the README's table by arm."""

LESS_IS_BETTER = ("l1", "l1_holes", "perceptual", "fd_efficientnet")


def flags_of(arm: str) -> dict[str, Any]:
    """Returns all flags of a run except its folder."""
    return {**ARMS[arm].flags, **QUIET}


def measure(arm: str, place: Path, pictures: str) -> dict[str, Any]:
    """Trains and evaluates an arm, and returns its results."""
    folder, flags = arms.folder_of(place, arm), flags_of(arm)
    arms.train(folder, flags)
    out = folder / "evaluation.json"
    chosen = {"metrics": ARMS[arm].metrics, "n": ARMS[arm].count, "out": out}
    report = report_of_run(check(EvaluateConfig(workdir=folder, **chosen)))
    if pictures:
        target = Path(pictures, f"{folder.name}.png")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(out.with_name("evaluation-pairs.png"), target)
    cost = arms.cost(folder)
    return {
        "flags": ARMS[arm].flags,
        "command": shlex.join(["python", *arms.command(flags)]),
        "seconds": cost.wall_seconds,
        "cpu_seconds": cost.cpu_seconds,
        "machine": recipe_arms.machine(),
        "rows": report["rows"],
        "protocol": report["protocol"],
    }


def table_of(found: dict[str, Any]) -> list[str]:
    """Returns the values of all arms and plain methods, arm by arm."""
    known = [
        name
        for name in COLUMNS
        if any(
            name in values for arm in found.values() for values in arm["rows"].values()
        )
    ]
    head = ["task", "method", "steps", *(COLUMNS[name][0] for name in known)]
    rows = []
    for arm, result in found.items():
        # The plain methods of both arms of a pair are the same.
        names = list(result["rows"])
        if arm.endswith(", no discriminator"):
            names = names[:1]
        for place, method in enumerate(names):
            values, first = result["rows"][method], place == 0
            steps = f"{result['flags']['steps']:,}" if first else ""
            cells = [_cell(values.get(name), COLUMNS[name][1]) for name in known]
            shown = f"**{method}**" if first else method
            rows.append([arm if first else "", shown, steps, *cells])
    return arms.table(head, rows)


def summary(found: dict[str, Any]) -> list[str]:
    """Returns the README's table: arms, the same without a D, the best plain method."""
    head = ["task", "data", "steps", "metric", "GAN", "no discriminator"]
    head += ["best plain method"]
    rows = []
    for arm, metrics in SHOWN.items():
        result, alone = found[arm], f"{arm.partition(',')[0]}, no discriminator"
        plain = dict(result["rows"])
        best = plain.pop("generated")
        plain.pop("training examples", None)
        other = found.get(alone, {"rows": {"generated": {}}})["rows"]["generated"]
        flags = result["flags"]
        facts = [arm, f"`{flags['dataset']}`", f"{flags['steps']:,}"]
        for metric in metrics:
            name, digits = COLUMNS[metric]
            least = min if metric in LESS_IS_BETTER else max
            method = least(plain, key=lambda x, metric=metric: plain[x][metric])
            values = [x.get(metric) for x in (best, other, plain[method])]
            winner = least(x for x in values if x is not None)
            cells = [
                f"**{_cell(x, digits)}**" if x == winner else _cell(x, digits)
                for x in values
            ]
            shown = f"{cells[2]} ({method.replace('_', ' ')})"
            rows.append([*facts, name, *cells[:2], shown])
            facts = ["", "", ""]
    return arms.table(head, rows)


def _cell(value: float | None, digits: int) -> str:
    """Returns a value, or nothing for one that is not known."""
    return "" if value is None or value != value else f"{value:.{digits}f}"


def main() -> int:
    """Runs the command line and returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--only", default="", help="beginning of the names of arms")
    add("--folder", default="runs/image_tasks", help="folder of the runs")
    add("--pictures", default="", help="folder for a picture of each arm")
    add("--out", default="image_tasks.json", help="JSON file of the results")
    args = parser.parse_args()
    chosen = [name for name in ARMS if name.startswith(args.only)]
    if not chosen:
        parser.error(f"--only: no arm begins so: choose from {', '.join(ARMS)}")
    enable_compilation_cache()
    out = Path(args.out)
    found = json.loads(out.read_text()) if out.exists() else {}
    for arm in chosen:
        if arm in found:
            continue
        found[arm] = measure(arm, Path(args.folder), args.pictures)
        ordered = {name: found[name] for name in ARMS if name in found}
        atomic_write(out, (json.dumps(ordered, indent=1) + "\n").encode())
        print("\n".join(table_of({arm: found[arm]})), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
