"""Losses and penalties against PyTorch's own functions, values and gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan import losses
from jaxgan.losses import adversarial
from jaxgan.types import DiscriminatorOutput, LossInputs, Players, Samples

torch = pytest.importorskip("torch", reason="no PyTorch: install the extra torch")
F = torch.nn.functional

REAL = np.array([1.3, -0.4, 0.2, 2.5, -3.0, 0.8], np.float32)
FAKE = np.array([-0.9, 0.6, 1.7, -2.2, 0.1, 3.1], np.float32)
RNG = np.random.default_rng(0)
X = {side: RNG.normal(size=(5, 3)).astype(np.float32) for side in ("real", "fake")}
WEIGHTS = [RNG.normal(size=s).astype(np.float32) for s in ((3, 4), (4,), (4,))]


def targets(x, target):
    """Binary cross-entropy of logits with one target for all."""
    return F.binary_cross_entropy_with_logits(x, torch.full_like(x, target))


def squares(x, target):
    return F.mse_loss(x, torch.full_like(x, target))


CASES = {
    "minimax": (
        adversarial.minimax(),
        lambda r, f: -targets(f, 0.0),
        lambda r, f: targets(r, 1.0) + targets(f, 0.0),
    ),
    "minimax, smooth": (
        adversarial.minimax(smooth=0.1, smooth_fake=0.2),
        lambda r, f: -targets(f, 0.0),
        lambda r, f: targets(r, 0.9) + targets(f, 0.2),
    ),
    "non_saturating": (
        adversarial.non_saturating(),
        lambda r, f: targets(f, 1.0),
        lambda r, f: targets(r, 1.0) + targets(f, 0.0),
    ),
    "non_saturating, smooth": (
        adversarial.non_saturating(smooth=0.25, smooth_fake=0.1),
        lambda r, f: targets(f, 1.0),
        lambda r, f: targets(r, 0.75) + targets(f, 0.1),
    ),
    "least_squares": (
        adversarial.least_squares(),
        lambda r, f: 0.5 * squares(f, 1.0),
        lambda r, f: 0.5 * (squares(r, 1.0) + squares(f, 0.0)),
    ),
    "least_squares, a b c": (
        adversarial.least_squares(-1.0, 1.0, 0.0),
        lambda r, f: 0.5 * squares(f, 0.0),
        lambda r, f: 0.5 * (squares(r, 1.0) + squares(f, -1.0)),
    ),
    "wasserstein": (
        adversarial.wasserstein(),
        lambda r, f: -f.mean(),
        lambda r, f: f.mean() - r.mean(),
    ),
    "hinge": (
        adversarial.hinge(),
        lambda r, f: -f.mean(),
        lambda r, f: F.relu(1 - r).mean() + F.relu(1 + f).mean(),
    ),
    "relativistic": (
        adversarial.relativistic(),
        lambda r, f: F.softplus(r - f).mean(),
        lambda r, f: F.softplus(f - r).mean(),
    ),
    "relativistic_average": (
        adversarial.relativistic_average(),
        lambda r, f: targets(f - r.mean(), 1.0) + targets(r - f.mean(), 0.0),
        lambda r, f: targets(r - f.mean(), 1.0) + targets(f - r.mean(), 0.0),
    ),
}


def of_torch(fn, *arrays):
    """Value and gradients."""
    tensors = [torch.tensor(np.asarray(x), requires_grad=True) for x in arrays]
    value = fn(*tensors)
    grads = torch.autograd.grad(value, tensors, allow_unused=True)
    zeros = [torch.zeros_like(x) for x in tensors]
    grads = [z if g is None else g for g, z in zip(grads, zeros, strict=True)]
    return [x.detach().numpy() for x in (value, *grads)]


ROUNDING = 8 * np.finfo(np.float32).eps
"""Relative error of a short sum in float32: of its largest terms, not of its value."""


def close(got, want):
    """Equal within the rounding of each array's largest entry.

    An entry in which terms as large as that cancel has no more digits than they have.
    """
    for g, w in zip(got, want, strict=True):
        np.testing.assert_allclose(g, w, rtol=0, atol=ROUNDING * np.abs(w).max())


def test_every_loss_is_here():
    assert {name.split(",")[0] for name in CASES} == set(adversarial.LOSSES)


@pytest.mark.parametrize("player", Players._fields)
@pytest.mark.parametrize("name", CASES)
def test_losses(name, player):
    loss, *formulas = CASES[name]
    formula = getattr(Players(*formulas), player)

    def value(real, fake):
        none = jnp.zeros(())
        critiques = DiscriminatorOutput(real), DiscriminatorOutput(fake)
        given = LossInputs(Samples(none, none), *critiques, None, none, none)  # type: ignore[arg-type]
        return getattr(loss, player).apply(given, ())[0]

    got, grads = jax.value_and_grad(value, (0, 1))(jnp.array(REAL), jnp.array(FAKE))
    close([got, *grads], of_torch(formula, REAL, FAKE))


def critic(weights, tanh):
    """A small perceptron in either framework."""
    w, b, v = weights
    return lambda x: tanh(x @ w + b) @ v


def of_term(term, weights):
    """Value and gradients with respect to the critic's weights."""

    def value(weights):
        def d(x):
            return DiscriminatorOutput(critic(weights, jnp.tanh)(x))

        real, fake = jnp.array(X["real"]), jnp.array(X["fake"])
        keys = jax.random.split(jax.random.key(0), len(real))
        given = LossInputs(
            Samples(real, fake), d(real), d(fake), d, keys, jnp.zeros(())
        )
        return term.apply(given, ())[0]

    got, grads = jax.value_and_grad(value)([jnp.array(w) for w in weights])
    return [got, *grads]


def slopes(weights, x):
    """Norms of the critic's gradient at `x`, which can be differentiated again."""
    x = torch.tensor(x, requires_grad=True)
    logits = critic(weights, torch.tanh)(x)
    (grad,) = torch.autograd.grad(logits.sum(), x, create_graph=True)
    return grad.norm(dim=1)


@pytest.mark.parametrize(("name", "side"), [("r1", "real"), ("r2", "fake")])
def test_zero_centred_penalties(name, side):
    got = of_term(losses.REGULARIZERS[name](3.0), WEIGHTS)
    want = of_torch(lambda *w: 1.5 * (slopes(w, X[side]) ** 2).mean(), *WEIGHTS)
    close(got, want)


@pytest.mark.parametrize("one_sided", [False, True])
def test_gradient_penalty(one_sided):
    keys = jax.random.split(jax.random.key(0), 5)
    t = np.asarray(jax.vmap(jax.random.uniform)(keys))[:, None]  # the factors it draws
    between = t * X["real"] + (1 - t) * X["fake"]

    def formula(*weights):
        excess = slopes(weights, between) - 1
        return 10 * ((F.relu(excess) if one_sided else excess) ** 2).mean()

    got = of_term(losses.gradient_penalty(10.0, one_sided), WEIGHTS)
    close(got, of_torch(formula, *WEIGHTS))


def test_classification():
    labels = np.array([0, 2, 1, 1, 0])
    none = jnp.zeros(())

    def value(real, fake):
        critiques = (
            DiscriminatorOutput(none, (), real),
            DiscriminatorOutput(none, (), fake),
        )
        samples = Samples(none, none, jnp.array(labels))
        given = LossInputs(samples, *critiques, None, none, none)  # type: ignore[arg-type]
        return losses.auxiliary_classifier(0.5, 2.0).apply(given, ())[0]

    def formula(real, fake):
        wanted = torch.tensor(labels)
        return 0.5 * F.cross_entropy(real, wanted) + 2 * F.cross_entropy(fake, wanted)

    logits = X["real"], X["fake"]
    got, grads = jax.value_and_grad(value, (0, 1))(*map(jnp.array, logits))
    close([got, *grads], of_torch(formula, *logits))
