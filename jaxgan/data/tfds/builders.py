"""TFDS's builders by name, and what to say where there is none."""

import difflib
import os
import re
from importlib.util import find_spec
from typing import Any

from jaxgan.data.tfds.messages import missing_module, needs_module, quiet_tfds
from jaxgan.errors import UsageError, first_line

OTHER_FORMS = "folder:PATH, npz:PATH, ring8, grid25"


def open_builder(name: str, data_dir: str | None) -> Any:
    """TFDS's builder for `name[/config][:version]`; nothing is downloaded.

    Raises UsageError, with what is near, if there is no such set.
    """
    import tensorflow_datasets as tfds
    from tensorflow_datasets.core.registered import DatasetNotFoundError

    base = name.split("/")[0].split(":")[0]
    if re.fullmatch(r"\w+(/[^/:]+)?(:[\d.*]+)?", name) is None:
        raise UsageError(_unknown(name, base))  # elsewhere TFDS would ask the network
    _check_config(name, base)
    try:
        with quiet_tfds():
            return tfds.builder(name, data_dir=data_dir)
    except DatasetNotFoundError:
        raise UsageError(_unknown(name, base)) from None
    except ModuleNotFoundError as error:
        raise needs_module(name, missing_module(error) or "tensorflow") from error
    except Exception as error:  # versions and malformed names come in many types
        raise UsageError(
            f"--dataset={name}: {first_line(error)}; "
            f"write it like mnist, emnist/balanced or mnist:3.0.1"
        ) from error


def _unknown(name: str, base: str) -> str:
    import tensorflow_datasets as tfds

    if os.path.exists(name):
        kind = "folder" if os.path.isdir(name) else "npz"
        return f"--dataset={name} is a path: did you mean {kind}:{name}?"
    known = tfds.list_builders(with_community_datasets=False)
    near = difflib.get_close_matches(base[:60], known, n=3)
    meant = f"did you mean {' or '.join(near)}? " if near else ""
    hidden = find_spec("tensorflow") is None  # TFDS then leaves out what imports it
    more = "pip install 'jaxgan[tf]' for more sets, or " if hidden else ""
    return (
        f"--dataset={name}: TFDS has no such set; {meant}{more}use one of the other "
        f"forms: {OTHER_FORMS}"
    )


def _check_config(name: str, base: str) -> None:
    import tensorflow_datasets as tfds

    _, slash, config = name.split(":")[0].partition("/")
    try:
        known = list(tfds.builder_cls(base).builder_configs) if slash else []
    except Exception:  # what is wrong with it is said when it is opened
        return
    if known and config not in known:
        near = difflib.get_close_matches(config, known, n=1) or known
        listed = ", ".join(known[:12]) + (", ..." if len(known) > 12 else "")
        raise UsageError(
            f"--dataset={name}: there is no config '{config}'; use {base}/{near[0]}, "
            f"or another of {listed}"
        )
