"""Sweep of numbers and parts of the preset `default`, each for the same time.

    python benchmarks/sweep.py --out=sweep.json
    python benchmarks/sweep.py --only=w24f4,w24f4mb --npz=folder --out=sweep.json
    python benchmarks/sweep.py --groups=mine.json --out=mine_results.json

trains groups of settings, one group after the other. A group is one program: its
settings (`lanes`) and their seeds are trained side by side under vmap
(`sweep_lanes.py`). They share everything but the numbers of `sweep_lanes.Hyper`:
networks, batch size, steps, and the fraction of the batch that penalties use. Another
batch size or structure is another group. A file for `--groups` is like `GROUPS`:

    {"wide": {"steps": 9000, "flags": {"networks": "small(32)"}, "fraction": 0.5,
              "lanes": {"as it is": {}, "fast": {"lr": 4e-3, "b2": 0.9}}}}

Each step draws a batch at random, with replacement. 10,000 samples of the moving
average are compared with the 10,000 test images by `recipe_judge.py`, and the floor is
that of 10,000 training images. `--npz` is a folder with `mnist.npz`, such as
`recipes.py --export` writes, for machines without TFDS.

The same command resumes: groups whose rows are in the JSON are not trained again.
"""

import argparse
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import recipe_arms
import recipe_judge
import sweep_lanes
from arms import source, spread, table
from recipes import Results, shown
from sweep_lanes import Hyper

from jaxgan import data
from jaxgan.config.resolve import make_config
from jaxgan.environment import enable_compilation_cache
from jaxgan.evaluation.sample_files import to_dtype
from jaxgan.gan.builder import build_gan
from jaxgan.gan.gan import GAN
from jaxgan.types import Tree, image_example

DATASET = "mnist"
HEAD = [
    *("networks", "what changed", "steps", "seeds", "Frechet", "least, most"),
    *("confident %", "precision", "recall"),
]


class Group(NamedTuple):
    """Settings that one program trains."""

    steps: int
    lanes: dict[str, dict[str, float]]
    """The `Hyper` of each setting by name; rates end at 1e-5 unless it says so."""
    flags: dict[str, Any] = {}  # noqa: RUF012
    """Of `jaxgan.train`: what differs from the preset `default`."""
    fraction: float = 0.25
    """Of the batch, on which R1 and R2 are computed."""

    def hypers(self) -> list[Hyper]:
        """Returns the numbers of each setting.

        Raises:
          TypeError: for a name that `Hyper` does not have.
        """
        return [Hyper(**{"lr_end": RATE_END, **own}) for own in self.lanes.values()]


RATE_END = 1e-5
BASE = "base"
"""Name of a setting whose numbers are those of `Hyper`."""
W24 = {"networks": "small(24)"}
STD = {"discriminator_wrap": "minibatch_std"}
CLASSIC = {"loss": "non_saturating"}
BOTH = {"b2": 0.9, "gamma": 3.0}
MOST = {**BOTH, "g_lr": 4e-3}
GAMMA: dict[str, dict[str, float]] = {"gamma 0.3": {"gamma": 0.3}}
FAST: dict[str, dict[str, float]] = {"rates 4e-3": {"lr": 4e-3}}

GROUPS: dict[str, Group] = {
    "w16": Group(20_000, {BASE: {}, "constant rates": {"lr_end": 2e-3}}, fraction=1.0),
    "w16f4": Group(24_000, {BASE: {}, **GAMMA}),
    "w16f4mb": Group(
        25_000,
        {"b2 0.9": {"b2": 0.9}, "b2 0.9, gamma 3, G's rate 4e-3": MOST},
        STD,
    ),
    "w24f4": Group(
        15_000,
        {
            BASE: {},
            **GAMMA,
            "gamma 3": {"gamma": 3.0},
            "b2 0.9": {"b2": 0.9},
            "G's rate 4e-3": {"g_lr": 4e-3},
        },
        W24,
    ),
    "w24f4mb": Group(
        15_000,
        {
            BASE: {},
            "gamma 10": {"gamma": 10.0},
            "b2 0.9, gamma 3": BOTH,
            "b2 0.9, gamma 3, G's rate 4e-3": MOST,
        },
        {**W24, **STD},
    ),
    "w24f4ns": Group(18_000, {BASE: {}}, {**W24, **CLASSIC}),
    "w24f4mbns": Group(
        18_000,
        {"b2 0.9, gamma 3": BOTH, "b2 0.9, gamma 3, G's rate 4e-3": MOST},
        {**W24, **STD, **CLASSIC},
    ),
    "w24bs128": Group(
        8_200, {BASE: {}, **FAST}, {**W24, "batch_size": 128}, fraction=0.125
    ),
    "w32f4": Group(
        11_200,
        {
            BASE: {},
            "rates 1e-3": {"lr": 1e-3},
            **FAST,
            "gamma from 1 to 0.1": {"gamma_end": 0.1},
        },
        {"networks": "small(32)"},
    ),
    "w48f4": Group(5_100, {BASE: {}}, {"networks": "small(48)"}),
}
"""By name. Steps are those that ten minutes make on the CPU of results/sweep.json."""


class Program:
    """The work of the flags, with the judge."""

    def __init__(self, args: argparse.Namespace, groups: dict[str, Group]) -> None:
        self.args, self.groups = args, groups
        self.results = Results(args.out, {"n": args.n})
        self.known = self.results.found.setdefault("groups", {})
        for name, group in groups.items():
            own = json.loads(json.dumps(group._asdict()))
            if self.known.setdefault(name, own) != own:
                raise SystemExit(
                    f"{args.out} has results of another group {name}: rename it, or "
                    "use another --out"
                )

    def seeds(self, name: str) -> list[tuple[str, int]]:
        """Returns setting and seed of each lane of a group."""
        names = self.groups[name].lanes
        return [(lane, seed) for lane in names for seed in range(self.args.seeds)]

    def missing(self) -> Iterator[str]:
        """Yields the groups that lack a row."""
        for name in self.groups:
            keys = ((arm(name, lane), seed) for lane, seed in self.seeds(name))
            if not all(self.results.has("rows", arm=x, seed=s) for x, s in keys):
                yield name

    def judge(self) -> recipe_judge.Judge:
        """Opens the judge, and records its protocol and floor."""
        args, sets = self.args, self.results.found["sets"]
        place = Path(args.cache) if args.cache else None
        judge = recipe_judge.open_judge(source(DATASET, args.npz), args.n, place)
        own = judge.protocol["classifier"]["digest"]
        if DATASET not in sets:
            floor = recipe_judge.floor_of(judge)
            sets[DATASET] = {"protocol": judge.protocol, "floor": floor}
            self.results.write()
        elif sets[DATASET]["protocol"]["classifier"]["digest"] != own:
            raise SystemExit(f"{args.out} has the scores of another classifier")
        return judge

    def run(self, name: str, judge: recipe_judge.Judge) -> None:
        """Trains a group and scores each of its lanes."""
        group, lanes = self.groups[name], self.seeds(name)
        gan, averages = trained(group, [seed for _, seed in lanes], judge.train)
        draw = jax.jit(lambda v, key: gan.sample(v, key, n=recipe_judge.AT_ONCE))
        more = {"steps": group.steps, "trained_on": recipe_arms.machine()}
        for i, (lane, seed) in enumerate(lanes):
            own = jax.tree.map(lambda x, i=i: x[i], averages)
            values = judge.values(judge.of_images(samples(draw, own, judge)))
            print(arm(name, lane), seed, shown(values), flush=True)
            key = {"arm": arm(name, lane), "dataset": DATASET, "seed": seed}
            own = {"group": name, "lane": lane, **key, **more, "values": values}
            self.results.add("rows", own)


def trained(group: Group, seeds: list[int], train: data.Dataset) -> tuple[GAN, Tree]:
    """Trains the lanes of a group.

    Args:
      group: the group.
      seeds: one per lane; each setting of the group has equally many, in turn.
      train: the images.

    Returns:
      The GAN, and the moving averages of the generators, with an axis of lanes.
    """
    each = len(seeds) // len(group.lanes)
    hypers = [hyper for hyper in group.hypers() for _ in range(each)]
    own = sweep_lanes.flags_of(group.steps, group.fraction)
    config = make_config(dataset=DATASET, **group.flags, **own)
    images = data.read_all(train)["image"]
    with sweep_lanes.installed():
        gan = build_gan(config, image_example(train.shape, train.dtype))
        states = sweep_lanes.states_of(gan, np.array(seeds), hypers)
        states = sweep_lanes.train(
            gan,
            states,
            np.array(seeds),
            images,
            batch=config.batch_size,
            steps=group.steps,
        )
    return gan, states.ema


def samples(draw: Any, variables: Tree, judge: recipe_judge.Judge) -> np.ndarray:
    """Returns as many samples as the judge compares, `[n, H, W, C]` uint8.

    Args:
      draw: maps the generator's variables and a key to `AT_ONCE` samples.
      variables: of the generator.
      judge: the judge.
    """
    count = -(-judge.n // recipe_judge.AT_ONCE)
    keys = jax.random.split(jax.random.key(recipe_judge.SEED), count)
    drawn = np.concatenate([np.asarray(draw(variables, key)) for key in keys])
    return to_dtype(drawn[: judge.n], np.dtype(np.uint8))


def arm(group: str, lane: str) -> str:
    """Returns the name of a setting in the results."""
    return f"{group}: {lane}"


def changed(group: Group, lane: str) -> str:
    """Returns what a setting changes, beside the networks.

    >>> changed(GROUPS["w24bs128"], "rates 4e-3")
    'batch_size=128, penalties on 12.5 % of the batch, rates 4e-3'
    >>> changed(GROUPS["w24f4mb"], BASE), changed(GROUPS["w24f4"], BASE)
    ('minibatch_std', 'nothing')
    """
    plain = {k: v for k, v in group.flags.items() if k != "networks"}
    parts = [v if isinstance(v, str) else f"{k}={v}" for k, v in plain.items()]
    usual = Group._field_defaults["fraction"]
    if group.fraction != usual:
        parts.append(f"penalties on {100 * group.fraction:g} % of the batch")
    return ", ".join(parts + [lane] * (lane != BASE)) or "nothing"


def table_of(found: dict[str, Any]) -> list[str]:
    """Returns the table of all settings: means over seeds, as Markdown."""
    floor, rows = found["sets"][DATASET]["floor"], []
    rows.append(cells(["*training images*", "", "", ""], [floor]))
    for name, fields in found["groups"].items():
        group = Group(**fields)
        for lane in group.lanes:
            own = [x for x in found["rows"] if x["arm"] == arm(name, lane)]
            first = [group.flags.get("networks", "small(16)"), changed(group, lane)]
            first += [f"{group.steps:,}", f"{len(own)}"]
            if own:
                rows.append(cells(first, [row["values"] for row in own]))
    return table(HEAD, rows)


def cells(first: list[str], own: list[dict[str, float]]) -> list[str]:
    """Returns a row of the table, from the values of each seed."""

    def mean(name: str, digits: int, times: float = 1.0) -> str:
        return f"{spread(times * x[name] for x in own)[0]:.{digits}f}"

    distances = sorted(x["fd"] for x in own)
    ends = f"{distances[0]:.2f}, {distances[-1]:.2f}" if len(own) > 1 else ""
    last = [mean("confident", 1, 100), mean("precision", 3), mean("recall", 3)]
    return [*first, mean("fd", 2), ends, *last]


def parse() -> tuple[argparse.Namespace, dict[str, Group]]:
    """Parses the command line; returns it and the groups to train."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--groups", default="", help="JSON file of groups, instead of those here")
    add("--only", default="", help="groups, separated by commas")
    add("--seeds", type=int, default=2, help="training seeds of each setting, from 0")
    add("--n", type=int, default=10_000, help="samples, and test images")
    add("--npz", default="", help="folder of mnist.npz")
    add("--cache", default="", help="folder of classifiers")
    add("--out", default="sweep.json", help="JSON file of the results")
    args = parser.parse_args()
    groups = GROUPS
    try:
        if args.groups:
            read = json.loads(Path(args.groups).read_text())
            groups = {name: Group(**fields) for name, fields in read.items()}
        for group in groups.values():
            group.hypers()
    except TypeError as error:
        parser.error(f"--groups: {error}")
    names = args.only.split(",") if args.only else list(groups)
    if set(names) - set(groups):
        parser.error(f"--only: choose from {', '.join(groups)}")
    return args, {name: groups[name] for name in names}


def main() -> None:
    """Runs the command line."""
    args, groups = parse()
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    enable_compilation_cache()
    program = Program(args, groups)
    missing = list(program.missing())
    if missing:
        judge = program.judge()
        for name in missing:
            program.run(name, judge)


if __name__ == "__main__":
    main()
