"""CPU seconds to trace a step for its check and its program, once or twice.

    python benchmarks/tracing.py --presets=default,wgan-gp,mlp --out=tracing.json

`build_gan` traces the step to check shapes, and training traces it again for its
program. Both share one trace (once), unless the check gets a function of its own, as
before (twice). Both are measured in turns, in one process, without compilation.
"""

import argparse
import json
import statistics
import time
from pathlib import Path
from unittest import mock

from arms import about, table

from jaxgan.config.resolve import make_config
from jaxgan.experiment.experiment import Experiment
from jaxgan.experiment.setup import build_gan, setup
from jaxgan.gan import builder


def seconds_of(plan: Experiment, traces: str) -> float:
    """Returns the CPU seconds of building a GAN and lowering its step."""
    check = builder.check_step

    def separate(config, init, step, *rest):
        return check(config, init, lambda *given: step.__wrapped__(*given), *rest)

    used = separate if traces == "twice" else check
    # Arrays as in a run: those of shapes alone have no mesh, and another trace.
    state, key = plan.init_state(), plan.keys().run
    with plan.open_feed(0) as feed:
        batches = feed.at(0, 1)
        began = time.process_time()
        with mock.patch.object(builder, "check_step", used):
            gan = build_gan(
                plan.config, plan.dataset.example, plan.layout, plan.resident
            )
        jit = plan.layout.strategy.jit
        jit(gan.train_step, feed, plan.layout, 1, state).lower(state, batches, key)
        return time.process_time() - began


def main() -> None:
    """Measures all presets, prints a table and writes JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--presets", default="default,wgan-gp,mlp")
    parser.add_argument("--times", type=int, default=7)
    parser.add_argument("--out", help="JSON file for the results")
    args = parser.parse_args()
    rows = []
    for preset in args.presets.split(","):
        plan = setup(make_config(dataset="mnist", preset=preset, devices=1))
        seconds: dict[str, list[float]] = {"twice": [], "once": []}
        for _ in range(args.times):
            for traces, found in seconds.items():
                found.append(seconds_of(plan, traces))
        medians = {traces: statistics.median(x) for traces, x in seconds.items()}
        rows.append({"preset": preset, **medians, "all": seconds})
    head = ["preset", "twice, CPU s", "once, CPU s"]
    cells = [[x["preset"], f"{x['twice']:.2f}", f"{x['once']:.2f}"] for x in rows]
    print("\n".join(table(head, cells)))
    if args.out:
        text = json.dumps({**about(), "rows": rows}, indent=1)
        Path(args.out).write_text(text + "\n")


if __name__ == "__main__":
    main()
