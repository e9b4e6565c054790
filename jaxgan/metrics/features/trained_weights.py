"""Weights of an extractor that was trained here, in a file beside the data."""

import io
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import flax.traverse_util
import jax
import numpy as np

from jaxgan.data.dataset import Dataset
from jaxgan.environment import cache_folder
from jaxgan.errors import printable
from jaxgan.files import atomic_write, open_regular, reason, remedy
from jaxgan.metrics.features.base import digest
from jaxgan.types import Tree

LOG = logging.getLogger("jaxgan")


class Trained(NamedTuple):
    """Weights, and the accuracy on examples that they were not trained on."""

    weights: Tree
    """Nested dicts of NumPy arrays."""
    accuracy: float
    """In [0, 1]."""
    tested: str
    """Identifies the examples of the accuracy."""
    count: int
    """Number of these examples."""


def folders(dataset: Dataset, given: Path | None) -> list[Path]:
    """Returns the folders in which weights are looked for, the preferred one first.

    Args:
      dataset: the training set. Weights are kept beside its decoded examples if these
        have a place on disk, else in the user's cache folder.
      given: a folder to use instead.
    """
    if given is not None:
        return [given]
    beside = [dataset.cache.parent] if dataset.cache else []
    # Prepared data may be read-only.
    own = cache_folder()
    return beside + ([own / "classifiers"] if own else [])


def load(places: Sequence[Path], name: str, like: Tree) -> Trained | None:
    """Returns the weights in the first valid file, or None.

    A file is valid if it was saved under this name, is undamaged, and has arrays of the
    shapes and dtypes of `like`.

    Args:
      places: folders.
      name: the file's name without its ending, which identifies the training.
      like: the tree of weights, or of their shapes.
    """
    found = (_load(folder / f"{name}.npz", name, like) for folder in places)
    return next((trained for trained in found if trained is not None), None)


def save(places: Sequence[Path], name: str, trained: Trained) -> None:
    """Writes weights to the first folder that is writable, and logs the file.

    That no folder is writable is logged too, and no error.
    """
    arrays: dict[str, Any] = {
        **flax.traverse_util.flatten_dict(trained.weights, sep="/")
    }
    facts = {
        "name": name,
        "digest": digest(trained.weights),
        **{k: x for k, x in trained._asdict().items() if k != "weights"},
    }
    content = io.BytesIO()
    np.savez(content, **arrays, facts=np.array(json.dumps(facts)))
    why = "there is no home folder"
    for folder in places:
        file = folder / f"{name}.npz"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            atomic_write(file, content.getvalue())
            LOG.info("the weights of the classifier are in %s", printable(str(file)))
            return
        except OSError as error:
            why = f"{printable(str(file))}: {reason(error)}; {remedy(error)}"
    LOG.warning("the weights of the classifier are not kept (%s)", why)


def _load(file: Path, name: str, like: Tree) -> Trained | None:
    try:
        with open_regular(file) as stream, np.load(stream, allow_pickle=False) as npz:
            facts = json.loads(str(npz["facts"]))
            arrays = {k: npz[k] for k in npz.files if k != "facts"}
        weights = flax.traverse_util.unflatten_dict(arrays, sep="/")
        trained = Trained(
            weights,
            float(facts["accuracy"]),
            str(facts["tested"]),
            int(facts["count"]),
        )
        valid = (facts["name"], facts["digest"]) == (name, digest(weights))
    except (FileNotFoundError, NotADirectoryError):
        return None
    # Bytes that are no such file can raise anything, from zlib.error to MemoryError.
    except Exception as error:
        LOG.warning("%s is ignored: %s", printable(str(file)), reason(error))
        return None
    if not valid or _forms(weights) != _forms(like):
        LOG.warning("%s is ignored: it has other weights", printable(str(file)))
        return None
    return trained


def _forms(tree: Tree) -> Tree:
    """Returns the shapes and dtypes of a tree."""
    return jax.tree.map(lambda x: (x.shape, str(x.dtype)), tree)
