"""Checks that a task and its networks fit the data, before the step is traced."""

import logging

import flax.linen as nn
import jax

from jaxgan import data
from jaxgan.config.training import Config
from jaxgan.errors import FieldError, ImageSizeError
from jaxgan.gan.gan import example_batch
from jaxgan.gan.objective import example_keys
from jaxgan.networks.images import deeper_size, halvings
from jaxgan.networks.streams import keys_of_examples
from jaxgan.networks.unet import depth_in
from jaxgan.types import ExampleSpec, Task, Tree

log = logging.getLogger("jaxgan")


def check_new(config: Config, task: Task, dataset: data.Dataset) -> None:
    """Checks the data of a new run, which may teach something else than is meant.

    Runs of earlier versions were not checked, and must resume.

    Raises:
      FieldError: if the task refuses the data, or needs pairs and there are none.
    """
    if task.refused:
        raise FieldError(f"--task={config.task}: {task.refused}")
    if task.aligned and not dataset.aligned:
        raise FieldError(
            f"--task={config.task} learns from pairs, and the images of an example in "
            f"--dataset={config.dataset} do not belong together: use --preset=cyclegan,"
            " or a set of pairs, such as --dataset=pairs:PATH"
        )


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

    Only if the data have sources of another size, as other tasks and sizes are seen to
    fit when the step is traced.

    Raises:
      FieldError: naming flags that work.
    """
    if not task.aligned or "source" not in example:
        return
    source, target = (x.shape[:2] for x in (example["source"], example["image"]))
    if source == target or _maps(task, generator, example):
        return
    factor, larger = target[0] // source[0], ""
    if factor > 1 and (factor * source[0], factor * source[1]) == target:
        larger = f"--preset=srgan --task='super_resolution({factor})', or "
    size = f"{target[0]}" if target[0] == target[1] else _shown(target)
    raise FieldError(
        f"--networks={config.networks} does not map sources of {_shown(source)} to "
        f"images of {_shown(target)}: use {larger}--preset=pix2pix "
        f"--image_size={size}, which resizes both"
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
