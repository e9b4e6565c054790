"""The value of `auto` in `r1(auto)`: one rule for the size of images and of batches."""

import math
from collections.abc import Sequence

from jaxgan import spec
from jaxgan.errors import UsageError

GAMMA = 1.0
"""The gamma that was measured at the sizes below, and that of all other data."""
PIXELS, CHANNELS, BATCH_SIZE = 28 * 28, 1, 64
"""The images and the batch size at which `GAMMA` was measured."""

PIXEL_POWER, CHANNEL_POWER, BATCH_POWER = 1.0, 1.0, -1.0
"""Exponents of the numbers of pixels, channels and examples in gamma."""

AUTO = "auto"
PENALTIES = ("r1", "r2", "approximate_r1", "approximate_r2")
"""The terms whose gamma may be `auto`."""


def gamma_of(shape: Sequence[int], batch_size: int) -> float:
    """Returns the gamma of zero-centered gradient penalties.

    gamma = 1 at 28 x 28 x 1 and a batch size of 64, times H W / 784, times C, times
    64 / batch_size.

    Pixels and channels: the penalty sums the squares of a gradient over all of them.
    Let D judge an image x by the means of s x s blocks of pixels, as it would judge the
    image that is s times smaller: D'(x) = D(mean(x)). Each entry of the gradient is
    1 / s^2 of that of D, and there are s^2 times as many, so that the sum of squares is
    1 / s^2 as large. For the same penalty of the same judgment, gamma is s^2 times as
    large, as it is in the recipes of StyleGAN3. Three equal channels in place of one
    are the same argument with 3 for s^2.

    Batch: the noise of a gradient has a variance of 1 / batch_size, and the penalty is
    what damps it. StyleGAN2-ADA (https://arxiv.org/abs/2006.06676) has both, with
    another constant, for its loss without R2: 0.0002 H W / batch_size.

    R3GAN (https://arxiv.org/abs/2501.05441) chose a gamma for each data set, which
    falls to a tenth in training. With its sizes and batches this function is:

        FFHQ, 256 pixels, batch 256         62.7   (150 to 15)
        FFHQ, 64 pixels, batch 256           3.9   (2 to 0.2)
        ImageNet, 64 pixels, batch 4096      0.24  (1 to 0.1)
        ImageNet, 32 pixels, batch 4096      0.061 (0.5 to 0.05)
        CIFAR-10, 32 pixels, batch 512       0.49  (0.05 to 0.005)

    Args:
      shape: `(H, W, C)` of the images, which are in [-1, 1]. For samples of any other
        shape, such as points and waveforms, there is no rule: their gamma is 1.
      batch_size: examples per update, over all devices.

    >>> gamma_of((28, 28, 1), 64), gamma_of((2,), 256)
    (1.0, 1.0)
    >>> round(gamma_of((256, 256, 3), 256), 1)
    62.7
    """
    if len(shape) != 3:
        return GAMMA
    pixels = (math.prod(shape[:2]) / PIXELS) ** PIXEL_POWER
    channels = (shape[2] / CHANNELS) ** CHANNEL_POWER
    return GAMMA * pixels * channels * (batch_size / BATCH_SIZE) ** BATCH_POWER


def uses_auto(text: str) -> bool:
    """Returns True if a term of a recipe has `auto` as its gamma.

    >>> uses_auto("every(16, r1(auto))"), uses_auto("r1(1)|r2(1)")
    (True, False)

    Raises:
      UsageError: if `auto` is anything else than the gamma of a penalty.
    """
    places = [place for call in spec.parse(text) for place in _places(call)]
    if not all(places):
        raise UsageError(
            f"auto is the gamma of {', '.join(PENALTIES)} only, such as r1(auto): use "
            "a number elsewhere"
        )
    return bool(places)


def format_gamma(text: str, shape: Sequence[int], batch_size: int) -> str | None:
    """Returns a line with the value of `auto` in a recipe, None if it is not used.

    >>> format_gamma("r1(auto)|r2(auto)", (28, 28, 1), 64)
    'gamma: auto is 1 for images of 28 x 28 x 1 in batches of 64'
    """
    if not uses_auto(text):
        return None
    gamma, sides = gamma_of(shape, batch_size), " x ".join(map(str, shape))
    of = f"images of {sides} in batches of {batch_size}"
    if len(shape) != 3:
        of = "samples that are not images"
    return f"gamma: auto is {gamma:.4g} for {of}"


def _places(call: spec.Call, is_gamma: bool = False) -> list[bool]:
    """Returns True for each `auto` that is a gamma, or is in the schedule of one."""
    if call.name == AUTO:
        return [is_gamma]
    places = []
    for name, argument in (*enumerate(call.args), *call.kwargs.items()):
        inside = is_gamma or (call.name in PENALTIES and name in (0, "gamma"))
        for part in argument if isinstance(argument, list) else [argument]:
            if isinstance(part, spec.Call):
                places += _places(part, inside)
    return places
