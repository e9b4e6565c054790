"""How a step scales: messages and memory on 1 to 8 devices, and a plan to 256 chips.

    python benchmarks/scaling.py --out=benchmarks/results/scaling.json \
        --markdown=scaling.md --picture=docs/plan.png

Nothing here is a measured time. The first part compiles the step for simulated CPU
devices, each count in a process of its own; the second for slices of TPU v5e, with the
compiler of `pip install 'jaxgan[tpu]'`, and no TPU.
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
    """The step of the preset `default` on so many CPU devices, in each way."""
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
    """The figures of one plan, made in another process with so many CPU devices."""
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
    """One line of the first table."""
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
    """Adds the rows of slices of v5e, by arm and kind, and says when there is one more.

    Each is compiled in a process of its own, whose memory is free again after it.
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
    """Lines of Markdown: the rows of simulated devices."""
    lines = ["| " + " | ".join(HEADS) + " |", "|" + " --- |" * len(HEADS)]
    for row in answer["simulated"]:
        lines.append("| " + " | ".join(simulated_cells(row)) + " |")
    return lines


def written(answer: dict[str, Any]) -> str:
    """Both tables in Markdown."""
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
    """Runs what the flags ask for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--devices", default="1,2,4,8", help="simulated; empty for none"
    )
    parser.add_argument("--arms", default=",".join(ARMS), help="empty for no slices")
    parser.add_argument("--kinds", default="|".join(KINDS), help="split by |")
    parser.add_argument("--topologies", default=SWEEP)
    parser.add_argument("--size", type=int, default=16, help="batch on each chip")
    parser.add_argument("--out", required=True)
    parser.add_argument("--markdown", default="")
    parser.add_argument("--picture", default="")
    said = parser.parse_args()
    counts = [int(n) for n in said.devices.split(",") if n]
    arms = [arm for arm in said.arms.split(",") if arm]
    batches = {"weak": ["--batch_per_device=16"], "strong": ["--batch_size=64"]}
    answer: dict[str, Any] = {"simulated": [], "slices": {}}
    if Path(said.out).exists():  # rows of earlier calls stay
        answer = json.loads(Path(said.out).read_text())
    answer["simulated"] = simulated(counts, batches) or answer["simulated"]
    write(said, answer)
    kinds = said.kinds.split("|")
    for _ in slices(arms, kinds, said.size, said.topologies, answer["slices"]):
        write(said, answer)


def write(said: argparse.Namespace, answer: dict[str, Any]) -> None:
    """The files that the flags name."""
    Path(said.out).write_text(json.dumps(answer, indent=1) + "\n")
    if said.markdown:
        Path(said.markdown).write_text(written(answer))
    if said.picture and answer["slices"]:
        from jaxgan.performance.planning.plot import draw

        draw(answer["slices"], said.picture)


if __name__ == "__main__":
    main()
