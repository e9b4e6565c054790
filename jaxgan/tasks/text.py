"""Generation of texts."""

import jax
import jax.numpy as jnp

from jaxgan.schedules import Weight, at
from jaxgan.types import ExampleSpec, Samples, Task


def text(
    relaxation: Weight = 1.0,
    *,
    example: ExampleSpec | None = None,
) -> Task:
    """Writes texts by the Gumbel-softmax, https://openreview.net/forum?id=rJedV3R5tm.

    Real and generated texts are one-hot rows `[B, T, V]` while the generator trains,
    and numbers of tokens `[B, T]` int32 when it samples. The `reconstruction` is the
    log-likelihood of the real texts under the generator, as a dict of `log_likelihood`
    and `is_token`, `[B, T]`.

    Args:
      relaxation: temperature of the softmax that gradients go through, a number or a
        schedule: low ones have little bias and much variance. Samples do not depend on
        it.
      example: the fields of an example, of which the first one of kind `tokens` is
        generated.

    Examples of other kinds lack the required field, `tokens`.
    """
    fields = example or {}
    of_texts = [name for name, field in fields.items() if field.kind == "tokens"]
    name = next(iter(of_texts), "tokens")
    size = len(fields[name].names) if of_texts else 0

    def play(generator, batch, keys, step):
        ones = jnp.ones(len(keys))
        fake = generator(
            {"temperature": ones, "relaxation": at(relaxation, step) * ones}
        )
        ids = batch[name]
        real = jax.nn.one_hot(ids, size) if fake.ndim == 3 else ids
        return Samples(real, fake, reconstruction=generator({"tokens": ids}))

    return Task(play, requires=(name,))
