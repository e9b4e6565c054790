"""The environment that jax starts in."""

import logging
import os

from jaxgan.errors import UsageError, first_line

log = logging.getLogger("jaxgan")

SETTINGS = {
    "jax_enable_x64": False,
    "jax_disable_jit": False,
    "jax_numpy_rank_promotion": "allow",
    "jax_numpy_dtype_promotion": "standard",
}
"""Options of jax that the train step relies on; variables may say otherwise."""


def start_jax() -> None:
    """Imports jax and starts its backend, with the options that we rely on.

    Raises:
      UsageError: where jax is not installed, or for a variable such as
        `JAX_PLATFORMS` that names no device here or that jax cannot read.
    """
    try:
        import jax
    except ImportError as error:
        raise UsageError(
            f"jax cannot be imported ({first_line(error)}): pip install jaxgan"
        ) from error
    except ValueError as error:
        raise UsageError(f"jax does not start: {first_line(error)}") from error
    for name, value in SETTINGS.items():
        if getattr(jax.config, name) != value:
            variable = name.upper()
            log.warning("%s is ignored: jaxgan trains with %r", variable, value)
            jax.config.update(name, value)
    try:
        jax.local_devices()
    except (RuntimeError, AssertionError) as error:  # one of them has no message
        reason = first_line(error).partition(" (set JAX_PLATFORMS")[0]
        named = os.environ.get("JAX_PLATFORMS", "")
        if named:
            advice = f"JAX_PLATFORMS={named}: set it to cpu, or unset it"
        else:
            advice = "set JAX_PLATFORMS=cpu to use the processor"
        if isinstance(error, AssertionError):
            reason = "it has no plugin for that platform"
        raise UsageError(f"jax starts on no device ({reason}); {advice}") from error
