"""Measures how much generated images help a classifier of few real ones."""

import dataclasses
import json
import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, cast

import numpy as np

from jaxgan import data
from jaxgan.config.augmenting import AugmentConfig, classic_candidates, parse_ratios
from jaxgan.config.resolve import make_config
from jaxgan.errors import UsageError, printable
from jaxgan.evaluation import augmentation_table as tables
from jaxgan.evaluation import few_shot as shots
from jaxgan.evaluation.load_run import load_run
from jaxgan.evaluation.progress_bar import Progress
from jaxgan.evaluation.rejection import accepted, draw_scored
from jaxgan.evaluation.sample_files import to_dtype
from jaxgan.experiment.setup import load_data
from jaxgan.files import atomic_write, locked, reason, remedy
from jaxgan.gan import builder
from jaxgan.metrics.features import classifier_training as training
from jaxgan.metrics.features.classifier_training import Labelled
from jaxgan.training.comparison import Arm, Comparison, Score, save_arrays
from jaxgan.training.fit import fit
from jaxgan.types import Tree, image_example

log = logging.getLogger("jaxgan")

DRAWN = 2
"""Images that are drawn for each one that is used, with a rejection."""

KEEP: dict[str, Callable[..., np.ndarray]] = {
    "none": lambda labels, p, logits, seed: np.ones(len(labels), bool),
    "classifier": lambda labels, p, logits, seed: p.argmax(1) == labels,
    "discriminator": lambda labels, p, logits, seed: accepted(logits, labels, seed),
}
"""Functions of the labels asked for, the probabilities of classes, the logits of the
discriminator and a seed, which return the images to keep."""

FREE = frozenset(
    ("workdir", "out", "overwrite", "data_dir", "seeds", "input", "import_")
)
"""Flags that the command that resumes may change."""


class Interrupted(Exception):
    """Training of a GAN was interrupted; `code` is the exit code."""

    def __init__(self, code: int) -> None:
        super().__init__(f"interrupted with the exit code {code}")
        self.code = code


def augment(config: AugmentConfig) -> int:
    """Compares augmentations, and prints and writes the table.

    Returns the exit code, like `fit` if the training of a GAN is interrupted.

    Raises:
      UsageError: for flags or data that cannot be used.
    """
    try:
        facts = compare_augmentations(config)
    except Interrupted as error:
        return error.code
    out = Path(config.out or Path(config.workdir, "augmentation.json"))
    atomic_write(out, (json.dumps(facts, indent=1) + "\n").encode())
    print(tables.table(facts), flush=True)
    log.info("the table is in %s", out)
    return 0


def compare_augmentations(config: AugmentConfig) -> dict[str, Any]:
    """Trains GANs on few real images, and classifiers with and without their samples.

    For each seed, a GAN is trained on four fifths of the real images. The last fifth,
    the validation part, chooses the classic augmentation and the share of generated
    images, by the cross-entropy, which tells more than the accuracy of few images. It
    is a mean over seeds. Then classifiers are trained on all of the seed's
    real images, alone and with augmentations, with equally many updates, and tested on
    held-out examples, which are used for nothing else.

    Args:
      config: from `make_augment_config`.

    Returns:
      The accuracies by training set, the choices and their validation accuracies, and
      the answer as a sentence, to be written as JSON.

    Raises:
      UsageError: for flags or data that cannot be used.
      Interrupted: if the training of a GAN was interrupted.
    """
    # Flags of the GAN are checked before the data are loaded.
    builder.check_texts(_gan_flags(config, 0, config.batch_size))
    # It reads flags of data only.
    train, held_out = load_data(cast(Any, config), new=True)
    if not train.classes:
        raise UsageError(
            f"--dataset={printable(config.dataset)} has no labels, which a classifier "
            "needs: use folder:PATH with a folder per class, or --label_field"
        )
    training.check(train)
    if held_out is None:
        raise UsageError(
            f"--held_out={printable(config.held_out)} leaves no test images: use a "
            "split or a number, such as --held_out=200"
        )
    real = training.read(train)
    shots.few_shot(real.labels, train.classes, config.per_class_real, 0)  # may raise
    _check_gan(config, train)
    with _opened(config, train, held_out) as folder:
        test = training.read(held_out, training.TESTED)
        return _compare(Comparison(config, folder, train.example, real, test))


def _compare(comparison: Comparison) -> dict[str, Any]:
    """Runs the phases of a comparison, and returns the facts."""
    config = comparison.config
    seeds, ratios = range(config.seeds), parse_ratios(config.ratios)
    candidates = classic_candidates(config.classic)
    log.info(
        "%d GANs of %d steps and %d classifiers of %d steps",
        *(config.seeds, config.steps),
        config.seeds * (len(candidates) + len(ratios) + len(tables.ARMS)),
        config.classifier_steps,
    )
    by_classic: dict[str, list[Score]] = {name: [] for name in candidates}
    for seed in seeds:
        _train_gan(comparison, seed)
        for name, value in _screen(comparison, seed, candidates).items():
            by_classic[name].append(value)
    classic = tables.choose(by_classic)
    # A ratio of 0 is the classic augmentation alone.
    by_ratio = {0.0: by_classic[classic]}
    for ratio in ratios:
        arm = Arm(classic, ratio)
        by_ratio[ratio] = [_validate(comparison, arm, seed) for seed in seeds]
    ratio = tables.choose({x: by_ratio[x] for x in ratios})
    arms = {
        "none": Arm(),
        "classic": Arm(classic),
        "generated": Arm(ratio=ratio),
        "both": Arm(classic, ratio),
    }
    accuracies = {
        name: [_test(comparison, arm, seed)["accuracy"] for seed in seeds]
        for name, arm in arms.items()
    }
    real = [comparison.real_of(seed).all for seed in seeds]
    equal = [shots.count_equal(x.images, comparison.test.images) for x in real]
    facts: dict[str, Any] = {
        "dataset": config.dataset,
        "per_class_real": config.per_class_real,
        "classic": classic,
        "ratio": ratio,
        "accuracies": accuracies,
        "validation": {str(x): values for x, values in by_ratio.items()},
        "classic_validation": by_classic,
        "kept": [comparison.results[f"seed {seed}: kept"] for seed in seeds],
        "real_images": [len(x.labels) for x in real],
        "test_images": len(comparison.test.labels),
        "test_images_equal_to_real_ones": equal,
        "config": _flags(config),
    }
    return {**facts, "answer": tables.sentence(facts)}


def _train_gan(comparison: Comparison, seed: int) -> None:
    """Trains the GAN of a seed on the real images to fit, and on no others."""
    config, place = comparison.config, comparison.place(seed)
    if (place / "generated.npz").is_file():
        return
    fitted = comparison.real_of(seed).fit
    file = place / "real.npz"
    if not file.is_file():
        place.mkdir(exist_ok=True)
        save_arrays(file, images=fitted.images, labels=fitted.labels)
    log.info("seed %d: a GAN of %d real images", seed, len(fitted.labels))
    flags = _gan_flags(config, seed, len(fitted.labels))
    if code := fit(flags):
        raise Interrupted(code)


def _gan_flags(config: AugmentConfig, seed: int, size: int) -> Any:
    """Returns the configuration of the GAN of a seed, of `size` real images."""
    place = Path(config.workdir, f"seed{seed}")
    return make_config(
        dataset=f"npz:{place / 'real.npz'}",
        preset="projection",
        networks=config.networks,
        augment=config.augment,
        augment_p=config.augment_p,
        import_=config.import_,
        steps=config.steps,
        batch_size=min(size, config.batch_size),
        devices=1,
        input=config.input,
        held_out="none",
        seed=seed,
        workdir=str(place / "gan"),
        eval_metrics="sliced_wasserstein",
        score_samples=max(min(size, 256), 2),
        log_every=max(config.steps // 5, 1),
        sample_every=config.steps,
        save_every=max(config.steps // 2, 1),
        keep=1,
    )


def _check_gan(config: AugmentConfig, train: data.Dataset) -> None:
    """Builds the GAN for the images, before anything is written.

    Raises:
      UsageError: if it does not fit them.
    """
    gan = _gan_flags(config, 0, config.batch_size)
    gan = dataclasses.replace(gan, dataset=config.dataset)
    example = image_example(train.shape, train.dtype, train.classes)
    builder.build_gan(gan, example)


def _screen(
    comparison: Comparison, seed: int, candidates: tuple[str, ...]
) -> dict[str, Score]:
    """Compares classic augmentations by validation, and writes the generated images.

    The classifiers that are compared, which are trained on the images to fit, are also
    those that reject generated images.
    """
    real, place = comparison.real_of(seed), comparison.place(seed) / "generated.npz"
    names = {text: f"seed {seed}: validation, {text}" for text in candidates}
    done = all(name in comparison.results for name in names.values())
    if not (done and place.is_file()):
        # The accuracies are written down with the images that depend on the weights.
        trained = [comparison.train(real.fit, Arm(x), seed) for x in candidates]
        _generate(comparison, seed, trained)
        for name, weights in zip(names.values(), trained, strict=True):
            value = comparison.score(weights, real.validation)
            comparison.once(name, lambda value=value: value)
    return {text: comparison.results[name] for text, name in names.items()}


def _generate(comparison: Comparison, seed: int, trained: list[Tree]) -> None:
    """Draws the images of a GAN, leaves some out, and writes the others."""
    config, example = comparison.config, comparison.example
    run = load_run(comparison.place(seed) / "gan")
    count = config.generated * (1 if config.reject == "none" else DRAWN)
    with Progress("generated images", count * len(example.classes)) as progress:
        parts, logits = draw_scored(
            *(run.gan, run.example, run.restore_players()[1]),
            per_class=count,
            seed=seed,
            progress=progress,
        )
    dtype = run.example.dtype
    drawn = Labelled(
        np.concatenate([to_dtype(samples, dtype) for _, samples in parts]),
        np.concatenate([np.full(len(x), k, np.int32) for k, x in parts]),
    )
    each = [comparison.probabilities(x, drawn.images) for x in trained]
    keep = KEEP[config.reject](drawn.labels, np.mean(each, 0), logits, seed)
    comparison.once(f"seed {seed}: kept", lambda: float(keep.mean()))
    used = shots.balanced(drawn, keep, config.generated, seed)
    save_arrays(
        comparison.place(seed) / "generated.npz",
        samples=used.images,
        labels=used.labels,
        classes=np.array(example.classes),
    )


def _validate(comparison: Comparison, arm: Arm, seed: int) -> Score:
    """Returns the score on the validation images, after training on the others."""
    real = comparison.real_of(seed)

    def measure() -> Score:
        weights = comparison.train(real.fit, arm, seed)
        return comparison.score(weights, real.validation)

    name = f"seed {seed}: validation, {arm.classic}, {arm.ratio:g} generated"
    return comparison.once(name, measure)


def _test(comparison: Comparison, arm: Arm, seed: int) -> Score:
    """Returns the score on the test images, after training on all real ones."""

    def measure() -> Score:
        weights = comparison.train(comparison.real_of(seed).all, arm, seed)
        return comparison.score(weights, comparison.test)

    name = f"seed {seed}: test, {arm.classic or 'plain'}, {arm.ratio:g} generated"
    return comparison.once(name, measure)


def _flags(config: AugmentConfig) -> dict[str, Any]:
    """Returns the flags that a comparison depends on."""
    fields = dataclasses.asdict(config)
    return {name: value for name, value in fields.items() if name not in FREE}


@contextmanager
def _opened(
    config: AugmentConfig, train: data.Dataset, held_out: data.Dataset
) -> Iterator[Path]:
    """Holds the folder of a comparison, which keeps one set of flags and data.

    Raises:
      UsageError: naming `--workdir`.
    """
    folder = Path(config.workdir)
    shown = f"--workdir={printable(config.workdir)}"
    facts = {
        **_flags(config),
        "train": training.identity(train),
        "test": training.identity(held_out),
    }
    with ExitStack() as stack:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            file = folder / "comparison.json"
            if file.is_file():
                _check_same(shown, json.loads(file.read_text()), facts)
            elif any(folder.iterdir()):
                raise UsageError(
                    f"{shown} is not an empty folder, and has no comparison to "
                    "resume: use a new one"
                )
            atomic_write(file, json.dumps(facts, indent=1).encode())
            stack.enter_context(locked(folder / "lock", wait=False))
        except UsageError:
            raise  # it is a ValueError too
        except BlockingIOError:
            raise UsageError(f"{shown} is in use by another program") from None
        except OSError as error:
            raise UsageError(
                f"{shown} cannot be written ({reason(error)}); {remedy(error)}"
            ) from error
        except ValueError as error:
            raise UsageError(f"{shown} has a damaged file: use a new one") from error
        yield folder


def _check_same(shown: str, old: dict[str, Any], new: dict[str, Any]) -> None:
    """Raises UsageError if a comparison has other flags or data."""
    other = [name for name in new if old.get(name) != new[name]]
    if other:
        name = other[0]
        raise UsageError(
            f"{shown} has a comparison with another --{name}, "
            f"{printable(str(old.get(name)))}: use another --workdir, or that flag"
            if name in {x.name for x in dataclasses.fields(AugmentConfig)}
            else f"{shown} has a comparison of other data: use another --workdir"
        )
