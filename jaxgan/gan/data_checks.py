"""Checks that a task and its networks fit the data, before the step is traced."""

import logging

import flax.linen as nn
import jax

from jaxgan import data, spec
from jaxgan.config.training import Config
from jaxgan.errors import FieldError, ImageSizeError, UsageError
from jaxgan.gan.flag_texts import name_of, preset_for
from jaxgan.gan.gan import example_batch
from jaxgan.gan.objective import example_keys
from jaxgan.networks import DISCRIMINATORS, GENERATORS, NETWORKS
from jaxgan.networks.images import deeper_size, halvings
from jaxgan.networks.streams import keys_of_examples
from jaxgan.networks.unet import depth_in
from jaxgan.types import ExampleSpec, Task, Tree

log = logging.getLogger("jaxgan")

OF_IMAGES = (
    *("small", "mlp", "dcgan", "r3gan", "residual", "resnet", "sagan", "biggan"),
    "stylegan2",
)
NETWORKS_OF: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("generate", "conditional", "codes"), (*OF_IMAGES, "wavegan")),
    **dict.fromkeys(
        ("paired", "domains", "super_resolution", "inpainting"), ("image_to_image",)
    ),
    "unpaired": ("two_domains",),
    "anomaly": ("encoder_mlp", "encoder_small"),
    "vocoder": ("hifigan", "griffin_lim"),
    "spectrogram": ("specgan", *OF_IMAGES),
    "text": ("text",),
}
"""Names of the networks whose generator takes what a task gives it, by the name of the
task. Those of users are in none, and are not checked."""


OF_EQUAL = ("unet", "resnet_generator", "gated_unet", "srresnet", "rrdb")
GENERATORS_OF: dict[str, tuple[str, ...]] = {
    "paired": OF_EQUAL,
    "unpaired": OF_EQUAL,
    # Others take no condition.
    "domains": ("resnet_generator",),
    # Others do not enlarge.
    "super_resolution": ("srresnet", "rrdb"),
    # Others add to the channels of the input, of which the mask is one.
    "inpainting": ("gated_unet", "partial_unet", "unet", "resnet_generator"),
    "text": ("recurrent_generator", "transformer_generator"),
}
"""Names of generators for pairs of networks, by the name of the task, the usual one
first. A `partial_unet` would take a color of other tasks for the mask."""


def check_generator(config: Config) -> None:
    """Raises UsageError for a generator, in a pair, that is of another task.

    Those of users are not checked.
    """
    fits = GENERATORS_OF.get(name_of(config.task), ())
    for call in spec.parse(config.networks):
        inside = (*call.args, *call.kwargs.values())
        for name in (x.name for x in inside if isinstance(x, spec.Call)):
            if fits and name in _every_generator() and name not in fits:
                raise UsageError(
                    f"--networks: {name} is no generator for --task={config.task}: use "
                    f"{' or '.join(fits)} in {call.name}"
                )


def check_pair(config: Config, text: str, example: ExampleSpec) -> None:
    """Raises UsageError for networks of one player in place of a pair.

    Args:
      config: the configuration.
      text: the networks.
      example: the fields of an example.

    Raises:
      UsageError: naming the pair to write.
      FieldError: naming a preset, which depends on the examples.
    """
    called = spec.parse(text)
    name = called[0].name if len(called) == 1 else ""
    if name in NETWORKS or name not in (*GENERATORS, *DISCRIMINATORS):
        return
    task = name_of(config.task)
    fits, player = GENERATORS_OF.get(task, ()), "generator"
    what = f"{name} is one network, and two are needed"
    if name in DISCRIMINATORS:
        player, fits = "discriminator", (name,) * bool(fits)
    elif fits and name not in fits:
        what = f"{name} is no generator for --task={config.task}"
    if not fits:
        raise FieldError(
            f"{what}: use --preset={preset_for(config, example)}, which has networks "
            f"for --task={config.task}"
        )
    pairs = " or ".join(NETWORKS_OF[task])
    best = name if name in fits else fits[0]
    raise UsageError(f"{what}: write {pairs}({player}={best})")


def _every_generator() -> set[str]:
    return {name for names in GENERATORS_OF.values() for name in names}


def check_networks(config: Config, example: ExampleSpec) -> None:
    """Raises UsageError for networks of another task, whose shapes would not fit."""
    task, networks = name_of(config.task), name_of(config.networks)
    tasks = [name for name, those in NETWORKS_OF.items() if networks in those]
    if not tasks or task in tasks or task not in NETWORKS_OF:
        return
    raise UsageError(
        f"--networks={config.networks} has a generator for --task={' or '.join(tasks)},"
        f" not for --task={config.task}: use --preset={preset_for(config, example)}, "
        "which has networks for it"
    )


def check_new(config: Config, task: Task, dataset: data.Dataset) -> None:
    """Checks the data of a new run, which may teach something else than is meant.

    Runs of earlier versions were not checked, and must resume.

    Raises:
      FieldError: if the task refuses the data, or needs pairs and there are none.
      UsageError: for terms without effect.
    """
    # Encoders map real examples to what the discriminator sees.
    if task.score is None:
        check_terms(config)
    check_generator(config)
    if task.refused:
        raise FieldError(f"--task={config.task}: {task.refused}")
    if task.aligned and not dataset.aligned:
        raise FieldError(
            f"--task={config.task} learns from pairs, and the images of an example in "
            f"--dataset={config.dataset} do not belong together: use --preset=cyclegan,"
            " or a set of pairs, such as --dataset=pairs:PATH"
        )


UNMOVED = {
    "g_terms": ("r1", "approximate_r1"),
    "d_terms": (
        *("l1", "l2", "cycle", "cycle_l2", "identity", "perceptual", "encoder"),
        *("total_variation", "path_length", "likelihood", "mel_l1", "stft"),
    ),
}
"""Terms with no gradient for the player of a flag, which the other flag is for."""
UNTARGETED = ("generate", "conditional", "codes", "spectrogram")
"""Tasks whose samples belong to no real example."""


OF_TARGETS = ("l1", "l2", "perceptual", "stft")
"""Terms that compare each sample with the real example of its row."""


def check_terms(config: Config) -> None:
    """Raises UsageError for terms that would teach nothing, or what is not meant.

    Those have no effect on the player of their flag, or compare samples from noise with
    examples that they do not belong to.
    """
    for flag, other in zip(UNMOVED, reversed(UNMOVED), strict=True):
        if unmoved := [x for x in term_names(config, flag) if x in UNMOVED[flag]]:
            raise UsageError(
                f"--{flag}: {unmoved[0]} does not depend on what this player learns, "
                f"and has no effect: use --{other}"
            )
    compared = [x for x in term_names(config, "g_terms") if x in OF_TARGETS]
    if compared and name_of(config.task) in UNTARGETED:
        raise UsageError(
            f"--g_terms: {compared[0]} compares each sample with one example, and "
            f"those of --task={config.task} belong to none: leave it out, or use a "
            "task with targets, as --preset=pix2pix does"
        )


def term_names(config: Config, flag: str) -> list[str]:
    """Returns the names of the terms of a flag, also of those inside of `every`.

    >>> term_names(Config(d_terms="every(4, r1(1))|lecam"), "d_terms")
    ['every', 'r1', 'lecam']
    """
    calls = []
    for call in spec.parse(getattr(config, flag)):
        inside = [x for x in call.args if isinstance(x, spec.Call)]
        calls += [call, *(inside if call.name == "every" else [])]
    return [call.name for call in calls]


def networks_example(task: Task, example: ExampleSpec) -> ExampleSpec:
    """Returns the fields for factories of networks, with what the task makes itself."""
    fields = dict(example)
    if task.generated is not None:
        fields[example.generated] = task.generated
    if task.source is not None:
        fields["source"] = task.source
    return ExampleSpec(fields)


def check_sizes(
    config: Config, task: Task, generator: nn.Module, example: ExampleSpec
) -> None:
    """Checks that the generator maps sources to the size of their targets.

    Only if sources have another size, as other tasks and sizes are seen to fit when the
    step is traced.

    Raises:
      FieldError: naming flags that work.
    """
    own = task.source is not None
    if not own and not (task.aligned and "source" in example):
        return
    small = networks_example(task, example)["source"]
    source, target = small.shape[:2], example.shape[:2]
    if source == target or _maps(task, generator, example):
        return
    factor, larger = target[0] // source[0], ""
    if factor > 1 and (factor * source[0], factor * source[1]) == target:
        larger = f"--preset=srgan --task='super_resolution({factor})'"
    problem = (
        f"--networks={config.networks} does not map sources of {_shown(source)} to "
        f"images of {_shown(target)}"
    )
    if own:
        raise FieldError(f"{problem}: use {larger}, or networks that enlarge")
    larger += ", or " * bool(larger)
    size = f"{target[0]}" if target[0] == target[1] else _shown(target)
    raise FieldError(
        f"{problem}: use {larger}--preset=pix2pix --image_size={size}, which resizes "
        "both"
    )


def _shown(size: tuple[int, ...]) -> str:
    return "x".join(map(str, size))


def _maps(task: Task, generator: nn.Module, example: ExampleSpec) -> bool:
    """Returns True unless fakes and their targets differ in size; nothing is compiled.

    Other errors are left to the trace of the step, which explains them.
    """

    def play(key: jax.Array) -> tuple[Tree, Tree]:
        keys, batch = example_keys(key, 1), example_batch(example, 1)

        def generate(inputs, condition=None):
            return generator.init_with_output(key, inputs, condition, train=False)[0]

        with keys_of_examples(lambda: keys):
            samples = task.play(generate, batch, keys, 0)
        return samples.fake, samples.real

    try:
        fake, real = jax.eval_shape(play, jax.random.key(0))
    except ImageSizeError:
        return False
    except Exception:  # the network's own, which may be any
        return True
    sizes = [jax.tree.map(lambda x: x.shape[:3], one) for one in (fake, real)]
    return sizes[0] == sizes[1]


def log_halvings(net: nn.Module, shape: tuple[int, ...]) -> None:
    """Warns that a U-Net is almost flat, as images cannot be halved often."""
    depth = depth_in(net)
    size = deeper_size(shape) if depth else None
    # A user who chose fewer halvings than there may be wants so.
    if size is None or depth != halvings(shape):
        return
    side = f"{size[0]}" if size[0] == size[1] else f"{size[0]}x{size[1]}"
    log.warning(
        "images of %dx%d can be halved %d time(s) only, so that the generator sees "
        "small parts of them: --image_size=%s allows %d halvings",
        *(*shape[:2], depth, side, halvings(size)),
    )
