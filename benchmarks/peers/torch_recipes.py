# pyright: reportMissingImports=false
"""The presets of jaxgan in PyTorch: losses, penalties, optimizers."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from peers import protocol, torch_images, torch_sounds, torch_stylegan2, torch_text
from peers import torch_networks as nets
from peers.torch_resnet import hinge, resnet, spectral
from peers.torch_sequences import SOUNDS, TEXTS, VOCODER, Sequence
from peers.torch_tasks import CYCLEGAN, PIX2PIX, SRGAN, Task

Critic = Callable[[Tensor], Tensor]


def sure(logits: Tensor, target: float) -> Tensor:
    """Returns the binary cross-entropy with one target for all logits."""
    targets = torch.full_like(logits, target)
    return F.binary_cross_entropy_with_logits(logits, targets)


def squares(logits: Tensor, target: float) -> Tensor:
    """Returns the mean squared error with one target for all logits."""
    return F.mse_loss(logits, torch.full_like(logits, target))


def against_mean(real: Tensor, fake: Tensor, sign: float) -> Tensor:
    """Returns the relativistic average loss of D, or with the sign -1 that of G."""
    of_real = F.softplus(-sign * (real - fake.mean())).mean()
    return of_real + F.softplus(sign * (fake - real.mean())).mean()


class Loss(NamedTuple):
    """The losses of both players, as functions of the logits of real and fake."""

    discriminator: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor, Tensor], Tensor]
    paired: bool = False
    """True if the generator's loss uses the logits of real."""


LOSSES = {
    "minimax": Loss(
        lambda real, fake: sure(real, 1.0) + sure(fake, 0.0),
        lambda real, fake: -sure(fake, 0.0),
    ),
    "non_saturating": Loss(
        lambda real, fake: sure(real, 1.0) + sure(fake, 0.0),
        lambda real, fake: sure(fake, 1.0),
    ),
    "least_squares": Loss(
        lambda real, fake: 0.5 * (squares(real, 1.0) + squares(fake, 0.0)),
        lambda real, fake: 0.5 * squares(fake, 1.0),
    ),
    "wasserstein": Loss(
        lambda real, fake: fake.mean() - real.mean(),
        lambda real, fake: -fake.mean(),
    ),
    "hinge": Loss(
        lambda real, fake: hinge(real, 1.0) + hinge(fake, -1.0),
        lambda real, fake: -fake.mean(),
    ),
    "relativistic": Loss(
        lambda real, fake: F.softplus(fake - real).mean(),
        lambda real, fake: F.softplus(real - fake).mean(),
        paired=True,
    ),
    "relativistic_average": Loss(
        lambda real, fake: against_mean(real, fake, 1.0),
        lambda real, fake: against_mean(real, fake, -1.0),
        paired=True,
    ),
}


class PenalizedLogits(NamedTuple):
    """Logits of real and fake, and the penalty that is added to the loss of D."""

    real: Tensor
    fake: Tensor
    penalty: Tensor | float = 0.0


Judge = Callable[[Critic, Tensor, Tensor], PenalizedLogits]


def slope(logits: Tensor, samples: Tensor) -> Tensor:
    """Returns differentiable squared norms of the critic's gradient, `[B]`."""
    (grad,) = torch.autograd.grad(logits.sum(), samples, create_graph=True)
    return grad.square().flatten(1).sum(1)


def plain(critic: Critic, real: Tensor, fake: Tensor) -> PenalizedLogits:
    """Returns the logits without a penalty."""
    return PenalizedLogits(critic(real), critic(fake))


def zero_centred(gamma: float) -> Judge:
    """Returns the penalties R1 and R2."""

    def judge(critic: Critic, real: Tensor, fake: Tensor) -> PenalizedLogits:
        real, fake = (x.detach().requires_grad_() for x in (real, fake))
        of_real, of_fake = critic(real), critic(fake)
        slopes = slope(of_real, real).mean() + slope(of_fake, fake).mean()
        return PenalizedLogits(of_real, of_fake, gamma / 2 * slopes)

    return judge


def r1(gamma: float) -> Judge:
    """Returns the penalty R1."""

    def judge(critic: Critic, real: Tensor, fake: Tensor) -> PenalizedLogits:
        real = real.detach().requires_grad_()
        of_real = critic(real)
        penalty = gamma / 2 * slope(of_real, real).mean()
        return PenalizedLogits(of_real, critic(fake), penalty)

    return judge


def gradient_penalty(weight: float) -> Judge:
    """Returns the gradient penalty with norm one between real and fake."""

    def judge(critic: Critic, real: Tensor, fake: Tensor) -> PenalizedLogits:
        t = torch.rand(len(real), 1, 1, 1, device=real.device)
        between = (t * real + (1 - t) * fake).detach().requires_grad_()
        norms = (slope(critic(between), between) + 1e-12).sqrt()
        excess = (norms - 1).square().mean()
        return PenalizedLogits(critic(real), critic(fake), weight * excess)

    return judge


Optimizer = Callable[[Iterable[nn.Parameter], dict], torch.optim.Optimizer]


def adam(lr: float, b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8) -> Optimizer:
    """`torch.optim.Adam`."""

    def make(parameters, options):
        return torch.optim.Adam(parameters, lr, (b1, b2), eps, **options)

    return make


class ClippedAdam(torch.optim.Adam):
    """Adam whose updates of an array have a root mean square of at most the rate."""

    limits: torch.Tensor | None = None
    """The largest norm of an update, by array; a captured graph can make no tensor."""

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        """Updates all parameters."""
        groups = self.param_groups
        own = [p for group in groups for p in group["params"]]
        if self.limits is None:
            norms = [g["lr"] * p.numel() ** 0.5 for g in groups for p in g["params"]]
            self.limits = own[0].new_tensor(norms)
        before = [p.clone() for p in own]
        super().step(closure)
        moved = torch._foreach_sub(own, before)
        sizes = torch.stack(torch._foreach_norm(moved))
        factors = self.limits / sizes.clamp_min(1e-30)
        torch._foreach_mul_(moved, factors.clamp_max(1.0).unbind())
        torch._foreach_copy_(own, torch._foreach_add(before, moved))


def clipped_adam(lr: float, b1: float, b2: float) -> Optimizer:
    """`ClippedAdam`, with the epsilon of `torch.optim.Adam`."""

    def make(parameters, options):
        return ClippedAdam(parameters, lr, (b1, b2), **options)

    return make


def rmsprop(lr: float) -> Optimizer:
    """`torch.optim.RMSprop`, which has no fused form."""

    def make(parameters, options):
        options = {k: v for k, v in options.items() if k != "fused"}
        return torch.optim.RMSprop(parameters, lr, **options)

    return make


class Recipe(NamedTuple):
    """The parts of a step; the defaults are those of most tutorials."""

    pair: Callable[[int, nets.Shape], nets.Pair]
    loss: str = "non_saturating"
    optimizer: Optimizer = adam(2e-4, 0.5)
    d_optimizer: Optimizer | None = None
    """Of D, if it is another one."""
    latent: int = 100
    uniform: bool = False
    judge: Judge = plain
    updates: int = 1
    clip: float = 0.0
    """Bound of D's weights; 0 for none."""
    average: bool = False
    """True if there is a moving average of the generator."""
    again: bool = False
    """True if G's update draws new samples instead of reusing those of D's."""
    task: Task | None = None
    """Of image to image, whose fakes depend on images instead of latents."""
    sequence: Sequence | None = None
    """Of sounds and texts."""


def spectral_small(latent: int, shape: nets.Shape) -> nets.Pair:
    """Returns the default pair, with spectral norms in D."""
    generator, discriminator = nets.small(latent, shape)
    return generator, spectral(discriminator)


MODERN = Recipe(
    nets.small,
    "relativistic",
    clipped_adam(2e-3, 0.0, 0.99),
    latent=64,
    judge=zero_centred(1.0),
    average=True,
    again=True,
)

RECIPES = {
    "default": MODERN,
    "residual": MODERN._replace(
        pair=nets.residual, optimizer=adam(2e-4, 0.0, 0.9), judge=zero_centred(0.05)
    ),
    "mlp": Recipe(
        nets.perceptrons((256, 512, 1024), (1024, 512, 256), dropout=0.3),
        again=True,
    ),
    "mlp-small": Recipe(
        nets.perceptrons(
            (256,), (256,), d_activation=nets.relu, output=torch.nn.Identity
        ),
        optimizer=adam(1e-3),
        again=True,
    ),
    "goodfellow": Recipe(
        nets.perceptrons((128,), (128,), g_activation=lambda: nets.leaky(0.2)),
        loss="minimax",
        optimizer=adam(1e-3),
        uniform=True,
    ),
    # Keras adds its eps before Adam's bias is corrected, for which torch has no switch.
    "dcgan": Recipe(nets.dcgan, optimizer=adam(1e-4, eps=1e-7)),
    "lsgan": Recipe(
        nets.perceptrons((256, 512, 1024), (512, 256)), loss="least_squares"
    ),
    "wgan": Recipe(
        nets.perceptrons((256, 512, 1024), (512, 256)),
        loss="wasserstein",
        optimizer=rmsprop(5e-5),
        updates=5,
        clip=0.01,
        again=True,
    ),
    "wgan-gp": MODERN._replace(
        loss="wasserstein",
        optimizer=adam(1e-4, 0.0, 0.9),
        judge=gradient_penalty(10.0),
        updates=5,
    ),
    "sngan": MODERN._replace(
        pair=spectral_small,
        loss="hinge",
        optimizer=adam(2e-4, 0.0, 0.9),
        judge=plain,
        updates=5,
    ),
    "sngan-resnet-small": MODERN._replace(
        pair=resnet,
        loss="hinge",
        optimizer=adam(2e-4, 0.0, 0.9),
        d_optimizer=adam(8e-4, 0.0, 0.9),
        latent=128,
        judge=plain,
    ),
    "stylegan2-small": MODERN._replace(
        pair=torch_stylegan2.stylegan2,
        loss="non_saturating",
        optimizer=adam(2.5e-3, 0.0, 0.99),
        judge=r1(1.0),
    ),
    "pix2pix": Recipe(
        torch_images.pix2pix, optimizer=adam(5e-4, 0.5), average=True, task=PIX2PIX
    ),
    "cyclegan": Recipe(
        torch_images.two_domains, "least_squares", average=True, task=CYCLEGAN
    ),
    "srgan": Recipe(
        torch_images.srgan, "relativistic_average", average=True, task=SRGAN
    ),
    "wavegan": MODERN._replace(
        pair=torch_sounds.wavegan, optimizer=adam(1e-3, 0.0, 0.99), sequence=SOUNDS
    ),
    "vocoder": Recipe(
        torch_sounds.vocoder,
        "least_squares",
        adam(1e-3, 0.8, 0.99),
        average=True,
        sequence=VOCODER,
    ),
    "text_gan": MODERN._replace(
        pair=torch_text.text,
        optimizer=adam(2e-4, 0.5),
        judge=zero_centred(0.1),
        again=False,
        sequence=TEXTS,
    ),
}


def recipe_of(job: dict[str, Any]) -> Recipe:
    """Returns the recipe of a job's preset, with the latents of its `g_latents`.

    Raises:
      ValueError: if the preset is not implemented.
    """
    if job["preset"] not in RECIPES:
        raise ValueError(f"the preset {job['preset']} is not implemented in PyTorch")
    return protocol.with_latents(RECIPES[job["preset"]], job)
