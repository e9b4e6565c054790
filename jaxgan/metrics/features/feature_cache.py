"""Features of real examples in files, so that a second evaluation reads them.

A file is named by a digest of all that its content depends on. It holds the float32
features and probabilities of at most as many examples as an evaluation reads.
"""

import contextlib
import hashlib
import json
import logging
import os
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import jax
import numpy as np

from jaxgan.data import Dataset, fingerprint, normalize
from jaxgan.data.cache import read_some
from jaxgan.data.shuffle import evenly
from jaxgan.environment import cache_folder
from jaxgan.errors import printable
from jaxgan.files import open_regular, reason, remedy
from jaxgan.metrics.features.base import Extractor, Features

log = logging.getLogger("jaxgan")

FORMAT = 1
"""Version of the files and of the normalization of images, part of their names."""

LARGEST = 2**30
"""Maximum bytes of a file; more features are extracted again each time."""

TOTAL = 4 * 2**30
"""Maximum bytes of all files in a folder. The oldest ones are deleted first."""

IDENTIFYING = 64
"""Number of examples whose content identifies a set, beside its fingerprint."""

FEW = 1000
"""Number of examples below which training extracts the features each time."""

FIELDS = ("features", "probabilities", "labels", "attributes")
"""The arrays of a file; all but the first may be absent."""


def folders_of(dataset: Dataset) -> tuple[Path, ...]:
    """Returns the folders that may keep features, the preferred one first."""
    # Beside the prepared data if these have a place, which may be read-only.
    own = cache_folder()
    beside = [dataset.cache.parent] if dataset.cache else []
    return (*beside, *([own / "features"] if own else []))


def identity(dataset: Dataset, numbers: np.ndarray) -> str:
    """Returns a digest of a fingerprint, of numbers, and of some decoded examples.

    A fingerprint is that of stored bytes, and of a sample of them if the set is large:
    like resuming, this does not notice each change of a single file. The pixels are
    those after a crop, a resize or a change of the decoder.

    Args:
      dataset: raw examples, whose images, labels and attributes are hashed.
      numbers: of the examples, `[n]`.
    """
    some = numbers[evenly(len(numbers), IDENTIFYING)]
    examples = normalize(read_some(dataset, some), dataset.example)
    # The form is hashed too, as equal bytes may have several shapes.
    shape = (len(some), *dataset.shape)
    form = (fingerprint(dataset), dataset.size, shape, dataset.classes)
    whole = hashlib.sha256(repr(form).encode())
    whole.update(np.ascontiguousarray(numbers.astype(np.int64)).tobytes())
    dtypes = {dataset.example.generated: np.float32, "label": np.int32}
    for field in (dataset.example.generated, "label", "attributes"):
        if field in examples:
            part = np.asarray(examples[field], dtypes.get(field))
            # The names of attributes are in the fingerprint.
            part = part > 0.5 if field == "attributes" else part
            whole.update(np.ascontiguousarray(part).tobytes())
    return whole.hexdigest()


def read_or_extract(
    dataset: Dataset,
    numbers: np.ndarray,
    extractor: Extractor,
    extract: Callable[[], Features],
) -> Features:
    """Reads the features of many examples from a file, or extracts and keeps them.

    Args:
      dataset: the examples.
      numbers: of the examples, `[n]`.
      extractor: the features.
      extract: returns the features, without labels and attributes.
    """
    folders = folders_of(dataset)
    if len(numbers) < FEW or not folders:
        return extract()
    # The files of `jaxgan.evaluate` have labels and attributes, too.
    name = name_of(f"without labels: {identity(dataset, numbers)}", extractor)
    found = load(folders, name, len(numbers))
    if found is None:
        found = extract()
        save(folders, name, found)
    return found


def name_of(identity: str, extractor: Extractor) -> str:
    """Returns the name of the file for some images and an extractor.

    Args:
      identity: a digest of the images, see `identity`.
      extractor: its weights, its resizing, and the platform are part of the name.
    """
    facts = {
        "format": FORMAT,
        "images": identity,
        "extractor": [extractor.name, extractor.digest],
        # Of the classifier's protocol, the accuracy does not change its features.
        "protocol": [str(extractor.protocol.get(x)) for x in ("layer", "resize")],
        "jax": [jax.__version__, jax.default_backend()],
    }
    digest = hashlib.sha256(json.dumps(facts).encode()).hexdigest()
    return f"features-{digest[:32]}.npz"


def load(folders: Sequence[Path], name: str, count: int) -> Features | None:
    """Returns the features in the first valid file, or None.

    A file that is damaged is logged and ignored.

    Args:
      folders: where to look.
      name: from `name_of`.
      count: number of examples.
    """
    for folder in folders:
        file = folder / name
        try:
            with open_regular(file) as stream, np.load(stream) as npz:
                arrays = {k: npz[k] for k in FIELDS if k in npz.files}
                valid = str(npz["digest"]) == _digest(arrays)
            if not valid or {len(x) for x in arrays.values()} != {count}:
                raise ValueError("its content is not what was written")
            # The time of its last use, by which old files are deleted.
            with contextlib.suppress(OSError):
                os.utime(file)
            return Features(**arrays)
        except (FileNotFoundError, NotADirectoryError):
            continue
        # Bytes that are no such file can raise anything.
        except Exception as error:
            log.warning(
                "%s is ignored, and its features are extracted again: %s",
                *(printable(str(file)), reason(error)),
            )
    return None


def save(folders: Sequence[Path], name: str, features: Features) -> None:
    """Writes features to the first folder that is writable, completely or not at all.

    Logs a warning if there is none, and deletes the oldest files of a full folder.
    """
    arrays = {
        field: x for field in FIELDS if (x := getattr(features, field)) is not None
    }
    if sum(x.nbytes for x in arrays.values()) > LARGEST:
        return
    why = ""
    for folder in folders:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _write(folder / name, arrays)
            _tidy(folder)
            return
        except OSError as error:
            why = f"{printable(str(folder))}: {reason(error)}; {remedy(error)}"
    if why:
        log.warning("the features are not kept for the next evaluation (%s)", why)


def _write(file: Path, arrays: dict[str, np.ndarray]) -> None:
    """Writes an .npz file and renames it, which is atomic."""
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=".", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as temporary:
            # Not through memory, which may be short.
            np.savez(temporary, **arrays, digest=np.array(_digest(arrays)))  # type: ignore[arg-type]
        os.chmod(name, 0o644)  # only the owner may read a file of mkstemp
        os.replace(name, file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _digest(arrays: dict[str, np.ndarray]) -> str:
    """Returns a sha256 of names, forms and bytes."""
    whole = hashlib.sha256()
    for name, x in sorted(arrays.items()):
        whole.update(repr((name, x.shape, str(x.dtype))).encode())
        whole.update(np.ascontiguousarray(x).data)
    return whole.hexdigest()


def _tidy(folder: Path) -> None:
    """Deletes the files that were not used for longest, beyond `TOTAL` bytes."""
    left = TOTAL
    for file, status in _newest_first(folder.glob("features-*.npz")):
        left -= status.st_size
        if left < 0:
            file.unlink(missing_ok=True)


def _newest_first(files: Iterable[Path]) -> list[tuple[Path, os.stat_result]]:
    found = []
    for file in files:
        # Another program may have deleted it.
        with contextlib.suppress(FileNotFoundError):
            found.append((file, file.stat()))
    return sorted(found, key=lambda x: -x[1].st_mtime_ns)
