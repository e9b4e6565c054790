"""Cases that repeat others at length: they run with `JAXGAN_TEST_SLOW=1` alone."""

import os

import pytest

SLOW = bool(os.environ.get("JAXGAN_TEST_SLOW"))


def slow(*values):
    """A case of `parametrize` that is skipped without `JAXGAN_TEST_SLOW=1`."""
    mark = pytest.mark.skipif(not SLOW, reason="takes JAXGAN_TEST_SLOW=1")
    return pytest.param(*values, marks=mark)
