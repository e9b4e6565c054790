"""One plain sentence about a game of the lab, from its numbers."""

import dataclasses

import numpy as np

from jaxgan.metrics.mode_coverage import coverage
from jaxgan.viewer.lab_data import PlaneSet, distances

PAIRED = ("relativistic", "relativistic_average")
"""Losses that compare real examples with fakes."""

FAINT = 0.05
"""Share of D's slope below which the pull on samples counts as vanishing."""


@dataclasses.dataclass(frozen=True)
class Numbers:
    """Measures of a game at a step."""

    step: int
    covered: int
    """Modes with a sample, or for data without modes, points with one."""
    total: int
    """All of them."""
    quality: float
    """Share of samples on the data."""
    real: float
    """Mean logit of real examples."""
    fake: float
    """Mean logit of samples."""
    ranked: float
    """Share of pairs in which D ranks the real example above the fake one."""
    gain: float
    """The pull on a sample, divided by D's slope there; the median."""
    spread: float
    """Standard deviation of the samples, divided by that of the data."""
    finite: bool = True
    has_modes: bool = True


def measure(step: int, seen: dict[str, np.ndarray], plane: PlaneSet) -> Numbers:
    """Returns the numbers of what `lab_game.observe` returned."""
    samples, finite = seen["samples"], bool(np.isfinite(seen["surface"]).all())
    finite = finite and bool(np.isfinite(samples).all())
    samples = np.nan_to_num(samples)
    if len(plane.centers):
        found = coverage(samples, plane.centers, plane.sigma)
        covered, total, quality = found.modes, len(plane.centers), found.quality
    else:
        some = distances(plane.points[:256], samples)
        covered, total = int((some.min(1) <= plane.near).sum()), 256
        others = distances(samples, plane.points[:1024]).min(1)
        quality = float((others <= plane.near).mean())
    pull = np.linalg.norm(seen["arrows"], axis=1)
    return Numbers(
        step,
        covered,
        total,
        quality,
        *(float(seen[name]) for name in ("real", "fake", "ranked")),
        gain=float(np.median(pull / np.maximum(seen["slopes"], 1e-9))),
        spread=float(samples.std(0).mean() / max(plane.points.std(0).mean(), 1e-9)),
        finite=finite,
        has_modes=bool(len(plane.centers)),
    )


def explain(loss: str, d_terms: str, now: Numbers, best: int) -> str:
    """Returns what one sees and why, in one sentence.

    Args:
      loss: of the game.
      d_terms: added to D's loss.
      now: the newest numbers.
      best: the largest number of modes covered so far.
    """
    if not now.finite:
        return (
            "A number is no longer finite: the game has diverged, so restart it with "
            "smaller learning rates or with R1 and R2."
        )
    if now.step == 0:
        return (
            "Nothing is trained yet: the samples are what a random network makes of "
            "noise; press Play."
        )
    return f"{_sees(now, best)}, {_why(loss, d_terms, now, best)}."


def _sees(now: Numbers, best: int) -> str:
    """Says what the picture shows."""
    share = now.covered / now.total
    name = "modes" if now.has_modes else "places of the data"
    count = f"{now.covered} of {now.total} {name}" if now.has_modes else f"{share:.0%}"
    on = f"{now.quality:.0%} of the samples are on the data"
    if not now.has_modes:
        return f"Samples reach {count} of the data and {on}"
    if now.covered == now.total:
        return f"All {now.total} {name} are covered and {on}"
    if now.covered < best - 1:
        return f"The samples cover {count} now, after {best} at their best"
    if now.covered == 0 and now.spread < 0.35:
        return "All samples sit close together, on none of the modes"
    if now.covered == 0:
        return "The samples hit no mode yet"
    return f"The samples cover {count} and {on}"


def _why(loss: str, d_terms: str, now: Numbers, best: int) -> str:
    """Says why, from the state of both players."""
    gap = f"D's logits are {now.real:.1f} for real and {now.fake:.1f} for fake"
    penalized = "r1(" in d_terms or "r2(" in d_terms or "penalty" in d_terms
    if loss == "minimax" and now.gain < FAINT:
        return (
            f"because D is sure of itself ({gap}): log(1 - D) is flat there, so each "
            f"arrow has only {now.gain:.1%} of D's slope and G hardly moves"
        )
    lost = now.has_modes and (now.covered < best - 1 or now.spread < 0.5)
    if lost and loss not in PAIRED:
        return (
            "because every fake climbs towards the nearest place that D likes, and "
            f"nothing in the {loss.replace('_', '-')} loss asks for the other modes; D "
            "then turns against that place and the samples move on together"
        )
    if lost:
        return (
            f"as D still learns where the data are ({gap}); each real example is "
            "compared with a fake, so modes without fakes keep their pull"
        )
    if now.ranked > 0.9:
        return (
            f"while D still ranks a real example above a fake in {now.ranked:.0%} of "
            "pairs, so its surface is steep and the arrows point to the data"
        )
    if now.ranked < 0.65:
        calm = "; R1 and R2 keep its surface flat at the data" if penalized else ""
        return (
            f"and D can hardly tell them apart (it ranks a real example above a fake "
            f"in {now.ranked:.0%} of pairs; 50% is chance){calm}"
        )
    return (
        f"and D is right about {now.ranked:.0%} of pairs ({gap}), so both players "
        "still learn from each other"
    )
