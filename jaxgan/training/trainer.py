"""Trains a run: starts or resumes it, rolls back after a collapse, and saves it."""

import dataclasses
import logging
import math
import socket
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import jax

from jaxgan import parallel, spec, storage, workdir
from jaxgan.cli import EXIT_TRY_AGAIN
from jaxgan.config.earlier_presets import earlier_flags
from jaxgan.config.presets import UNLABELED
from jaxgan.config.resolve import to_dict
from jaxgan.config.training import AUTO, RESUMABLE, Config
from jaxgan.distributed.consensus import (
    agree_to_stop,
    all_succeed,
    check_same_flags,
    gather,
    is_main_process,
    run_on_main,
)
from jaxgan.errors import TrainingError, UsageError, printable, short_repr
from jaxgan.experiment import checkpoint, memory
from jaxgan.experiment.auto_recipe import recorded_recipe
from jaxgan.experiment.data_facts import data_facts
from jaxgan.experiment.experiment import Experiment
from jaxgan.experiment.gamma import recorded_gamma
from jaxgan.experiment.memory_check import fit_memory
from jaxgan.experiment.setup import allowed_differences, setup
from jaxgan.experiment.state import restore_or_init
from jaxgan.monitoring import detectors
from jaxgan.monitoring.monitor import read_findings
from jaxgan.performance import profiling
from jaxgan.schedules import ends_with_run
from jaxgan.sharing.report.report import recorded
from jaxgan.training.hooks import Collapse, open_hooks
from jaxgan.training.loop import training_loop
from jaxgan.training.shutdown import catch_signals, deadline
from jaxgan.types import Task

log = logging.getLogger("jaxgan")

SHOWN = 8
"""Maximum number of addresses of profiler servers in the log."""

SETTLED = frozenset({"devices", "eval_metrics", "init_from", "init_optimizer"})
"""Flags that depend on the machine, on the data or on the run in the workdir."""

SCHEDULED = (
    *("task", "d_terms", "g_terms", "augment_p", "g_optimizer", "d_optimizer"),
    "ema_half_life",
)
"""Flags that may have schedules."""

EXIT_BAD_DATA = 2
"""Exit code of a run that saved and stopped at an example that cannot be read."""


@memory.explain_out_of_memory(
    "use a smaller --batch_size, smaller --networks, or --input=host"
)
def train(config: Config) -> int:
    """Trains like `jaxgan.training.fit.fit`, once JAX and all processes are started.

    Returns the exit code.
    """
    ends = deadline(config.max_minutes)
    # All processes must train the same, before any of them loads data.
    check_same_flags(to_dict(config))
    config = run_on_main(lambda: with_recorded_flags(config))
    run_on_main(lambda: check_flags(config))
    with ExitStack() as stack:
        # A port that cannot be used is found before the data are read.
        open_profiler(config, stack)
        return _train(config, ends)


def _train(config: Config, ends: float) -> int:
    # Each process checks its own machine, and all fail together.
    experiment = all_succeed(lambda: prepare(config))
    if config.dry_run:
        dry_run(experiment)
        return 0
    facts = data_facts(experiment.dataset)
    checkpoints = storage.run_folder("--workdir", config.workdir) / "checkpoints"
    # Checks the folder before anything is written to it.
    run_on_main(lambda: checkpoint.available(checkpoints))
    run_on_main(lambda: check_score(config))
    # Process 0 evaluates, and trains the classifier that its metrics may need.
    run_on_main(lambda: open_evaluators(experiment))
    with ExitStack() as stack:
        opened = workdir.open_workdir(
            config.workdir,
            to_dict(experiment.config),
            may_change=RESUMABLE,
            data=facts,
            alike=allowed_differences(experiment.config, facts),
        )
        # Process 0 opens and locks the folder for all.
        folder = run_on_main(lambda: stack.enter_context(opened))
        if not is_main_process():
            folder = storage.shared_folder("--workdir", config.workdir, folder)
        else:
            config = experiment.config
            recording = recorded(
                folder, steps=config.steps, report=not config.no_report
            )
            stack.enter_context(recording)
        collapse: Collapse | None = None
        # Each turn trains until the end, or until a collapse.
        while True:
            try:
                return run_once(experiment, folder, collapse, ends)
            except Collapse as error:
                # Raises if the run may not roll back.
                check_rollback(experiment, folder, error)
                collapse = error


def open_profiler(config: Config, stack: ExitStack) -> None:
    """Starts the server of `--profiler_port` in each process, until `stack` closes.

    Processes on one machine have ports in a row.

    Raises:
      UsageError: naming the flag, in all processes if one cannot start.
    """
    if not config.profiler_port or config.dry_run:
        return
    machines = gather(socket.gethostname())
    # Processes of the same machine before each.
    ports = [
        config.profiler_port + machines[:number].count(name)
        for number, name in enumerate(machines)
    ]

    def start() -> None:
        try:
            server = profiling.open_server(ports[jax.process_index()])
            stack.enter_context(server)
        except UsageError as error:
            raise UsageError(
                f"--profiler_port={config.profiler_port}: {error}"
            ) from error

    all_succeed(start)
    addresses = [f"{name}:{port}" for name, port in zip(machines, ports, strict=True)]
    more = f" and {len(addresses) - SHOWN} more" if len(addresses) > SHOWN else ""
    log.info("capture profiles at %s%s", ", ".join(addresses[:SHOWN]), more)


def prepare(config: Config) -> Experiment:
    """Sets up the experiment, and checks that it fits into memory.

    Raises:
      UsageError: naming the flag and a value that works.
    """
    return fit_memory(setup(config))


def open_evaluators(experiment: Experiment) -> None:
    """Opens the extractors of the metrics, once, which may take minutes.

    Raises:
      UsageError: naming the flag, if one lacks its weights.
    """
    # A run that is done evaluates nothing.
    folder = storage.run_folder("--workdir", experiment.config.workdir) / "checkpoints"
    if max(checkpoint.available(folder), default=0) >= experiment.config.steps:
        return
    try:
        for evaluator in experiment.evaluators.values():
            evaluator.open()
    except UsageError as error:
        raise UsageError(f"--eval_metrics: {error}") from error


def check_score(config: Config) -> None:
    """Checks that a resumed run keeps the evaluator that gave its checkpoints' scores.

    Raises:
      UsageError: if the first evaluator is another one, or has other arguments.
    """
    folder = storage.run_folder("--workdir", config.workdir)
    if not (folder / "config.json").is_file():
        return
    old = recorded_metrics(folder)
    # The default keeps the score of the run.
    new = old if config.eval_metrics == AUTO else config.eval_metrics
    if spec.parse(old)[:1] != spec.parse(new)[:1]:
        raise UsageError(
            f"--eval_metrics={short_repr(config.eval_metrics)}: checkpoints of this "
            f"run have the score of the first of {short_repr(old)}; keep that one "
            "first, or use another --workdir"
        )


def check_flags(config: Config) -> None:
    """Checks that the workdir holds no other run, before the data are read.

    Its flags may not fit other data, with an error of them that would mislead.

    Raises:
      UsageError: naming the flags that differ.
    """
    folder = storage.run_folder("--workdir", config.workdir)
    # A budget chooses flags by the data, a dry run writes nothing, and a source has
    # checks of its own.
    later = config.dry_run or config.budget or config.init_from
    if later or not (folder / "config.json").is_file():
        return
    # Data without labels choose some flags.
    settled = SETTLED.union(UNLABELED.get(config.preset, ()))
    if config.batch_per_device:
        settled |= {"batch_size"}
    workdir.check_config(folder, to_dict(config), RESUMABLE | settled)


def recorded_metrics(folder: Path) -> str:
    """Returns the metrics of a run; version 0.1.0 had the sliced Wasserstein only."""
    return str(workdir.read_config(folder).get("eval_metrics", "sliced_wasserstein"))


def with_recorded_flags(config: Config) -> Config:
    """Returns the configuration, with defaults that a run was started with.

    These are its metrics and its gamma in place of `auto`, and the flags of an earlier
    preset.
    """
    folder = storage.run_folder("--workdir", config.workdir)
    if not (folder / "config.json").is_file():
        return config
    stored = workdir.read_config(folder)
    earlier = earlier_flags(to_dict(config), stored)
    if earlier:
        shown = " ".join(f"--{name}={value}" for name, value in earlier.items())
        log.info("preset %s as the run was started: %s", config.preset, shown)
    # The recipe that was chosen, also on another machine.
    if config.budget:
        earlier |= recorded_recipe(config, stored)
    if config.eval_metrics == AUTO:
        earlier["eval_metrics"] = recorded_metrics(folder)
    config = dataclasses.replace(config, **earlier)
    config = dataclasses.replace(config, **recorded_gamma(config, stored))
    log_other_end(config, stored)
    return config


def log_other_end(config: Config, stored: Mapping[str, Any]) -> None:
    """Logs that schedules end at another step than when the run was started."""
    begun = stored.get("steps", config.steps)
    texts = {name: str(getattr(config, name)) for name in SCHEDULED}
    names = [f"--{name}" for name, text in texts.items() if ends_with_run(text)]
    if names and begun != config.steps:
        log.info(
            "schedules of %s now end at step %d; the run was started with --steps=%d",
            ", ".join(names),
            config.steps,
            begun,
        )


def run_once(
    experiment: Experiment,
    folder: Path,
    collapse: Collapse | None,
    ends: float = math.inf,
) -> int:
    """Trains from the newest checkpoint, or from the best one before a collapse.

    Args:
      experiment: the experiment.
      folder: of the run.
      collapse: the reason to roll back, or None.
      ends: the time of `time.monotonic` at which to stop.

    Returns:
      The exit code.

    Raises:
      Collapse: for a fatal finding.
    """
    config, layout = experiment.config, experiment.layout
    rollbacks = count_rollbacks(folder) + (collapse is not None)
    # After a collapse: the best checkpoint before it, and other noise.
    state, history = restore_or_init(
        experiment,
        folder,
        rollbacks=rollbacks,
        before=collapse.since if collapse else math.inf,
        which="best" if collapse else "last",
    )
    first = int(state.step)
    if first >= config.steps:
        log.info("step %d of %d is done: nothing left to do", first, config.steps)
        return 0
    keys = experiment.keys(rollbacks)
    with (
        open_hooks(experiment, folder, history, first, keys.previews) as hooks,
        experiment.open_feed(first) as feed,
        catch_signals(ends, alone=layout.processes == 1) as ask,
    ):
        if collapse:
            hooks.log_rollback(first, collapse)
        # All processes stop at the same step.
        stop = agree_to_stop(
            lambda: ask() or EXIT_BAD_DATA * bool(feed.failure()), layout
        )
        state, code = training_loop(state, keys.run, feed, hooks, stop)
        hooks.log_performance()
        # Save the last step, or the one at which the run stops.
        hooks.save_checkpoint(state, wait=True)
    if code == EXIT_BAD_DATA:
        # Only one process may know the error: it is raised on all.
        log.warning("saved at step %d", int(state.step))
        all_succeed(lambda: raise_failure(feed))
    log_end(folder, int(state.step), code, programs_for(experiment.gan.task))
    return code


def programs_for(task: Task) -> list[str]:
    """Returns the uses of a trained run, in words that end in a program."""
    can_sample = set(task.inputs) <= {"label", "attributes"}
    draw = ["draw more with python -m jaxgan.sample"] * can_sample
    score = ["score pictures with python -m jaxgan.score"] * (task.score is not None)
    return draw + score


def log_end(folder: Path, step: int, code: int, uses: Sequence[str] = ()) -> None:
    """Logs why a run stopped, or a summary if it is done.

    Args:
      folder: of the run.
      step: the last one.
      code: the exit code.
      uses: what the run can be used for, see `programs_for`.
    """
    if code:
        why = ""
        if code == EXIT_TRY_AGAIN:
            why = "the time of the run or of the machine is over: "
        log.warning("%sstopped at step %d; the same command resumes", why, step)
    elif is_main_process():
        for line in detectors.summary(read_findings(folder)):
            log.info("%s", line)
        log.info("done: look at %s", folder / "progress.png")
        for use in uses:
            log.info("%s --workdir=%s", use, folder)


def raise_failure(feed: parallel.Feed) -> None:
    """Raises the error that stopped the feed, if it occurred on this process."""
    error = feed.failure()
    if error is not None:
        raise error


def count_rollbacks(folder: Path) -> int:
    """Returns the number of rollbacks of a run so far."""
    return run_on_main(lambda: sum(x.kind == "rollback" for x in read_findings(folder)))


def check_rollback(experiment: Experiment, folder: Path, collapse: Collapse) -> None:
    """Checks that a run may roll back after a collapse.

    Raises:
      TrainingError: if it may not, naming the finding and the last checkpoint before
        it.
    """
    config, done = experiment.config, count_rollbacks(folder)
    if config.on_collapse == "rollback" and done < config.rollbacks:
        return
    checkpoints = folder / "checkpoints"
    steps = [x for x in checkpoint.available(checkpoints) if x < collapse.since]
    # Checkpoints since the first sign of the fault are not good.
    kept = "no checkpoint was saved before it"
    if steps:
        kept = f"the last good checkpoint is {steps[-1]}, in {checkpoints}"
    if done:
        kept += f"; it rolled back {done} times, the limit of --rollbacks"
    raise TrainingError(f"{collapse}; {kept}; use another --workdir")


def dry_run(experiment: Experiment) -> None:
    """Prints the flags, the parameter counts, and the costs of the compiled step."""
    lines = [f"{name}={value}" for name, value in to_dict(experiment.config).items()]
    # The number of parameters of each player.
    for player, params in experiment.state_shapes().params._asdict().items():
        size = sum(x.size for x in jax.tree.leaves(params))
        lines.append(f"{player}: {size:,} parameters")
    count, layout = experiment.steps_per_call, experiment.layout
    with experiment.open_feed(0) as feed:
        state, key = experiment.init_state(), experiment.keys().run
        # Compile a call of the step, without running it.
        compiled = parallel.make_compiler(experiment.train_step, feed, layout)
        program = compiled(count, state, feed.at(0, count), key)
        lines += parallel.format_costs(program)
    if is_main_process():
        print("\n".join(map(printable, lines)))
