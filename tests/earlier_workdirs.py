"""Workdirs that version 0.1.0 made, and the script that makes them.

    git worktree add ../jaxgan-0.1.0 aa5d41a
    python tests/earlier_workdirs.py ../jaxgan-0.1.0 tests/workdirs-0.1.0

Each archive holds a workdir at step 4 (without pictures and events), and expected.npz:
samples drawn at step 4, and the generator's moving average at step 8.
"""

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import numpy as np

TINY = {
    "batch_size": 8,
    "samples": 4,
    "score_samples": 8,
    "log_every": 4,
    "sample_every": 8,
    "save_every": 4,
    "held_out": "none",
    "devices": 1,
}
CASES = {
    "default": {"networks": "small(1)", "task": "generate(4)"},
    "dcgan": {"preset": "dcgan", "networks": "dcgan(1)", "task": "generate(4)"},
    "acgan": {"preset": "acgan", "networks": "small(1)", "task": "conditional(4)"},
    "runs": {"networks": "small(1)", "task": "generate(4)", "runs": 2},
    "shards": {
        **{"networks": "small(1)", "task": "generate(4)"},
        **{"devices": 2, "shard_state": None},
    },
}
"""Flags by name; None for a flag without a value."""

KEPT = ("config.json", "data.json", "metrics.jsonl", "checkpoints")


def write_pictures(file):
    """Writes 40 smooth pictures of two classes, the same everywhere."""
    y, x = np.mgrid[:8, :8]
    numbers = np.arange(40)[:, None, None]
    pictures = (x * (numbers % 7) + y * (numbers % 5) + numbers) % 256
    images = pictures.astype(np.uint8)[..., None]
    np.savez(file, images=images, labels=(np.arange(40) % 2).astype(np.int32))


def flags_of(case, data, workdir, steps):
    """The arguments of the training program."""
    flags = {**TINY, **CASES[case], "steps": steps, "dataset": f"npz:{data}"}
    flags["workdir"] = workdir
    return [f"--{k}" if v is None else f"--{k}={v}" for k, v in flags.items()]


def sampling_flags(workdir, out):
    """The arguments of the sampling program."""
    return [f"--workdir={workdir}", f"--out={out}", "--n=4", "--checkpoint=last"]


def read_ema(workdir, step):
    """The moving average of a checkpoint, by path, read by Orbax alone."""
    import jax
    import orbax.checkpoint as ocp
    from flax.traverse_util import flatten_dict

    path = Path(workdir, f"checkpoints/{step}/state")
    with ocp.PyTreeCheckpointer() as reader:
        tree = reader.metadata(path).item_metadata.tree
        numpy = ocp.RestoreArgs(restore_type=np.ndarray)
        args = jax.tree.map(lambda _: numpy, tree)
        ema = reader.restore(path, restore_args=args)["ema"]
    return flatten_dict(ema, sep="/")


def make(source, folder, cases):
    """Runs version 0.1.0 in the checkout `source` and writes the archives."""
    folder.mkdir(parents=True, exist_ok=True)
    environment = {
        **os.environ,
        "PYTHONPATH": str(source),
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": "--xla_force_host_platform_device_count=8",
    }

    def call(program, flags):
        command = [sys.executable, "-m", f"jaxgan.{program}", *flags]
        subprocess.run(command, env=environment, check=True, cwd=source)

    for case in cases:
        with tempfile.TemporaryDirectory() as name:
            place = Path(name)
            data, workdir = place / "data.npz", place / "run"
            write_pictures(data)
            call("train", flags_of(case, data, workdir, 4))
            call("sample", sampling_flags(workdir, place / "samples.npz"))
            kept = place / case
            kept.mkdir()
            for entry in KEPT:
                copy = shutil.copytree if entry == "checkpoints" else shutil.copy
                copy(workdir / entry, kept / entry)
            call("train", flags_of(case, data, workdir, 8))
            samples = np.load(place / "samples.npz")["samples"]
            ema = {f"ema/{k}": v for k, v in read_ema(workdir, 8).items()}
            arrays = {"samples": samples, **ema}
            np.savez_compressed(kept / "expected.npz", **arrays)  # type: ignore[arg-type]
            with tarfile.open(folder / f"{case}.tar.xz", "w:xz") as archive:
                archive.add(kept, case, filter=_anonymous)


def _anonymous(member):
    member.uid = member.gid = member.mtime = 0
    member.uname = member.gname = ""
    return member


if __name__ == "__main__":
    source, folder, *cases = sys.argv[1:]
    make(Path(source).absolute(), Path(folder).absolute(), cases or CASES)
