"""Pairs of networks that map images to images, and the tables that they are built from.

Entries of both tables return a function of the facts of a run, `example` (the fields of
an example) and `axis_name` (of the device axis), that returns a module.
"""

import typing
from collections.abc import Callable, Iterable

import flax.linen as nn
import jax

from jaxgan.errors import FieldError, UsageError
from jaxgan.networks.gated import gated_unet, partial_unet
from jaxgan.networks.patch import patch
from jaxgan.networks.resnet_generator import resnet_generator
from jaxgan.networks.super_resolution import rrdb, srresnet
from jaxgan.networks.unet import unet
from jaxgan.types import DiscriminatorOutput, ExampleSpec, Players, Tree

Make = Callable[..., nn.Module]
"""Maps `example` and `axis_name`, keyword arguments, to a module."""

GENERATORS: dict[str, Callable[..., Make]] = {
    f.__name__: f
    for f in (unet, resnet_generator, srresnet, rrdb, gated_unet, partial_unet)
}
"""Factories of generators by name."""

DISCRIMINATORS: dict[str, Callable[..., Make]] = {f.__name__: f for f in (patch,)}
"""Factories of discriminators by name."""


def image_to_image(
    generator: Make | None = None,
    discriminator: Make | None = None,
    *,
    example: ExampleSpec,
    axis_name: str | None = None,
) -> Players[nn.Module]:
    """Returns a pair of a generator that maps images to images and a discriminator.

    Args:
      generator: a call of `GENERATORS`, such as `unet(32)`; None for `unet()`.
      discriminator: a call of `DISCRIMINATORS`, such as `patch(32)`; None for
        `patch()`.
      example: the fields of an example, of which the first, an image, is generated.
      axis_name: name of the device axis, if the step runs on several devices.

    Raises:
      UsageError: if the images do not fit a network, or a network is of the other
        player.
    """
    facts = {"example": example, "axis_name": axis_name}
    return Players(
        made("generator", generator or unet(), facts, GENERATORS),
        made("discriminator", discriminator or patch(), facts, DISCRIMINATORS),
    )


def made(
    player: str, make: Make, facts: dict[str, typing.Any], table: Iterable[str]
) -> nn.Module:
    """Returns a network; raises UsageError if it is one of the other player.

    Args:
      player: `generator` or `discriminator`.
      make: the factory.
      facts: its keyword arguments, the fields of an example and the device axis.
      table: names of networks of the player, for the message.
    """
    net = make(**facts)
    returned = typing.get_type_hints(type(net).__call__).get("return")
    # Networks of users may have no annotations.
    judges = returned is DiscriminatorOutput
    if returned is not None and judges != (player == "discriminator"):
        raise UsageError(
            f"{player}={type(net).__name__} is a network of the other player: choose "
            f"from {', '.join(sorted(table))}"
        )
    return net


class TwoGenerators(nn.Module):
    """Translates both ways: `{"source": a, "image": b}` to `{"image": ..., "source"}`.

    A domain that the inputs lack is not translated.
    """

    to_image: nn.Module
    to_source: nn.Module

    @nn.compact
    def __call__(
        self, inputs: Tree, condition: Tree = None, *, train: bool
    ) -> dict[str, jax.Array]:
        outputs = {}
        if "source" in inputs:
            outputs["image"] = self.to_image(inputs["source"], condition, train=train)
        if "image" in inputs:
            outputs["source"] = self.to_source(inputs["image"], condition, train=train)
        return outputs


class TwoDiscriminators(nn.Module):
    """Judges the images of each domain by a network of its own."""

    of_image: nn.Module
    of_source: nn.Module

    @nn.compact
    def __call__(
        self, x: Tree, condition: Tree = None, *, train: bool
    ) -> DiscriminatorOutput:
        outputs = {
            "image": self.of_image(x["image"], condition, train=train),
            "source": self.of_source(x["source"], condition, train=train),
        }
        return DiscriminatorOutput(
            logits={name: output.logits for name, output in outputs.items()},
            features={name: output.features for name, output in outputs.items()},
        )


def two_domains(
    generator: Make | None = None,
    discriminator: Make | None = None,
    *,
    example: ExampleSpec,
    axis_name: str | None = None,
) -> Players[nn.Module]:
    """Returns two generators and two discriminators, https://arxiv.org/abs/1703.10593.

    The generator maps `{"image": b, "source": a}` to a translation of each, with the
    key of the domain that it is translated to. The discriminator returns logits and
    features by the same keys.

    Args:
      generator: a call of `GENERATORS`; None for `unet()`.
      discriminator: a call of `DISCRIMINATORS`; None for `patch()`.
      example: the fields of an example, with the images `image` and `source`.
      axis_name: name of the device axis, if the step runs on several devices.

    Raises:
      FieldError: if the examples lack a domain.
      UsageError: as in `image_to_image`.
    """
    if missing := [name for name in ("source", "image") if name not in example]:
        raise FieldError(
            f"two_domains needs images of two domains, and examples have no field "
            f"{missing[0]!r}: use a data set of two, such as unpaired:PATH,PATH"
        )
    # Factories generate the first field of an example.
    other = ExampleSpec({name: example[name] for name in ("source", "image")})
    other.update({name: field for name, field in example.items() if name not in other})
    pairs = [
        image_to_image(generator, discriminator, example=one, axis_name=axis_name)
        for one in (example, other)
    ]
    return Players(
        TwoGenerators(*(pair.generator for pair in pairs)),
        TwoDiscriminators(*(pair.discriminator for pair in pairs)),
    )
