"""The launcher and its restart loop: commands word by word, and real processes."""

import doctest
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import launch
import launch_files
import pytest
import restart

SCRIPTS = Path(launch.__file__).parent

CHILD = """
import pathlib, sys, time
path, codes = pathlib.Path(sys.argv[1]), sys.argv[2].split(",")
count = len(path.read_text()) if path.exists() else 0
path.write_text("x" * (count + 1))
print("run", count, flush=True)
sys.exit(int(codes[min(count, len(codes) - 1)]))
"""
"""Counts its runs in a file, and exits with one code after the other."""


def again(tmp_path, codes, *flags):
    """Runs the loop; returns its code and the number of runs."""
    count = tmp_path / f"count-{codes}"
    command = [sys.executable, "-c", CHILD, str(count), codes]
    loop = [sys.executable, str(SCRIPTS / "restart.py"), "--backoff=0", *flags]
    done = subprocess.run([*loop, "--", *command], capture_output=True, text=True)
    return done.returncode, len(count.read_text()), done.stdout + done.stderr


def test_the_loop_runs_again_after_75_and_143_only(tmp_path):
    code, runs, said = again(tmp_path, "75,143,0")
    assert (code, runs) == (0, 3)
    assert "exit code 143, running again in 0 s (2 of 50)" in said
    assert again(tmp_path, "2")[:2] == (2, 1)
    assert again(tmp_path, "1")[:2] == (1, 1)
    code, runs, said = again(tmp_path, "75", "--restarts=2")
    assert (code, runs) == (75, 3)
    assert "after 2 restarts, giving up" in said


def test_pauses_double_until_a_run_lasts(monkeypatch):
    seen, clock = [], iter([0, 1, 0, 1, 0, 1, 0, 400, 0, 1, 0, 1])
    monkeypatch.setattr(restart, "run_once", lambda _: (75, False))
    monkeypatch.setattr(restart, "wait_or_stop", lambda x: seen.append(x) or False)
    monkeypatch.setattr(restart.time, "monotonic", lambda: next(clock))
    assert restart.run_again(["x"], 5, 100.0, say=lambda _: None) == 75
    assert seen == [100, 200, 300, 100, 200]


def test_a_signal_reaches_the_command_and_ends_the_loop(tmp_path):
    started = tmp_path / "started"
    saves = (
        "import pathlib, signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))\n"
        f"pathlib.Path({str(started)!r}).touch()\n"
        "time.sleep(60)"
    )
    loop = [sys.executable, str(SCRIPTS / "restart.py"), "--", sys.executable, "-c"]
    process = subprocess.Popen([*loop, saves], stderr=subprocess.PIPE, text=True)
    wait_for(started.exists)
    process.send_signal(signal.SIGTERM)
    said = process.communicate(timeout=30)[1]
    assert process.returncode == 143
    assert "again" not in said


def wait_for(condition):
    ends = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.02)


def test_a_run_in_the_background_survives_and_is_started_once(tmp_path):
    log, go = tmp_path / "run.log", tmp_path / "go"
    slow = (
        "import pathlib, time\n"
        "print('first', flush=True)\n"
        f"while not pathlib.Path({str(go)!r}).exists(): time.sleep(0.02)\n"
        "print('last')"
    )
    line = [sys.executable, str(SCRIPTS / "restart.py"), f"--log={log}", "--"]
    line += [sys.executable, "-c", slow]
    lost = subprocess.Popen(line, stdout=subprocess.PIPE, text=True)
    assert lost.stdout
    assert lost.stdout.readline() == "first\n"
    lost.kill()
    lost.communicate()
    # The second start shows the run that goes on.
    second = subprocess.Popen(line, stdout=subprocess.PIPE, text=True)
    assert second.stdout
    assert second.stdout.readline() == "first\n"
    go.touch()
    assert second.communicate(timeout=30)[0] == "last\n"
    assert second.returncode == 0
    assert log.read_text() == "first\nlast\n"
    assert Path(f"{log}.code").read_text() == "0\n"


@pytest.mark.parametrize(
    ("argv", "word"),
    [
        ([], "a command is missing"),
        (["--restarts=-1", "--", "x"], "--restarts=-1: must be from 0"),
        (["--backoff=999", "--", "x"], "--backoff=999: must be from 0 to 300"),
    ],
)
def test_bad_flags_of_the_loop(capsys, argv, word):
    with pytest.raises(SystemExit) as error:
        restart.main(argv)
    assert error.value.code == 2
    assert word in capsys.readouterr().err


def dry(capsys, *argv):
    """The lines of a dry run."""
    assert launch.main([*argv]) == 0
    return capsys.readouterr().out.replace(str(SCRIPTS), "scripts").splitlines()


VM = ("--zone=us-west4-a", "--accelerator=v5litepod-8", "--dry_run")
INSTALL = (
    "python3 -m pip install --quiet --user uv && "
    "$HOME/.local/bin/uv venv --quiet --allow-existing --python 3.12 $HOME/jaxgan && "
    "$HOME/.local/bin/uv pip install --quiet --python $HOME/jaxgan/bin/python "
)


def test_a_tpu_vm_word_by_word(capsys):
    lines = dry(
        capsys,
        *("tpu-vm", "one", *VM, "--workdir=runs/1", "--project=my project"),
        *("--", "--dataset=mnist"),
    )
    head = ["gcloud", "compute", "tpus", "tpu-vm"]
    where = ["--zone=us-west4-a", "--project=my project"]
    restarts = "python3 restart.py --restarts=50 --log=jaxgan.log --"
    train = "$HOME/jaxgan/bin/python -m jaxgan.train --dataset=mnist --workdir=runs/1"
    hardware = ["--accelerator-type=v5litepod-8", "--version=v2-alpha-tpuv5-lite"]
    ssh = [*head, "ssh", "one", "--worker=all"]
    assert [shlex.split(line) for line in lines] == [
        [*head, "create", "one", *hardware, *where],
        [*head, "describe", "one", "--format=value(state)", *where],
        [*head, "scp", "scripts/restart.py", "one:", "--worker=all", *where],
        [*ssh, f"--command={INSTALL}'jaxgan[tpu,gcs]'", *where],
        [*ssh, f"--command={restarts} {train}", *where],
        [*head, "ssh", "one", "--worker=0", "--command=cat jaxgan.log.code", *where],
        ["mkdir", "-p", "results"],
        [*head, "scp", "--recurse", "one:runs/1", "results", "--worker=0", *where],
        [*head, "delete", "one", "--quiet", *where],
    ]


def test_queued_spot_slices_word_by_word(capsys):
    lines = dry(
        capsys,
        *("queued", "two", "--slices=2", *VM, "--accelerator=v6e-16", "--spot"),
        *("--autocheckpoint", "--workdir=gs://b/it's", "--compile_cache=gs://b/c/"),
        *("--keep", "--restarts=3", "--", "--d_terms=r1(10)|r2(10)", "--dataset=a b"),
    )
    head = "gcloud compute tpus queued-resources"
    where = "--zone=us-west4-a"
    assert lines[0] == (
        "gcloud alpha compute tpus queued-resources create two --node-count=2 "
        "--node-prefix=two --accelerator-type=v6e-16 --runtime-version=v2-alpha-tpuv6e "
        f"--spot --autocheckpoint-enabled {where}"
    )
    assert lines[1] == f"{head} describe two '--format=value(state.state)' {where}"
    assert lines[2] == (
        f"{head} scp scripts/restart.py two: --worker=all --node=all {where}"
    )
    # A bucket without permission would hang jax, so that it is tried first.
    assert shlex.split(lines[3])[-2].endswith(
        "'jaxgan[tpu,gcs]' && date | timeout 60 gcloud storage cp - gs://b/c/.writable"
    )
    *start, command, _ = shlex.split(lines[4])
    assert start == [*head.split(), "ssh", "two", "--worker=all", "--node=all"]
    # The shell of the machine reads the same words again.
    assert shlex.split(command.removeprefix("--command=")) == [
        *("JAX_COMPILATION_CACHE_DIR=gs://b/c/", "python3", "restart.py"),
        *("--restarts=3", "--log=jaxgan.log", "--", "$HOME/jaxgan/bin/python"),
        *("-m", "jaxgan.train", "--d_terms=r1(10)|r2(10)", "--dataset=a b"),
        "--workdir=gs://b/it's",
    ]
    assert "--worker=0 --node=0" in lines[5]
    assert shlex.split(lines[7]) == [
        *("gcloud", "storage", "cp", "--recursive", "gs://b/it's", "results")
    ]
    assert lines[8:] == [
        f"kept; delete it by: {head} delete two --force --quiet {where}"
    ]


@pytest.mark.parametrize("kind", ["pod", "tpu-vm"])
def test_an_absolute_path_may_be_on_the_machine_and_is_fetched(capsys, kind):
    lines = dry(capsys, kind, "p", *VM, "--workdir=/mnt/nfs/run")
    assert "--version=v2-alpha-tpuv5-lite" in lines[0]
    copy = "scp --recurse p:/mnt/nfs/run results --worker=0 --zone=us-west4-a"
    assert lines[-3:-1] == ["mkdir -p results", f"gcloud compute tpus tpu-vm {copy}"]
    assert " delete p " in lines[-1]


def test_a_queued_resource_of_one_slice_has_a_node(capsys):
    lines = dry(capsys, "queued", "q", *VM, "--workdir=gs://b/r")
    assert "--node-id=q" in lines[0]


def test_a_jobset(capsys):
    lines = dry(
        capsys,
        *("gke", "job", "--topology=4x8", "--slices=2", "--spot", "--dry_run"),
        *("--workdir=gs://b/r", "--service_account=sa", "--compile_cache=gs://b/c"),
        *("--", "--dataset=a b", "--seed=1"),
    )
    assert lines[0] == "kubectl create --filename=-"
    assert lines[-4].startswith("kubectl get jobset job '--output=jsonpath=")
    assert lines[-1] == "kubectl delete jobset job"
    yaml = pytest.importorskip("yaml")
    found = yaml.safe_load("\n".join(lines[1:-4]))
    assert found["apiVersion"] == "jobset.x-k8s.io/v1alpha2"
    assert found["spec"]["failurePolicy"] == {
        "maxRestarts": 50,
        "rules": [
            {"action": "FailJobSet", "onJobFailureReasons": ["PodFailurePolicy"]}
        ],
    }
    (slices,) = found["spec"]["replicatedJobs"]
    assert slices["replicas"] == 2
    job = slices["template"]["spec"]
    assert (job["parallelism"], job["completions"], job["backoffLimit"]) == (8, 8, 0)
    (rule,) = job["podFailurePolicy"]["rules"]
    assert rule["onExitCodes"]["values"] == [2, 70]
    pod = job["template"]["spec"]
    assert pod["restartPolicy"] == "Never"
    assert pod["serviceAccountName"] == "sa"
    assert pod["nodeSelector"] == {
        "cloud.google.com/gke-tpu-accelerator": "tpu-v5-lite-podslice",
        "cloud.google.com/gke-tpu-topology": "4x8",
        "cloud.google.com/gke-spot": "true",
    }
    (container,) = pod["containers"]
    assert container["command"][2] == (
        "pip install --quiet 'jaxgan[tpu,gcs]' && exec python -m jaxgan.train "
        "'--dataset=a b' --seed=1 --workdir=gs://b/r"
    )
    assert container["resources"]["limits"] == {"google.com/tpu": 4}
    assert container["env"][0]["value"] == "gs://b/c"


def test_a_batch_script_runs_and_queues_itself_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fakes(tmp_path, monkeypatch, "sbatch", "echo sbatch $@ >> said")
    fakes(tmp_path, monkeypatch, "srun", "echo srun $@ >> said; exit 75")
    fakes(tmp_path, monkeypatch, "scontrol", "echo scontrol $@ >> said")
    line = ["slurm", "s", "--workdir=/s/r", "--nodes=2", "--restarts=1", "--"]
    assert launch.main([*line, "--dataset=a b"]) == 0
    assert launch.main(line) == 2  # the script is there already
    text = (tmp_path / "s.sbatch").read_text()
    for option in ("--nodes=2", "--signal=TERM@120", "--requeue", "--gpus-per-task=1"):
        assert f"#SBATCH {option}\n" in text
    for count in ("0", "1"):
        environment = {**os.environ, "SLURM_JOB_ID": "7", "SLURM_RESTART_COUNT": count}
        done = subprocess.run(["bash", "s.sbatch"], env=environment)
        assert done.returncode == 75
    train = "srun --kill-on-bad-exit=0 python -m jaxgan.train --dataset=a b"
    train += " --workdir=/s/r"
    # Queued again once, by --restarts=1.
    said = (tmp_path / "said").read_text().splitlines()
    assert said == ["sbatch s.sbatch", train, "scontrol requeue 7", train]


def fakes(tmp_path, monkeypatch, name, body):
    """Puts a program on the PATH."""
    folder = tmp_path / "bin"
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/bash\n{body}\n")
    (folder / name).chmod(0o755)
    if str(folder) not in os.environ["PATH"]:
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


GCLOUD = """
verb=$4; [ "$1" = storage ] && verb=storage
echo "$verb $5" >> $ROOT/said
for last; do
  case "$last" in --command=*) command=${last#--command=};; esac
done
case $verb in
create) mkdir $HOME;;
describe) [ -e $ROOT/taken ] && echo PREEMPTED || echo READY;;
scp) cp $5 $HOME;;
ssh) cd $HOME 2>/dev/null && bash -c "$command";;
delete) rm -r $HOME $ROOT/taken;;
storage) cp -r $ROOT/bucket $5;;
esac
"""
"""A Google Cloud of one machine, whose home is a folder."""

TRAIN = """#!/bin/bash
mkdir -p $ROOT/bucket
echo x >> $ROOT/bucket/count
case $(wc -l < $ROOT/bucket/count) in
1) exit 75;;
2) touch $ROOT/taken; exit 1;;
*) exit $LAST;;
esac
"""
"""Asks for a restart, loses its machine, then ends."""


@pytest.fixture
def cloud(tmp_path, monkeypatch):
    """The command line of a machine on the false Google Cloud."""
    for name, value in (("ROOT", tmp_path), ("HOME", tmp_path / "home")):
        monkeypatch.setenv(name, str(value))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train").write_text(TRAIN)
    (tmp_path / "train").chmod(0o755)
    fakes(tmp_path, monkeypatch, "gcloud", GCLOUD)
    monkeypatch.setattr(launch, "RESTART", "python3 restart.py --backoff=0")
    install = "mkdir -p $HOME/jaxgan/bin && cp $ROOT/train $HOME/jaxgan/bin/python"
    return ["tpu-vm", "one", *VM[:2], "--out=out", f"--install={install}"]


@pytest.mark.parametrize("workdir", ["run", "/no/run"])
def test_a_machine_with_the_only_copy_of_a_run_is_kept(
    cloud, tmp_path, monkeypatch, capfd, workdir
):
    monkeypatch.setenv("LAST", "0")
    # The false scp copies no folders.
    assert launch.main([*cloud, f"--workdir={workdir}"]) != 0
    said = capfd.readouterr()
    assert f"{workdir} could not be copied to out" in said.err
    assert (
        "not copied; copy it by: gcloud compute tpus tpu-vm scp --recurse" in said.out
    )
    assert (tmp_path / "home").exists()


@pytest.mark.parametrize("last", [0, 2])
def test_a_lost_machine_is_created_again_and_all_are_deleted(
    cloud, tmp_path, monkeypatch, last
):
    monkeypatch.setenv("LAST", str(last))
    assert launch.main([*cloud, "--spot", "--workdir=gs://b/run"]) == last
    said = (tmp_path / "said").read_text().split()
    once = ["create", "describe", "scp", "ssh", "ssh", "ssh"]
    ends = ["describe"] if last else []
    assert said[::2] == [
        *(*once, "describe", "delete", *once, *ends, "storage", "delete")
    ]
    assert (tmp_path / "out/bucket/count").read_text() == "x\n" * 3
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize(
    ("argv", "word"),
    [
        (["pod", "p", *VM, "--workdir=runs/1"], "on one host only: use a bucket"),
        (["tpu-vm", "p", *VM, "--spot", "--workdir=r"], "lost with a spot machine"),
        (["tpu-vm", "p", *VM, "--spot", "--workdir=/r"], "lost with a spot machine"),
        (["gke", "p", "--topology=2x2", "--workdir=/r"], "lost with the pod"),
        (["tpu-vm", "My_Run", *VM, "--workdir=r"], "name 'My_Run': use up to 40 small"),
        (["tpu-vm", "p", *VM, "--zone=us-west4", "--workdir=r"], "such as us-west4-a"),
        (["tpu-vm", "p", *VM, "--accelerator=tpu7x-8", "--workdir=r"], "use gke"),
        (["tpu-vm", "p", *VM, "--accelerator=v9-8", "--workdir=r"], "by --software"),
        (["queued", "p", *VM, "--slices=0", "--workdir=gs://b/r"], "must be 1 or more"),
        (["tpu-vm", "p", *VM, "--restarts=-1", "--workdir=r"], "from 0 to 10,000"),
        (["gke", "p", "--topology=4", "--workdir=gs://b/r"], "--topology=4: write"),
        (["slurm", "p", "--workdir=r", "--", "--workdir=s"], "before the --"),
    ],
)
def test_bad_flags_of_the_launcher(capsys, argv, word):
    assert launch.main(argv) == 2
    said = capsys.readouterr()
    assert word in said.err
    assert said.err.count("\n") == 1
    assert not said.out


def test_without_gcloud(capsys, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    line = ["tpu-vm", "one", *VM[:2], "--workdir=r"]
    assert launch.main(line) == 2
    assert "error: gcloud is not installed" in capsys.readouterr().err


def test_strings_of_yaml_are_those_of_json():
    assert doctest.testmod(launch_files).failed == 0
    odd = 'a: "b" #\n\u00fc'
    assert launch_files.to_yaml({"k": odd}) == [f"k: {json.dumps(odd)}"]
