"""Scores of held-out normal examples, which set the scale and the threshold.

They are kept in the workdir, so that a second call need not read the data. They are
computed again if the checkpoint or the data of the run are others.
"""

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxgan import data, workdir
from jaxgan.errors import UsageError, printable
from jaxgan.evaluation.anomaly_data import held_out_normals
from jaxgan.evaluation.load_run import Run
from jaxgan.evaluation.previews import AT_ONCE
from jaxgan.evaluation.progress_bar import Progress
from jaxgan.evaluation.scorer import Scorer
from jaxgan.files import atomic_write, open_regular, reason, remedy
from jaxgan.metrics import anomaly, made_up_anomalies

log = logging.getLogger("jaxgan")

FORMAT = 1
"""Version of the files, part of their key."""

DATA_FLAGS = (
    *("split", "held_out", "normal", "image_size", "crop", "image_field"),
    *("label_field", "alpha"),
)
"""Flags that choose the held-out examples, beside the data set."""

COLOR_RANGE = 0.99
"""Share of held-out normal pictures whose heat maps stay within the colors."""


TASK, CHOSEN, GIVEN = (
    "those of the task",
    "chosen on held-out normal examples and on pieces of these, rearranged",
    "those of --weights",
)
"""Origins of weights."""


class Reference(NamedTuple):
    """The parts of the scores of held-out normal examples."""

    parts: dict[str, np.ndarray]
    """`[n]` float64 by name."""
    peaks: np.ndarray
    """The largest share of one pixel in the distance of all pixels, `[n]`."""
    weights: Mapping[str, float]
    """Weights of the parts; 1 for those that are not named."""
    weights_of: str = TASK
    """The origin of the weights, in a few words."""

    def shares(self, parts: anomaly.Parts) -> dict[str, np.ndarray]:
        """Returns the shares of parts in the score, whose sum it is."""
        return anomaly.weighted(parts, anomaly.scales_of(self.parts), self.weights)

    def scores(self, parts: anomaly.Parts) -> np.ndarray:
        """Returns the scores of images, `[n]`, by their parts."""
        return anomaly.total(self.shares(parts))

    @property
    def normal(self) -> np.ndarray:
        """The scores of the held-out normal examples, `[n]`."""
        return self.scores(self.parts)

    @property
    def hottest(self) -> float:
        """The value of a heat map that has the last color."""
        return float(np.quantile(self.peaks * self.normal, COLOR_RANGE))


def reference_of(
    scorer: Scorer,
    *,
    raw: bool,
    weights: Mapping[str, float],
    held_out: tuple[data.Dataset, np.ndarray] | None = None,
) -> Reference:
    """Returns the reference of a restored run, from its workdir if it is there.

    Args:
      scorer: with the variables of a checkpoint.
      raw: True if those are the newest ones, part of the key.
      weights: of the parts.
      held_out: the result of `held_out_normals`, if it is known.

    Raises:
      UsageError: if there are no held-out normal examples, if the data changed since
        training, or for a weight of a part that does not exist.
    """
    run = scorer.run
    file = run.folder / "anomaly" / f"{_name(run, scorer.step, raw=raw)}.json"
    key = key_of(scorer, raw=raw)
    found = _load(file, key)
    if found is None:
        found = compute(scorer, *(held_out or held_out_normals(run)))
        _save(file, key, found)
    return weigh(scorer.run, found, weights)


def weigh(run: Run, found: Reference, weights: Mapping[str, float]) -> Reference:
    """Returns a reference with weights.

    They are those given, beside those of the task for other parts. If none are given,
    they are the ones that were chosen, or those of the task.

    Raises:
      UsageError: for a weight of a part that does not exist, or if all are 0.
    """
    check_weights(weights, list(found.parts))
    own = run.gan.task.weights
    if weights:
        return found._replace(weights={**own, **weights}, weights_of=GIVEN)
    if found.weights:
        return found._replace(weights_of=CHOSEN)
    return found._replace(weights=dict(own))


def check_weights(weights: Mapping[str, float], names: list[str]) -> None:
    """Raises UsageError for weights of other parts than `names`, or if all are 0."""
    example = ",".join(f"{name}=1" for name in names)
    for name in weights:
        if name not in names:
            raise UsageError(
                f"--weights: there is no part {printable(name)} of the score, but "
                f"{', '.join(names)}: use --weights={example}"
            )
    if not any(weights.get(name, 1.0) for name in names):
        raise UsageError(f"--weights: all are 0; use --weights={example}")


def compute(scorer: Scorer, held_out: data.Dataset, numbers: np.ndarray) -> Reference:
    """Scores held-out normal examples, and chooses weights if the run has no others.

    Args:
      scorer: with the variables of a checkpoint.
      held_out: the held-out examples.
      numbers: of those that are normal, `[n]`.

    Returns:
      The parts, with `weights` if they were chosen, else {}.
    """
    field, parts, peaks = held_out.example.generated, [], []

    def read(places: np.ndarray) -> np.ndarray:
        return held_out.read(numbers[places])[field]

    with Progress("held-out normal examples", len(numbers)) as progress:
        for scored in scorer.batches(len(numbers), read):
            parts.append(scored.parts)
            # The maps of scores of 1.
            maps = anomaly.heat_maps(scored.pixels, np.ones(len(scored.pixels)))
            peaks.append(maps.reshape(len(maps), -1).max(-1))
            progress.advance(len(maps))
    joined = {name: np.concatenate([x[name] for x in parts]) for name in parts[0]}
    weights: dict[str, float] = {}
    if chooses_weights(run := scorer.run):
        made_up = _made_up(scorer, held_out, numbers)
        start = run.gan.task.weights
        weights = made_up_anomalies.choose_weights(joined, made_up, start)
    return Reference(joined, np.concatenate(peaks), weights)


def chooses_weights(run: Run) -> bool:
    """Returns True if the weights of a run are chosen on normal examples."""
    fits = made_up_anomalies.fits(run.example.shape)
    return fits and run.config.score_weights == "normal"


def _made_up(
    scorer: Scorer, held_out: data.Dataset, numbers: np.ndarray
) -> list[dict[str, np.ndarray]]:
    """Returns the parts of anomalies that are made of normal examples, by kind."""
    field, parts = held_out.example.generated, []
    count = len(made_up_anomalies.KINDS) * len(numbers)
    with Progress("rearranged normal examples", count) as progress:
        for change in made_up_anomalies.KINDS.values():
            own = []
            # Pieces come from the same batch, so that no other images are in memory.
            for first in range(0, len(numbers), AT_ONCE):
                some = held_out.read(numbers[first : first + AT_ONCE])[field]
                own.append(scorer(change(some)).parts)
                progress.advance(len(some))
            parts.append({k: np.concatenate([x[k] for x in own]) for k in own[0]})
    return parts


def key_of(scorer: Scorer, *, raw: bool) -> dict[str, Any]:
    """Returns all that the scores of held-out examples depend on, as JSON values."""
    run, facts = scorer.run, workdir.read_data(scorer.run.folder)
    config = vars(run.config)
    return {
        "format": FORMAT,
        "step": scorer.step,
        "run": run.number,
        "raw": raw,
        "variables": scorer.digest(),
        "task": run.config.task,
        # Toy sets have no fingerprint, but a name.
        "data": [facts.get("fingerprint"), run.config.dataset, facts.get("size")],
        **{name: config[name] for name in DATA_FLAGS if name in config},
        # Earlier versions chose no weights.
        **({"weights": CHOSEN} if chooses_weights(run) else {}),
    }


def _name(run: Run, step: int, *, raw: bool) -> str:
    """Returns the name of the file of a checkpoint, without its suffix."""
    own = f"-run{run.number}" if run.config.runs > 1 else ""
    return f"normal-{step}{own}{'-raw' if raw else ''}"


def _load(file: Path, key: dict[str, Any]) -> Reference | None:
    """Returns the content of a file, None if there is none for the key."""
    try:
        with open_regular(file) as stream:
            content = json.loads(stream.read())
        if content["key"] != key:
            log.info("%s is of other data or variables, and replaced", _shown(file))
            return None
        parts = {str(k): np.asarray(x, float) for k, x in content["parts"].items()}
        peaks = np.asarray(content["peaks"], float)
        arrays = [peaks, *parts.values()]
        valid = all(x.ndim == 1 and np.isfinite(x).all() for x in arrays)
        if not valid or not len(peaks) or len({len(x) for x in arrays}) != 1:
            raise ValueError("it has no valid scores")
        weights = {str(k): float(x) for k, x in content.get("weights", {}).items()}
        if weights and set(weights) != set(parts):
            raise ValueError("it has no valid weights")
        return Reference(parts, peaks, weights)
    except (FileNotFoundError, NotADirectoryError):
        return None
    # Bytes that are no such file can raise anything.
    except Exception as error:
        log.warning("%s is ignored and replaced: %s", _shown(file), reason(error))
        return None


def _save(file: Path, key: dict[str, Any], found: Reference) -> None:
    """Writes a file; logs a warning if it cannot be written."""
    parts = {name: x.tolist() for name, x in found.parts.items()}
    content = {"key": key, "parts": parts, "peaks": found.peaks.tolist()}
    if found.weights:
        content["weights"] = dict(found.weights)
    try:
        file.parent.mkdir(exist_ok=True)
        atomic_write(file, json.dumps(content).encode())
    except OSError as error:
        log.warning(
            "the scores of held-out examples are not kept for the next call (%s: %s); "
            "%s",
            *(_shown(file), reason(error), remedy(error)),
        )


def _shown(file: Path) -> str:
    return printable(str(file))
