"""Opens a run, finished or in progress: its GAN, parameters and metrics."""

import dataclasses
import functools
import logging
from pathlib import Path
from typing import Any

import jax

from jaxgan import reporting, storage, workdir
from jaxgan.config.resolve import config_from_json
from jaxgan.config.training import Config
from jaxgan.errors import UsageError
from jaxgan.experiment import checkpoint
from jaxgan.experiment.data_facts import read_example
from jaxgan.gan import builder
from jaxgan.parallel import multi_seed
from jaxgan.types import ExampleSpec, Players, TrainState, Tree

log = logging.getLogger("jaxgan")


@dataclasses.dataclass(frozen=True)
class Run:
    """A run on disk. Checkpoints are read when they are needed."""

    folder: Path
    config: Config
    example: ExampleSpec
    """The fields of the data that the run was trained on."""
    gan: builder.GAN
    number: int = 0
    """Index of the run, of several that were trained side by side."""

    @functools.cached_property
    def variables(self) -> Tree:
        """The generator's moving average of the newest checkpoint, NumPy arrays."""
        return self.restore()

    @property
    def metrics(self) -> list[dict[str, Any]]:
        """The rows of metrics.jsonl, without findings."""
        return reporting.read_rows(self.folder / "metrics.jsonl")

    def part(self, *, raw: bool = False) -> dict[str, Any]:
        """Returns the shapes of the part of a checkpoint that `restore` reads.

        Args:
          raw: True for the newest parameters instead of their moving average.
        """
        # Shapes only: no network is initialized.
        one = jax.eval_shape(self.gan.init, jax.random.key(0))
        state: TrainState = jax.eval_shape(
            multi_seed.join_states, [one] * self.config.runs
        )
        if raw:
            return {"step": state.step, "params": state.params, "stats": state.stats}
        return {"step": state.step, "ema": state.ema}

    def restore_step(
        self, which: checkpoint.Which = "last", *, raw: bool = False
    ) -> tuple[int, Tree]:
        """Reads the step and the variables of a checkpoint, see `restore`."""
        template, folder = self.part(raw=raw), self.folder / "checkpoints"
        state, _ = checkpoint.restore(folder, template, which=which, partial=True)
        self._log(int(state["step"]))
        variables = state.get("ema")
        if raw:
            # The same structure as the moving average.
            variables = {
                "params": state["params"].generator,
                **state["stats"].generator,
            }
        return int(state["step"]), self._own(variables)

    def restore_players(
        self, which: checkpoint.Which = "last", *, raw: bool = False
    ) -> tuple[int, Players[Tree]]:
        """Reads the step and the variables of both networks, see `restore`.

        Args:
          which: `last`, `best` or a step.
          raw: True for the generator's newest parameters instead of their moving
            average. The discriminator has no average.
        """
        template, folder = self.part(raw=True) | self.part(), self.folder
        state, _ = checkpoint.restore(
            folder / "checkpoints", template, which=which, partial=True
        )
        self._log(int(state["step"]))
        newest = Players(
            *(
                {"params": params, **stats}
                for params, stats in zip(state["params"], state["stats"], strict=True)
            )
        )
        players = newest if raw else newest._replace(generator=state["ema"])
        return int(state["step"]), self._own(players)

    def _log(self, step: int) -> None:
        """Logs which checkpoint is read, and of which run if there are several."""
        runs = self.config.runs
        which = f" of --run={self.number}, one of {runs} runs" if runs > 1 else ""
        log.info("checkpoint of step %d%s", step, which)

    def _own(self, variables: Tree) -> Tree:
        """Returns the part of this run, of several that were trained side by side."""
        return multi_seed.split_seeds(variables, self.config.runs)[self.number]

    def restore(self, which: checkpoint.Which = "last", *, raw: bool = False) -> Tree:
        """Reads the generator's variables of a checkpoint.

        Args:
          which: `last`, `best` or a step.
          raw: True for the newest parameters instead of their moving average.

        Raises:
          UsageError: if there is no such checkpoint, or if it belongs to a different
            network.
        """
        return self.restore_step(which, raw=raw)[1]


def load_run(path: str | Path, *, number: int = 0) -> Run:
    """Opens the folder of a run.

    Args:
      path: the workdir.
      number: index of the run, of several that were trained side by side.

    Raises:
      UsageError: if the folder is not one of a run, or a file in it is damaged.

    >>> import tempfile
    >>> from jaxgan.config.resolve import make_config
    >>> from jaxgan.training.fit import fit
    >>> flags = {"dataset": "ring8", "steps": 2, "batch_size": 8, "score_samples": 8}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     code = fit(make_config(**flags, samples=4, workdir=f"{folder}/run"))
    ...     load_run(f"{folder}/run").config.steps
    2
    """
    folder = storage.run_folder("--workdir", path)
    file = folder / "config.json"
    flags = workdir.read_config(folder)
    config = config_from_json(flags, str(file))
    config = dataclasses.replace(config, data_dir=_data_dir_of(flags))
    example = read_example(folder)
    if not 0 <= number < config.runs:
        raise UsageError(
            f"--run={number}: the run has {config.runs} seed(s), starting at --run=0"
        )
    gan = builder.build_gan(config, example, trains=False)
    return Run(folder, config, example, gan, number)


def _data_dir_of(flags: dict[str, Any]) -> str:
    """Returns the folder of a run's data set, empty if it does not exist here."""
    place = flags.get("data_dir", "")
    usable = isinstance(place, str) and ("://" in place or Path(place).is_dir())
    return place if usable else ""
