"""Translation between several domains, or of attributes."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxgan.errors import FieldError
from jaxgan.ranges import Probability, Width
from jaxgan.tasks.flips import flips
from jaxgan.tasks.images import check_images
from jaxgan.types import Batch, ExampleSpec, Players, Samples, Task, Tree

TRUTH = ("target", "target_label", "target_attributes")
"""Fields of the edited image and of what it shows, which training does not read."""


def domains(edits: Width = 1, flip: Probability = 0.5, *, example: ExampleSpec) -> Task:
    """Changes the domain or the attributes of images, https://arxiv.org/abs/1711.09020.

    `fake = G(image, target)` and `reconstruction = G(fake, own)`, as in StarGAN. `own`
    is the field `label` `[B]`, or `attributes` `[B, k]` if there is none. The target
    is drawn for each example: another label, all equally likely, or its own attributes
    of which 1 to `edits` random ones are negated. The condition has both, as
    `label` or `attributes`, and `target`. It adds the terms `cycle(10)` and
    `domain_classification`, for which the discriminator must return class logits.

    Samples that are not for training have the target `target_attributes` or
    `target_label` if the examples have that field. With a field `target` too, the true
    edited image, `real` is that image, and the condition also has the `source`.

    Args:
      edits: the largest number of attributes that are changed.
      flip: probability that an image is mirrored horizontally, in training only.
      example: the fields of an example.

    Raises:
      FieldError: if examples have neither labels of two domains nor attributes, or are
        not images.
    """
    check_images("domains", example)
    field, own_field = example.generated, "label"
    if len(example.classes) >= 2:
        draw = label_drawer(len(example.classes))
    elif "attributes" in example:
        own_field = "attributes"
        draw = attribute_drawer(example[own_field].shape[0], edits)
    else:
        raise FieldError(
            "domains needs examples with labels of two or more domains or with "
            f"attributes, and these have {', '.join(example)}: use a data set that has "
            "them, such as domains:PATH with a folder per domain"
        )

    def play(generator, batch, keys, step):
        image, own = batch[field], batch[own_field]
        target = batch.get(f"target_{own_field}")
        if target is None:
            target = jax.vmap(draw)(keys, own)
        fake = generator(image, target)
        condition = {own_field: own, "target": target}
        real = image
        # The truth is known, so that samples can be compared with it.
        if "target" in batch:
            real, condition["source"] = batch["target"], image
        return Samples(real, fake, condition, generator(fake, own))

    return Task(
        play,
        requires=(field, own_field),
        inputs=(field, own_field),
        preview=columns,
        defaults=Players(
            "cycle(10)|domain_classification(real=0)", "domain_classification(fake=0)"
        ),
        transform=lambda generator, inputs, keys: generator(
            inputs["source"], inputs[own_field]
        ),
        augment=without_truth(flips(flip)),
    )


def label_drawer(count: int) -> Callable[[jax.Array, jax.Array], jax.Array]:
    """Returns a function of a key and a label `[]` to one of the others, `[]`."""

    def draw(key, own):
        return (own + jax.random.randint(key, (), 1, count)) % count

    return draw


def attribute_drawer(
    count: int, edits: int
) -> Callable[[jax.Array, jax.Array], jax.Array]:
    """Returns a function that negates 1 to `edits` of some attributes, `[count]`."""

    def draw(key, own):
        share, *numbers = jax.random.uniform(key, (1 + count,))
        # The ranks of random numbers are a random permutation.
        ranks = jnp.argsort(jnp.argsort(jnp.stack(numbers)))
        number = 1 + jnp.floor(share * min(edits, count))
        return jnp.where(ranks < number, 1 - own, own)

    return draw


def without_truth(
    augment: Callable[[Batch, jax.Array], Batch] | None,
) -> Callable[[Batch, jax.Array], Batch]:
    """Returns the augmentation of batches without the fields of the truth."""

    def without(batch: Batch, keys: jax.Array) -> Batch:
        kept = {name: x for name, x in batch.items() if name not in TRUTH}
        return augment(kept, keys) if augment else kept

    return without


def columns(samples: Samples) -> dict[str, Tree]:
    """Returns the columns of a preview; `real` is there if the truth is known."""
    if "source" not in samples.condition:
        return {"source": samples.real, "fake": samples.fake}
    source = samples.condition["source"]
    return {"source": source, "fake": samples.fake, "real": samples.real}
