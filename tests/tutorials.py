"""The tutorials' programs in plain NumPy and float64: layers, losses, Adam by hand.

A layer has `params`, `forward(x)`, and `backward(dy)`, which returns dx and leaves
`grads` beside the params.
"""

import numpy as np


class Layer:
    """A layer without parameters."""

    def __init__(self):
        self.params, self.grads = [], []


class Dense(Layer):
    """x W + b, or x W."""

    def __init__(self, kernel, bias=None):
        super().__init__()
        self.params = [kernel] if bias is None else [kernel, bias]

    def forward(self, x):
        self.x = x
        y = x @ self.params[0]
        return y if len(self.params) == 1 else y + self.params[1]

    def backward(self, dy):
        self.grads = [self.x.T @ dy, dy.sum(0)][: len(self.params)]
        return dy @ self.params[0].T


class Leaky(Layer):
    """x where it is positive, else slope x."""

    def __init__(self, slope):
        super().__init__()
        self.slope = slope

    def forward(self, x):
        self.factor = np.where(x > 0, 1.0, self.slope)
        return x * self.factor

    def backward(self, dy):
        return dy * self.factor


class Tanh(Layer):
    """tanh x."""

    def forward(self, x):
        self.y = np.tanh(x)
        return self.y

    def backward(self, dy):
        return dy * (1 - self.y**2)


class Dropout(Layer):
    """Keeps where `mask`, which is set from outside, and divides by the share kept."""

    def __init__(self, rate):
        super().__init__()
        self.keep = 1 - rate
        self.mask = np.ones(())

    def forward(self, x):
        return x * self.mask / self.keep

    def backward(self, dy):
        return dy * self.mask / self.keep


class Reshape(Layer):
    """Examples in another shape."""

    def __init__(self, *shape):
        super().__init__()
        self.shape = shape

    def forward(self, x):
        self.before = x.shape
        return x.reshape(len(x), *self.shape)

    def backward(self, dy):
        return dy.reshape(self.before)


class BatchNorm(Layer):
    """(x - mean) / sqrt(var + 1e-3) * scale + bias, over all but the last axis."""

    def __init__(self, scale, bias):
        super().__init__()
        self.params = [scale, bias]

    def forward(self, x):
        axes = tuple(range(x.ndim - 1))
        self.root = np.sqrt(x.var(axes) + 1e-3)
        self.normal = (x - x.mean(axes)) / self.root
        return self.normal * self.params[0] + self.params[1]

    def backward(self, dy):
        axes = tuple(range(dy.ndim - 1))
        self.grads = [(dy * self.normal).sum(axes), dy.sum(axes)]
        d = dy * self.params[0]
        along = self.normal * (d * self.normal).mean(axes)
        return (d - d.mean(axes) - along) / self.root


class Conv(Layer):
    """A 5x5 convolution with padding 'same': ceil(n / stride) pixels of n."""

    def __init__(self, kernel, bias, stride):
        super().__init__()
        self.params, self.stride = [kernel, bias], stride

    def forward(self, x):
        self.size = x.shape[1:3]
        self.x = spread(x, self.size, self.stride)
        kernel, bias = self.params
        count = -(-self.size[0] // self.stride)
        self.taps = taps(count, self.stride)
        return sum(self.x[:, v, u] @ kernel[i, j] for i, j, v, u in self.taps) + bias

    def backward(self, dy):
        kernel = self.params[0]
        dx, dkernel = np.zeros_like(self.x), np.zeros_like(kernel)
        for i, j, v, u in self.taps:
            dkernel[i, j] = np.tensordot(self.x[:, v, u], dy, ([0, 1, 2], [0, 1, 2]))
            dx[:, v, u] += dy @ kernel[i, j].T
        self.grads = [dkernel, dy.sum((0, 1, 2))]
        return cut(dx, self.size, self.stride)


class ConvTranspose(Layer):
    """The gradient of a convolution with respect to x, as Keras's Conv2DTranspose.

    The kernel is `[5, 5, in, out]`.
    """

    def __init__(self, kernel, stride):
        super().__init__()
        self.params, self.stride = [kernel], stride

    def forward(self, x):
        self.x, kernel = x, self.params[0]
        self.size = tuple(self.stride * n for n in x.shape[1:3])
        self.taps = taps(x.shape[1], self.stride)
        y = spread(
            np.zeros((len(x), *self.size, kernel.shape[-1])), self.size, self.stride
        )
        for i, j, v, u in self.taps:
            y[:, v, u] += x @ kernel[i, j]
        return cut(y, self.size, self.stride)

    def backward(self, dy):
        dy, kernel = spread(dy, self.size, self.stride), self.params[0]
        axes = ([0, 1, 2], [0, 1, 2])
        dkernel = np.zeros_like(kernel)
        for i, j, v, u in self.taps:
            dkernel[i, j] = np.tensordot(self.x, dy[:, v, u], axes)
        self.grads = [dkernel]
        return sum(dy[:, v, u] @ kernel[i, j].T for i, j, v, u in self.taps)


def padding(n, stride):
    """Zeros before and after n pixels for a kernel of 5: 'same'."""
    total = max((-(-n // stride) - 1) * stride + 5 - n, 0)
    return total // 2, total - total // 2


def spread(x, size, stride):
    """Images with zeros around them."""
    return np.pad(x, ((0, 0), *(padding(n, stride) for n in size), (0, 0)))


def cut(x, size, stride):
    """Images without what was around them."""
    (top, left), (height, width) = (padding(n, stride)[0] for n in size), size
    return x[:, top : top + height, left : left + width]


def taps(count, stride):
    """For each entry of a 5x5 kernel the rows and columns that it meets."""
    reach = [slice(i, i + stride * (count - 1) + 1, stride) for i in range(5)]
    return [(i, j, reach[i], reach[j]) for i in range(5) for j in range(5)]


class Network:
    """Layers, one after another."""

    def __init__(self, *layers):
        self.layers = layers

    @property
    def params(self):
        return [p for layer in self.layers for p in layer.params]

    @property
    def dropouts(self):
        return [layer for layer in self.layers if isinstance(layer, Dropout)]

    def forward(self, x):
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backward(self, dy):
        """dx, and the gradients of all params."""
        for layer in reversed(self.layers):
            dy = layer.backward(dy)
        return dy, [g for layer in self.layers for g in layer.grads]


class Adam:
    """Algorithm 1 of the paper, or with Keras's epsilon hat."""

    def __init__(self, params, rate, b1, b2, eps, hat):
        self.params, self.numbers, self.hat, self.t = (
            params,
            (rate, b1, b2, eps),
            hat,
            0,
        )
        self.m = [np.zeros_like(p) for p in params]
        self.v = [np.zeros_like(p) for p in params]

    def step(self, grads):
        rate, b1, b2, eps = self.numbers
        self.t += 1
        first, second = 1 - b1**self.t, 1 - b2**self.t
        for p, m, v, g in zip(self.params, self.m, self.v, grads, strict=True):
            m += (1 - b1) * (g - m)
            v += (1 - b2) * (g * g - v)
            if self.hat:
                p -= rate * np.sqrt(second) / first * m / (np.sqrt(v) + eps)
            else:
                p -= rate * (m / first) / (np.sqrt(v / second) + eps)


def cross_entropy(logits, target):
    """Mean binary cross-entropy of sigmoid(logits), and its gradient."""
    p = 1 / (1 + np.exp(-logits))
    value = -np.mean(target * np.log(p) + (1 - target) * np.log(1 - p))
    return value, (p - target) / len(logits)


def seen(discriminator, x, masks):
    """Logits `[B, 1]`, with these dropout masks."""
    for layer, mask in zip(discriminator.dropouts, masks, strict=True):
        layer.mask = mask
    return discriminator.forward(x)


def d_update(generator, discriminator, optimizer, real, z, masks):
    """One update of the discriminator; its loss."""
    fake, total, grads = generator.forward(z), 0.0, []
    for x, target, own in ((real, 1.0, masks[0]), (fake, 0.0, masks[1])):
        loss, dlogits = cross_entropy(seen(discriminator, x, own), target)
        total += loss
        grads.append(discriminator.backward(dlogits)[1])
    optimizer.step([a + b for a, b in zip(*grads, strict=True)])
    return total


def g_update(generator, discriminator, optimizer, z, masks, saturating):
    """One update of the generator; its loss: -log D(G(z)), or log(1 - D(G(z)))."""
    logits = seen(discriminator, generator.forward(z), masks)
    loss, dlogits = cross_entropy(logits, 0.0 if saturating else 1.0)
    sign = -1.0 if saturating else 1.0
    dfake, _ = discriminator.backward(sign * dlogits)
    optimizer.step(generator.backward(dfake)[1])
    return sign * loss
