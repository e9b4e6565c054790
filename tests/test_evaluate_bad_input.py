"""Evaluations that cannot be: one line that names the flag and a value that works."""

import jax
import numpy as np
import pytest

import jaxgan
from jaxgan import data
from jaxgan.errors import UsageError
from jaxgan.metrics.evaluators import Evaluator
from jaxgan.metrics.feature_evaluators import FEATURE_EVALUATORS
from jaxgan.metrics.features import EXTRACTORS, Extractor, Features
from jaxgan.metrics.features.shared import SharedExtractor

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (12, 8, 8, 3), np.uint8)


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.mark.parametrize(
    ("extract", "message"),
    [
        (lambda x: x.mean((1, 2)), "own returned ndarray in place of features: return"),
        (lambda x: Features(x.mean((0, 1, 2))), r"own returned features \[3\] of 12"),
    ],
)
def test_an_extractor_of_a_user_returns_rows(monkeypatch, extract, message):
    own = Extractor("own", "0" * 16, {}, extract)
    monkeypatch.setitem(EXTRACTORS, "own", lambda: own)
    with pytest.raises(UsageError, match=message):
        jaxgan.compare(IMAGES, IMAGES, "fd(own)", cache=False)
    shared = SharedExtractor("own", lambda: own)
    evaluator: Evaluator = FEATURE_EVALUATORS["fd"](shared, 4)
    with pytest.raises(UsageError, match=message):
        evaluator.init(data.from_arrays(IMAGES), {}, jax.random.key(0))
