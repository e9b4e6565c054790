"""The rules of a game of the lab, and the flags that stand for them."""

import dataclasses
from typing import Any


@dataclasses.dataclass(frozen=True)
class Settings:
    """The rules of a game. A change of rates takes effect without compiling."""

    loss: str = "relativistic"
    d_terms: str = "r1(0.02)|r2(0.02)"
    g_terms: str = ""
    d_updates: int = 1
    g_rate: float = 2e-3
    d_rate: float = 2e-3
    optimizer: str = "adam"
    b1: float = 0.0
    width: int = 64
    depth: int = 2
    activation: str = "leaky_relu"
    batch_size: int = 128
    latent: int = 2
    seed: int = 0

    @property
    def rules(self) -> "Settings":
        """Settings that are compiled: all but rates and seed, unless rates need it."""
        if self.optimizer == "adam":
            return dataclasses.replace(self, g_rate=1e-3, d_rate=1e-3, seed=0)
        return dataclasses.replace(self, seed=0)


COMPARED = (
    Settings(d_terms="r1(0.1)|r2(0.1)", d_updates=5, b1=0.5),
    Settings(loss="minimax", d_terms="", d_updates=5, b1=0.5),
)
"""Two games that differ in loss and terms alone.

The second one is the value function of the tutorials, with five steps of D for one of
G: D becomes sure of itself, and the samples lose modes.
"""


def flags(settings: Settings) -> dict[str, Any]:
    """Returns the flags of `jaxgan.train` that stand for a game."""

    def optimizer(rate):
        if settings.optimizer == "adam":
            # b1 as a schedule makes optax keep the rate in its state.
            b1 = f"linear({settings.b1}, {settings.b1}, 1)"
            return f"adam({rate}, b1={b1}, b2=0.99)"
        return f"{settings.optimizer}({rate})"

    widths = (settings.width,) * settings.depth
    return {
        "dataset": "ring8",
        "preset": "toy",
        "task": f"generate({settings.latent})",
        "networks": f"mlp({widths}, {widths}, d_activation='{settings.activation}')",
        "loss": settings.loss,
        "d_terms": settings.d_terms,
        "g_terms": settings.g_terms,
        "d_updates": settings.d_updates,
        "batch_size": settings.batch_size,
        "g_optimizer": optimizer(settings.g_rate),
        "d_optimizer": optimizer(settings.d_rate),
        "ema_half_life": 10_000.0,
    }
