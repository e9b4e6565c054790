"""Extractors: their types, batches and digests."""

import jax
import numpy as np
import pytest

from jaxgan import spec
from jaxgan.data import from_fields
from jaxgan.errors import UsageError
from jaxgan.metrics.features import EXTRACTORS
from jaxgan.metrics.features.base import digest, in_batches
from jaxgan.types import ExampleSpec, Field, image_example

EXAMPLE = image_example((9, 7, 3))


def images(n, seed=0, shape=(9, 7, 3)):
    rng = np.random.default_rng(seed)
    return rng.uniform(-1, 1, (n, *shape)).astype(np.float32)


def random(text="random", example=EXAMPLE):
    return spec.build_one(text, EXTRACTORS, example=example, train=None, cache=None)


def test_random_equals_its_definition():
    """Convolutions written as sums over taps, in float64."""
    extractor = random("random(5)")
    draw = np.random.default_rng([0, 5, 3]).standard_normal
    first = draw((3, 3, 3, 32)) * (2 / 27) ** 0.5
    second = draw((3, 3, 32, 5)) * (2 / 288) ** 0.5
    x = images(3).astype(np.float64)
    for kernel in (first, second):
        # SAME with stride 2: zeros on both sides of an odd number of pixels, and on
        # the right only of an even number.
        pads = [(1, 1) if side % 2 else (0, 1) for side in x.shape[1:3]]
        x = np.pad(x, ((0, 0), *pads, (0, 0)))
        windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), (1, 2))
        x = np.einsum("nhwcij,ijcd->nhwd", windows[:, ::2, ::2], kernel).clip(0)
    out = extractor.extract(images(3))
    assert out.probabilities is None
    assert out.features.dtype == np.float32
    np.testing.assert_allclose(out.features, x.mean((1, 2)), rtol=1e-4, atol=1e-6)


def test_random_is_the_same_everywhere():
    """A known digest: the weights depend neither on the machine nor on the process."""
    assert random().digest == "1ddce23015335cd6"
    digests = {random(t).digest for t in ("random", "random(8)", "random(seed=1)")}
    assert len(digests) == 3
    assert random().protocol == {
        "resize": "none",
        "layer": "mean of convolution 2, 64",
        "seed": 0,
    }


@pytest.mark.parametrize("n", [0, 1, 15, 16, 17, 40])
def test_any_number_of_images_in_batches(n):
    """Padding and splitting over devices change nothing; one shape is compiled."""
    shapes = []

    def forward(weights, x):
        shapes.append(x.shape)
        return x.sum((1, 2)) * weights, x.reshape(len(x), -1)[:, :4]

    assert jax.local_device_count() == 8
    extract = in_batches(forward, np.float32(2), (9, 7, 3), batch=14)
    x = images(n)
    out = extract(x)
    np.testing.assert_allclose(out.features, 2 * x.sum((1, 2)), rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(out.probabilities, x.reshape(n, 189)[:, :4])
    assert shapes == [(16, 9, 7, 3)]


def test_the_weights_are_on_all_devices():
    """Each device computes its own part of a batch."""
    used = []

    def forward(weights, x):
        jax.debug.inspect_array_sharding(x, callback=used.append)
        return x.mean((1, 2)) + weights, None

    in_batches(forward, np.float32(0), (9, 7, 3), batch=16)(images(3))
    assert used[0].num_devices == 8
    assert used[0].shard_shape((16, 9, 7, 3)) == (2, 9, 7, 3)


def test_a_digest_tells_names_shapes_dtypes_and_values():
    trees = [
        {"a": np.zeros(4, np.float32)},
        {"b": np.zeros(4, np.float32)},
        {"a": np.zeros((2, 2), np.float32)},
        {"a": np.zeros(4, np.int32)},
        {"a": np.array([0, 0, 0, 1e-30], np.float32)},
        {"a": {"a": np.zeros(4, np.float32)}},
    ]
    assert len({digest(tree) for tree in trees}) == len(trees)
    assert digest({"a": jax.numpy.zeros(4)}) == digest(trees[0])


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (images(2)[0], r"are \[9, 7, 3\], and the features are those of \[n, 9, 7, 3"),
        (images(2, shape=(9, 8, 3)), "resize them first"),
        (np.zeros((2, 9, 7, 3), np.uint8), r"uint8: scale them to floats in \[-1, 1\]"),
    ],
)
def test_images_of_another_form(x, message):
    with pytest.raises(UsageError, match=message):
        random().extract(x)


@pytest.mark.parametrize(
    "name", [x for x in EXTRACTORS if x not in ("channels", "mel", "minilm", "values")]
)
def test_vectors_have_no_image_features(name):
    text = "inception('no/file.pth')" if name == "inception" else name
    for shape, kind in (((2,), "vector"), ((4, 4, 1), "mask")):
        example = ExampleSpec(image=Field(shape, np.dtype(np.float32), kind))
        arrays = {"image": np.zeros((3, *shape), np.float32)}
        train = from_fields("p", arrays, example=example, origin="")
        facts = {"example": example, "train": train, "held_out": None, "cache": None}
        with pytest.raises(UsageError, match=r"needs images \[H, W, C\]"):
            spec.build_one(text, EXTRACTORS, **facts)


@pytest.mark.parametrize("text", ["random(0)", "random(seed=-1)", "classifier(2**31)"])
def test_numbers_outside_their_range(text):
    facts = {"example": EXAMPLE, "train": None, "held_out": None, "cache": None}
    text = text.replace("2**31", str(2**31))
    with pytest.raises(UsageError, match=r"(dim|seed) must be "):
        spec.build_one(text, EXTRACTORS, **facts)
