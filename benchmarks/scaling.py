"""Scaling of a step: messages and memory on 1 to 8 devices, plans up to 256 chips.

    python benchmarks/scaling.py --out=benchmarks/results/scaling.json \
        --markdown=scaling.md --picture=docs/plan.png

No times are measured. The first part compiles the step for simulated CPU devices, each
number of devices in its own process. The second part compiles it for slices of TPU v5e
with the compiler of `pip install 'jaxgan[tpu]'`; it needs no TPU.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jaxgan.config.planning import SWEEP

WAYS = {
    "pmap": ["--parallel=pmap"],
    "mesh": ["--parallel=mesh"],
    "shards": ["--shard_state"],
}
ARMS = {
    "dcgan": ["--preset=dcgan", "--shape=28x28x1"],
    "residual": ["--preset=residual", "--shape=32x32x3"],
}
KINDS = {
    "float32": [],
    "mixed": ["--precision=mixed"],
    "float32, shards": ["--shard_state"],
    "mixed, shards": ["--precision=mixed", "--shard_state"],
}
HEADS = ("way", "devices", "batch", "messages", "bytes sent", "MiB per device")


def simulated(counts: list[int], batches: dict[str, list[str]]) -> list[dict[str, Any]]:
    """Plans the step of the preset `default` on CPU devices, in each way."""
    rows = []
    for count in counts:
        for way, flags in WAYS.items() if count > 1 else [("one", [])]:
            for scaling, batch in batches.items():
                flags_ = ["--shape=28x28x1", "--examples=1024", *batch]
                flags_ += flags
                rows.append(
                    {"way": way, "scaling": scaling, "chips": count}
                    | planned(["--topology=local", *flags_], count)
                )
                print(simulated_cells(rows[-1]), flush=True)
    return rows


def planned(flags: list[str], count: int) -> dict[str, Any]:
    """Returns the figures of one plan, from a process with `count` CPU devices."""
    environment = {
        **os.environ,
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": f"--xla_force_host_platform_device_count={count}",
    }
    answer = Path(os.environ.get("TMPDIR", "/tmp")) / f"scaling-{os.getpid()}.json"
    command = [sys.executable, "-m", "jaxgan.plan", *flags, f"--json={answer}"]
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    found = json.loads(answer.read_text())
    answer.unlink()
    return found


def simulated_cells(row: dict[str, Any]) -> list[str]:
    """Returns one row of the first table."""
    messages = [f"{m['count']} {kind}" for kind, m in row["collectives"].items()]
    sent = sum(m["nbytes"] for m in row["collectives"].values())
    return [
        row["way"],
        f"{row['devices']}",
        f"{row['batch_size']} ({row['scaling']})",
        ", ".join(messages) or "none",
        f"{sent:,}",
        f"{row['memory']['total'] / 2**20:,.1f}",
    ]


def slices(
    arms: list[str], kinds: list[str], size: int, names: str, found: dict[str, list]
) -> Iterator[None]:
    """Adds the rows of v5e slices to `found`, and yields after each row.

    Each step is compiled in its own process, which frees the memory afterwards.
    """
    from jaxgan.performance.planning import sweep

    for arm in arms:
        for kind in kinds:
            name = f"{arm}, {kind}"
            rows = [x for x in found.get(name, []) if x["batch_per_chip"] == size]
            for topology in names.split(","):
                flags = [*ARMS[arm], *KINDS[kind], f"--topology={topology}"]
                own = planned([*flags, f"--batch_per_device={size}", "--steps=1"], 1)
                rows = [x for x in rows if x["topology"] != topology]
                rows.append({"batch_per_chip": size} | own)
                rows.sort(key=lambda row: row["chips"])
                found[name] = sweep.with_scaling(rows)
                print("\n".join([name, *sweep.table(rows)]), flush=True)
                yield


def simulated_table(answer: dict[str, Any]) -> list[str]:
    """Returns the Markdown table of simulated devices as lines."""
    lines = ["| " + " | ".join(HEADS) + " |", "|" + " --- |" * len(HEADS)]
    for row in answer["simulated"]:
        lines.append("| " + " | ".join(simulated_cells(row)) + " |")
    return lines


def written(answer: dict[str, Any]) -> str:
    """Returns both tables as Markdown."""
    lines = simulated_table(answer)
    if answer["slices"]:
        from jaxgan.performance.planning import sweep

        heads = ("run", *sweep.HEADS[:-1])
        lines += ["", "| " + " | ".join(heads) + " |", "|" + " --- |" * len(heads)]
        for name, rows in answer["slices"].items():
            for row in rows:
                cells = [name, *sweep.cells(row)[:-1]]
                lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Runs both parts and rewrites the files after each row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--devices",
        default="1,2,4,8",
        help="numbers of simulated devices; empty for none",
    )
    parser.add_argument(
        "--arms",
        default=",".join(ARMS),
        help="networks to plan for slices; empty for none",
    )
    parser.add_argument("--kinds", default="|".join(KINDS), help="separated by |")
    parser.add_argument("--topologies", default=SWEEP)
    parser.add_argument("--size", type=int, default=16, help="batch on each chip")
    parser.add_argument("--out", required=True)
    parser.add_argument("--markdown", default="")
    parser.add_argument("--picture", default="")
    args = parser.parse_args()
    counts = [int(n) for n in args.devices.split(",") if n]
    arms = [arm for arm in args.arms.split(",") if arm]
    batches = {"weak": ["--batch_per_device=16"], "strong": ["--batch_size=64"]}
    answer: dict[str, Any] = {"simulated": [], "slices": {}}
    if Path(args.out).exists():  # keep the rows of earlier calls
        answer = json.loads(Path(args.out).read_text())
    answer["simulated"] = simulated(counts, batches) or answer["simulated"]
    write(args, answer)
    kinds = args.kinds.split("|")
    for _ in slices(arms, kinds, args.size, args.topologies, answer["slices"]):
        write(args, answer)


def write(args: argparse.Namespace, answer: dict[str, Any]) -> None:
    """Writes the files of the flags."""
    Path(args.out).write_text(json.dumps(answer, indent=1) + "\n")
    if args.markdown:
        Path(args.markdown).write_text(written(answer))
    if args.picture and answer["slices"]:
        from jaxgan.performance.planning.plot import draw

        draw(answer["slices"], args.picture)


if __name__ == "__main__":
    main()
