"""Logging, previews, monitoring and checkpoints during training."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxgan import parallel, reporting
from jaxgan.config.resolve import to_dict
from jaxgan.distributed.consensus import is_main_process, run_on_main
from jaxgan.environment import collect_as_usual
from jaxgan.evaluation.evaluate import Evaluation, fixed_examples
from jaxgan.evaluation.previews import Previews
from jaxgan.experiment import checkpoint
from jaxgan.experiment.experiment import Experiment
from jaxgan.monitoring.detectors import Finding, not_finite
from jaxgan.monitoring.monitor import Monitor
from jaxgan.monitoring.probe import Probe
from jaxgan.parallel import multi_seed
from jaxgan.performance import profiling
from jaxgan.training.performance import Performance
from jaxgan.types import TrainState, Tree

log = logging.getLogger("jaxgan")

KEPT_BYTES = 2**26
"""Size of a state, without its optimizers, of which a copy is kept for a call."""

Pending = list[tuple[int, Any]]
"""(first step, metrics) of calls whose metrics are not logged yet."""


class Collapse(Exception):
    """A fatal finding: the run ends or rolls back."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.text)
        # Checkpoints since this step are not good.
        self.since = finding.step if finding.since is None else finding.since


class MainHooks:
    """The writers and monitors of the main process."""

    def __init__(
        self,
        experiment: Experiment,
        folder: Path,
        key: jax.Array,
        writer: reporting.MetricWriter,
        profile: Callable[..., None],
    ) -> None:
        config, gan, dataset = experiment.config, experiment.gan, experiment.dataset
        # Previews and probe draw different noise.
        preview_key, probe_key = jax.random.split(key)
        picture_key, sample_key, metric_key = jax.random.split(preview_key, 3)
        self.writer, self.profile = writer, profile
        self._seeds = len(experiment.seeds)
        count = max(config.samples, config.score_samples)
        examples = fixed_examples(dataset, count, config.seed)
        self.previews = Previews(
            gan,
            examples,
            picture_key,
            samples=config.samples,
            example=dataset.example,
            seeds=self._seeds,
        )
        self.evaluation = Evaluation(
            gan,
            experiment.evaluators,
            dataset,
            {name: x[: config.score_samples] for name, x in examples.items()},
            sample_key=sample_key,
            metric_key=metric_key,
        )
        probe = Probe(
            gan,
            dataset,
            experiment.held_out,
            probe_key,
            batch_size=config.batch_size,
            seed=config.seed,
            parts=experiment.layout.parts * config.accumulate,
        )
        freezes = experiment.layout.strategy.freezes
        self.monitor = Monitor(probe, folder, experiment.seeds, freezes=freezes)
        self._compiled: set[str] = set()

    def evaluate(self, ema: Tree) -> dict[str, np.ndarray]:
        """Returns the score and other metrics by name, `[seeds]`."""
        return self.evaluation.evaluate(multi_seed.split_seeds(ema, self._seeds))

    @contextmanager
    def compiling_once(self, name: str) -> Iterator[None]:
        """Leaves the first time of a hook, which compiles it, out of steps per second.

        A new run compiles all of them at step 0, and a resumed one where it needs them.
        """
        started = time.monotonic()
        yield
        if name not in self._compiled:
            self._compiled.add(name)
            self.writer.leave_out(time.monotonic() - started)

    def log_findings(self, step: int, row: dict[str, Any]) -> list[Finding]:
        """Checks a row, and writes and returns its new findings."""
        findings = self.monitor.check(step, row)
        for finding in findings:
            self.writer.write_text(finding.step, finding.kind, finding.text)
        return findings


class Hooks:
    """Writes metrics and samples, monitors and saves checkpoints between steps.

    All processes call the methods, since each may hold a part of the state, and all
    decide together to continue or to stop. Only the main process writes.
    """

    def __init__(
        self,
        experiment: Experiment,
        checkpoints: Any,
        history: dict[str, Any],
        main: MainHooks | None,
    ) -> None:
        self.experiment = experiment
        self._checkpoints, self._history = checkpoints, history
        self.main = main
        """The writers and monitors, None except on the main process."""
        self._started = time.monotonic()
        self.clock = profiling.StepClock()
        """Times the steps between the hooks."""
        self._performance = Performance(experiment)
        # The last evaluation: its step, and the score that is the mean over the seeds.
        self._evaluated: tuple[int, float | None] = (-1, None)
        # A copy of the state of step 0 until it is logged.
        self._initial: TrainState | None = None

    def prepare(self, step: int, state: TrainState) -> None:
        """Prepares the evaluation, and logs or keeps the state of a new run.

        All processes raise the errors of metrics that the data do not fit.
        """
        self._on_main(lambda main: main.evaluation.prepare())
        # A resumed run has these rows in its log already.
        if step > 0:
            return
        # A collective operation, so all processes call it.
        local = parallel.to_local(state).replace(opt_state=None)
        if not self.main:
            return
        if sum(x.nbytes for x in jax.tree.leaves(local)) > KEPT_BYTES:
            self._log_initial(local)
        else:
            # The first call overwrites the state.
            self._initial = jax.device_put(local, may_alias=False)

    def after_first_call(self, metrics: Tree) -> None:
        """Logs the state of a new run at step 0, once the first steps are done."""
        if self._initial is not None:
            self._log_kept(self._initial, metrics)
            self._initial = None
        collect_as_usual()  # nearly all programs are compiled now

    def _log_kept(self, initial: TrainState, metrics: Tree) -> None:
        """Logs a copy of the first state, and leaves this time out of the clocks."""
        assert self.main
        jax.block_until_ready(metrics)  # raises errors here
        self.clock.look()
        self.clock.pause()
        self._log_initial(initial)
        self.clock.resume()

    def _log_initial(self, local: TrainState) -> None:
        """Writes pictures, evaluation and measures of step 0."""
        assert self.main
        main = self.main
        with main.compiling_once("sample"):
            picture = main.previews.picture(local.ema)
        with main.compiling_once("evaluate"):
            values = main.evaluate(local.ema)
        with main.compiling_once("log"):
            row = {**values, **main.monitor.measure(local)}
            main.writer.write_images(0, picture)
            main.writer.write_scalars(0, row)
            main.log_findings(0, row)

    def start_clock(self, step: int) -> None:
        """Starts the clock of steps per second, once everything is compiled."""
        if self.main:
            self.main.writer.start_clock(step)

    def before_call(self, program: Any, count: int, state: TrainState) -> None:
        """Starts or stops a profile ahead of a call of `count` steps."""
        if self.main:
            self.main.profile(program, count, state)

    def set_step_flops(self, flops: float) -> None:
        """Sets the FLOPs of a step on one device, once it is compiled."""
        self._performance.set_step_flops(flops)

    def log_performance(self) -> None:
        """Logs the time of a step, its FLOPs and the use of memory, once at the end."""
        if self.main and (line := self._performance.summary()):
            log.info("%s", line)

    def log_rollback(self, step: int, collapse: Collapse) -> None:
        """Logs that the run has rolled back to `step`."""
        if self.main:
            text = f"back to step {step:,} with other noise, after: {collapse}"
            self.main.writer.write_text(step, "rollback", text)

    def fetch_metrics(self, pending: Pending) -> None:
        """Fetches the metrics, `[count, seeds]`, and checks that they are finite.

        Raises:
          Collapse: if a metric is not finite. One of several seeds is frozen instead,
            and the monitor reports it.
        """
        step = pending[-1][0] if pending else 0
        with profiling.phase("wait", step):
            for _, metrics in pending:
                jax.block_until_ready(metrics)  # raises errors here
                self.clock.look()
        # Replace the arrays on the devices by copies on the host.
        seeds = len(self.experiment.seeds)
        pending[:] = [
            (first, parallel.fetch_metrics(metrics, seeds))
            for first, metrics in pending
        ]
        if self.experiment.layout.strategy.freezes:
            # The step itself freezes a seed that is not finite.
            return
        # Find the first bad step, and a metric that is bad there.
        for first, metrics in pending:
            # The value at index i is that of step `first + i + 1`.
            bad = [
                (first + int(np.argwhere(~np.isfinite(values))[0, 0]) + 1, name)
                for name, values in metrics.items()
                if not np.isfinite(values).all()
            ]
            if bad:
                # The earliest step, then the first name.
                raise Collapse(not_finite(*min(bad)))

    def write_metrics(self, step: int, state: TrainState, pending: Pending) -> None:
        """Logs the means of fetched metrics and the probe, and checks them.

        Raises:
          Collapse: for a fatal finding, unless `on_collapse` is `warn`.
        """
        names = pending[0][1]
        # Means over the steps since the last row, `[seeds]`.
        means = {
            name: np.mean(np.concatenate([m[name] for _, m in pending]), axis=0)
            for name in names
        }
        pending.clear()
        # All processes take part in gathering a sharded state.
        local = parallel.to_local(state)

        def write(main: MainHooks) -> list[Finding]:
            with main.compiling_once("log"):
                measures = main.monitor.measure(local)
            performance = self._performance.row(self.clock.row())
            row = {**means, **measures, "seconds": self._seconds(), **performance}
            main.writer.write_scalars(step, row)
            return main.log_findings(step, row)

        with profiling.phase("log", step):
            self._raise_if_fatal(self._on_main(write))

    def write_samples(self, step: int, state: TrainState) -> None:
        """Draws and writes the preview picture."""
        with profiling.phase("sample", step):
            ema = parallel.to_local(state.ema)
            if self.main:
                with self.main.compiling_once("sample"):
                    picture = self.main.previews.picture(ema)
                self.main.writer.write_images(step, picture)

    def evaluate(self, state: TrainState) -> None:
        """Evaluates the moving average between two checkpoints, and logs the values.

        Raises:
          Collapse: for a fatal finding, unless `on_collapse` is `warn`.
        """
        self._raise_if_fatal(self._evaluate(state))

    def save_checkpoint(self, state: TrainState, *, wait: bool = False) -> None:
        """Saves the state, and evaluates its moving average if this is due.

        A step that was saved or evaluated before is not evaluated again.

        Args:
          state: on the devices.
          wait: True to return after the checkpoint is written.

        Raises:
          Collapse: for a fatal finding, unless `on_collapse` is `warn`.
        """
        step, config = int(state.step), self.experiment.config
        was_saved = run_on_main(lambda: step in self._checkpoints.all_steps())
        findings: list[Finding] = []
        # Other evaluations are those of the loop.
        due = config.eval_every == 0 or step >= config.steps
        if due and not was_saved and self._evaluated[0] != step:
            findings = self._evaluate(state)
        evaluated, score = self._evaluated
        with profiling.phase("save", step):
            checkpoint.save(
                self._checkpoints,
                state,
                history={**self._history, "seconds": run_on_main(self._seconds)},
                config=to_dict(config),
                score=score if evaluated == step else None,
                wait=wait,
            )
        # A checkpoint with a fault is there to be looked at.
        self._raise_if_fatal(findings)

    def _evaluate(self, state: TrainState) -> list[Finding]:
        """Evaluates and logs the moving average, and returns the findings."""
        step, ema = int(state.step), parallel.to_local(state.ema)

        def evaluate(main: MainHooks) -> tuple[float, list[Finding]]:
            with main.compiling_once("evaluate"):
                values = main.evaluate(ema)
            main.writer.write_scalars(step, values)
            # The mean over the seeds.
            return float(np.mean(values["score"])), main.log_findings(step, values)

        # The main process evaluates, and all processes save.
        with profiling.phase("evaluate", step):
            score, findings = self._on_main(evaluate)
        self._evaluated = (step, score)
        return findings

    def _on_main(self, work: Callable[[MainHooks], Any]) -> Any:
        """Runs `work` on the main process, and returns its result on all."""

        def call() -> Any:
            assert self.main
            return work(self.main)

        return run_on_main(call)

    def _raise_if_fatal(self, findings: list[Finding]) -> None:
        """Raises Collapse for the first fatal finding, unless it is only logged."""
        fatal = [finding for finding in findings if finding.fatal]
        if fatal and self.experiment.config.on_collapse != "warn":
            raise Collapse(fatal[0])

    def _seconds(self) -> float:
        """Returns the seconds of training, including those before a resume."""
        return self._history["seconds"] + time.monotonic() - self._started


@contextmanager
def open_hooks(
    experiment: Experiment,
    folder: Path,
    history: dict[str, Any],
    step: int,
    key: jax.Array,
) -> Iterator[Hooks]:
    """Opens the checkpoints, writers and monitors of a run.

    Args:
      experiment: the experiment.
      folder: of the run.
      history: of the checkpoint that was restored.
      step: the step at which the run starts or resumes. Later logs are dropped.
      key: of previews and the probe.
    """
    config = experiment.config
    with ExitStack() as stack:
        checkpoints = stack.enter_context(
            checkpoint.open_checkpoints(
                folder / "checkpoints", keep=config.keep, resume_step=step
            )
        )
        main = None
        if is_main_process():
            # Real examples per step.
            images = config.batch_size * config.d_updates
            example = experiment.dataset.example
            kind = example[example.generated].kind
            writer = stack.enter_context(
                reporting.open_metric_writer(
                    folder,
                    steps=config.steps,
                    batch_size=images,
                    resume_step=step,
                    score_name=next(iter(experiment.evaluators)),
                    unit="img" if kind == "image" else "examples",
                )
            )
            profile = profiling.open_profile(folder / "profile", config.profile)
            ahead = stack.enter_context(profile)
            main = MainHooks(experiment, folder, key, writer, ahead)
        yield Hooks(experiment, checkpoints, history, main)
