"""Trains on machines that it creates, fetches the run, and deletes the machines.

    python scripts/launch.py tpu-vm my-run --zone=us-west4-a --accelerator=v5litepod-8 \
        --workdir=gs://my-bucket/my-run --spot -- --dataset=mnist --preset=dcgan

Kinds: `tpu-vm` (one host), `pod` (a slice of several hosts), `queued` (a queued
resource of one or several slices), `gke` (a JobSet on a cluster) and `slurm` (a batch
script). Flags of `jaxgan.train` stand behind `--`. `--dry_run` prints the commands and
runs none, `--keep` leaves the machines. docs/machines.md has the whole way.

It needs Python 3.11, and `gcloud`, `kubectl` or `sbatch`; jaxgan need not be installed.
"""

import argparse
import shlex
import subprocess
import sys
import time
from pathlib import Path

import launch_files
from launch_flags import LaunchError, parse_args

LOG, RESTART = "jaxgan.log", "python3 restart.py"
"""The log and the program that restarts training, in the home folder of each host."""

ALIVE = ("CREATING", "STARTING", "RESTARTING", "REPAIRING", "READY", "ACTIVE")
"""States of machines that exist, or come back by themselves; others are lost."""

RECONNECTS = 100
PAUSE = 30.0
"""The most attempts to reach a machine that exists, and the seconds between two."""


class Shell:
    """Runs commands, or prints them only."""

    def __init__(self, dry_run: bool):
        self.dry_run = dry_run

    def run(self, command: list[str], text: str | None = None) -> int:
        """Prints and runs a command, with `text` as its input; returns its code."""
        if self.dry_run:
            print(shlex.join(command))
            if text:
                print(text, end="")
            return 0
        print("+", shlex.join(command), flush=True)
        try:
            return subprocess.run(command, input=text, text=True).returncode
        except FileNotFoundError as error:
            raise LaunchError(f"{command[0]} is not installed") from error

    def check(self, command: list[str], text: str | None = None) -> None:
        """Runs a command, and raises LaunchError if it fails."""
        code = self.run(command, text)
        if code:
            raise LaunchError(f"{shlex.join(command[:5])} ... failed with code {code}")

    def read(self, command: list[str], dry: str) -> str:
        """Returns the output of a command, "" if it fails; `dry` in a dry run."""
        if self.dry_run:
            print(shlex.join(command))
            return dry
        try:
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
        except FileNotFoundError as error:
            raise LaunchError(f"{command[0]} is not installed") from error
        return done.stdout.strip() if done.returncode == 0 else ""

    def sleep(self, seconds: float) -> None:
        """Waits, except in a dry run."""
        if not self.dry_run:
            time.sleep(seconds)


class TpuVm:
    """The commands for a slice that is created at once, or fails to be."""

    noun, every, ready = "tpu-vm", ("--worker=all",), "READY"
    state_field = "state"

    def __init__(self, args: argparse.Namespace):
        self.args = args
        self.place = [f"--zone={args.zone}"]
        if args.project:
            self.place.append(f"--project={args.project}")

    def gcloud(self, verb: str, *rest: str) -> list[str]:
        """Returns a command of gcloud for this kind of resource."""
        # Autocheckpoint is a flag of the alpha commands only.
        alpha = ["alpha"] if self.args.autocheckpoint and verb == "create" else []
        head = ["gcloud", *alpha, "compute", "tpus", self.noun, verb]
        return [*head, *rest, *self.place]

    def create(self) -> list[str]:
        """Returns the command that creates the machines."""
        args = self.args
        return self.gcloud("create", args.name, *self.hardware("--version"))

    def hardware(self, version: str) -> list[str]:
        """Returns the flags that describe the machines."""
        args = self.args
        flags = [f"--accelerator-type={args.accelerator}", f"{version}={args.software}"]
        flags += ["--spot"] * args.spot
        return flags + ["--autocheckpoint-enabled"] * args.autocheckpoint

    def state(self) -> list[str]:
        """Returns the command that prints the state."""
        return self.gcloud(
            "describe", self.args.name, f"--format=value({self.state_field})"
        )

    def copy(self, file: str) -> list[str]:
        """Returns the command that copies a file to all hosts."""
        return self.gcloud("scp", file, f"{self.args.name}:", *self.every)

    def ssh(self, command: str, every: bool = True) -> list[str]:
        """Returns the command that runs a line on all hosts, or on the first one."""
        where = self.every if every else [x.replace("=all", "=0") for x in self.every]
        return self.gcloud("ssh", self.args.name, *where, f"--command={command}")

    def fetch(self) -> list[str]:
        """Returns the command that copies a run from the first host."""
        args = self.args
        source = f"{args.name}:{args.workdir}"
        first = [x.replace("=all", "=0") for x in self.every]
        return self.gcloud("scp", "--recurse", source, args.out, *first)

    def delete(self) -> list[str]:
        """Returns the command that deletes the machines."""
        return self.gcloud("delete", self.args.name, "--quiet")


class Queued(TpuVm):
    """The commands for slices that are created when there is capacity."""

    noun, every, ready = "queued-resources", ("--worker=all", "--node=all"), "ACTIVE"
    state_field = "state.state"

    def create(self) -> list[str]:
        args = self.args
        nodes = [f"--node-id={args.name}"]
        if args.slices > 1:
            nodes = [f"--node-count={args.slices}", f"--node-prefix={args.name}"]
        return self.gcloud(
            "create", args.name, *nodes, *self.hardware("--runtime-version")
        )

    def delete(self) -> list[str]:
        return self.gcloud("delete", self.args.name, "--force", "--quiet")


def on_cloud_tpu(args: argparse.Namespace, shell: Shell) -> int:
    """Creates a machine, trains on it, fetches the run and deletes the machine.

    A spot machine that is lost is created again, a bounded number of times. Returns the
    exit code of training.
    """
    machine = (Queued if args.kind == "queued" else TpuVm)(args)
    exists, code, trained, copied = False, 1, False, False
    try:
        for attempt in range(args.restarts + 1):
            # Fails for a name that is taken, so that no other machine is deleted.
            shell.check(machine.create())
            exists = True
            wait_until_ready(machine, shell)
            trained = prepare(machine, shell)
            result = train(machine, shell) if trained else None
            if result is not None:
                code = result
                break
            print(f"{args.name} was lost ({attempt + 1} of {args.restarts + 1})")
            shell.run(machine.delete())
            exists = trained = False
        copied = fetch(args, shell, machine.fetch())
    finally:
        # The only copy of a run may be on the machine.
        only = trained and not (copied or is_shared(args.workdir))
        if exists and not (args.keep or only):
            shell.run(machine.delete())
        elif exists:
            if only:
                print(f"not copied; copy it by: {shlex.join(machine.fetch())}")
            print(f"kept; delete it by: {shlex.join(machine.delete())}")
    if not (code or copied):
        raise LaunchError(f"{args.workdir} could not be copied to {args.out}")
    return code


def is_shared(workdir: str) -> bool:
    """Returns True for a run that is certainly not on the created machine.

    An absolute path may be a mounted folder, or one of the machine.
    """
    return workdir.startswith("gs://")


def wait_until_ready(machine: TpuVm, shell: Shell) -> None:
    """Waits until the machine is there, for up to `--wait_hours`."""
    ends = time.monotonic() + 3600 * machine.args.wait_hours
    while True:
        state = shell.read(machine.state(), dry=machine.ready)
        if state == machine.ready:
            return
        if state in ("FAILED", "SUSPENDED", "SUSPENDING", "PREEMPTED", "TERMINATED"):
            raise LaunchError(f"{machine.args.name} is {state}: use another zone")
        if time.monotonic() > ends:
            raise LaunchError(
                f"{machine.args.name} is {state or 'unknown'} after "
                f"--wait_hours={machine.args.wait_hours:g}: use a larger number"
            )
        shell.sleep(PAUSE)


def prepare(machine: TpuVm, shell: Shell) -> bool:
    """Installs jaxgan on all hosts, and tests that they may write to the cache.

    Returns:
      False if the machine was lost meanwhile.
    """
    args = machine.args
    lines = [args.install.replace("{package}", shlex.quote(args.package))]
    if args.compile_cache.startswith("gs://"):
        # JAX would hang on a bucket that it may not use.
        probe = shlex.quote(args.compile_cache.rstrip("/") + "/.writable")
        lines.append(f"date | timeout 60 gcloud storage cp - {probe}")
    restart = str(Path(__file__).with_name("restart.py"))
    for command in (machine.copy(restart), machine.ssh(" && ".join(lines))):
        code = shell.run(command)
        if code and lost(machine, shell):
            return False
        if code:
            raise LaunchError(f"the machine could not be prepared: code {code}")
    return True


def lost(machine: TpuVm, shell: Shell) -> bool:
    """Returns True if the machine is gone; no answer may be a lost connection here."""
    state = shell.read(machine.state(), dry=machine.ready)
    return bool(state) and state not in ALIVE


def train(machine: TpuVm, shell: Shell) -> int | None:
    """Trains until the run ends.

    The exit code is read from a file, as gcloud may not return those of several hosts.

    Returns:
      The exit code, or None if the machine is lost.
    """
    line, name = remote_command(machine.args), machine.args.name
    for _ in range(RECONNECTS):
        # After a lost connection the same line shows the run that goes on.
        shell.run(machine.ssh(line))
        code = shell.read(machine.ssh(f"cat {LOG}.code", every=False), dry="0")
        if code == "0":
            return 0
        # Other hosts end with 1 if one is taken, so that the state comes first.
        if lost(machine, shell):
            return None
        if code.isdigit():
            return int(code)
        shell.sleep(PAUSE)
    raise LaunchError(f"{name} could not be reached {RECONNECTS} times")


def remote_command(args: argparse.Namespace) -> str:
    """Returns the line that trains on a host, with restarts."""
    cache = args.compile_cache
    setting = f"JAX_COMPILATION_CACHE_DIR={shlex.quote(cache)} " if cache else ""
    restart = f"{RESTART} --restarts={args.restarts} --log={LOG} --"
    return f"{setting}{restart} $HOME/jaxgan/bin/python {train_command(args)}"


def train_command(args: argparse.Namespace) -> str:
    """Returns the arguments of Python that train."""
    flags = [*args.flags, f"--workdir={args.workdir}"]
    return shlex.join(["-m", "jaxgan.train", *flags])


def fetch(args: argparse.Namespace, shell: Shell, command: list[str]) -> bool:
    """Copies the run to `--out`, from a bucket or by `command`.

    Returns:
      False if it could not be copied.
    """
    if is_shared(args.workdir):
        command = from_bucket(args)
    return not any(shell.run(x) for x in (["mkdir", "-p", args.out], command))


def from_bucket(args: argparse.Namespace) -> list[str]:
    """Returns the command that copies a run from its bucket."""
    source = args.workdir.rstrip("/")
    return ["gcloud", "storage", "cp", "--recursive", source, args.out]


def on_gke(args: argparse.Namespace, shell: Shell) -> int:
    """Trains as a JobSet; returns 0 if it completes, and 1 if it fails."""
    command = (
        f"pip install --quiet {shlex.quote(args.package)} && "
        f"exec python {train_command(args)}"
    )
    # `create` fails for a name that is taken.
    create = ["kubectl", "create", "--filename=-"]
    shell.check(create, launch_files.jobset(args, command))
    query = '{.status.conditions[?(@.status=="True")].type}'
    get = ["kubectl", "get", "jobset", args.name, f"--output=jsonpath={query}"]
    ends = time.monotonic() + 3600 * args.wait_hours
    try:
        while True:
            state = shell.read(get, dry="Completed")
            if "Completed" in state or "Failed" in state:
                break
            if time.monotonic() > ends:
                raise LaunchError(
                    f"{args.name} has not ended after --wait_hours={args.wait_hours:g}"
                )
            shell.sleep(PAUSE)
        code = int("Completed" not in state)
        copied = fetch(args, shell, from_bucket(args))
    finally:
        if not args.keep:
            shell.run(["kubectl", "delete", "jobset", args.name])
    if not (code or copied):
        raise LaunchError(f"{args.workdir} could not be copied to {args.out}")
    return code


def on_slurm(args: argparse.Namespace, shell: Shell) -> int:
    """Writes the batch script and submits it."""
    command = ["python", *shlex.split(train_command(args))]
    text = launch_files.sbatch(args, command)
    path = Path(f"{args.name}.sbatch")
    if shell.dry_run:
        print(text, end="")
    else:
        try:
            with path.open("x") as file:
                file.write(text)
        except FileExistsError as error:
            raise LaunchError(
                f"{path} exists: use another name, or remove it"
            ) from error
    shell.check(["sbatch", str(path)])
    return 0


KINDS = {
    "tpu-vm": on_cloud_tpu,
    "pod": on_cloud_tpu,
    "queued": on_cloud_tpu,
    "gke": on_gke,
    "slurm": on_slurm,
}


def main(argv: list[str]) -> int:
    """Launches a run; returns its exit code, or 2 after an error."""
    try:
        args = parse_args(argv)
        return KINDS[args.kind](args, Shell(args.dry_run))
    except LaunchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
