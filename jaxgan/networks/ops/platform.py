"""Which backend a program is traced for: this machine's, or one not at hand."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import jax

_named: ContextVar[str] = ContextVar("platform", default="")


def platform() -> str:
    """The platform that is traced for: `cpu`, `gpu` or `tpu`.

    Ask this, never `jax.default_backend`, wherever XLA wants another form of the same
    sums on another backend.
    """
    return _named.get() or jax.default_backend()


@contextmanager
def compiling_for(name: str) -> Iterator[None]:
    """Within it, programs are traced for another platform than this machine's.

    >>> with compiling_for("tpu"):
    ...     platform()
    'tpu'
    """
    before = _named.set(name)
    try:
        yield
    finally:
        _named.reset(before)


def per_platform(plain: Callable, **others: Callable) -> Callable:
    """What a convolution is on this backend: the one place that decides."""
    return others.get(platform(), plain)
