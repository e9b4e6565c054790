"""InceptionV3 of the FID: its architecture, and answers that are known."""

import hashlib
import json
import math
import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from torch_bytes import saved

from jaxgan import evaluate
from jaxgan.errors import UsageError
from jaxgan.evaluation import statistics_files
from jaxgan.metrics.features import inception, pretrained
from jaxgan.metrics.frechet import frechet_distance, moments

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


def random_tensors():
    """Random weights of the FID's layout under PyTorch's names."""
    rng = np.random.default_rng(0)
    tensors = {}
    for name, shape in SHAPES.items():
        fan = max(math.prod(shape[1:]), 1)
        tensors[name] = rng.standard_normal(shape, np.float32) / np.float32(fan**0.5)
        if name.endswith("running_var"):
            tensors[name] = np.abs(tensors[name]) + 1
    return tensors


FIRST = ("conv.weight", *(f"bn.{name}" for name in pretrained.STATISTICS))
"""The tensors of a layer."""


def colors(variables, images):
    """Features of mean colors by the first layer of a file, instead of the network."""
    layer = variables["params"]["Conv2d_1a_3x3"]
    features = jnp.mean(images, (1, 2)) @ layer["kernel"].sum((0, 1)) + layer["bias"]
    return features, features


def test_a_distance_by_the_flag(tmp_path, monkeypatch):
    tensors, weights = random_tensors(), tmp_path / "random.pth"
    weights.write_bytes(saved(tensors))
    monkeypatch.setattr(inception, "apply", colors)
    monkeypatch.setattr(inception, "SIZE", 8)
    monkeypatch.setattr(statistics_files, "FID_FEATURES", 32)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    rng = np.random.default_rng(1)
    sets = rng.integers(0, 256, (2, 90, 8, 8, 3), np.uint8)
    for name, images in zip("ab", sets, strict=True):
        np.savez(tmp_path / f"{name}.npz", images=images)
    real, fake = (f"npz:{tmp_path / name}.npz" for name in "ab")
    out = tmp_path / "out.json"
    flags = [f"--inception_weights={weights}", "--metrics=fd(inception)"]
    command = [*flags, f"--out={out}", "--compare"]

    def values(*more):
        assert evaluate.main([*command, *more]) == 0
        report = json.loads(out.read_text())
        [found] = report["protocol"]["extractors"].items()
        return {k: x["value"] for k, x in report["metrics"].items()}, found

    # Weights of the same layout that are not those of the FID have another name.
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    found, (name, facts) = values(real, fake)
    assert list(found) == ["fd_unknown_inception"]
    assert (name, facts["digest"]) == ("unknown_inception", digest[:16])
    assert facts["weights"] == "unknown"
    # The distance of the features by the layer in the file, with its BatchNorm.
    kernel, *norm = (tensors[f"Conv2d_1a_3x3.{x}"] for x in FIRST)
    scale, shift, mean, var = norm
    scale = scale / np.sqrt(var + 1e-3)
    kernel, bias = kernel.sum((2, 3)).T * scale, shift - mean * scale
    pixels = (sets / 127.5 - 1).mean((2, 3))
    own = [moments(x @ kernel + bias) for x in pixels]
    distance = frechet_distance(*own)
    assert found["fd_unknown_inception"] == pytest.approx(distance, rel=1e-3)
    # As pytorch-fid saves the statistics of the real images.
    stats = tmp_path / "fid.npz"
    np.savez(stats, mu=own[0].mean, sigma=own[0].scatter / 89)
    monkeypatch.setitem(inception.KNOWN, digest, "weights")
    found, (_, facts) = values(f"stats:{stats}", fake)
    assert found == {"fid": pytest.approx(distance, rel=1e-3)}
    assert facts["weights"] == "those of the FID"


def test_bad_weights_get_one_line(tmp_path, capsys):
    other = tmp_path / "other.pth"
    other.write_bytes(saved({"conv1.weight": np.zeros((64, 3, 7, 7), np.float32)}))
    images = np.zeros((4, 8, 8, 1), np.uint8)
    np.savez(tmp_path / "a.npz", images=images)
    command = ["--compare", *[f"npz:{tmp_path / 'a.npz'}"] * 2]
    sha = next(iter(inception.KNOWN))
    inceptions = "--metrics=fd(inception)"
    for words, flags in (
        (["weights of the FID: get", sha, "--inception_weights="], [inceptions]),
        (["x.pth does not exist"], [inceptions, "--inception_weights=x.pth"]),
        (["has no parameter"], [inceptions, f"--inception_weights={other}"]),
        (["has no effect"], ["--metrics=fd(random)", "--inception_weights=x.pth"]),
        (["only local"], [inceptions, "--inception_weights=https://a.b/x.pth"]),
    ):
        assert evaluate.main([*command, *flags]) == 2
        said = capsys.readouterr().err
        assert all(word in said for word in words)
        assert said.count("\n") == 1
