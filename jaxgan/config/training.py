"""One frozen dataclass; its fields are the flags."""

import argparse
import dataclasses
import hashlib
from collections.abc import Sequence
from typing import Any

from jaxgan.config.flags import (
    Parser,
    add_fields,
    convert_fields,
    flag,
    format_value,
    parse_value,
)
from jaxgan.config.foreign import TRAINING
from jaxgan.config.presets import DATASET_PRESETS, PRESETS
from jaxgan.errors import UsageError
from jaxgan.files import local_path
from jaxgan.spec import unknown


@dataclasses.dataclass(frozen=True)
class Config:
    """All that decides a run. Its fields are documented by `--help`."""

    dataset: str = flag(
        "mnist",
        "data",
        "a TFDS image data set, folder:PATH, npz:PATH, ring8, grid25 or stacked_mnist",
    )
    split: str = flag(
        "train",
        "data",
        "the split to train on, such as train[:50%%], or a sub-folder of folder:PATH",
    )
    data_dir: str = flag(
        "", "data", "where TFDS keeps data sets; empty for TFDS's own", changes=True
    )
    image_size: str = flag(
        "", "data", "N or HxW, in pixels; empty keeps the data set's"
    )
    crop: str = flag(
        "center", "data", "what is cut out before resizing: center, none, N or HxW"
    )
    image_field: str = flag(
        "",
        "data",
        "the feature (TFDS) or array (npz) that holds the images, where there are "
        "several; empty to find it",
    )
    label_field: str = flag(
        "",
        "data",
        "the feature or array that holds the labels; none to train without labels; "
        "empty to find it",
    )
    held_out: str = flag(
        "auto",
        "data",
        "held-out examples used to detect over-fitting: a split, a count, none, or "
        "auto (the split test, or val of folder:PATH, else 1 in 20, at most 256)",
    )
    data_changed: str = flag(
        "refuse",
        "data",
        "what to do when a run resumes with other data of the same shape: refuse or "
        "accept",
        changes=True,
    )
    alpha: str = flag(
        "auto",
        "data",
        "transparent pixels of folder:PATH: keep (RGBA), white or black (put on that "
        "color), or auto (keep where all pictures have an alpha channel, or some use "
        "it)",
    )
    on_bad_example: str = flag(
        "stop",
        "data",
        "on an example that cannot be read: stop (saves first), or skip (uses the next "
        "one in its place)",
        changes=True,
    )
    input: str = flag(
        "auto",
        "data",
        "where the data set lies: device, host (decoded beside training) or auto",
        changes=True,
    )

    preset: str = flag(
        "auto", "game", "defaults for all flags below: " + ", ".join(PRESETS)
    )
    task: str = flag(
        "generate(64)",
        "game",
        "how the generator meets a batch: generate(dim, latents), conditional(dim, "
        "latents), codes(dim, categories, continuous)",
    )
    networks: str = flag(
        "small", "game", "a pair of networks: small, mlp, dcgan, residual"
    )
    generator_wrap: str = flag(
        "", "game", "put around the generator, in order: embed, spectral_norm"
    )
    discriminator_wrap: str = flag(
        "",
        "game",
        "put around the discriminator, in order: spectral_norm, pack, minibatch_std, "
        "projection, classifier",
    )
    loss: str = flag(
        "relativistic",
        "game",
        "the adversarial loss: minimax, non_saturating, least_squares, wasserstein, "
        "hinge, relativistic, relativistic_average",
    )
    d_terms: str = flag(
        "r1(1)|r2(1)",
        "game",
        "terms added to the discriminator's loss: r1, r2, approximate_r1, "
        "approximate_r2, gradient_penalty, dragan, lecam, consistency, orthogonal, "
        "auxiliary_classifier, mutual_information, or one of these every so many "
        "steps: every(16, r1(10)); weights may be schedules",
    )
    g_terms: str = flag(
        "",
        "game",
        "terms added to the generator's loss: feature_matching, path_length, "
        "orthogonal, auxiliary_classifier, mutual_information, every",
    )
    augment: str = flag(
        "",
        "game",
        "what happens to all that the discriminator sees, in order: color, "
        "translation, cutout (DiffAugment), geometric, ada_color, noise (ADA), flip, "
        "rotate90",
    )
    augment_p: float | str = flag(
        1.0,
        "game",
        "how often: a probability, a schedule, or ada(target) to adapt it",
        kind=parse_value,
    )
    d_updates: int = flag(
        1, "game", "discriminator updates per step, each on a batch of its own"
    )

    g_latents: str = flag(
        "fresh",
        "game",
        "latents of the generator's update: fresh, or the same that the discriminator "
        "saw last, as some tutorials have it, which saves a pass",
    )

    batch_size: int = flag(64, "optimisation", "examples per update, over all devices")
    batch_per_device: int = flag(
        0,
        "optimisation",
        "examples per update on each device, in place of --batch_size; 0 for that",
        changes=True,
    )
    accumulate: int = flag(
        1,
        "optimisation",
        "parts in which a batch is taken, to save memory; their gradients are averaged",
    )
    g_optimizer: str = flag(
        "adam(2e-3, b1=0.0, b2=0.99)",
        "optimisation",
        "the generator's optimizer: adam, adamw, rmsprop, sgd or another of optax's, "
        "after clip_by_global_norm and the like, before clip_weights; rates may be "
        "linear, cosine, warmup",
    )
    d_optimizer: str = flag(
        "adam(2e-3, b1=0.0, b2=0.99)", "optimisation", "the discriminator's optimizer"
    )
    ema_half_life: float | str = flag(
        32_000.0,
        "optimisation",
        "half-life of the generator's running mean, in images, or its schedule; 0 for "
        "none",
        kind=parse_value,
    )
    ema_ramp: float = flag(
        0.1,
        "optimisation",
        "the half-life is at most this share of the images seen; 0 for no ramp",
    )

    steps: int = flag(
        12_000, "run", "steps in all: d_updates of D, then one of G", changes=True
    )
    seed: int = flag(0, "run", "the seed of everything")
    runs: int = flag(
        1, "run", "how many seeds, from --seed on, are trained side by side"
    )
    on_collapse: str = flag(
        "warn",
        "run",
        "what to do when the run collapses or stops being finite: warn, stop, or "
        "rollback to the best checkpoint, with other noise",
        changes=True,
    )
    rollbacks: int = flag(3, "run", "rollbacks at most", changes=True)
    workdir: str = flag(
        "", "run", "where the run lives; empty for runs/DATASET-PRESET", changes=True
    )

    max_minutes: float = flag(
        0.0,
        "run",
        "minutes after which it saves and ends with exit code 75, to be started again; "
        "0 for no limit",
        changes=True,
    )

    log_every: int = flag(100, "reports", "steps between two log lines", changes=True)
    sample_every: int = flag(
        500, "reports", "steps between two sample pictures", changes=True
    )
    save_every: int = flag(
        1_000, "reports", "steps between two checkpoints", changes=True
    )
    keep: int = flag(
        3, "reports", "newest checkpoints to keep, beside the best", changes=True
    )
    samples: int = flag(64, "reports", "samples in a picture")
    score_samples: int = flag(
        1_024, "reports", "samples per side in the distance that names the best"
    )
    profile: int = flag(
        0,
        "reports",
        "compiled calls to trace, after two that warm up, into WORKDIR/profile; tells "
        "the costliest operations; 0 for none, --profile alone for 10",
        changes=True,
        bare=10,
    )

    devices: int = flag(
        0, "machine", "how many local devices to use; 0 for all", changes=True
    )
    coordinator: str = flag(
        "auto",
        "machine",
        "where several processes meet: HOST:PORT of process 0, auto (a TPU pod or a "
        "scheduler tells) or none",
        changes=True,
    )
    num_processes: int = flag(
        0, "machine", "how many processes there are, with --coordinator", changes=True
    )
    process_id: int = flag(
        -1, "machine", "the number of this one, from 0", changes=True
    )
    meet_seconds: float = flag(
        120.0,
        "machine",
        "how long processes wait for one another at the start",
        changes=True,
    )
    heartbeat_seconds: float = flag(
        60.0,
        "machine",
        "how long a process may give no sign of life, stopped or cut off, before all "
        "end",
        changes=True,
    )
    parallel: str = flag(
        "auto",
        "machine",
        "how several devices run the step: pmap, mesh (shard_map, over several "
        "processes too) or auto",
        changes=True,
    )
    shard_state: bool = flag(
        False,
        "machine",
        "spread what the optimizers keep over the devices, for networks that do not "
        "fit on each (ZeRO)",
        changes=True,
    )
    steps_per_call: int = flag(
        0,
        "machine",
        "steps in one compiled call; 0 for 1 on CPU, up to 50 elsewhere",
        changes=True,
    )
    precision: str = flag(
        "float32",
        "machine",
        "what the networks compute in: float32, or mixed for bfloat16 with parameters, "
        "statistics, losses and optimizers in float32",
    )
    remat: bool = flag(
        False,
        "machine",
        "compute activations again instead of keeping them: slower, and less memory "
        "for deep networks on accelerators (XLA for CPU keeps them all the same)",
        changes=True,
    )
    dry_run: bool = flag(
        False, "machine", "print what would run, compile it, and stop", changes=True
    )


MAY_CHANGE = frozenset(
    f.name for f in dataclasses.fields(Config) if f.metadata["changes"]
)
"""Flags that only extend, place or report a run: a resumed run may change them."""


CHOICES = {
    "on_collapse": ("warn", "stop", "rollback"),
    "g_latents": ("fresh", "same"),
    "data_changed": ("refuse", "accept"),
    "alpha": ("auto", "keep", "white", "black"),
    "on_bad_example": ("stop", "skip"),
    "precision": ("float32", "mixed"),
}
"""The values of flags that have a few."""

LEAST = {
    **dict.fromkeys(("d_updates", "batch_size", "steps", "keep", "samples"), 1),
    **dict.fromkeys(("log_every", "sample_every", "save_every"), 1),
    **dict.fromkeys(("ema_half_life", "ema_ramp", "devices", "steps_per_call"), 0),
    **dict.fromkeys(("accumulate", "runs"), 1),
    **dict.fromkeys(("augment_p", "rollbacks", "seed", "batch_per_device"), 0),
    **dict.fromkeys(("max_minutes", "num_processes", "meet_seconds"), 0),
    "profile": 0,
    "heartbeat_seconds": 1,
    "score_samples": 2,
    "process_id": -1,
}
"""The smallest value of every number."""

MOST = {
    "seed": 2**63 - 1,  # the held-out examples are drawn by the seed 2**63
    "runs": 4_096,
    "samples": 65_536,
    "num_processes": 65_536,
    "meet_seconds": 1e6,  # sockets take no more
}
"""The largest value of some numbers; others have room in 32 bits, as steps do."""


def parse_args(argv: Sequence[str] | None = None) -> Config:
    """The config of a command line: defaults, then the preset, then what was said.

    Raises:
      UsageError: for an unknown flag or preset, or a value of the wrong kind.
    """
    parser = _parser()
    said = vars(parser.parse_flags(argv))
    return make_config(**said)


def make_config(**said: Any) -> Config:
    """A config from some fields; the others come from the preset, then the defaults.

    Numbers are converted to the types of their fields, and `~` is expanded in paths.

    Raises:
      UsageError: for a field that there is not, a value of another type, or a value
        that makes no sense.

    >>> make(dataset="mnist", preset="wgan").loss
    'wasserstein'
    """
    config = _checked(convert_fields(Config, said))
    paths = {
        name: str(local_path(f"--{name}", text))
        for name, text in (
            ("workdir", config.workdir or _default_workdir(config)),
            ("data_dir", config.data_dir),
        )
        if text
    }
    return dataclasses.replace(config, **paths)


def _checked(said: dict[str, Any]) -> Config:
    name = said.get("preset", "auto")
    if name == "auto":
        name = DATASET_PRESETS.get(said.get("dataset", Config.dataset), "default")
    if name not in PRESETS:
        raise UsageError(f"--preset: {unknown(name, PRESETS, 'preset')}")
    config = Config(**{**PRESETS[name], **said, "preset": name})
    _check_numbers(config)
    for flag_name, choices in CHOICES.items():
        if (given := getattr(config, flag_name)) not in choices:
            listed = f"{', '.join(choices[:-1])} or {choices[-1]}"
            raise UsageError(f"--{flag_name}={given}: choose {listed}")
    return config


def _default_workdir(config: Config) -> str:
    """`runs/DATASET-PRESET`; a name that is too long for a folder ends in its hash."""
    name = "".join(c if c.isalnum() or c in "-_" else "-" for c in config.dataset)
    place = f"{name.strip('-')}-{config.preset}"
    if len(place.encode(errors="replace")) > 200:
        digest = hashlib.sha256(config.dataset.encode(errors="replace")).hexdigest()
        place = f"{name.strip('-')[:40]}-{digest[:16]}-{config.preset}"
    return f"runs/{place}"


def config_from_json(fields: dict[str, Any], file: str = "config.json") -> Config:
    """The config of a `config.json`; what another version knew is left out.

    So are its paths, as the folder may have been moved since.

    Raises:
      UsageError: for values that no run has, naming `file`.
    """
    known = {f.name for f in dataclasses.fields(Config)} - {"workdir", "data_dir"}
    own = {name: value for name, value in fields.items() if name in known}
    try:
        return _checked(convert_fields(Config, own))
    except UsageError as error:
        raise UsageError(f"{file} is damaged: {error}; put its backup there") from error


def to_dict(config: Config) -> dict[str, Any]:
    """The config as JSON has it: every flag by name."""
    return dataclasses.asdict(config)


def _check_numbers(config: Config) -> None:
    for name, least in LEAST.items():
        value = getattr(config, name)
        if isinstance(value, str):
            continue  # a schedule
        such = f"such as --{name}={max(getattr(Config, name), least)}"
        if value == float("inf"):
            raise UsageError(f"--{name}={value}: must be finite, {such}")
        if not least <= value:
            raise UsageError(
                f"--{name}={format_value(value)}: must be at least {least}, {such}"
            )
        most = MOST.get(name, 2**31 - 1 if isinstance(value, int) else value)
        if value > most:
            raise UsageError(
                f"--{name}={format_value(value)}: must be at most {most:,}, {such}"
            )
    if config.seed + config.runs > 2**63:
        raise UsageError(
            f"--seed={config.seed} with --runs={config.runs}: the largest seed is "
            f"{2**63 - 1}, such as --seed=0"
        )


def _parser() -> Parser:
    parser = Parser(
        "python -m jaxgan.train",
        description="Train a generative adversarial network.",
        allow_abbrev=False,
        argument_default=argparse.SUPPRESS,
        foreign=TRAINING,
    )
    add_fields(parser, Config)
    return parser
