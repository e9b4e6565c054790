"""Samples of a run that its discriminator or a classifier accepts.

Proposals are numbered, each with a key of its own. Those that are accepted are found
first, by number, so that nothing is written unless there are enough. Then they are
drawn again. So any number of samples needs little memory, and a larger set begins with
a smaller one.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.config.rejecting import RejectFlags
from jaxgan.errors import UsageError, printable
from jaxgan.evaluation.class_samples import key_of_class
from jaxgan.evaluation.load_run import Run
from jaxgan.evaluation.previews import AT_ONCE
from jaxgan.evaluation.progress_bar import Progress
from jaxgan.evaluation.rejection import (
    acceptance_by,
    gamma_for,
    log_odds,
    scored_play,
)
from jaxgan.experiment import setup
from jaxgan.gan import builder
from jaxgan.metrics.features import EXTRACTORS
from jaxgan.types import Batch, Players, Tree

log = logging.getLogger("jaxgan")

BURN_IN = 512
"""First proposals of a class, whose logits set the scale of its acceptance."""

MOST = 2**31 - 1
"""Largest number of proposals of a class; their numbers are int32."""

NO_CLASS = -1
"""The class of the samples of an unconditional run."""

Wanted = Mapping[int, int]
"""Numbers of samples by class, `NO_CLASS` of an unconditional run."""


class Accepted(NamedTuple):
    """The proposals of a seed that were accepted."""

    seed: int
    numbers: dict[int, np.ndarray]
    """Of the proposals by class, increasing."""
    proposals: int
    """Number of all proposals that were judged until there were enough."""

    @property
    def rate(self) -> float:
        """The share of proposals that were accepted, of those up to the last one."""
        return sum(map(len, self.numbers.values())) / max(self.proposals, 1)


class Acceptance:
    """Draws proposals of a run, and accepts some of them.

    Args:
      run: the run.
      flags: the way of rejection.
      which: `last`, `best` or a step.
      raw: True for the generator's newest parameters.

    Raises:
      UsageError: if the run does not fit the flags, or if a classifier cannot be
        trained on its data.
    """

    def __init__(
        self, run: Run, flags: RejectFlags, which: Any = "last", *, raw: bool = False
    ) -> None:
        check(run, flags)
        self._run, self._flags = run, flags
        # First, as a classifier may be trained.
        self.step, self._variables = run.restore_players(which, raw=raw)
        self._judge: Callable[[np.ndarray], np.ndarray] | None = None
        if flags.reject == "classifier":
            self._judge = _classifier(run)
            self._play = _play_alone(run)
        else:
            self._play = scored_play(run.gan, run.example)

    def accept(self, seed: int, wanted: Wanted) -> Accepted:
        """Finds proposals to accept.

        Args:
          seed: of the proposals and of the random choice.
          wanted: numbers of samples by class.

        Raises:
          UsageError: if too few of the largest number of proposals are accepted.
        """
        numbers, proposals = {}, 0
        with Progress("accepted samples", sum(wanted.values())) as progress:
            for label, count in wanted.items():
                numbers[label], tried = self._of_class(seed, label, count)
                proposals += tried
                progress.advance(count)
        found = Accepted(seed, numbers, proposals)
        log.info(
            "--reject=%s accepted %.1f %% of %s proposals",
            *(self._flags.reject, 100 * found.rate, f"{proposals:,}"),
        )
        return found

    def draw(self, found: Accepted) -> Iterator[tuple[int, np.ndarray]]:
        """Yields classes and accepted samples of them, `[n, ...]`, a few at a time."""
        for label, numbers in found.numbers.items():
            for first in range(0, len(numbers), AT_ONCE):
                own = numbers[first : first + AT_ONCE]
                yield label, self._propose(found.seed, label, own)[0]

    def _of_class(self, seed: int, label: int, count: int) -> tuple[np.ndarray, int]:
        """Returns numbers of `count` accepted proposals, and how many were tried."""
        most = min(max(self._flags.max_proposals * count, BURN_IN), MOST)
        accept = self._rule(seed, label)
        numbers: list[int] = []
        for first in range(0, most, AT_ONCE):
            some = np.arange(first, min(first + AT_ONCE, most))
            numbers += some[accept(some)].tolist()
            if len(numbers) >= count:
                numbers = numbers[:count]
                return np.array(numbers, np.int64), numbers[-1] + 1
        name = ""
        if label != NO_CLASS:
            name = f" of class {printable(self._run.example.classes[label])!r}"
        raise UsageError(
            f"--reject={self._flags.reject} accepted {len(numbers)} of {most:,} "
            f"proposals{name}, for {count} samples: use a larger --max_proposals than "
            f"{self._flags.max_proposals}, a later checkpoint, or --reject=none"
        )

    def _rule(self, seed: int, label: int) -> Callable[[np.ndarray], np.ndarray]:
        """Returns a function from numbers of proposals to those to accept, in order."""
        if self._judge is not None:
            judge = self._judge

            def right(numbers: np.ndarray) -> np.ndarray:
                images, _ = self._propose(seed, label, numbers)
                return judge(images) == label

            return right
        # The first proposals set the scale of the logits, and are accepted like others.
        parts = [
            self._propose(seed, label, np.arange(first, first + AT_ONCE))[1]
            for first in range(0, BURN_IN, AT_ONCE)
        ]
        known = np.concatenate(parts)
        largest = float(known.max())
        gamma = gamma_for(log_odds(known, largest), self._flags.reject_share)
        rng = np.random.default_rng([seed, label + 1, 19])

        def likely(numbers: np.ndarray) -> np.ndarray:
            if numbers[-1] < len(known):
                logits = known[numbers]
            else:
                _, logits = self._propose(seed, label, numbers)
            return rng.random(len(numbers)) < acceptance_by(logits, largest, gamma)

        return likely

    def _propose(
        self, seed: int, label: int, numbers: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Returns proposals by their numbers, `[n, ...]`, and their logits `[n]`."""
        # All calls have the same shapes; the last number is repeated.
        padded = np.append(numbers, np.repeat(numbers[-1:], AT_ONCE - len(numbers)))
        batch: dict[str, Any] = dict(builder.example_batch(self._run.example, AT_ONCE))
        if label != NO_CLASS:
            batch["label"] = jnp.full(AT_ONCE, label, jnp.int32)
        key = key_of_class(seed, None if label == NO_CLASS else label)
        keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(jnp.asarray(padded))
        samples, logits = self._play(self._variables, batch, keys)
        count = len(numbers)
        return np.asarray(samples)[:count], np.asarray(logits, np.float64)[:count]


def check(run: Run, flags: RejectFlags) -> None:
    """Raises UsageError if samples of a run cannot be rejected in this way."""
    shown = f"--reject={flags.reject}"
    if run.example[run.example.generated].kind == "tokens":
        raise UsageError(f"{shown} is not for texts: leave it out")
    if flags.reject == "classifier" and "label" not in run.gan.task.inputs:
        raise UsageError(
            f"{shown}: this run is unconditional, --task={run.config.task} reads no "
            "labels that a classifier could confirm: use --reject=discriminator"
        )


def _play_alone(run: Run) -> Callable[..., tuple[np.ndarray, np.ndarray]]:
    """Returns `scored_play` with logits of 0, for any discriminator."""
    generate, field = jax.jit(run.gan.generate), run.example.generated

    def call(
        variables: Players[Tree], batch: Batch, keys: jax.Array
    ) -> tuple[np.ndarray, np.ndarray]:
        fake = generate(variables.generator, batch, keys)
        fake = fake[field] if isinstance(fake, dict) else fake
        return fake, np.zeros(len(keys))

    return call


def _classifier(run: Run) -> Callable[[np.ndarray], np.ndarray]:
    """Returns a function from samples `[n, ...]` to classes, trained on real ones."""
    train, held_out = setup.load_data(run.config)
    extractor = EXTRACTORS["classifier"](
        example=run.example, train=train, held_out=held_out
    )

    def judge(samples: np.ndarray) -> np.ndarray:
        found = extractor.extract(np.clip(samples, -1, 1)).probabilities
        assert found is not None
        return found.argmax(1)

    return judge


def in_order(parts: Iterator[tuple[int, np.ndarray]], labels: np.ndarray) -> np.ndarray:
    """Returns samples in the order of their labels, `[n, ...]`.

    Args:
      parts: classes and samples of them, as many as the labels ask for.
      labels: `[n]`.

    >>> parts = [(1, np.array([7.0])), (0, np.array([5.0])), (0, np.array([6.0]))]
    >>> in_order(iter(parts), np.array([0, 1, 0])).tolist()
    [5.0, 7.0, 6.0]
    """
    by_class: dict[int, list[np.ndarray]] = {}
    for label, samples in parts:
        by_class.setdefault(label, []).append(samples)
    first = next(iter(by_class.values()))[0]
    ordered = np.empty((len(labels), *first.shape[1:]), first.dtype)
    for label, own in by_class.items():
        ordered[labels == label] = np.concatenate(own)
    return ordered


def wanted_by(labels: np.ndarray) -> dict[int, int]:
    """Returns the number of samples of each class.

    >>> wanted_by(np.array([2, 0, 2]))
    {0: 1, 2: 2}
    """
    classes, counts = np.unique(labels, return_counts=True)
    return dict(zip(classes.tolist(), counts.tolist(), strict=True))
