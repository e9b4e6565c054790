"""The platform that a program is traced for: this machine's, or another one."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import jax

# A context variable, so that other threads are not affected.
_override: ContextVar[str] = ContextVar("platform", default="")
"""The platform set by `compiling_for`; empty for this machine's."""


def platform() -> str:
    """Returns the platform that is traced for: `cpu`, `gpu`, `tpu` or `ANY`.

    Use it instead of `jax.default_backend` to choose the form of a computation, so that
    a program can be compiled for another platform.
    """
    return _override.get() or jax.default_backend()


@contextmanager
def compiling_for(name: str) -> Iterator[None]:
    """A context in which programs are traced for another platform.

    Args:
      name: `cpu`, `gpu` or `tpu`, or `ANY` for all of them in one program.

    >>> with compiling_for("tpu"):
    ...     platform()
    'tpu'
    """
    token = _override.set(name)
    try:
        yield
    finally:
        _override.reset(token)


ANY = "any"
"""The platform of programs that are lowered for several platforms at once."""

LOWERED = {"cpu": "cpu", "tpu": "tpu", "gpu": "cuda"}
"""The names of platforms when programs are lowered."""


def per_platform(plain: Callable, **others: Callable) -> Callable:
    """Returns the function for the platform that is traced for.

    All choices by platform are made here.

    Args:
      plain: the function for all platforms that `others` does not have.
      **others: functions by platform.
    """
    if platform() == ANY:
        return _in_all_forms(plain, others)
    # Chosen in Python while tracing, so that a program has one form only.
    return others.get(platform(), plain)


def _in_all_forms(plain: Callable, others: dict[str, Callable]) -> Callable:
    """Returns a function in all of its forms, one of which each platform keeps."""

    def call(*args: Any, **options: Any) -> Any:
        is_array = [isinstance(x, jax.Array) for x in args]

        def form(function: Callable) -> Callable:
            def of_arrays(*arrays: jax.Array) -> Any:
                rest = iter(arrays)
                # Strides and the like are no arguments of the program.
                mixed = zip(args, is_array, strict=True)
                given = (next(rest) if array else x for x, array in mixed)
                return function(*given, **options)

            return of_arrays

        forms = {LOWERED[name]: form(function) for name, function in others.items()}
        arrays = [x for x, array in zip(args, is_array, strict=True) if array]
        return jax.lax.platform_dependent(*arrays, default=form(plain), **forms)

    return call


def jit_once(function: Callable, **options: Any) -> Callable:
    """Compiles a function that is called once, such as the first state of a run.

    On the CPU most of the time of such a call is the optimization of the random
    numbers' programs, which takes seconds and saves milliseconds.

    Args:
      function: the function; the result may not be called inside of `jax.jit`.
      **options: further arguments of `jax.jit`.

    >>> jit_once(lambda x: x + 1)(1.0).item()
    2.0
    """
    quick = {"xla_backend_optimization_level": 1} if platform() == "cpu" else None
    return jax.jit(function, compiler_options=quick, **options)
