"""Metrics of generators that are conditional on a class: `per_class_fd(classifier)`.

Labels of fakes are the classes that they were asked for.
"""

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.errors import UsageError
from jaxgan.metrics.classification_accuracy import (
    Predict,
    Train,
    classification_accuracy,
)
from jaxgan.metrics.classifier_score import as_requested
from jaxgan.metrics.comparison import (
    NO_FEATURES,
    Comparison,
    Least,
    Sets,
    labels_of,
    probabilities_of,
)
from jaxgan.metrics.features import Extractor, Features, Images, classifier_training
from jaxgan.metrics.features.base import Seed, image_shape
from jaxgan.metrics.features.classifier import Classifier
from jaxgan.metrics.frechet import class_frechet, features_warning
from jaxgan.types import ExampleSpec, Field

LISTED = 20
"""Number of classes up to which each has a value of its own."""

AT_ONCE = 1_000
"""Images that a classifier is tested on at a time."""


def per_class_fd(extractor: Extractor) -> Comparison:
    """Measures the Frechet distance within each class; less is better.

    `per_class_fd_<extractor>` is the mean over classes, also called intra-FID
    (https://arxiv.org/abs/1802.05637), and `per_class_fd_<extractor>_worst` the largest
    distance of a class. Up to 20 classes have values too, as
    `per_class_fd_<extractor>_class0`. Fakes of a class are compared with real examples
    of that class, so that a generator that ignores its labels is far off. Distances
    are larger than that of all images, since a class has fewer: see their floor.

    Args:
      extractor: the features.
    """
    name = f"per_class_fd_{extractor.name}"
    said = f"per_class_fd({extractor.name})"

    def compare(sets: Sets) -> dict[str, float]:
        real, fake = labels_of(sets, said)
        try:
            found = class_frechet(sets.real.features, real, sets.fake.features, fake)
        except UsageError as error:
            raise UsageError(f"{said}: {error}; use more images") from error
        each = {f"{name}_class{k}": x for k, x in found.distances.items()}
        listed = each if len(each) <= LISTED else {}
        return {name: found.mean, f"{name}_worst": found.worst, **listed}

    def warning(sets: Sets) -> str:
        label, real, fake = smallest_class(sets, said)
        text = features_warning(real, len(fake))
        return text and f"{name}: class {label} is the smallest, and {text}"

    # A covariance of one example is none.
    least = Least(said, of_class=2)
    return Comparison(extractor, compare, warning, labels=True, least=least)


def smallest_class(sets: Sets, metric: str) -> tuple[int, np.ndarray, np.ndarray]:
    """Returns the class with the fewest examples of either set, and their features.

    Args:
      sets: the sets.
      metric: as it is written in a command, for messages.

    Returns:
      The class, and features of its real examples and of its fakes.

    Raises:
      UsageError: if there are no labels.
    """
    real, fake = labels_of(sets, metric)
    counts = {
        label: min(int((x == label).sum()) for x in (real, fake))
        for label in np.union1d(real, fake).tolist()
    }
    label = min(counts, key=lambda k: counts[k])
    return label, sets.real.features[real == label], sets.fake.features[fake == label]


def accuracy_as_asked(extractor: Extractor) -> Comparison:
    """Measures how often a classifier sees the class that was asked for.

    The value is `accuracy_as_asked_<extractor>`, in [0, 1]; more is better. It does not
    see variety: a generator with a single image of each class can have 1. Its floor is
    the accuracy on training examples, which the classifier knows.

    Args:
      extractor: features with probabilities of classes.
    """

    def compare(sets: Sets) -> dict[str, float]:
        name = "accuracy_as_asked"
        _, labels = labels_of(sets, f"{name}({extractor.name})")
        p = probabilities_of(sets.fake, name, extractor.name)
        return {f"{name}_{extractor.name}": as_requested(p, labels)}

    return Comparison(extractor, compare, labels=True)


def classification_accuracy_of(
    seed: Seed = 0, *, example: ExampleSpec | None = None
) -> Comparison:
    """Trains a classifier on fakes and tests it on real examples; more is better.

    By https://arxiv.org/abs/1905.10887. The classifier is that of the extractor
    `classifier`, trained by its recipe on the fakes and the classes that they were
    asked for. `classification_accuracy` is its accuracy on the held-out examples, and
    `classification_accuracy_worst` that of the worst class. The floor is the accuracy
    after training on as many real training examples. The paper has as many fakes as the
    training set; fewer give a lower accuracy and a lower floor.

    Args:
      seed: seed of the training.
      example: the fields of the examples, None before they are known. The classifier
        of sounds sees their spectrograms.

    Raises:
      UsageError: if they are neither images nor sounds.
    """
    name = "classification_accuracy"
    sound = None
    if example is not None:
        first = example[example.generated]
        sound = first if first.kind == "waveform" else None
        if sound is None:
            image_shape(example, name)

    def compare(sets: Sets) -> dict[str, float]:
        real, fake = labels_of(sets, name)
        count = 1 + int(max(real.max(), fake.max()))
        found = classification_accuracy(
            trainer(count, seed, sound),
            images_of(sets.fake, name),
            fake,
            images_of(sets.real, name),
            real,
        )
        return {name: found.accuracy, f"{name}_worst": found.worst}

    return Comparison(NO_FEATURES, compare, images=True, labels=True)


def images_of(features: Features, metric: str) -> Images:
    """Returns the images of a set.

    Args:
      features: of the set.
      metric: name of the metric, for messages.

    Raises:
      UsageError: if the set has none.
    """
    if features.images is None:
        raise UsageError(f"{metric} needs the images of all sets, not only features")
    return features.images


def trainer(classes: int, seed: int, sound: Field | None = None) -> Train:
    """Returns a function that trains the classifier of the extractor `classifier`.

    Args:
      classes: number of classes.
      seed: seed of the training.
      sound: the field of waveforms, None for images.
    """
    net = Classifier(classes, sound)

    @jax.jit
    def logits(weights, images):
        return net.apply(weights, images)[0]

    def train(images: Images, labels: np.ndarray) -> Predict:
        # Features of whole sets are read by number, batch by batch.
        examples = classifier_training.Labelled(images, labels)  # pyright: ignore[reportArgumentType]
        weights = classifier_training.train(net, examples, seed)

        def predict(images: Images) -> np.ndarray:
            numbers = np.arange(len(images))
            parts = [
                logits(weights, jnp.asarray(images[numbers[i : i + AT_ONCE]]))
                for i in range(0, len(images), AT_ONCE)
            ]
            return np.concatenate([np.asarray(x) for x in parts])

        return predict

    return train
