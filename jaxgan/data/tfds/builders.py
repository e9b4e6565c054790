"""TFDS builders by name, with suggestions for unknown names."""

import difflib
import os
import re
from importlib.util import find_spec
from typing import Any

from jaxgan.data.suggestions import is_a_path
from jaxgan.data.tfds.messages import missing_module, needs_module, quiet_tfds
from jaxgan.data.tfds.registry import RECIPES
from jaxgan.data.tfds.registry.builder import builder_class
from jaxgan.errors import UsageError, first_line

OTHER_FORMS = "folder:PATH, npz:PATH, ring8, grid25"


def open_builder(name: str, data_dir: str | None) -> Any:
    """Returns TFDS's builder, without downloading anything.

    Args:
      name: `name[/config][:version]`, such as `emnist/balanced`.
      data_dir: the folder of TFDS, None for its default.

    Raises:
      UsageError: if there is no such data set, with the closest names, or if its
        builder needs a module that is not installed.
    """
    import tensorflow_datasets as tfds
    from tensorflow_datasets.core.registered import DatasetNotFoundError

    # The name without config and version.
    base = name.split("/")[0].split(":")[0]
    if re.fullmatch(r"\w+(/[^/:]+)?(:[\d.*]+)?", name) is None:
        # TFDS would look up names of other forms on the network.
        raise _unknown(name, base)
    _check_config(name, base)
    try:
        with quiet_tfds():
            if base in RECIPES:
                return _own(name, base, data_dir)
            return tfds.builder(name, data_dir=data_dir)
    except DatasetNotFoundError:
        raise _unknown(name, base) from None
    except ModuleNotFoundError as error:
        raise needs_module(name, missing_module(error) or "tensorflow") from error
    except Exception as error:  # wrong versions and malformed names raise many types
        raise UsageError(
            f"--dataset={name}: {first_line(error)}; "
            f"write it like mnist, emnist/balanced or mnist:3.0.1"
        ) from error


def _own(name: str, base: str, data_dir: str | None) -> Any:
    """Returns the builder of a data set that we prepare from packages."""
    form, _, version = name.partition(":")
    config = form.partition("/")[2] or None
    return builder_class(base)(
        config=config, version=version or None, data_dir=data_dir
    )


def _unknown(name: str, base: str) -> UsageError:
    """Returns the error for an unknown name, with the closest known names."""
    import tensorflow_datasets as tfds

    if os.path.exists(name):
        return is_a_path(name, "folder" if os.path.isdir(name) else "npz")
    known = [*RECIPES, *tfds.list_builders(with_community_datasets=False)]
    # Cut, as matching long texts is slow.
    near = difflib.get_close_matches(base[:60], known, n=3)
    meant = f"did you mean {' or '.join(near)}? " if near else ""
    # Without TensorFlow, TFDS omits the builders that import it.
    hidden = find_spec("tensorflow") is None
    more = "pip install 'jaxgan[tf]' for more sets, or " if hidden else ""
    return UsageError(
        f"--dataset={name}: TFDS has no such set; {meant}{more}use one of the other "
        f"forms: {OTHER_FORMS}"
    )


def _check_config(name: str, base: str) -> None:
    """Raises UsageError for an unknown config, with the closest known one."""
    import tensorflow_datasets as tfds

    _, slash, config = name.split(":")[0].partition("/")
    try:
        own = base in RECIPES
        builder = builder_class(base) if own else tfds.builder_cls(base)
        known = list(builder.builder_configs) if slash else []
    except Exception:  # opening the builder raises it again
        return
    if known and config not in known:
        # Without a similar name, the first config is the example.
        near = difflib.get_close_matches(config, known, n=1) or known
        listed = ", ".join(known[:12]) + (", ..." if len(known) > 12 else "")
        raise UsageError(
            f"--dataset={name}: there is no config '{config}'; use {base}/{near[0]}, "
            f"or another of {listed}"
        )
