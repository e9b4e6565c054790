"""TFDS builders of the data sets that are made from packages."""

import functools
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from jaxgan.data.tfds.files import Unavailable
from jaxgan.data.tfds.messages import quiet_tfds
from jaxgan.data.tfds.registry import RECIPES
from jaxgan.data.tfds.registry.items import within_time
from jaxgan.data.tfds.registry.packages import archive_name, contents
from jaxgan.data.tfds.registry.recipe import Config, Recipe, Row
from jaxgan.errors import UsageError, first_line
from jaxgan.types import ExampleSpec, Field


def builder_class(name: str) -> Any:
    """Returns the TFDS builder of a data set of `RECIPES`.

    Besides TFDS's own, its instances have the attributes `fields` (an `ExampleSpec`),
    `unaligned` (splits whose images do not belong together) and `recipe`.

    Args:
      name: without config and version, such as `emoji_pairs`.
    """
    import tensorflow_datasets as tfds

    recipe, set_name = RECIPES[name], name
    version = tfds.core.Version(recipe.version)
    make = functools.partial(tfds.core.BuilderConfig, version=version)
    named = [(key, form) for key, form in recipe.configs.items() if key]
    configs = [make(name=key, description=form.description) for key, form in named]

    # Not registered, since a later TFDS may have a set of the same name.
    class Builder(tfds.core.GeneratorBasedBuilder, skip_registration=True):  # type: ignore[call-arg]
        VERSION = version
        BUILDER_CONFIGS = configs
        name = set_name
        pkg_dir_path = None
        splits_made: Mapping[str, list[Row]] = {}  # filled by `prepare`

        def _info(self) -> Any:
            return tfds.core.DatasetInfo(
                builder=self,
                description=f"{recipe.description} {recipe.origin}.",
                features=_features(self.fields),
                citation=recipe.citation,
                license=" and ".join(dict.fromkeys(p.license for p in recipe.packages)),
            )

        @property
        def recipe(self) -> Recipe:
            return recipe

        @property
        def chosen(self) -> Config:
            named = self.builder_config
            return recipe.configs[named.name if named else ""]

        @property
        def fields(self) -> ExampleSpec:
            return self.chosen.example

        @property
        def unaligned(self) -> tuple[str, ...]:
            return self.chosen.unaligned

        def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
            del dl_manager
            return {key: self._generate_examples(key) for key in self.splits_made}

        def _generate_examples(self, split: str) -> Iterator[Row]:
            yield from self.splits_made[split]

    return Builder


def _features(spec: ExampleSpec) -> Any:
    """Returns the features with which TFDS stores the fields."""
    import tensorflow_datasets as tfds

    def feature(field: Field) -> Any:
        if field.kind == "image":
            return tfds.features.Image(shape=field.shape, encoding_format="png")
        if field.kind == "label":
            return tfds.features.ClassLabel(names=list(field.names))
        return tfds.features.Tensor(shape=field.shape, dtype=field.dtype)

    return tfds.features.FeaturesDict({k: feature(f) for k, f in spec.items()})


def prepare(builder: Any) -> str:
    """Prepares a data set of `RECIPES`, and downloads its packages if necessary.

    Args:
      builder: an instance of a `builder_class`.

    Returns:
      The origin of the pictures with their licenses, in a few words.

    Raises:
      UsageError: if a module is missing, if a package is unavailable, or if TFDS cannot
        write the examples.
      OSError: if a file cannot be written.
    """
    import tensorflow_datasets as tfds

    recipe: Recipe = builder.recipe
    _check_modules(builder.name, recipe)
    config = tfds.download.DownloadConfig(try_download_gcs=False)
    # All pictures are made before TFDS writes any.
    builder.splits_made, origin = _make(builder)
    try:
        with quiet_tfds():
            builder.download_and_prepare(
                file_format="array_record", download_config=config
            )
    except OSError:
        raise
    except Exception as error:  # array_record raises many types, as for a full disk
        raise UsageError(
            f"--dataset={builder.name} cannot be prepared ({first_line(error)}); "
            "free some space, or use another --data_dir"
        ) from error
    return origin


def _make(builder: Any) -> tuple[dict[str, list[Row]], str]:
    """Returns the examples of all splits and their origin, or raises UsageError."""
    downloads, recipe = Path(builder.data_dir_root, "downloads"), builder.recipe
    folder, origin = downloads / "packages", recipe.origin
    try:
        own = recipe.manual(_manual(builder)) if recipe.manual else {}
        if own:
            files = {recipe.packages[0].name: own}
            origin = f"from {len(own):,} files in {_manual(builder)}"
        else:
            files = {x.name: contents(x, folder) for x in recipe.packages}
        splits = builder.chosen.make(files)
        return {key: within_time(rows) for key, rows in splits.items()}, origin
    except Unavailable as reason:
        raise _unavailable(builder, reason) from reason


def _manual(builder: Any) -> Path:
    """Returns the folder for files that users put there."""
    return Path(builder.data_dir_root, "downloads", "manual", builder.name)


def _check_modules(name: str, recipe: Recipe) -> None:
    missing = [module for module in recipe.modules if find_spec(module) is None]
    if missing:
        raise UsageError(
            f"--dataset={name} is made with {' and '.join(missing)}, which is not "
            f"installed: pip install {recipe.install}"
        )


def _unavailable(builder: Any, reason: Unavailable) -> UsageError:
    recipe, folder = builder.recipe, Path(builder.data_dir_root, "downloads/packages")
    # Debian's archives are never kept.
    kept = [archive_name(package) for package in recipe.packages if package.sha256]
    remedy = f"put {' '.join(kept)} into {folder}" if kept else "repair that"
    if recipe.manual:
        remedy += f", or {recipe.manual_files} into {_manual(builder)},"
    return UsageError(
        f"--dataset={builder.name} cannot be fetched ({reason}): {remedy} and start "
        "again"
    )
