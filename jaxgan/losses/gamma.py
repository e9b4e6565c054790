"""The value of `auto` in `r1(auto)`: one rule for the size of images."""

import math
import re
from collections.abc import Sequence

from jaxgan import spec
from jaxgan.errors import UsageError

GAMMA = 1.0
"""The gamma of `VALUES` values, and that of all data that are not images."""
VALUES = 28 * 28
"""The values of an image of MNIST."""
POWER = 0.5
"""The exponent of the number of values in gamma."""

BATCH_SIZE = 64
"""The batch size at which `unclipped_gamma` is that of one judgment at all sizes."""

AUTO = "auto"
PENALTIES = ("r1", "r2", "approximate_r1", "approximate_r2")
"""The terms whose gamma may be `auto`."""


def gamma_of(shape: Sequence[int]) -> float:
    """Returns the gamma of zero-centered gradient penalties.

    gamma = sqrt(H W C / 784), which is 1 for MNIST, rounded to four digits.

    The penalty sums the squares of a gradient over all values of an image. Let D judge
    an image x by the means of s x s blocks of pixels, as it would judge the image that
    is s times smaller: D'(x) = D(mean(x)). Each entry of the gradient is 1 / s^2 of
    that of D, and there are s^2 times as many, so that the sum of squares is 1 / s^2 as
    large. For the same penalty of the same judgment, gamma is s^2 times as large, as it
    is in the recipes of StyleGAN3. If D judges by single pixels instead, one in each
    block, the sum of squares is that of the smaller image, and so is gamma. A network
    sees both, and the rule is the geometric mean: gamma is s times as large. Three
    colors in place of one are the same argument with 3 for s^2.

    The batch size is no part of it: loss and penalty are both means over the batch.
    `benchmarks/gamma.py` compares it with other gammas at 28, 32, 64 and 96 pixels.

    R3GAN (https://arxiv.org/abs/2501.05441) chose a gamma for each data set, which
    falls to a tenth in training. This function has for its sizes:

        FFHQ, 256 pixels        15.8   (150 to 15)
        FFHQ, 64 pixels          4.0   (2 to 0.2)
        ImageNet, 64 pixels      4.0   (1 to 0.1)
        ImageNet, 32 pixels      2.0   (0.5 to 0.05)
        CIFAR-10, 32 pixels      2.0   (0.05 to 0.005)

    Args:
      shape: `(H, W, C)` of the images, which are in [-1, 1]. For samples of any other
        shape, such as points and waveforms, there is no rule: their gamma is 1.

    >>> gamma_of((28, 28, 1)), gamma_of((56, 56, 1)), gamma_of((2,))
    (1.0, 2.0, 1.0)
    """
    if len(shape) != 3:
        return GAMMA
    return float(f"{GAMMA * (math.prod(shape) / VALUES) ** POWER:.4g}")


def unclipped_gamma(shape: Sequence[int], batch_size: int) -> float:
    """Returns a gamma for updates that are not clipped: H W C / 784 * 64 / batch_size.

    It is larger than `gamma_of` for larger images, as the penalty also has to keep
    large gradients from making large updates. The noise of a gradient has a variance of
    1 / batch_size. StyleGAN2-ADA (https://arxiv.org/abs/2006.06676) has a rule of this
    form, with another constant, for its loss without R2: 0.0002 H W / batch_size.

    Args:
      shape: of the samples, like in `gamma_of`.
      batch_size: examples per update, over all devices.

    >>> unclipped_gamma((28, 28, 1), 64), round(unclipped_gamma((64, 64, 3), 32), 2)
    (1.0, 31.35)
    """
    if len(shape) != 3:
        return GAMMA
    return GAMMA * math.prod(shape) / VALUES * BATCH_SIZE / batch_size


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


def with_gamma(text: str, gamma: float | str) -> str:
    """Returns a recipe with a number in place of `auto`.

    >>> with_gamma("r1(auto)|every(16, r2(gamma=auto))", 2.0)
    'r1(2.0)|every(16, r2(gamma=2.0))'
    """
    return re.sub(rf"\b{AUTO}\b", str(gamma), text)


def gamma_in(text: str, recipe: str) -> str | None:
    """Returns the number that a recipe has in place of `auto` in a text.

    It is None if the recipe differs in anything else, or has several numbers.

    >>> gamma_in("r1(auto)|r2(auto)", "r1(2.0)|r2(2.0)")
    '2.0'
    >>> gamma_in("r1(auto)|r2(auto)", "r1(2.0)|r2(1.0)"), gamma_in("lecam", "lecam")
    (None, None)
    """
    if text == recipe:
        return None  # without `auto`, or with it in both
    numbers = re.findall(r"[\d.]+(?:e[+-]?\d+)?", recipe)
    return next((x for x in numbers if with_gamma(text, x) == recipe), None)


def format_gamma(gamma: float, shape: Sequence[int]) -> str:
    """Returns a line with the value of `auto`.

    >>> format_gamma(1.0, (28, 28, 1))
    'gamma: auto is 1 for images of 28 x 28 x 1'
    """
    of = f"images of {' x '.join(map(str, shape))}"
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
