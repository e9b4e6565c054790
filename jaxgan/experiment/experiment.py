"""An experiment: the parts of a run, and the functions that depend on them."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import jax

from jaxgan import data, parallel
from jaxgan.config.training import Config
from jaxgan.experiment import input_pipeline
from jaxgan.experiment.keys import RunKeys, run_keys, seed_keys, seeds_of
from jaxgan.gan import builder
from jaxgan.metrics import Evaluator
from jaxgan.parallel import multi_seed
from jaxgan.types import TrainState, Tree


@dataclasses.dataclass(frozen=True)
class Experiment:
    """The devices, data and GAN of a run, after all checks. `setup` constructs it."""

    config: Config
    layout: parallel.Layout
    dataset: data.Dataset
    gan: builder.GAN
    resident: bool
    """True if the data set is kept on the devices."""
    steps_per_call: int
    """Steps in one compiled call."""
    held_out: data.Dataset | None
    """Examples that training does not see, or None."""
    evaluators: Mapping[str, Evaluator] = dataclasses.field(default_factory=dict)
    """By name; the first one has the score. Empty for plans, which evaluate nothing."""

    @property
    def seeds(self) -> range:
        """The seeds to train, one per run."""
        return seeds_of(self.config)

    @property
    def train_step(self) -> Callable:
        """The step of one seed: (state, batches, key) to (state, metrics)."""
        return self.gan.train_step

    def keys(self, rollbacks: int = 0) -> RunKeys:
        """Returns the keys of the run. A rollback changes all but that of previews."""
        return run_keys(self.seeds, self.layout, rollbacks)

    def state_shapes(self) -> TrainState:
        """Returns the state of all seeds as `jax.ShapeDtypeStruct`s."""
        one = jax.eval_shape(self.gan.init, jax.random.key(0))
        return jax.eval_shape(multi_seed.join_states, [one] * len(self.seeds))

    def init_state(self, rollbacks: int = 0) -> TrainState:
        """Initializes the state of all seeds on the devices."""
        keys = [seed_keys(seed, rollbacks).init for seed in self.seeds]
        return self.layout.strategy.init(self.gan.init, keys, self.layout)

    @contextmanager
    def open_feed(self, step: int) -> Iterator[parallel.Feed]:
        """Opens the batches from a step on. Closing ends the decoding threads."""
        feed = self._make_feed(step)
        try:
            yield feed
        finally:
            feed.close()

    def argument_shapes(self, count: int) -> tuple[Tree, Tree, parallel.Feed, Tree]:
        """Returns the shapes of the arguments of a compiled call.

        No example is put on a device. Streamed examples are not decoded either.

        Args:
          count: steps in one call.

        Returns:
          The shapes of state and key, the feed, and the shapes of its batches.
        """
        seeds = len(self.seeds)
        key = jax.eval_shape(
            lambda: multi_seed.join_seeds([jax.random.key(0)] * seeds, seeds)
        )
        feeds: list[parallel.Feed] = []

        def first_batches():
            # A side effect of tracing: the feed is needed besides its shapes.
            feeds.append(self._make_feed(0))
            return feeds[0].at(0, count)

        if self.resident:
            shapes = jax.eval_shape(first_batches)
        else:
            # Streamed batches are not traced: their shapes follow from the config.
            feeds.append(self._make_feed(0))
            shapes = input_pipeline.streamed_shapes(
                self.config, self.dataset, self.layout, count
            )
        return self.state_shapes(), key, feeds[0], shapes

    def _make_feed(self, step: int) -> parallel.Feed:
        if self.resident:
            return input_pipeline.resident_feed(self.config, self.dataset, self.layout)
        return input_pipeline.streamed_feed(
            self.config, self.dataset, self.layout, step
        )
