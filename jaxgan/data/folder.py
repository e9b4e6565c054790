"""Image folders: `folder:PATH`, with or without class sub-folders."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from jaxgan.data import folder_index, metadata
from jaxgan.data.dataset import Dataset, Decoding, Examples
from jaxgan.data.listing import Walk, find_root
from jaxgan.data.metadata import Metadata
from jaxgan.data.pictures import Reading, examine
from jaxgan.errors import UsageError, printable
from jaxgan.types import image_example

FIELD = "attributes"
"""The field of the attributes of pictures."""


def folder(
    name: str,
    path: Path,
    reading: Reading,
    *,
    split: str = "train",
    label_field: str = "",
) -> Dataset:
    """Loads all images below a folder, sorted by name.

    First-level sub-folders are the classes; images directly in `path` have no labels.
    If `path` has sub-folders such as `train` and `test`, each of them is a split of
    this form, and all splits have the classes of `train`. A mixture of gray and color
    is read as RGB. Reads all headers immediately, and pixels on demand.

    A file `metadata.csv` or `metadata.jsonl` in the folder of the split, or in `path`,
    has the attributes of each picture, see `metadata.load`. Its column `label` is the
    class; without one, two or more sub-folders are.

    Args:
      name: the name of the data set, `folder:PATH`.
      path: the folder.
      reading: the frame, and the treatment of transparency and of damage.
      split: the name of a sub-folder, or `train` if there are no splits.
      label_field: the column of the file that is the class, or `none` for no labels.

    Raises:
      UsageError: if there are no images, if a file or a folder cannot be read, or if
        sizes differ and `frame` does not equalize them.
    """
    root, splits = find_root(name, path, split)
    source = metadata.find_source(name, root, path)
    if source is None and label_field:
        raise UsageError(
            f"--label_field={printable(label_field)}: {name} has no named fields, as "
            "only a metadata.csv or metadata.jsonl gives it; leave out --label_field"
        )
    used = source.path if source and source.folder == root else None
    walk = folder_index.walk_below(name, root, used)
    if source is None:
        return labeled(walk, splits, reading)
    train = splits.get("train", splits.get("training"))
    known = metadata.find_source(name, train, path) if train else None
    found = metadata.load(name, source, walk.files, known, label_field)
    if label_field == "none":
        found = found or Metadata((), np.zeros((len(walk.files), 0), bool))
    return labeled(walk, splits, reading, found, with_folders=label_field != "none")


def labeled(
    walk: Walk,
    splits: dict[str, Path],
    reading: Reading,
    found: Metadata | None = None,
    *,
    with_folders: bool = True,
) -> Dataset:
    """Loads the images of a walk, with the first-level folders as labels.

    Args:
      walk: the files of the split to load.
      splits: the folders of all splits by name, see `find_root`.
      reading: the frame, and the treatment of transparency and of damage.
      found: attributes and labels of the files, None if there are none.
      with_folders: False if first-level folders are no classes.

    Raises:
      UsageError: as `folder` does.
    """
    name = walk.name
    classes, labels = _classes(walk, splits, found, with_folders)
    values = found.attributes if found and found.names else None
    # With skip_bad, unreadable files remain examples.
    headers = folder_index.read_headers(walk, reading)
    pictures = examine(name, walk.files, headers, reading)
    others = fields_beside(labels if classes else None, values)

    def read(numbers: np.ndarray) -> Examples:
        return {"image": pictures.read(numbers)[:, 0], **others(numbers)}

    example = image_example(pictures.field.shape, pictures.field.dtype, classes)
    if found and found.names:
        example[FIELD] = found.field
    return Dataset(
        name,
        len(walk.files),
        example,
        read,
        origin=f"{len(walk.files):,} pictures in {printable(str(walk.root))}",
        encoded=pictures.encoded,
        labels=labels.__getitem__ if classes else None,
        attributes=None if values is None else values.__getitem__,
        decoding=Decoding(pictures.locate, pictures.decoder, others),
    )


def _classes(
    walk: Walk, splits: dict[str, Path], found: Metadata | None, with_folders: bool
) -> tuple[tuple[str, ...], np.ndarray]:
    """Returns class names and the class of each file, by a column or by folders."""
    if found is None:
        return classes_of(walk, splits)
    if found.labels is not None:
        return found.classes, found.labels
    # One folder, such as images/, is no class, and loose files have no folder.
    if with_folders and len(walk.classes) > 1 and not walk.loose:
        return classes_of(walk, splits)
    return (), np.zeros(len(walk.files), np.int32)


def _check_layout(walk: Walk, files: str) -> None:
    """Raises UsageError for files beside folders of classes."""
    if walk.classes and walk.loose:
        raise UsageError(
            f"{walk.name}: {files} are both beside ({printable(walk.loose)}) and "
            f"inside ({printable(walk.classes[0])}/) class folders; move them all into "
            "folders, or all out of them"
        )


def fields_beside(
    labels: np.ndarray | None, attributes: np.ndarray | None
) -> Callable[[np.ndarray], Examples]:
    """Returns a function from example numbers to all fields but the image.

    Args:
      labels: `[n]`, None for examples without one.
      attributes: `[n, k]`, None for examples without them.
    """
    fields = {"label": labels, FIELD: attributes}
    known = {k: x for k, x in fields.items() if x is not None}
    return lambda numbers: {k: x[numbers] for k, x in known.items()}


def classes_of(
    walk: Walk, splits: dict[str, Path], files: str = "pictures"
) -> tuple[tuple[str, ...], np.ndarray]:
    """Returns the sorted class names, and the class of each file, `[n]` int32.

    First-level folders are the classes. If there is a split `train`, all splits number
    their classes like it.

    Args:
      walk: the files of the split.
      splits: the folders of all splits by name, see `find_root`.
      files: the kind of files, for messages.

    Raises:
      UsageError: for files beside folders of classes, or classes unknown to `train`.
    """
    _check_layout(walk, files)
    name = walk.name
    present = classes = walk.classes
    train = splits.get("train", splits.get("training"))
    if train is not None and train != walk.root and present:
        # Other splits may lack classes, but may not add any.
        classes = Walk(name, train, walk.ending).classes
        unknown = sorted(set(present) - set(classes))
        if classes and unknown:
            raise UsageError(
                f"{name}: {printable(walk.root.name)}/{printable(unknown[0])} is not "
                f"one of the {len(classes)} classes of {train.name}/; rename it, or "
                "move it away"
            )
    # Labels need class folders both in this split and in train.
    if not classes or not present:
        return (), np.zeros(len(walk.files), np.int32)
    # The class of a file is the first-level folder that holds it.
    number = {c: i for i, c in enumerate(classes)}
    return classes, np.array([number[x] for x in present], np.int32)[walk.class_numbers]
