# pyright: reportMissingImports=false
"""Training steps of PyTorch like in its tutorials: D's updates, then one of G.

Switches of a variant, joined by `+`:

  eager          no other switch
  channels_last  images and kernels have the memory format `[B, H, W, C]`
  expert         no gradients of D's parameters in G's update; fused optimizers
  compile        both networks through `torch.compile`; with `reduce_overhead` or
                 `max_autotune` in that mode
  autocast       bfloat16
  tf32           on CUDA, TF32 in products and convolutions; off without it
  graphs         on CUDA, the whole step recorded once as a CUDA graph
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from peers import protocol
from peers.protocol import Contestant
from peers.torch_recipes import LOSSES, Recipe, plain, recipe_of
from peers.torch_recipes import RECIPES as RECIPES
from peers.torch_sequences import Sequence, labels
from peers.torch_tasks import Images, Played, Pool, Task, flipped

MODES = {"reduce_overhead": "reduce-overhead", "max_autotune": "max-autotune"}
CUDA = {"tf32", "graphs", "reduce_overhead", "max_autotune"}
SWITCHES = CUDA | {"eager", "channels_last", "expert", "compile", "autocast"}
DECAY = 0.998
"""Decay of the moving average; ours depends on the step, at the same cost."""


class Game(NamedTuple):
    """A recipe with its networks and optimizers on a device."""

    recipe: Recipe
    switches: set[str]
    device: torch.device
    generator: nn.Module
    discriminator: nn.Module
    compiled: tuple[Callable, Callable]
    """Both networks in the form that is called."""
    g_optimizer: torch.optim.Optimizer
    d_optimizer: torch.optim.Optimizer
    mean: list[Tensor]
    """Moving average of the generator's parameters; empty for none."""
    pictures: Tensor
    """uint8, `[N, C, H, W]`; all images of an example side by side in C. Of sounds
    int16 `[N, C, T, 1]`, and of texts numbers `[N, T]`."""
    labels: Tensor
    """`[N]`, of sounds and texts."""
    shape: tuple[int, ...]
    """Of an example."""
    pools: list[Pool]
    """Of past fakes, one per domain; empty for none."""


def switches_of(variant: str, device: torch.device) -> set[str]:
    """Parses the switches of a variant.

    Raises:
      ValueError: if a switch does not exist, or not on this device.
    """
    switches = set(variant.split("+"))
    if switches - SWITCHES:
        unknown = ", ".join(sorted(switches - SWITCHES))
        raise ValueError(
            f"no switch {unknown}: choose from {', '.join(sorted(SWITCHES))}"
        )
    if device.type != "cuda" and switches & CUDA:
        raise ValueError(f"{', '.join(sorted(switches & CUDA))}: there is no CUDA here")
    return switches


def game_of(job: dict[str, Any]) -> Game:
    """Builds the game of a job on the GPU, or on the CPU if there is none.

    Raises:
      ValueError: if the preset or a switch does not exist.
    """
    recipe = recipe_of(job)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    switches = switches_of(job["variant"], device)
    set_precision(switches)
    torch.manual_seed(0)
    last = torch.channels_last
    lies = last if "channels_last" in switches else torch.contiguous_format
    shape = tuple(job["shape"])
    g, d = (
        net.to(device).to(memory_format=lies)  # type: ignore[call-overload]
        for net in recipe.pair(recipe.latent, shape)
    )
    options: dict[str, Any] = {"fused": True} if "expert" in switches else {}
    options |= {"capturable": True} if "graphs" in switches else {}
    fields, past = (recipe.task.fields, recipe.task.past) if recipe.task else (1, 0)
    if recipe.sequence:
        pictures = recipe.sequence.data(job["examples"], shape).to(device)
    else:
        size = (job["examples"], fields * shape[2], *shape[:2])
        pictures = torch.randint(0, 256, size, dtype=torch.uint8, device=device)
    return Game(
        recipe,
        switches,
        device,
        g,
        d,
        (compiled(g, switches), compiled(d, switches)),
        recipe.optimizer(g.parameters(), options),
        (recipe.d_optimizer or recipe.optimizer)(d.parameters(), options),
        [p.detach().clone() for p in g.parameters()] if recipe.average else [],
        pictures.contiguous(memory_format=lies) if pictures.ndim == 4 else pictures,
        labels(job["examples"]).to(device),
        shape,
        [Pool(past) for _ in range(fields if past else 0)],
    )


def set_precision(switches: set[str]) -> None:
    """Sets whether PyTorch uses TF32, for the whole process."""
    tf32 = "tf32" in switches
    torch.backends.cuda.matmul.allow_tf32 = tf32
    torch.backends.cudnn.allow_tf32 = tf32
    torch.backends.cudnn.benchmark = True


def compiled(net: nn.Module, switches: set[str]) -> Callable[..., Any]:
    """Compiles the network if a switch requests it."""
    if not switches & {"compile", *MODES}:
        return net
    mode = next((MODES[name] for name in MODES if name in switches), None)
    return torch.compile(net, mode=mode)


def step(game: Game, numbers: Tensor) -> tuple[Tensor, Tensor]:
    """Runs one step on examples with these indices, `[updates, B]`; returns losses."""
    if game.recipe.task:
        return translate(game, game.recipe.task, numbers[-1])
    if game.recipe.sequence:
        return follow(game, game.recipe.sequence, numbers[-1])
    recipe, (g, d) = game.recipe, game.compiled
    fast = "autocast" in game.switches
    frozen = "expert" in game.switches
    autocast = torch.autocast(game.device.type, torch.bfloat16, enabled=fast)
    loss = LOSSES[recipe.loss]

    def critic(samples: Tensor) -> Tensor:
        with autocast:
            return d(samples).float()

    def generated() -> Tensor:
        with autocast:
            return g(latents(game, numbers.shape[1])).float()

    if frozen:
        game.discriminator.requires_grad_(True)
    real = fake = d_loss = torch.empty(0)
    for own in numbers:
        real = (game.pictures[own].float() - 127.5) / 127.5
        with torch.set_grad_enabled(not recipe.again):
            fake = generated()
        game.d_optimizer.zero_grad()
        judged = recipe.judge(critic, real, fake.detach())
        d_loss = loss.discriminator(judged.real, judged.fake) + judged.penalty
        d_loss.backward()
        game.d_optimizer.step()
        clip(game)

    if frozen:
        game.discriminator.requires_grad_(False)
    game.g_optimizer.zero_grad()
    fake = generated() if recipe.again else fake
    of_real = critic(real) if loss.paired else real
    g_loss = loss.generator(of_real, critic(fake))
    g_loss.backward()
    game.g_optimizer.step()
    average(game)
    return d_loss.detach(), g_loss.detach()


def translate(game: Game, task: Task, numbers: Tensor) -> tuple[Tensor, Tensor]:
    """Runs one step of image to image; fakes are generated once, as in the papers.

    Args:
      game: of a recipe with a task.
      task: of the recipe.
      numbers: indices of the examples, `[B]`.
    """
    frozen, loss = "expert" in game.switches, LOSSES[game.recipe.loss]
    fast = "autocast" in game.switches
    autocast = torch.autocast(game.device.type, torch.bfloat16, enabled=fast)
    g, d = game.compiled

    def generator(images: Images) -> Images:
        with autocast:
            return [x.float() for x in g(images)]

    def critic(played: Played, images: Images) -> Images:
        with autocast:
            return [x.float() for x in d(played.beside(images))]

    def mean(of: Callable[[Tensor, Tensor], Tensor], real: Images, fake: Images):
        return torch.stack([of(r, f) for r, f in zip(real, fake, strict=True)]).mean()

    images = (game.pictures[numbers].float() - 127.5) / 127.5
    batch = flipped(list(images.chunk(task.fields, 1)), task.alike)
    played = task.play(generator, batch)
    game.d_optimizer.zero_grad()
    if frozen:
        game.discriminator.requires_grad_(True)
    seen = [x.detach() for x in played.fake]
    seen = [p(x) for p, x in zip(game.pools, seen, strict=True)] if task.past else seen
    of_real, of_fake = critic(played, played.real), critic(played, seen)
    d_loss = mean(loss.discriminator, of_real, of_fake)
    d_loss.backward()
    game.d_optimizer.step()
    if frozen:
        game.discriminator.requires_grad_(False)
    game.g_optimizer.zero_grad()
    of_real = critic(played, played.real) if loss.paired else of_real
    g_loss = mean(loss.generator, of_real, critic(played, played.fake))
    g_loss = g_loss + task.terms(generator, played)
    g_loss.backward()
    game.g_optimizer.step()
    average(game)
    return d_loss.detach(), g_loss.detach()


def follow(game: Game, own: Sequence, numbers: Tensor) -> tuple[Tensor, Tensor]:
    """Runs one step of sounds or texts.

    Args:
      game: of a recipe with a sequence.
      own: the sequence of the recipe.
      numbers: indices of the examples, `[B]`.
    """
    recipe, frozen = game.recipe, "expert" in game.switches
    loss, label = LOSSES[recipe.loss], game.labels[numbers]
    fast = "autocast" in game.switches
    autocast = torch.autocast(game.device.type, torch.bfloat16, enabled=fast)
    real = own.real(game.pictures[numbers], game.shape)
    g, d = game.compiled

    def generated() -> Tensor:
        inputs = own.inputs(real, recipe.latent)
        with autocast:
            return g(inputs, label).float()

    def critic(samples: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        with autocast:
            logits, features = d(samples, label)
        return [x.float() for x in logits], [x.float() for x in features]

    def mean(of: Callable[[Tensor, Tensor], Tensor], pairs: Any) -> Tensor:
        return torch.stack([of(*pair) for pair in zip(*pairs, strict=True)]).mean()

    with torch.set_grad_enabled(not recipe.again):
        fake = generated()
    game.d_optimizer.zero_grad()
    if frozen:
        game.discriminator.requires_grad_(True)
    # Penalties are of discriminators with one tensor of logits.
    one = recipe.judge is not plain
    judged = recipe.judge(
        lambda x: critic(x)[0][0] if one else critic(x)[0], real, fake.detach()
    )
    both = [[x] if one else x for x in (judged.real, judged.fake)]
    d_loss = mean(loss.discriminator, both) + judged.penalty
    d_loss.backward()
    game.d_optimizer.step()
    if frozen:
        game.discriminator.requires_grad_(False)
    game.g_optimizer.zero_grad()
    fake = generated() if recipe.again else fake
    (of_real, seen), (of_fake, known) = critic(real), critic(fake)
    g_loss = mean(loss.generator, (of_real, of_fake))
    if own.terms:
        g_loss = g_loss + own.terms(real, fake, seen, known)
    g_loss.backward()
    game.g_optimizer.step()
    average(game)
    return d_loss.detach(), g_loss.detach()


def latents(game: Game, count: int) -> Tensor:
    """Draws latents, `[count, d]`."""
    size = (count, game.recipe.latent)
    if game.recipe.uniform:
        return 2 * torch.rand(size, device=game.device) - 1
    return torch.randn(size, device=game.device)


@torch.no_grad()
def clip(game: Game) -> None:
    """Clips the weights of D if the recipe has a bound."""
    bound = game.recipe.clip
    if bound:
        for parameter in game.discriminator.parameters():
            parameter.clamp_(-bound, bound)


@torch.no_grad()
def average(game: Game) -> None:
    """Updates the moving average if there is one."""
    if game.mean:
        now = list(game.generator.parameters())
        torch._foreach_lerp_(game.mean, now, 1 - DECAY)  # type: ignore[reportPrivateImportUsage]


def runner(game: Game, batch: int) -> Callable[[int], int]:
    """Returns run(steps), which shuffles the images anew in each epoch."""
    updates = game.recipe.updates
    each = updates * batch
    per_epoch = len(game.pictures) // each
    order, done = torch.empty(0), 0
    call = recorded(game, batch) if "graphs" in game.switches else None

    def run(steps: int) -> int:
        nonlocal order, done
        for _ in range(steps):
            place = done % per_epoch
            if place == 0:
                order = torch.randperm(len(game.pictures), device=game.device)
            numbers = order[place * each : (place + 1) * each].view(updates, batch)
            if "reduce_overhead" in game.switches:
                torch.compiler.cudagraph_mark_step_begin()
            call(numbers) if call else step(game, numbers)
            done += 1
        synchronize(game)
        return steps

    return run


def recorded(game: Game, batch: int) -> Callable[[Tensor], None]:
    """Records the step as one CUDA graph and returns a function that replays it."""
    numbers = torch.zeros(
        (game.recipe.updates, batch), dtype=torch.long, device=game.device
    )
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            step(game, numbers)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step(game, numbers)

    def call(own: Tensor) -> None:
        numbers.copy_(own)
        graph.replay()

    return call


def synchronize(game: Game) -> None:
    """Waits until the device has finished."""
    if game.device.type == "cuda":
        torch.cuda.synchronize()


def parameters(game: Game) -> dict[str, int]:
    """Returns the number of parameters of each player."""
    nets = {"generator": game.generator, "discriminator": game.discriminator}
    return {
        name: sum(p.numel() for p in net.parameters()) for name, net in nets.items()
    }


def memory() -> int:
    """Returns the peak bytes of the allocator, or of the process on a CPU."""
    cuda = torch.cuda.is_available()
    return torch.cuda.max_memory_allocated() if cuda else protocol.peak_rss()


def build(job: dict[str, Any]) -> Contestant:
    """Builds the steps of a job."""
    game = game_of(job)
    fast, tf32 = ("autocast" in game.switches, "tf32" in game.switches)
    cuda = game.device.type == "cuda"
    facts = {
        "parameters": parameters(game),
        "arithmetic": "bfloat16" if fast else "tf32" if tf32 else "float32",
        "device": torch.cuda.get_device_name() if cuda else "cpu",
        "versions": {"torch": torch.__version__},
        **({} if game.switches & {"compile", *MODES} else {"compile_seconds": 0.0}),
    }
    return Contestant(runner(game, job["batch_size"]), memory, facts)


if __name__ == "__main__":
    protocol.serve(build)
