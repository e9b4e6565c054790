"""The flags of `launch.py`, and what is wrong with them."""

import argparse
import re

SOFTWARE = {
    "v6e": "v2-alpha-tpuv6e",
    "v5p": "v2-alpha-tpuv5",
    "v5litepod": "v2-alpha-tpuv5-lite",
    "v4": "tpu-ubuntu2204-base",
    "v3": "tpu-ubuntu2204-base",
    "v2": "tpu-ubuntu2204-base",
}
"""TPU software by the accelerator's prefix: docs.cloud.google.com/tpu/docs/runtimes."""

INSTALL = (
    "python3 -m pip install --quiet --user uv && "
    "$HOME/.local/bin/uv venv --quiet --allow-existing --python 3.12 $HOME/jaxgan && "
    "$HOME/.local/bin/uv pip install --quiet --python $HOME/jaxgan/bin/python {package}"
)
"""Installs jaxgan beside the machine's own Python, which is older than it needs."""


class LaunchError(Exception):
    """A command failed, or a flag is wrong."""


def make_parser() -> argparse.ArgumentParser:
    """Returns the parser of all flags before `--`."""
    parser = argparse.ArgumentParser(
        prog="launch.py",
        description="Create machines, train on them, fetch the run, and delete them. "
        "Flags of jaxgan.train stand behind --.",
        allow_abbrev=False,
    )
    kinds = parser.add_subparsers(dest="kind", required=True)
    for kind in ("tpu-vm", "pod", "queued", "gke", "slurm"):
        add = kinds.add_parser(kind, allow_abbrev=False).add_argument
        add("name", help="name of the machine or job")
        add("--workdir", required=True, help="folder of the run, such as gs://b/run")
        add("--dry_run", action="store_true", help="print the commands, run none")
        add("--restarts", type=int, default=50, help="the most restarts (default: 50)")
        add("--compile_cache", default="", help="folder or bucket of compiled programs")
        if kind == "slurm":
            add("--nodes", type=int, default=1)
            add("--tasks_per_node", type=int, default=1, help="one per GPU")
            add("--time", default="", help="such as 04:00:00")
            add("--partition", default="")
            continue
        add("--keep", action="store_true", help="leave the machines at the end")
        add("--spot", action="store_true", help="cheaper machines that may be taken")
        add("--out", default="results", help="folder for the run (default: results)")
        add("--package", default="jaxgan[tpu,gcs]", help="argument of pip install")
        add("--wait_hours", type=float, default=24.0, help="(default: 24)")
        if kind in ("queued", "gke"):
            add("--slices", type=int, default=1, help="number of slices (default: 1)")
        if kind == "gke":
            add("--accelerator", default="tpu-v5-lite-podslice")
            add("--topology", required=True, help="chips of a slice, such as 4x4")
            add("--chips_per_host", type=int, default=4)
            add("--image", default="python:3.12", help="container with Python")
            add("--service_account", default="", help="of Kubernetes, for the bucket")
            continue
        add("--zone", required=True, help="such as us-west4-a")
        add("--accelerator", required=True, help="such as v5litepod-8")
        add("--project", default="", help="of Google Cloud (default: gcloud's)")
        add("--software", default="", help="TPU software (default: by accelerator)")
        add("--install", default=INSTALL, help="line that installs {package}")
        add("--autocheckpoint", action="store_true", help="SIGTERM before maintenance")
    return parser


def parse_args(argv: list[str]) -> argparse.Namespace:
    """Returns the flags.

    Raises:
      LaunchError: naming the flag and a value that works.
    """
    split = argv.index("--") if "--" in argv else len(argv)
    args = make_parser().parse_args(argv[:split])
    args.flags = argv[split + 1 :]
    check_names(args)
    if args.kind in ("tpu-vm", "pod", "queued"):
        check_cloud_tpu(args)
    return args


def check_names(args: argparse.Namespace) -> None:
    """Raises LaunchError for a name, number or workdir that cannot work."""
    # Kubernetes allows less than Cloud TPU.
    pattern = "[a-z]([-a-z0-9]{0,38}[a-z0-9])?"
    if not re.fullmatch(pattern, args.name):
        raise LaunchError(
            f"name {args.name!r}: use up to 40 small letters, digits and -, such as "
            "my-run"
        )
    for name in ("slices", "nodes", "tasks_per_node", "chips_per_host"):
        if getattr(args, name, 1) < 1:
            raise LaunchError(f"--{name}={getattr(args, name)}: must be 1 or more")
    if not 0 <= args.restarts <= 10_000:
        raise LaunchError(f"--restarts={args.restarts}: must be from 0 to 10,000")
    for flag in args.flags:
        if flag.startswith("--workdir"):
            raise LaunchError(f"{flag}: write --workdir before the --")
    if args.kind == "gke" and not re.fullmatch(r"\d+(x\d+){1,2}", args.topology):
        raise LaunchError(f"--topology={args.topology}: write sides, such as 4x4")
    check_workdir(args)


def check_workdir(args: argparse.Namespace) -> None:
    """Raises LaunchError for a workdir that not all hosts have, or that is lost."""
    bucket = args.workdir.startswith("gs://")
    shown = f"--workdir={args.workdir}"
    advice = "use a bucket, such as --workdir=gs://my-bucket/run"
    if args.kind == "gke" and not bucket:
        raise LaunchError(f"{shown} would be lost with the pod: {advice}")
    if args.kind == "tpu-vm" and args.spot and not bucket:
        raise LaunchError(f"{shown} would be lost with a spot machine: {advice}")
    if args.kind in ("pod", "queued") and not (bucket or args.workdir.startswith("/")):
        raise LaunchError(
            f"{shown} would be on one host only: {advice}, or a mounted folder, such "
            "as /mnt/shared/run"
        )


def check_cloud_tpu(args: argparse.Namespace) -> None:
    """Chooses the software, and raises LaunchError if there is none."""
    if not re.fullmatch(r"[a-z]+-[a-z]+\d+-[a-z]", args.zone):
        raise LaunchError(f"--zone={args.zone}: write a zone, such as us-west4-a")
    prefix = args.accelerator.partition("-")[0]
    if prefix.startswith("tpu") or not re.fullmatch(r"\w+-\d+", args.accelerator):
        raise LaunchError(
            f"--accelerator={args.accelerator}: use {', '.join(SOFTWARE)} and a "
            "number, such as v5litepod-8; the Cloud TPU API has no TPU7x or later: use "
            "gke"
        )
    args.software = args.software or SOFTWARE.get(prefix, "")
    if not args.software:
        raise LaunchError(
            f"--accelerator={args.accelerator}: no TPU software is known for it; name "
            "it by --software"
        )
