"""Prepared data for tests: MNIST by its real route, and small sets of our own."""

import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from jaxgan import data
from jaxgan.errors import UsageError


def _prepared(name: str, factory: pytest.TempPathFactory) -> Path:
    """A folder with the set prepared: `JAXGAN_TEST_DATA_DIR`, or one per session."""
    root = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent
    place = Path(os.environ.get("JAXGAN_TEST_DATA_DIR", root / "tfds"))
    try:
        data.load(name, data_dir=str(place))
    except UsageError as reason:
        pytest.skip(str(reason))
    return place


@pytest.fixture(scope="session")
def mnist_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data_dir with MNIST in it."""
    return _prepared("mnist", tmp_path_factory)


@pytest.fixture(scope="session")
def fashion_dir(tmp_path_factory: pytest.TempPathFactory, mnist_dir: Path) -> Path:
    """The same data_dir, with Fashion-MNIST prepared after MNIST."""
    del mnist_dir
    return _prepared("fashion_mnist", tmp_path_factory)


def own_builder(
    name: str,
    features: dict[str, Any],
    examples: list[dict[str, Any]] | dict[str, list[dict[str, Any]]],
    supervised_keys: Any = None,
) -> Any:
    """A TFDS builder of a set that TFDS does not know.

    `examples` are those of each split, or of the split `train`.
    """
    set_name = name
    splits = examples if isinstance(examples, dict) else {"train": examples}

    class Own(tfds.core.GeneratorBasedBuilder, skip_registration=True):  # type: ignore
        VERSION = tfds.core.Version("1.0.0")
        name = set_name
        pkg_dir_path = None

        def _info(self) -> tfds.core.DatasetInfo:
            return tfds.core.DatasetInfo(
                builder=self,
                features=tfds.features.FeaturesDict(features),
                supervised_keys=supervised_keys,
            )

        def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
            del dl_manager
            return {split: self._generate_examples(split) for split in splits}

        def _generate_examples(self, split) -> Iterator[tuple[int, dict[str, Any]]]:
            yield from enumerate(splits[split])

    return Own


def prepare_own(
    data_dir: Path,
    name: str,
    features: dict[str, Any],
    examples: list[dict[str, Any]] | dict[str, list[dict[str, Any]]],
    supervised_keys: Any = None,
) -> Any:
    """The builder of such a set, prepared in `data_dir`."""
    made = own_builder(name, features, examples, supervised_keys)
    builder = made(data_dir=data_dir)
    builder.download_and_prepare(file_format="array_record")
    return builder


def png(image: np.ndarray) -> bytes:
    """The image as a PNG file."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "png")
    return file.getvalue()
