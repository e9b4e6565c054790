"""Pretrained networks against PyTorch, with the same random weights."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

from jaxgan.metrics.features import efficientnet, inception, pretrained, torch_files

torch = pytest.importorskip("torch", reason="no PyTorch: install the extra torch")
F = torch.nn.functional

PIXELS = np.random.default_rng(0).integers(0, 256, (2, 299, 299, 3))
# A gradient beside noise, so that features differ.
PIXELS[1] = np.linspace(0, 255, 299, dtype=int)[:, None, None]


def close(ours, reference, least_difference=0.01):
    """Asserts equality to 1e-4 of the largest value, and that the images differ."""
    ours, reference = np.asarray(ours), reference.numpy()
    assert ours.shape == reference.shape
    scale = np.abs(reference).max()
    assert np.abs(ours - reference).max() < 1e-4 * scale
    assert np.abs(reference[0] - reference[1]).max() > least_difference * scale


def random_weights(shapes):
    """He-normal kernels and random statistics of BatchNorm, in PyTorch's layout."""
    make = torch.Generator().manual_seed(0)
    weights = {}
    for name, shape in shapes.items():
        if len(shape) > 1:
            std = (2 / math.prod(shape[1:])) ** 0.5
            weights[name] = std * torch.randn(shape, generator=make)
        elif name.endswith(("running_var", "weight")):
            weights[name] = 0.5 + torch.rand(shape, generator=make)
        else:
            weights[name] = 0.1 * torch.randn(shape, generator=make)
    return weights


def same(x, kernel, stride):
    """Images padded like TensorFlow does it."""
    pads = []
    for n in (x.shape[3], x.shape[2]):
        total = max((math.ceil(n / stride) - 1) * stride + kernel - n, 0)
        pads += [total // 2, total - total // 2]
    return F.pad(x, pads)


def lite0(x, weights):
    """EfficientNet-Lite0, from the table of the paper."""

    def layer(x, conv, norm, stride=1, groups=1, act=True):
        kernel = weights[f"{conv}.weight"]
        x = F.conv2d(
            same(x, kernel.shape[-1], stride), kernel, None, stride, 0, 1, groups
        )
        scale, bias, mean, var = (
            weights[f"{norm}.{name}"]
            for name in ("weight", "bias", "running_mean", "running_var")
        )
        x = F.batch_norm(x, mean, var, scale, bias, eps=0.001)
        return F.relu6(x) if act else x

    strides = [1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1]
    ends = (0, 2, 4, 7, 10, 14, 15)
    x = layer(x, "_conv_stem", "_bn0", 2)
    stages = []
    for n, stride in enumerate(strides):
        block, h = f"_blocks.{n}", x
        if n:
            h = layer(h, f"{block}._expand_conv", f"{block}._bn0")
        h = layer(h, f"{block}._depthwise_conv", f"{block}._bn1", stride, h.shape[1])
        h = layer(h, f"{block}._project_conv", f"{block}._bn2", act=False)
        x = x + h if x.shape == h.shape else h
        if n in ends:
            stages.append(x.permute(0, 2, 3, 1))
    features = layer(x, "_conv_head", "_bn1").mean((2, 3))
    logits = features @ weights["_fc.weight"].T + weights["_fc.bias"]
    return stages, features, logits


@pytest.mark.parametrize("zipped", [True, False])
def test_files_of_torch(zipped, tmp_path):
    # Transposed and shared storages, and types but float32.
    base = torch.arange(24.0).reshape(4, 6)
    tensors = {
        "base": base,
        "view": base[1:, ::2].T,
        "parameter": torch.nn.Parameter(base[0]),
        "steps": torch.tensor(3),
        "half": base.half(),
        "double": base.double(),
        "none": torch.zeros(0, 3),
    }
    path = tmp_path / "x.pth"
    torch.save(tensors, path, _use_new_zipfile_serialization=zipped)
    held, _ = torch_files.read(path)
    assert list(held) == list(tensors)
    for name, tensor in tensors.items():
        expected = tensor.detach().numpy()
        np.testing.assert_array_equal(held[name], expected, strict=True)


@pytest.mark.parametrize("size", [64, 75])
def test_efficientnet(size, tmp_path, monkeypatch):
    network = efficientnet.EfficientNetLite0()
    layers = pretrained.abstract_layers(network)
    shapes = pretrained.expected_shapes(layers, efficientnet.layer_names)
    weights = random_weights(shapes)
    path = tmp_path / "x.pth"
    torch.save(weights, path)
    monkeypatch.setattr(efficientnet, "SHA256", None)
    variables, _ = efficientnet.load(path)
    pixels = PIXELS[:, :size, :size]
    x = torch.tensor((pixels - 127) / 128, dtype=torch.float32).permute(0, 3, 1, 2)
    stages, *reference = lite0(x, weights)
    images = np.float32(pixels / 127.5 - 1)
    for ours, expected in zip(
        efficientnet.apply(variables, images), reference, strict=True
    ):
        close(ours, expected)
    for ours, expected in zip(
        efficientnet.stages(variables, images), stages, strict=True
    ):
        close(ours, expected)


def test_efficientnet_with_its_weights():
    pytest.importorskip(efficientnet.PACKAGE, reason="install the extra features")
    variables, _ = efficientnet.load()
    path = efficientnet._installed()
    weights = torch.load(path, weights_only=True)
    pixels = PIXELS[:, :224, :224]
    x = torch.tensor((pixels - 127) / 128, dtype=torch.float32).permute(0, 3, 1, 2)
    _, *reference = lite0(x, weights)
    images = np.float32(pixels / 127.5 - 1)
    for ours, expected in zip(
        efficientnet.apply(variables, images), reference, strict=True
    ):
        close(ours, expected)


def fid_pool(x, **options):
    """The pools of the graph of 2015 in the place of torchvision's average pools.

    Only the last block has 2048 channels at its input.
    """
    if x.shape[1] == 2048:
        return F.max_pool2d(x, **options)
    return F.avg_pool2d(x, **options, count_include_pad=False)


def test_inception(tmp_path, monkeypatch):
    models = pytest.importorskip("torchvision.models.inception", reason="install it")
    functions = SimpleNamespace(
        avg_pool2d=fid_pool, max_pool2d=F.max_pool2d, relu=F.relu
    )
    monkeypatch.setattr(models, "F", functions)
    reference = models.Inception3(1008, aux_logits=False, init_weights=False).eval()
    state = reference.state_dict()
    random = random_weights({k: v.shape for k, v in state.items() if "num_" not in k})
    reference.load_state_dict({**state, **random})
    path = tmp_path / "x.pth"
    # pytorch-fid's file is of the older format.
    torch.save(reference.state_dict(), path, _use_new_zipfile_serialization=False)
    variables, digest = inception.load(path)
    assert digest.startswith("unknown:")
    pooled = []
    reference.avgpool.register_forward_hook(lambda *args: pooled.append(args[-1]))
    x = torch.tensor((PIXELS - 128) / 128, dtype=torch.float32).permute(0, 3, 1, 2)
    with torch.no_grad():
        logits = reference(x) - reference.fc.bias
    ours = inception.apply(variables, np.float32(PIXELS / 127.5 - 1))
    close(ours[0], pooled[0][:, :, 0, 0])
    close(ours[1], logits)
