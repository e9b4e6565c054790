"""The files that `launch.py` hands to other schedulers: a JobSet and a batch script."""

import json
import math
import shlex

FINAL = (2, 70)
"""Exit codes that no restart changes: a wrong flag or file, and a bug."""


def hosts_of(topology: str, chips_per_host: int) -> int:
    """Returns the number of hosts of a slice.

    >>> hosts_of("4x4", 4), hosts_of("2x4", 8)
    (4, 1)
    """
    chips = math.prod(int(side) for side in topology.split("x"))
    return max(chips // chips_per_host, 1)


def jobset(args, command: str) -> str:
    """Returns a JobSet in YAML, whose pods run a command of the shell.

    A slice is a job with a pod per host. If one pod ends with another code than 0, all
    of them start again, except after the codes in `FINAL`.
    """
    hosts = hosts_of(args.topology, args.chips_per_host)
    final = {"containerName": "train", "operator": "In", "values": list(FINAL)}
    job = {
        "completionMode": "Indexed",
        "parallelism": hosts,
        "completions": hosts,
        # The first pod that fails ends its job, and so restarts the set.
        "backoffLimit": 0,
        "podFailurePolicy": {"rules": [{"action": "FailJob", "onExitCodes": final}]},
        "template": {"spec": pod_of(args, command)},
    }
    annotation = "alpha.jobset.sigs.k8s.io/exclusive-topology"
    content = {
        "apiVersion": "jobset.x-k8s.io/v1alpha2",
        "kind": "JobSet",
        "metadata": {
            "name": args.name,
            # One slice per node pool.
            "annotations": {annotation: "cloud.google.com/gke-nodepool"},
        },
        "spec": {
            "failurePolicy": {
                "maxRestarts": args.restarts,
                "rules": [
                    {
                        "action": "FailJobSet",
                        "onJobFailureReasons": ["PodFailurePolicy"],
                    }
                ],
            },
            "replicatedJobs": [
                {"name": "slice", "replicas": args.slices, "template": {"spec": job}}
            ],
        },
    }
    return "\n".join(to_yaml(content)) + "\n"


def pod_of(args, command: str) -> dict:
    """Returns the pod of a host, which trains and holds its chips."""
    selector = {
        "cloud.google.com/gke-tpu-accelerator": args.accelerator,
        "cloud.google.com/gke-tpu-topology": args.topology,
    }
    if args.spot:
        selector["cloud.google.com/gke-spot"] = "true"
    container = {
        "name": "train",
        "image": args.image,
        "command": ["/bin/sh", "-c", command],
        # libtpu connects the hosts of a slice by the first, jax by the second port.
        "ports": [{"containerPort": 8471}, {"containerPort": 8080}],
        "resources": {"limits": {"google.com/tpu": args.chips_per_host}},
    }
    if args.compile_cache:
        value = {"name": "JAX_COMPILATION_CACHE_DIR", "value": args.compile_cache}
        container["env"] = [value]
    pod = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 120,
        "nodeSelector": selector,
        "containers": [container],
    }
    if args.service_account:
        pod["serviceAccountName"] = args.service_account
    return pod


def to_yaml(value, indent: int = 0) -> list[str]:
    """Formats dictionaries and lists as lines of YAML, with strings as in JSON.

    >>> to_yaml({"a": [{"b": 1, "c": ["x"]}], "d": {"e": "f"}})
    ['a:', '  - b: 1', '    c:', '      - "x"', 'd:', '  e: "f"']
    """
    pad = " " * indent
    lines = []
    if isinstance(value, list):
        for item in value:
            first, *rest = to_yaml(item, indent + 2)
            lines += [f"{pad}- {first.strip()}", *rest]
        return lines
    if not isinstance(value, dict):
        return [pad + json.dumps(value)]
    for key, item in value.items():
        # Keys need no quotes: none has a colon before a space, or starts with a sign.
        if isinstance(item, (dict, list)):
            lines += [f"{pad}{key}:", *to_yaml(item, indent + 2)]
        else:
            lines.append(f"{pad}{key}: {json.dumps(item)}")
    return lines


def sbatch(args, command: list[str]) -> str:
    """Returns a batch script of SLURM, which queues itself again after 75 and 143."""
    options = [
        f"--job-name={args.name}",
        f"--output={args.name}-%j.log",
        f"--nodes={args.nodes}",
        f"--ntasks-per-node={args.tasks_per_node}",
        "--gpus-per-task=1",
        # SIGTERM to the tasks two minutes before the time is over.
        "--signal=TERM@120",
        "--requeue",
        "--open-mode=append",
        *([f"--time={args.time}"] if args.time else []),
        *([f"--partition={args.partition}"] if args.partition else []),
    ]
    cache = args.compile_cache
    return "\n".join(
        [
            "#!/bin/bash",
            *(f"#SBATCH {option}" for option in options),
            "",
            "# Only processes of this job may join the run.",
            'JAXGAN_TOKEN="$(openssl rand -hex 16)"',
            "export JAXGAN_TOKEN",
            *([f"export JAX_COMPILATION_CACHE_DIR={shlex.quote(cache)}"] * bool(cache)),
            # The first task to end leaves the others time to save.
            shlex.join(["srun", "--kill-on-bad-exit=0", *command]),
            "code=$?",
            "if [ $code = 75 ] || [ $code = 143 ]; then",
            f'  if [ "${{SLURM_RESTART_COUNT:-0}}" -lt {args.restarts} ]; then',
            '    scontrol requeue "$SLURM_JOB_ID"',
            "  fi",
            "fi",
            "exit $code",
            "",
        ]
    )
