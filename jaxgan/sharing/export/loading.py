"""Opens the folder of an export: its GAN and its weights."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxgan.config.resolve import config_from_json
from jaxgan.errors import UsageError, printable
from jaxgan.experiment.data_facts import example_from_json
from jaxgan.experiment.digests import leaf_types
from jaxgan.files import kind, local_path, reason
from jaxgan.gan import builder
from jaxgan.sharing.export import weights
from jaxgan.sharing.export.names import to_players
from jaxgan.sharing.record import read_json
from jaxgan.types import ExampleSpec, Players, Tree


@dataclasses.dataclass(frozen=True)
class Exported:
    """A GAN with the weights of an export.

    >>> [field.name for field in dataclasses.fields(Exported)]
    ['gan', 'example', 'variables', 'facts']
    """

    gan: builder.GAN
    example: ExampleSpec
    """The fields of the data that it was trained on."""
    variables: Players[Tree]
    """NumPy arrays; the discriminator's are None if they were not exported."""
    facts: dict[str, Any]
    """The content of config.json."""

    def sample(
        self, key: jax.Array, n: int, batch: Mapping[str, Any] | None = None
    ) -> Tree:
        """Draws samples, like `GAN.sample`.

        Args:
          key: a PRNG key.
          n: the number of samples.
          batch: fields that samples depend on, normalized, `[n, ...]` each.

        Returns:
          `[n, *shape]` float32 in [-1, 1].
        """
        return self.gan.sample(self.variables.generator, key, n, batch)


def load_exported(folder: str | Path) -> Exported:
    """Opens an export of the formats `safetensors` and `npz`.

    Networks and tasks of your own are imported before.

    Args:
      folder: with config.json and model.safetensors or model.npz.

    Raises:
      UsageError: if a file is missing or damaged, or does not fit the networks.

    >>> load_exported("nothing")
    Traceback (most recent call last):
      ...
    jaxgan.errors.UsageError: nothing is no export: it has no config.json; use the \
folder of --format=safetensors or --format=npz
    """
    place = local_path("folder", folder)
    facts = _facts(place)
    file = place / weights.CONFIG
    example = example_from_json(facts["data"], file)
    config = config_from_json(facts["flags"], str(file))
    gan = builder.build_gan(config, example, trains=False)
    path = _weights_file(place)
    players = to_players(_arrays(path))
    shapes = jax.eval_shape(gan.init, jax.random.key(0))
    expected = Players(
        shapes.ema,
        {"params": shapes.params.discriminator, **shapes.stats.discriminator},
    )
    for name, mine, theirs in zip(Players._fields, players, expected, strict=True):
        # The discriminator may be left out.
        if mine is None and name == "discriminator":
            continue
        if leaf_types(mine or {}) != leaf_types(theirs):
            raise UsageError(
                f"{printable(str(path))}: its {name} does not fit the networks of "
                "config.json; export it again"
            )
    return Exported(gan, example, players, facts)


def _facts(folder: Path) -> dict[str, Any]:
    """Reads config.json; raises UsageError if it is not that of an export."""
    shown, file = printable(str(folder)), folder / weights.CONFIG
    if not kind(file):
        raise UsageError(
            f"{shown} is no export: it has no config.json; use the folder of "
            "--format=safetensors or --format=npz"
        )
    facts = read_json(file)
    if not all(isinstance(facts.get(name), dict) for name in ("flags", "data")):
        raise UsageError(
            f"{shown}: config.json is not that of an export; export it again"
        )
    return facts


def _weights_file(folder: Path) -> Path:
    for name in (weights.SAFETENSORS, weights.NPZ):
        if kind(folder / name) == "a file":
            return folder / name
    raise UsageError(
        f"{printable(str(folder))} has neither {weights.SAFETENSORS} nor "
        f"{weights.NPZ}; export it again"
    )


def _arrays(file: Path) -> dict[str, np.ndarray]:
    """Reads the arrays of a file of weights."""
    is_npz = file.name == weights.NPZ
    if not is_npz:
        weights.check_library()
    try:
        if is_npz:
            # NumPy leaves a damaged file open that it opens itself.
            with file.open("rb") as content, np.load(content) as arrays:
                return dict(arrays)
        from safetensors.numpy import load_file

        return load_file(file)
    except Exception as error:  # damaged files raise many types
        why = reason(error) if isinstance(error, OSError) else json.dumps(str(error))
        raise UsageError(
            f"{printable(str(file))} is damaged ({printable(why)}); export it again"
        ) from error
