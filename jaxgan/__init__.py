"""Generative adversarial networks with JAX and Flax.

A run in ten lines:

    import jax, jaxgan

    config = jaxgan.make_config(dataset="mnist", preset="wgan-gp", steps=100)
    dataset = jaxgan.load_dataset("mnist")
    gan = jaxgan.build(config, dataset)
    state = gan.init(jax.random.key(0))
    for batch in jaxgan.batches(dataset, config):
        state, metrics = gan.train_step(state, batch, jax.random.key(1))
    images = gan.sample(state.ema, jax.random.key(2), 64)

`fit(config)` does all that `python -m jaxgan.train` does, and `load_run` opens what it
left. `sample_run("runs/mnist", 64)` draws samples, and `sheet_run("runs/mnist",
labels="all")` rows of them: by class, between latents, or along directions.
`evaluate_run("runs/mnist")` compares samples with held-out examples, and
`compare("mnist:test", images)` any images with real ones. `apply_run("runs/maps",
"photo.jpg")` maps pictures by an image-to-image run, or sounds by a vocoder, and
`score_run("runs/parts", "photo.jpg")` says how unusual they are.
`invert_run("runs/mnist", "seven.png")` finds the latents of pictures.
`export_run("runs/mnist", "digits")` writes the generator for other programs, and
`write_report("runs/mnist")` all that there is to see as one HTML file. Names are
imported when they are first used, so `import jaxgan` imports no jax.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jaxgan import (
        augment,
        data,
        losses,
        metrics,
        networks,
        optimizers,
        schedules,
        tasks,
    )
    from jaxgan.config.presets import PRESETS
    from jaxgan.config.resolve import make_config
    from jaxgan.config.training import Config
    from jaxgan.data import load as load_dataset
    from jaxgan.errors import TrainingError, UsageError
    from jaxgan.evaluation.apply import apply_run
    from jaxgan.evaluation.drawn import Drawn, sample_run
    from jaxgan.evaluation.invert import Inverted, invert_run
    from jaxgan.evaluation.load_run import load_run
    from jaxgan.evaluation.report import compare, evaluate_run
    from jaxgan.evaluation.score import Scores, score_run
    from jaxgan.evaluation.sheets import Sheet, sheet_run
    from jaxgan.experiment.input_pipeline import batches
    from jaxgan.gan.builder import build
    from jaxgan.gan.gan import GAN
    from jaxgan.sharing.export.export import export_run
    from jaxgan.sharing.export.loading import Exported, load_exported
    from jaxgan.sharing.report.report import write_report
    from jaxgan.training.fit import fit
    from jaxgan.types import (
        DiscriminatorOutput,
        ExampleSpec,
        Field,
        LossInputs,
        Players,
        Samples,
        Stage,
        Task,
        Term,
        TrainState,
    )

__version__ = "0.1.0"

_MODULES = {
    "Config": "config.training",
    "DiscriminatorOutput": "types",
    "Drawn": "evaluation.drawn",
    "ExampleSpec": "types",
    "Exported": "sharing.export.loading",
    "Field": "types",
    "GAN": "gan.gan",
    "Inverted": "evaluation.invert",
    "LossInputs": "types",
    "PRESETS": "config.presets",
    "Players": "types",
    "Samples": "types",
    "Scores": "evaluation.score",
    "Sheet": "evaluation.sheets",
    "Stage": "types",
    "Task": "types",
    "Term": "types",
    "TrainState": "types",
    "TrainingError": "errors",
    "UsageError": "errors",
    "apply_run": "evaluation.apply",
    "batches": "experiment.input_pipeline",
    "build": "gan.builder",
    "compare": "evaluation.report",
    "evaluate_run": "evaluation.report",
    "export_run": "sharing.export.export",
    "fit": "training.fit",
    "invert_run": "evaluation.invert",
    "load_dataset": "data",
    "load_exported": "sharing.export.loading",
    "load_run": "evaluation.load_run",
    "make_config": "config.resolve",
    "sample_run": "evaluation.drawn",
    "score_run": "evaluation.score",
    "sheet_run": "evaluation.sheets",
    "write_report": "sharing.report.report",
}
"""The module of each public name."""

_PACKAGES = (
    *("augment", "data", "losses", "metrics", "networks", "optimizers"),
    *("schedules", "tasks"),
)

_NAMES = {"load_dataset": "load"}
"""Public names that differ from those in their modules."""

__all__ = [
    "GAN",
    "PRESETS",
    "Config",
    "DiscriminatorOutput",
    "Drawn",
    "ExampleSpec",
    "Exported",
    "Field",
    "Inverted",
    "LossInputs",
    "Players",
    "Samples",
    "Scores",
    "Sheet",
    "Stage",
    "Task",
    "Term",
    "TrainState",
    "TrainingError",
    "UsageError",
    "apply_run",
    "augment",
    "batches",
    "build",
    "compare",
    "data",
    "evaluate_run",
    "export_run",
    "fit",
    "invert_run",
    "load_dataset",
    "load_exported",
    "load_run",
    "losses",
    "make_config",
    "metrics",
    "networks",
    "optimizers",
    "sample_run",
    "schedules",
    "score_run",
    "sheet_run",
    "tasks",
    "write_report",
]


def __getattr__(name: str) -> Any:
    """Imports a public name when it is first used (PEP 562)."""
    if name in _PACKAGES:
        return importlib.import_module(f"jaxgan.{name}")
    if name not in _MODULES:
        raise AttributeError(f"module 'jaxgan' has no attribute {name!r}")
    module = importlib.import_module(f"jaxgan.{_MODULES[name]}")
    value = getattr(module, _NAMES.get(name, name))
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
