"""Checks that examples are images, for tasks that map images to images."""

from jaxgan.errors import PLURALS, FieldError, KindError
from jaxgan.types import ExampleSpec


def check_images(name: str, example: ExampleSpec | None) -> None:
    """Raises FieldError for examples that are not images.

    Args:
      name: of the task, for messages.
      example: the fields of an example; None to check nothing.
    """
    if example is None:
        return
    kind, shape = example[example.generated].kind, example.shape
    if kind in PLURALS:
        raise KindError(f"{name} needs images, not {PLURALS[kind]}", kind)
    if len(shape) != 3:
        raise FieldError(
            f"{name} needs images, not {kind} of shape {list(shape)}: use a data set "
            "of images, such as mnist"
        )
