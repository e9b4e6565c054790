"""InceptionV3 of the FID: its architecture, and answers that are known."""

import math
import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from torch_bytes import saved

from jaxgan.errors import UsageError
from jaxgan.metrics.features import inception, pretrained

NETWORK = inception.InceptionV3()
LAYERS = pretrained.abstract_layers(NETWORK)
SHAPES = pretrained.expected_shapes(LAYERS, inception.layer_names)


def identity(x, name, features, kernel=(1, 1), **options):
    """A layer that returns its inputs, in the place of a convolution."""
    del name, features, kernel, options
    return x


def test_number_of_parameters():
    # torchvision's network without auxiliary logits has 23834568 for 1000 classes;
    # each of the 8 more classes adds 2048 weights and a bias.
    trained = {k: v for k, v in SHAPES.items() if "running" not in k}
    assert sum(map(math.prod, trained.values())) == 23_834_568 + 8 * 2049
    assert len(LAYERS) == 94 + 1
    assert SHAPES["Mixed_5b.branch_pool.conv.weight"] == (32, 192, 1, 1)
    assert SHAPES["Mixed_6c.branch7x7_2.conv.weight"] == (160, 160, 1, 7)
    assert SHAPES["Mixed_7c.branch3x3dbl_3b.conv.weight"] == (384, 384, 3, 1)
    assert SHAPES["fc.weight"] == (1008, 2048)


def sizes(size):
    """Output shapes of the stem and the blocks for images of one size."""
    shapes = {}
    params = {"params": LAYERS}

    def record(block, name):
        def run(layer, x):
            x = block(layer, x)
            shapes[name] = x.shape[1:]
            return x

        return run

    blocks = {name: record(block, name) for name, block in inception.BLOCKS.items()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inception, "BLOCKS", blocks)
        patch.setattr(inception, "_stem", record(inception._stem, "stem"))
        image = jax.ShapeDtypeStruct((2, size, size, 3), jnp.float32)
        outputs: Any = jax.eval_shape(NETWORK.apply, params, image)
    features, logits = outputs
    assert features.shape == (2, 2048)
    assert logits.shape == (2, 1008)
    return shapes


def test_shapes_of_the_paper():
    shapes = sizes(299)
    assert shapes["stem"] == (35, 35, 192)
    assert [shapes[f"Mixed_5{x}"] for x in "bcd"] == [
        (35, 35, 256),
        (35, 35, 288),
        (35, 35, 288),
    ]
    assert {shapes[f"Mixed_6{x}"] for x in "abcde"} == {(17, 17, 768)}
    assert shapes["Mixed_7a"] == (8, 8, 1280)
    assert {shapes[f"Mixed_7{x}"] for x in "bc"} == {(8, 8, 2048)}
    assert sizes(inception.LEAST_SIZE)["Mixed_7c"] == (1, 1, 2048)


def test_average_pools_do_not_count_padding():
    x = np.random.default_rng(0).normal(size=(2, 4, 5, 3)).astype(np.float32)
    pooled = inception.average_pool(jnp.asarray(x))
    for i in range(4):
        for j in range(5):
            part = x[:, max(i - 1, 0) : i + 2, max(j - 1, 0) : j + 2]
            np.testing.assert_allclose(
                pooled[:, i, j], part.mean((1, 2)), rtol=1e-4, atol=1e-6
            )


@pytest.mark.parametrize(
    ("name", "branches", "pool"),
    [
        ("Mixed_5b", 4, np.mean),
        ("Mixed_5d", 4, np.mean),
        ("Mixed_6b", 4, np.mean),
        ("Mixed_6e", 4, np.mean),
        ("Mixed_7b", 6, np.mean),
        ("Mixed_7c", 6, np.max),
    ],
)
def test_pool_of_each_block(name, branches, pool):
    # Negative, so that the maximum of padding with zeros would be seen.
    x = -np.arange(1.0, 10).reshape(1, 3, 3, 1)
    out = inception.BLOCKS[name](identity, jnp.asarray(x))
    assert out.shape == (1, 3, 3, branches)
    np.testing.assert_array_equal(out[..., 0], x[..., 0])
    corner = pool(x[0, :2, :2, 0])
    np.testing.assert_allclose(out[0, 0, 0, -1], corner, rtol=1e-6)
    np.testing.assert_allclose(out[0, 1, 1, -1], pool(x), rtol=1e-6)


def test_biases_alone():
    # With kernels of 0, features are the biases of the last block's branches.
    params = jax.tree.map(lambda x: np.zeros(x.shape, np.float32), LAYERS)
    order = ("1x1", "3x3_2a", "3x3_2b", "3x3dbl_3a", "3x3dbl_3b", "_pool")
    for n, branch in enumerate(order):
        params[f"Mixed_7c.branch{branch}"]["bias"] += n - 1
    params["fc"]["kernel"][-1, 3] = 2
    params["fc"]["bias"] += 9
    images = np.zeros((1, 299, 299, 1), np.float32)
    features, logits = inception.apply({"params": params}, images)
    widths = (320, 384, 384, 384, 384, 192)
    np.testing.assert_array_equal(features[0], np.repeat([0, 0, 1, 2, 3, 4], widths))
    # Of the inception score, without the bias of 9.
    assert logits[0, :5].tolist() == [0, 0, 0, 8, 0]


def test_preprocessing():
    # The TensorFlow graph subtracts 128 from pixels and multiplies by 1 / 128.
    pixels = np.arange(256)
    ours = inception.normalize(jnp.asarray(pixels / 127.5 - 1, jnp.float32))
    np.testing.assert_allclose(ours, (pixels - 128) / 128, atol=1e-6)


def test_images_of_another_size():
    with pytest.raises(UsageError, match=r"of 96x80 pixels .*; resize .* 299x299"):
        inception.apply({}, np.zeros((1, 96, 80, 3)))


def zeros():
    """Weights of 0 under PyTorch's names, which take no memory."""
    return {k: np.broadcast_to(np.float32(0), v) for k, v in SHAPES.items()}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        # torchvision's own network has 1000 classes.
        (
            {"fc.weight": (1000, 2048), "fc.bias": (1000,)},
            "x has fc.weight of shape [1000, 2048] (float32), not [1008, 2048]",
        ),
        ({"Mixed_6a.branch3x3.conv.weight": None}, "no parameter Mixed_6a.branch3x3.c"),
        (
            {"AuxLogits.fc.weight": (1008, 768)},
            "x has an unknown parameter AuxLogits.fc.weight",
        ),
    ],
)
def test_weights_of_another_network(change, message):
    tensors = zeros()
    for name, shape in change.items():
        tensors.pop(name, None)
        if shape is not None:
            tensors[name] = np.broadcast_to(np.float32(0), shape)
    with pytest.raises(UsageError, match=re.escape(message)):
        pretrained.convert(NETWORK, tensors, inception.layer_names, "x")


def test_file_of_another_network(tmp_path):
    path = tmp_path / "x.pth"
    path.write_bytes(saved({"conv1.weight": np.zeros((64, 3, 7, 7), np.float32)}))
    first = "Conv2d_1a_3x3.conv.weight"
    with pytest.raises(UsageError, match=f"{path} has no parameter {first}; use"):
        inception.load(path)


def test_unknown_weights_are_stamped(tmp_path, monkeypatch):
    path = tmp_path / "x.pth"
    path.write_bytes(saved({}))
    monkeypatch.setattr(inception, "convert", lambda network, tensors, *rest: tensors)
    digest = inception.load(path)[1]
    assert re.fullmatch("unknown:[0-9a-f]{64}", digest)
    known = digest.removeprefix("unknown:")
    monkeypatch.setitem(inception.KNOWN, known, "weights")
    assert inception.load(path)[1] == known
    # As in the name of the file.
    assert any(key.startswith("6726825d") for key in inception.KNOWN)
