"""Presets of StyleGAN2 and R3GAN."""

from typing import Any

# ADA's settings for CIFAR-10, https://arxiv.org/abs/2006.06676: a small gamma, two
# layers of mapping, minibatches of 32 for the deviation; no path length, no style
# mixing and no skip connections in D; 100 million images. A penalty at every 16th step
# is part of that step here, not an update of its own, so that Adam's rate and b2 are
# not corrected for it (section 4 of https://arxiv.org/abs/1912.04958, appendix B).
_STYLEGAN2: dict[str, Any] = {
    "task": "generate(512)",
    "networks": "stylegan2(32768, depth=2, mixing=0, residual=False, group=32)",
    "loss": "non_saturating",
    "d_terms": "every(16, r1(0.01))",
    "batch_size": 64,
    "g_optimizer": "adam(2.5e-3, b1=0.0, b2=0.99)",
    "d_optimizer": "adam(2.5e-3, b1=0.0, b2=0.99)",
    "augment": "geometric|ada_color",
    "augment_p": "ada(0.6)",
    "ema_half_life": 500_000.0,
    "ema_ramp": 0.05,
    "steps": 1_562_500,
}


def _r3gan(
    networks: str,
    batch_size: int,
    gamma: tuple[float, float],
    augment_p: float,
    half_life: float,
    burn_in: float,
    images: float,
) -> dict[str, Any]:
    """Returns R3GAN's settings for a data set, https://arxiv.org/abs/2501.05441.

    Args:
      networks: the pair; a conditional one has the paper's task too.
      batch_size: examples per step.
      gamma: of both penalties, at the start and after the burn-in.
      augment_p: probability of augmentations after the burn-in, from 0.
      half_life: of the moving average after the burn-in, in images, from 0.
      burn_in: images after which schedules end.
      images: of the whole run.
    """
    burn = int(burn_in / batch_size)
    high, low = (f"{x:g}" for x in gamma)
    penalties = f"r1(cosine({high}, {low}, {burn}))|r2(cosine({high}, {low}, {burn}))"
    adam = f"adam(cosine(2e-4, 5e-5, {burn}), b1=0.0, b2=cosine(0.9, 0.99, {burn}))"
    task = {"task": "conditional(64)"} if "conditional" in networks else {}
    return {
        **task,
        "networks": networks,
        "batch_size": batch_size,
        "d_terms": penalties,
        "g_optimizer": adam,
        "d_optimizer": adam,
        "augment": "geometric|ada_color(0.5, 0.5, 0.5, 0.5, 0.5)|cutout",
        "augment_p": f"cosine(0, {augment_p:g}, {burn})",
        # 5e6 instead of 5e+06.
        "ema_half_life": f"cosine(0, {half_life:g}, {burn})".replace("e+0", "e"),
        "ema_ramp": 0.0,
        "steps": int(images / batch_size),
    }


_R3GAN = _r3gan("r3gan", 512, (0.05, 0.005), 0.55, 5e6, 20e6, 250e6)

STYLE_PRESETS: dict[str, dict[str, Any]] = {
    "stylegan2": _STYLEGAN2,
    # Half as many channels, and ADA's rule for sizes that were not tuned: gamma is
    # 0.0002 H W / batch, the half-life 20,000 images for batches of 64. With style
    # mixing, and path lengths at every eighth step, for 25 million images.
    "stylegan2-64": {
        **_STYLEGAN2,
        "networks": "stylegan2",
        "d_terms": "every(16, r1(0.0128))",
        "g_terms": "every(8, path_length(2))",
        "ema_half_life": 20_000.0,
        "steps": 390_625,
    },
    # For two CPU cores, where a lazy penalty costs as much as one at each step.
    "stylegan2-small": {
        "task": "generate(64)",
        "networks": "stylegan2(512, 64, 64, depth=4)",
        "loss": "non_saturating",
        "d_terms": "r1(1)",
        "batch_size": 32,
        "g_optimizer": "adam(2.5e-3, b1=0.0, b2=0.99)",
        "d_optimizer": "adam(2.5e-3, b1=0.0, b2=0.99)",
        "ema_half_life": 10_000.0,
    },
    # CIFAR-10: without labels, and as in the paper.
    "r3gan": _R3GAN,
    "r3gan-cifar10": {
        **_R3GAN,
        "task": "conditional(64)",
        "networks": "r3gan(conditional=True)",
    },
    # ImageNet at 32 and 64 pixels, with labels, and FFHQ at 64 and 256. The width for
    # ImageNet and runs of twice the burn-in, except for 256 pixels, are not from the
    # paper.
    "r3gan-32": _r3gan(
        "r3gan(1536, conditional=True)", 4096, (0.5, 0.05), 0.5, 5e7, 200e6, 400e6
    ),
    "r3gan-64": _r3gan(
        "r3gan(1536, conditional=True)", 4096, (1, 0.1), 0.4, 5e7, 200e6, 400e6
    ),
    "r3gan-ffhq-64": _r3gan("r3gan", 256, (2, 0.2), 0.3, 5e5, 20e6, 40e6),
    "r3gan-ffhq-256": _r3gan("r3gan", 256, (150, 15), 0.3, 5e5, 20e6, 200e6),
    # For trials: a narrow network with the losses and rates of `default`.
    "r3gan-small": {
        "networks": "r3gan(32, 1)",
        "g_optimizer": "adam(1e-3, b1=0.0, b2=0.99)",
        "d_optimizer": "adam(1e-3, b1=0.0, b2=0.99)",
        "batch_size": 32,
    },
}
"""Flags by preset."""
