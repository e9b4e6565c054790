"""Files of the mean and covariance of real features: ours, and pytorch-fid's."""

import io
import json
import logging
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxgan.errors import UsageError, printable
from jaxgan.files import atomic_write, open_regular, reason, remedy
from jaxgan.metrics.comparison import NO_FEATURES
from jaxgan.metrics.comparisons import Comparison
from jaxgan.metrics.features import Extractor
from jaxgan.metrics.frechet import ENOUGH, Moments, bias_warning, covariance

log = logging.getLogger("jaxgan")

FID_FEATURES = 2048
"""Number of Inception's features in a file of pytorch-fid."""

KEYS = ("mean", "covariance", "count", "facts", "mu", "sigma")
"""Arrays that are read."""

COMPARED = ("layer", "resize", "channels")
"""Facts of an extractor's protocol that must be equal, beside its digest."""


class Statistics(NamedTuple):
    """Mean and covariance of the features of real examples."""

    file: Path
    mean: np.ndarray
    """`[d]` float64."""
    covariance: np.ndarray
    """`[d, d]` float64, unbiased."""
    count: int | None
    """Number of examples, None in a file of pytorch-fid."""
    facts: dict[str, Any]
    """The extractor and the examples; {} in a file of pytorch-fid."""

    @property
    def moments(self) -> Moments:
        """The moments. A count that is unknown is 2, which no distance depends on."""
        count = self.count or 2
        return Moments(count, self.mean, self.covariance * (count - 1))

    @property
    def origin(self) -> str:
        """The real examples, in one line."""
        if self.facts:
            return f"{self.facts['real']} ({printable(str(self.file))})"
        return f"unknown examples ({printable(str(self.file))}, of pytorch-fid)"


def save(file: Path, moments: Moments, extractor: Extractor, real: str) -> None:
    """Writes the statistics of real features as an .npz file.

    It has `mean` `[d]` and `covariance` `[d, d]` float64, `count`, and `facts`, a JSON
    text with the extractor's name, digest and protocol, and with `real`.

    Args:
      file: the path.
      moments: of the features.
      extractor: of the features.
      real: the real examples, in one line.

    Raises:
      UsageError: if the file cannot be written.
    """
    facts = {
        "extractor": extractor.name,
        "digest": extractor.digest,
        "protocol": extractor.protocol,
        "real": real,
    }
    content = io.BytesIO()
    np.savez(
        content,
        mean=moments.mean,
        covariance=covariance(moments),
        count=np.array(moments.count),
        facts=np.array(json.dumps(facts)),
    )
    try:
        atomic_write(file, content.getvalue())
    except OSError as error:
        raise UsageError(
            f"--save_stats={printable(str(file))} cannot be written "
            f"({reason(error)}); {remedy(error)}"
        ) from error
    log.info("statistics of the real examples in %s", printable(str(file)))


def load(file: Path) -> Statistics:
    """Reads a file of `save`, or one of pytorch-fid with `mu` and `sigma`.

    Raises:
      UsageError: if the file is missing, damaged, or of another kind.
    """
    shown = printable(str(file))
    try:
        with open_regular(file) as stream, np.load(stream, allow_pickle=False) as npz:
            arrays = {k: npz[k] for k in npz.files if k in KEYS}
    except OSError as error:
        raise UsageError(
            f"stats:{shown} cannot be read ({reason(error)}): make it with --save_stats"
        ) from error
    # Bytes that are no such file can raise anything, from zlib.error to MemoryError.
    except Exception as error:
        raise UsageError(
            f"stats:{shown} is not an .npz file of statistics: make it with "
            "--save_stats"
        ) from error
    try:
        # The keys of pytorch-fid.
        if "mu" in arrays:
            ours = Statistics(file, arrays["mu"], arrays["sigma"], None, {})
        else:
            facts = json.loads(str(arrays["facts"]))
            count = int(arrays["count"])
            ours = Statistics(file, arrays["mean"], arrays["covariance"], count, facts)
            # The facts that are read later.
            _ = facts["extractor"], facts["digest"], dict(facts["protocol"])
            _ = str(facts["real"])
        return _checked(ours)
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(
            f"stats:{shown} has no valid statistics ({reason(error)}): it needs mean, "
            "covariance, count and facts of --save_stats, or mu and sigma of "
            "pytorch-fid"
        ) from error


def _checked(found: Statistics) -> Statistics:
    """Returns statistics as float64; raises ValueError unless they are valid."""
    # pytorch-fid may have saved float32.
    mean = np.asarray(found.mean, np.float64)
    matrix = np.asarray(found.covariance, np.float64)
    if mean.ndim != 1 or not len(mean) or matrix.shape != (len(mean), len(mean)):
        raise ValueError(f"shapes {list(mean.shape)} and {list(matrix.shape)}")
    if not (np.isfinite(mean).all() and np.isfinite(matrix).all()):
        raise ValueError("NaN or infinity")
    # Rounding makes the two halves of a covariance differ slightly.
    scale = np.abs(matrix).max()
    if np.abs(matrix - matrix.T).max() > 1e-3 * scale or (matrix.diagonal() < 0).any():
        raise ValueError("the matrix is no covariance")
    if found.count is not None and found.count < 2:
        raise ValueError(f"a count of {found.count}")
    return found._replace(mean=mean, covariance=matrix)


def check_metrics(comparisons: list[Comparison]) -> None:
    """Raises UsageError unless all metrics need moments only."""
    if any(x.of_moments is None for x in comparisons):
        raise UsageError(
            "stats:FILE has a mean and a covariance, which only fd can be computed "
            "from: use --metrics='fd(classifier)'"
        )


def check_extractors(
    comparisons: list[Comparison], given: Statistics | None, save_to: Path | None
) -> None:
    """Raises UsageError unless all metrics have one extractor, that of a given file.

    Args:
      comparisons: the metrics.
      given: statistics that were read, None for none.
      save_to: the file for statistics, None for none.
    """
    if given is None and save_to is None:
        return
    if any(x.extractor is NO_FEATURES for x in comparisons):
        raise UsageError(
            "--save_stats writes statistics of features, which a metric of images "
            "themselves does not have: use --metrics='fd(classifier)'"
        )
    found = {(x.extractor.name, x.extractor.digest) for x in comparisons}
    if len(found) > 1:
        names = ", ".join(name for name, _ in sorted(found))
        raise UsageError(
            f"statistics are those of one extractor, and --metrics has {names}: use "
            "metrics of one"
        )
    if given is not None:
        check_extractor(given, comparisons[0].extractor)


def check_extractor(found: Statistics, extractor: Extractor) -> None:
    """Raises UsageError unless statistics are those of an extractor's features.

    Those of pytorch-fid are taken for those of Inception. Their images were resized by
    another filter, which is logged.
    """
    shown, facts = printable(str(found.file)), found.facts
    if not facts:
        if extractor.name != "inception" or len(found.mean) != FID_FEATURES:
            raise UsageError(
                f"stats:{shown} has {len(found.mean)} features, as pytorch-fid saves "
                f"those of Inception, and --metrics has {extractor.name}: use "
                "--metrics='fd(inception)' --inception_weights=WEIGHTS.pth"
            )
        log.warning(
            "%s: pytorch-fid resizes without anti-aliasing, and its number of examples "
            "is unknown; distances differ from those of one tool for both sides",
            shown,
        )
        return
    protocol = facts["protocol"]
    theirs = (facts["extractor"], facts["digest"], *map(protocol.get, COMPARED))
    own = (extractor.name, extractor.digest, *map(extractor.protocol.get, COMPARED))
    for name, a, b in zip(("name", "digest", *COMPARED), theirs, own, strict=True):
        if a != b:
            raise UsageError(
                f"stats:{shown} has features of {facts['extractor']} with the {name} "
                f"{a}, and --metrics has {extractor.name} with {b}: make the file "
                "again with --save_stats"
            )


def warning(found: Statistics, fake: Moments, name: str) -> str:
    """Returns a warning of one line for small counts, or an empty text."""
    if found.count is not None:
        text = bias_warning(found.moments, fake.count)
        return text and f"{name}: {text}"
    dim = len(found.mean)
    if fake.count >= ENOUGH * dim:
        return ""
    return (
        f"{name}: {fake.count:,} samples for {dim:,} dimensions bias the Frechet "
        f"distance; use at least {ENOUGH * dim:,}"
    )
