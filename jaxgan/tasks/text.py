"""Generation of texts."""

import jax
import jax.numpy as jnp

from jaxgan.errors import FieldError
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
      example: the fields of an example, of which the first, of kind `tokens`, is
        generated.

    Raises:
      FieldError: if the first field is of another kind.
    """
    field = example[example.generated] if example else None
    if example is None or field is None or field.kind != "tokens":
        raise FieldError("text is for texts: use a data set such as text:PATH")
    name, size = example.generated, len(field.names)

    def play(generator, batch, keys, step):
        ones = jnp.ones(len(keys))
        fake = generator(
            {"temperature": ones, "relaxation": at(relaxation, step) * ones}
        )
        ids = batch[name]
        real = jax.nn.one_hot(ids, size) if fake.ndim == 3 else ids
        return Samples(real, fake, reconstruction=generator({"tokens": ids}))

    return Task(play, requires=(name,))
