"""Presets: named sets of flags, from papers and tutorials."""

from typing import Any

from jaxgan.config.network_presets import NETWORK_PRESETS
from jaxgan.config.style_presets import STYLE_PRESETS

_PLAIN = {"d_terms": "", "ema_half_life": 0.0}

# Pictures of 64 pixels on two CPU cores: narrow networks, and a short moving average.
# Both updates of a step see the same fakes, which are generated once.
_IMAGES = {
    "d_terms": "",
    "g_latents": "same",
    "batch_size": 8,
    "g_optimizer": "adam(2e-4, b1=0.5)",
    "d_optimizer": "adam(2e-4, b1=0.5)",
    "ema_half_life": 4_000.0,
    "samples": 16,
}

PRESETS: dict[str, dict[str, Any]] = {
    # Relativistic pairing with R1 and R2, https://arxiv.org/abs/2501.05441.
    "default": {},
    # The same for 2-D points. Rates and penalties decay, as the data are very narrow.
    "toy": {
        "task": "generate(2)",
        "networks": "mlp((256, 256, 256, 256), (128, 128, 128), d_activation='swish')",
        "batch_size": 256,
        "d_terms": "r1(cosine(0.05, 0.003, 6000))|r2(cosine(0.05, 0.003, 6000))",
        "g_optimizer": "adam(cosine(2e-3, 1e-5, steps), b1=0.0, b2=0.99)",
        "d_optimizer": "adam(cosine(2e-3, 1e-5, steps), b1=0.0, b2=0.99)",
        "steps": 8_000,
        "samples": 512,
    },
    # The PyTorch tutorial's MLP: binary cross-entropy, new latents for G's update,
    # PyTorch's initialization. It uses Adam without naming rates: these are DCGAN's.
    "mlp": {
        **_PLAIN,
        "task": "generate(100)",
        "networks": "mlp((256, 512, 1024), (1024, 512, 256), dropout=0.3, "
        "init='pytorch')",
        "loss": "non_saturating",
        "batch_size": 128,
        "g_optimizer": "adam(2e-4, b1=0.5)",
        "d_optimizer": "adam(2e-4, b1=0.5)",
    },
    # The PyTorch tutorial's GAN with one hidden layer each: a linear output, new
    # latents for G's update, PyTorch's initialization and Adam with its defaults.
    "mlp-small": {
        **_PLAIN,
        "task": "generate(100)",
        "networks": "mlp((256,), (256,), d_activation='relu', init='pytorch', "
        "output='linear')",
        "loss": "non_saturating",
        "batch_size": 128,
        "g_optimizer": "adam(1e-3)",
        "d_optimizer": "adam(1e-3)",
    },
    # The TensorFlow 1 tutorial's GAN: uniform latents, one batch of them for D's update
    # and then G's, Glorot initialization. The loss is the value function of
    # https://arxiv.org/abs/1406.2661, which saturates for G. It names no optimizer.
    "goodfellow": {
        **_PLAIN,
        "g_latents": "same",
        "task": "generate(100, latents='uniform')",
        "networks": "mlp((128,), (128,), g_activation='leaky_relu', "
        "init='glorot_uniform')",
        "loss": "minimax",
        "batch_size": 128,
        "g_optimizer": "adam(1e-3)",
        "d_optimizer": "adam(1e-3)",
    },
    # The Keras tutorial's DCGAN, after https://arxiv.org/abs/1511.06434, with Keras's
    # Adam. Both updates of a step use one batch of latents, like the tutorial's text,
    # which shows no loop. Its images have 3 channels, and these those of the data.
    "dcgan": {
        **_PLAIN,
        "g_latents": "same",
        "task": "generate(100)",
        "networks": "dcgan",
        "loss": "non_saturating",
        "batch_size": 128,
        "g_optimizer": "adam(1e-4, eps=1e-7, eps_hat=True)",
        "d_optimizer": "adam(1e-4, eps=1e-7, eps_hat=True)",
    },
    # Least squares against vanishing gradients, https://arxiv.org/abs/1611.04076.
    "lsgan": {
        **_PLAIN,
        "g_latents": "same",
        "task": "generate(100)",
        "networks": "mlp((256, 512, 1024), (512, 256))",
        "loss": "least_squares",
        "batch_size": 64,
        "g_optimizer": "adam(2e-4, b1=0.5)",
        "d_optimizer": "adam(2e-4, b1=0.5)",
    },
    # Gradients of norm one between real and fake, https://arxiv.org/abs/1704.00028.
    "wgan-gp": {
        "loss": "wasserstein",
        "d_terms": "gradient_penalty(10)",
        "d_updates": 5,
        "g_optimizer": "adam(1e-4, b1=0.0, b2=0.9)",
        "d_optimizer": "adam(1e-4, b1=0.0, b2=0.9)",
    },
    # D's kernels have spectral norm one, https://arxiv.org/abs/1802.05957.
    "sngan": {
        "loss": "hinge",
        "d_terms": "",
        "discriminator_wrap": "spectral_norm",
        "d_updates": 5,
        "g_optimizer": "adam(2e-4, b1=0.0, b2=0.9)",
        "d_optimizer": "adam(2e-4, b1=0.0, b2=0.9)",
    },
    # Conditional on the label, by projection, https://arxiv.org/abs/1802.05637. At a
    # constant rate, clipped updates let the discriminator's gradient vanish here.
    "projection": {
        "task": "conditional(64)",
        "generator_wrap": "embed",
        "discriminator_wrap": "projection",
        "g_optimizer": "adam(2e-3, b1=0.0, b2=0.99)",
        "d_optimizer": "adam(2e-3, b1=0.0, b2=0.99)",
    },
    # Conditional on the label, by a classifier in D, https://arxiv.org/abs/1610.09585.
    "acgan": {
        "task": "conditional(64)",
        "generator_wrap": "embed",
        "discriminator_wrap": "classifier",
        "d_terms": "r1(auto)|r2(auto)|auxiliary_classifier",
        "g_terms": "auxiliary_classifier(real=0)",
    },
    # A latent code that D can infer from samples, https://arxiv.org/abs/1606.03657.
    "infogan": {
        "task": "codes(62, categories=10, continuous=2)",
        "discriminator_wrap": "classifier(12)",
        "d_terms": "r1(auto)|r2(auto)|mutual_information(0.1)",
        "g_terms": "mutual_information(0.1)",
    },
    # Clipped weights and five updates of D, https://arxiv.org/abs/1701.07875.
    "wgan": {
        **_PLAIN,
        "task": "generate(100)",
        "networks": "mlp((256, 512, 1024), (512, 256))",
        "loss": "wasserstein",
        "d_updates": 5,
        "batch_size": 64,
        "g_optimizer": "rmsprop(5e-5)",
        "d_optimizer": "rmsprop(5e-5)|clip_weights(0.01)",
    },
}
# Penalties scale with the square of the data's scale, which is four times ring8's.
PRESETS["toy-grid"] = {
    **PRESETS["toy"],
    "d_terms": "r1(cosine(0.8, 0.048, 6000))|r2(cosine(0.8, 0.048, 6000))",
}
# Rates and penalties decay, like R3GAN's for the thousand modes of Stacked MNIST.
PRESETS["stacked"] = {
    "d_terms": "r1(cosine(1, 0.1, 3000))|r2(cosine(1, 0.1, 3000))",
    "g_optimizer": "adam(cosine(2e-3, 1e-5, steps), b1=0.0, b2=0.99)",
    "d_optimizer": "adam(cosine(2e-3, 1e-5, steps), b1=0.0, b2=0.99)",
}
# `r3gan` by the name that it had in version 0.1.0.
PRESETS["residual"] = {**STYLE_PRESETS["r3gan"], "networks": "residual"}
# Paired translation, https://arxiv.org/abs/1611.07004: cross-entropy, L1, patches. The
# paper has batches of 1, rates of 2e-4, networks of twice the width and no moving
# average.
PRESETS["pix2pix"] = {
    **_IMAGES,
    "g_optimizer": "adam(5e-4, b1=0.5)",
    "d_optimizer": "adam(5e-4, b1=0.5)",
    "task": "paired",
    "networks": "image_to_image(generator=unet(32), discriminator=patch(32))",
    "loss": "non_saturating",
    "g_terms": "l1(100)",
}
# Unpaired translation, https://arxiv.org/abs/1703.10593. The paper's weights, 10 and 5,
# are of sums over both domains, and beside a loss of G without the factor of 1/2. Terms
# are means over domains here. The paper has 64 features and batches of 1.
PRESETS["cyclegan"] = {
    **_IMAGES,
    "task": "unpaired",
    "networks": "two_domains(generator=resnet_generator(16), discriminator=patch(32))",
    "loss": "least_squares",
    "batch_size": 4,
    "g_terms": "cycle(5)|identity(2.5)",
}
# The same for a set of paintings or drawings: patches of 34 pixels judge strokes and
# colors, and shapes change less.
PRESETS["style"] = {
    **PRESETS["cyclegan"],
    "networks": "two_domains(generator=resnet_generator(16), "
    "discriminator=patch(32, layers=2))",
    "g_terms": "cycle(5)|identity(5)",
}
# Several domains or attributes by one generator, https://arxiv.org/abs/1711.09020. The
# paper has WGAN-GP with five updates of D; the penalty R1 needs one.
PRESETS["stargan"] = {
    **_IMAGES,
    "task": "domains",
    "networks": "image_to_image(generator=resnet_generator(16), "
    "discriminator=patch(32, layers=4, norm='none'))",
    "discriminator_wrap": "classifier",
    "loss": "non_saturating",
    "g_terms": "cycle(10)|domain_classification(real=0)",
    "d_terms": "domain_classification(fake=0)|r1(1)",
}
# Super-resolution, https://arxiv.org/abs/1609.04802, with the relativistic average loss
# of https://arxiv.org/abs/1809.00219. Features are EfficientNet's in place of VGG's, so
# weights are not those of the papers, which have no R1: without it, D soon wins. It
# takes pip install 'jaxgan[features]'.
PRESETS["srgan"] = {
    **_IMAGES,
    "d_terms": "r1(1)",
    "task": "super_resolution(4)",
    "networks": "image_to_image(generator=srresnet(32), "
    "discriminator=patch(32, conditional=False))",
    "loss": "relativistic_average",
    "g_terms": "l1(1000)|perceptual(100)",
}
# The same with dense blocks, https://arxiv.org/abs/1809.00219.
PRESETS["esrgan"] = {
    **PRESETS["srgan"],
    "networks": "image_to_image(generator=rrdb(32), "
    "discriminator=patch(32, conditional=False))",
}
# Holes of all shapes by gated convolutions, https://arxiv.org/abs/1806.03589, whose
# discriminator judges patches with spectral norms.
PRESETS["inpaint"] = {
    **_IMAGES,
    "task": "inpainting('any')",
    "networks": "image_to_image(generator=gated_unet(16), "
    "discriminator=patch(32, norm='none'))",
    "discriminator_wrap": "spectral_norm",
    "loss": "hinge",
    "g_terms": "l1(100, region='holes')",
}
# Waveforms of spectrograms: discriminators and losses of HiFi-GAN,
# https://arxiv.org/abs/2010.05646, for a generator that refines Griffin-Lim, as that
# of the paper (`hifigan`) takes days. Losses are means over the discriminators and
# their features, where the paper has sums.
PRESETS["vocoder"] = {
    "task": "vocoder",
    "networks": "griffin_lim",
    "loss": "least_squares",
    "g_terms": "mel_l1(15)|feature_matching(5, of='examples')",
    "d_terms": "",
    "g_latents": "same",
    "batch_size": 8,
    "g_optimizer": "adam(cosine(1e-3, 1e-4, steps), b1=0.8, b2=0.99)",
    "d_optimizer": "adam(cosine(5e-4, 1e-4, steps), b1=0.8, b2=0.99)",
    "ema_half_life": 1_000.0,
    "steps": 1_500,
    "samples": 16,
}
# Detectors of unusual examples: a generator, its inverse, and a discriminator. They are
# perceptrons that train in a CPU minute, on the examples of `--normal`.
_ENCODERS = {
    "task": "anomaly(32, noise=0.7)",
    "networks": "encoder_mlp",
    "batch_size": 64,
    "d_terms": "r1(0.5)",
    "g_optimizer": "adam(cosine(1e-3, 1e-5, steps), b1=0.5, b2=0.99)",
    "d_optimizer": "adam(5e-4, b1=0.0, b2=0.99)",
    "ema_half_life": 1_000.0,
    "held_out": "part",
    "steps": 600,
}
# The discriminator judges examples beside their latents, https://arxiv.org/abs/1605.09782.
PRESETS["bigan"] = {
    **_ENCODERS,
    "task": "anomaly(32, noise=0)",
    "g_optimizer": "adam(5e-4, b1=0.5, b2=0.99)",
    "steps": 2_000,
}
# A GAN of 1,200 steps, and an encoder that learns beside it, with no influence on it,
# and after it, https://doi.org/10.1016/j.media.2019.01.010. The paper's encoder starts
# when the GAN, a WGAN-GP of convolutions, is done.
PRESETS["f-anogan"] = {
    **_ENCODERS,
    "task": "anomaly(32, noise=0)",
    "networks": "encoder_mlp(joint=False)",
    "g_terms": "encoder(100, 1)",
    "g_optimizer": "adam(5e-4, b1=0.5, b2=0.99)|freeze(1200, part='decoder')",
    "d_optimizer": "adam(5e-4, b1=0.0, b2=0.99)|freeze(1200)",
    "steps": 2_000,
}
# The same networks, with reconstructions in the loss, https://arxiv.org/abs/1709.01215.
PRESETS["alice"] = {**_ENCODERS, "g_terms": "cycle_l2(100)"}
# `projection` with rates that fall to the end, which labels need: with constant rates
# samples of Fashion-MNIST become less varied from about 4,000 steps. With labels this
# loss has clearer digits than the relativistic one.
_FALLING = "adam(cosine(2e-3, 1e-5, steps), b1=0.0, b2=0.99)"
PRESETS["conditional"] = {
    **PRESETS["projection"],
    "loss": "non_saturating",
    "g_optimizer": _FALLING,
    "d_optimizer": _FALLING,
    "steps": 8_000,
}
# Both of `projection` and `acgan`, for attributes. The classifier learns from real
# examples only, and counts less for the generator than the adversarial loss. Pictures
# are in color, which has dots without the blur.
_CLIPPED = "adam(cosine(2e-3, 1e-5, steps), b1=0.0, b2=0.99, clipping_threshold=1)"
PRESETS["attributes"] = {
    **PRESETS["projection"],
    "networks": "small(blur=True)",
    "g_optimizer": _CLIPPED,
    "d_optimizer": _CLIPPED,
    "discriminator_wrap": "projection|classifier",
    "d_terms": "r1(1)|r2(1)|auxiliary_classifier(fake=0)",
    "g_terms": "auxiliary_classifier(real=0, fake=0.2)",
}
# Sounds on two CPU cores, with the label of each. The paper's networks,
# https://arxiv.org/abs/1802.04208, are four times as wide, and train by WGAN-GP.
_SOUNDS = {
    "d_terms": "r1(1)|r2(1)",
    "generator_wrap": "embed",
    "discriminator_wrap": "projection",
    "batch_size": 32,
    "g_optimizer": "adam(cosine(1e-3, 1e-5, steps), b1=0.0, b2=0.99)",
    "d_optimizer": "adam(cosine(1e-3, 1e-5, steps), b1=0.0, b2=0.99)",
    "ema_half_life": 4_000.0,
    "samples": 20,
}
PRESETS["wavegan"] = {**_SOUNDS, "task": "conditional(64)", "networks": "wavegan(16)"}
# Nine CPU minutes of one-second recordings at 8 kHz.
_CLIPPED_SHORT = (
    "adam(cosine(1e-3, 1e-5, steps), b1=0.0, b2=0.99, clipping_threshold=1)"
)
PRESETS["specgan"] = {
    **_SOUNDS,
    "g_optimizer": _CLIPPED_SHORT,
    "d_optimizer": _CLIPPED_SHORT,
    "steps": 1_800,
    "task": "spectrogram(64, conditional=True)",
    "networks": "specgan(16)",
}
_UNWRAPPED = {"generator_wrap": "", "discriminator_wrap": ""}
UNLABELED: dict[str, dict[str, str]] = {
    "wavegan": {"task": "generate(64)", **_UNWRAPPED},
    "specgan": {"task": "spectrogram(64)", **_UNWRAPPED},
}
"""Flags of presets for examples without labels and attributes."""
# A recurrent language model, trained by likelihood alone: the baseline of text GANs.
PRESETS["language_model"] = {
    "task": "text",
    "networks": "text(recurrent_generator(256), no_discriminator())",
    "loss": "none",
    "d_terms": "",
    "g_terms": "likelihood",
    "batch_size": 64,
    "g_optimizer": "adam(cosine(3e-3, 1e-4, steps))",
    "ema_half_life": 4_000.0,
    "steps": 4_000,
    "samples": 24,
}
# The same generator against a discriminator of several embeddings, by a Gumbel-softmax
# of falling temperature, https://openreview.net/forum?id=rJedV3R5tm, with the penalties
# of https://arxiv.org/abs/2501.05441.
PRESETS["text_gan"] = {
    "task": "text(exponential(1, 0.1, 4000))",
    "networks": "text(recurrent_generator(256), text_discriminator())",
    "g_latents": "same",
    "d_terms": "r1(0.1)|r2(0.1)",
    "batch_size": 64,
    "g_optimizer": "adam(2e-4, b1=0.5)",
    "d_optimizer": "adam(2e-4, b1=0.5)",
    "ema_half_life": 4_000.0,
    "steps": 4_000,
    "samples": 24,
}
# `goodfellow` with the loss for G that the paper recommends in practice.
PRESETS["goodfellow-ns"] = {**PRESETS["goodfellow"], "loss": "non_saturating"}
PRESETS |= NETWORK_PRESETS | STYLE_PRESETS

DATASET_PRESETS = {
    "ring8": "toy",
    "grid25": "toy-grid",
    "stacked_mnist": "stacked",
    # Kinds of folders: `pairs:PATH`.
    "pairs": "pix2pix",
    "unpaired": "cyclegan",
    "domains": "stargan",
    "audio": "specgan",
    "emoji_pairs": "pix2pix",
    "emoji_pairs/unpaired": "cyclegan",
    "emoji_domains": "stargan",
    "openmoji": "pix2pix",
    "hanzi": "pix2pix",
    "dicebear_faces": "stargan",
    "avataaars_open_peeps": "cyclegan",
    "oxygen_icons": "srgan",
    "photographs": "srgan",
    "asterisk": "vocoder",
    "text": "language_model",
    "notes": "specgan",
    "spoken_digit": "specgan",
    "kjv_clauses": "language_model",
    "names": "language_model",
    "tiny_shakespeare": "language_model",
    "wamerican": "language_model",
}
"""Presets of `--preset=auto` by data set. All other data sets use `default`."""

TASK_PRESETS = {
    "conditional": "conditional",
    "codes": "infogan",
    "paired": "pix2pix",
    "unpaired": "cyclegan",
    "domains": "stargan",
    "super_resolution": "srgan",
    "inpainting": "inpaint",
    "anomaly": "alice",
    "vocoder": "vocoder",
    "spectrogram": "specgan",
    "text": "language_model",
}
"""Presets by the name of the task that they are for."""


def dataset_preset(dataset: str) -> str:
    """Returns the preset of `--preset=auto` for a data set.

    >>> dataset_preset("ring8"), dataset_preset("mnist"), dataset_preset("pairs:a/b")
    ('toy', 'default', 'pix2pix')
    >>> dataset_preset("emoji_pairs/unpaired:1.0.0")
    'cyclegan'
    """
    # Before the colon: the kind of a path, or a name without its version.
    name = dataset.partition(":")[0]
    # A configuration that is not in the table has the preset of its data set.
    default = DATASET_PRESETS.get(name.partition("/")[0], "default")
    return DATASET_PRESETS.get(name, default)
