"""The default recipe in PyTorch is ours: initialization, step, moving average."""

import copy
import json
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_peers import config_of, nets_of, of_small, variables_of

from jaxgan.schedules import ema_decay

SHAPE = (28, 28, 1)


@pytest.fixture(scope="module")
def twin():
    torch = pytest.importorskip("torch", reason="no PyTorch: install the extra bench")
    torch.set_num_threads(1)  # several wait for one another where tests share cores
    import torch_default

    return torch_default


def pictures(count):
    return np.random.default_rng(0).integers(0, 256, (count, *SHAPE), np.uint8)


def game_of(twin, count=64, seed=0):
    images = twin.torch.tensor(pictures(count).transpose(0, 3, 1, 2).copy())
    return twin.game_of(images, "channels_last+expert", seed)


def test_initial_parameters_have_the_same_distribution(twin):
    variables: Any = variables_of(config_of("default"), SHAPE)
    g, d = (jax.tree.map(np.asarray, own["params"]) for own in variables)
    game = game_of(twin)
    pairs = zip(
        (game.generator, game.discriminator), of_small(g, d, SHAPE), strict=True
    )
    for net, ours in pairs:
        theirs = [x.detach().numpy() for x in net.parameters()]
        for a, b in zip(theirs, ours, strict=True):
            assert a.shape == b.shape
            # Four standard errors of both; a truncated normal ends at two deviations.
            tolerance = 4 * b.std() * (1 / a.size) ** 0.5
            assert abs(a.std() - b.std()) <= tolerance
            assert abs(a.mean() - b.mean()) <= 1.5 * tolerance
            if a.size > 1_000:
                assert abs(a).max() == pytest.approx(abs(b).max(), rel=0.02)


def test_another_seed_is_another_network(twin):
    first, same, other = (
        game_of(twin, seed=seed).generator[1].weight.detach() for seed in (0, 0, 1)
    )
    assert (first == same).all()
    assert (first != other).any()


def test_the_moving_average_is_ours(twin):
    config = config_of("default")
    assert (config.batch_size, config.ema_half_life) == (twin.BATCH, twin.HALF_LIFE)
    assert config.ema_ramp == twin.RAMP
    ours = ema_decay(twin.HALF_LIFE, config.batch_size, config.ema_ramp)
    for step in (0, 1, 500, 4_999, 5_000, 12_000):
        want = float(np.asarray(ours(jnp.asarray(step))))
        assert twin.decay(step) == pytest.approx(want, rel=1e-5)


def test_a_step_has_our_losses_on_the_same_weights_and_latents(twin, monkeypatch):
    torch, batch = twin.torch, 5
    rng = np.random.default_rng(1)
    z = rng.normal(size=(2, batch, 64)).astype(np.float32)
    game, images = game_of(twin, batch), pictures(batch)
    config = config_of("default")
    nets: Any = nets_of(config, SHAPE)
    variables: Any = variables_of(config, SHAPE)
    g, d = (jax.tree.map(np.asarray, own["params"]) for own in variables)
    ordered = of_small(g, d, SHAPE)
    with torch.no_grad():
        pairs = zip((game.generator, game.discriminator), ordered, strict=True)
        for net, values in pairs:
            for parameter, value in zip(net.parameters(), values, strict=True):
                parameter.copy_(torch.tensor(np.ascontiguousarray(value)))
    drawn = iter(torch.tensor(z))
    monkeypatch.setattr(twin.pytorch, "latents", lambda *_: next(drawn))
    theirs = twin.pytorch.step(game, torch.arange(batch)[None])

    x = jnp.asarray(images / 127.5 - 1, jnp.float32)
    generator, discriminator = nets

    def judge(params, samples):
        out: Any = discriminator.apply({"params": params}, samples, train=True)
        return out.logits

    def generate(params, latent):
        return generator.apply({"params": params}, latent, train=True)

    def slopes(params, samples):
        grads = jax.grad(lambda s: judge(params, s).sum())(samples)
        return (grads**2).sum((1, 2, 3)).mean()

    def d_loss(params):
        fake = generate(g, z[0])
        margin = judge(params, x) - judge(params, fake)
        penalty = 0.5 * (slopes(params, x) + slopes(params, fake))
        return jax.nn.softplus(-margin).mean() + penalty

    value, grads = jax.jit(jax.value_and_grad(d_loss))(d)
    assert theirs[0].item() == pytest.approx(float(value), rel=1e-4)
    # The first step of Adam without momentum has the size of the learning rate.
    stepped = jax.tree.map(lambda p, u: p - 2e-3 * u / (abs(u) + 1e-8), d, grads)
    fake = generate(g, z[1])
    g_loss = jax.nn.softplus(judge(stepped, x) - judge(stepped, fake)).mean()
    assert theirs[1].item() == pytest.approx(float(g_loss), rel=1e-4)


def test_samples_of_the_average_at_all_checkpoints(twin, tmp_path, monkeypatch):
    np.savez(tmp_path / "mnist.npz", train_image=pictures(128), train_label=[0] * 128)
    rates = tmp_path / "steps.json"
    rates.write_text(json.dumps({"rates": {}, "versions": {}}))
    flags = [f"--npz={tmp_path}", f"--steps_file={rates}", "--sets=mnist"]

    def main(*more):
        monkeypatch.setattr("sys.argv", ["torch_default.py", *flags, *more])
        twin.main()

    with pytest.raises(SystemExit, match="lacks pytorch"):
        main("--steps=2")
    main("--calibrate=0.1")
    rate = json.loads(rates.read_text())["rates"]["pytorch"]
    assert rate["steps_per_second"] > 0
    out = tmp_path / "out"
    main("--steps=8", "--seeds=3", "--n=20", f"--out={out}")
    files = sorted((out / "mnist" / "3").iterdir())
    assert [int(file.stem) for file in files] == list(range(1, 9))
    with np.load(files[-1]) as last, np.load(files[0]) as first:
        assert last["samples"].shape == (20, *SHAPE)
        assert last["samples"].dtype == np.uint8
        assert (last["samples"] != first["samples"]).any()
        assert int(last["step"]) == 8
        assert float(last["steps_per_second"]) == rate["steps_per_second"]
    # A finished seed is not trained again.
    before = files[-1].stat().st_mtime_ns
    main("--steps=8", "--seeds=3", "--n=20", f"--out={out}")
    assert files[-1].stat().st_mtime_ns == before


def test_the_average_follows_the_generator(twin, monkeypatch):
    game = game_of(twin, 64)
    mean = copy.deepcopy(game.generator)
    start = next(mean.parameters()).detach().clone()
    twin.advance(game, mean, twin.trained(game), 0, 1)
    now = next(game.generator.parameters()).detach()
    got = next(mean.parameters()).detach()
    decay = twin.decay(0)
    twin.torch.testing.assert_close(got, decay * start + (1 - decay) * now)
    assert (start != now).any()
