"""The train step of a config, compiled for a slice that need not be here."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.experimental.compilation_cache.compilation_cache import reset_cache

from jaxgan import data, parallel
from jaxgan.config.planning import PlanConfig
from jaxgan.config.training import Config
from jaxgan.errors import UsageError
from jaxgan.experiment import input_pipeline, setup
from jaxgan.networks.ops import platform
from jaxgan.performance.hlo import cost, parser
from jaxgan.performance.planning.chips import Slice
from jaxgan.types import Tree


class Memory(NamedTuple):
    """Bytes on each device."""

    arguments: int
    results: int
    """Those that do not take an argument's place."""
    temporaries: int
    code: int
    """The program itself."""
    state: int = 0
    """Of the arguments, the state."""

    @property
    def total(self) -> int:
        """All that is in memory at once."""
        return self.arguments + self.results + self.temporaries + self.code


class Step(NamedTuple):
    """One compiled step, read."""

    config: Config
    layout: parallel.Layout
    memory: Memory
    cost: dict[str, float]
    """The compiler's own figures; a loop counts as one turn."""
    work: cost.Work
    donated: tuple[int, int]
    """Leaves of the state whose memory is reused, and all that the program reads."""
    parameters: tuple[int, int]
    """The generator's and the discriminator's."""
    text: str
    """The program."""


class DoesNotFit(Exception):
    """The compiler gave up: more memory is needed than there is."""

    def __init__(self, needed: float, limit: float):
        super().__init__(f"{needed / 2**30:.2f} GiB of {limit / 2**30:.2f} GiB")
        self.needed, self.limit = needed, limit


def dataset_of(question: PlanConfig) -> data.Dataset:
    """The data set, or one of the same shape of which nothing is in memory."""
    shape, size = question.shape, question.examples
    if not shape:
        return setup.load_data(question.config)[0]
    kind = np.uint8 if len(shape) == 3 else np.float32
    arrays: Any = {"image": np.broadcast_to(np.zeros((), kind), (size, *shape))}
    classes = tuple(str(i) for i in range(question.classes))
    if classes:
        arrays["label"] = np.broadcast_to(np.zeros((), np.int32), (size,))
    name = question.config.dataset
    return data.Dataset(
        name, size, shape, np.dtype(kind), classes, _nothing, "made up", arrays=arrays
    )


def _nothing(numbers: np.ndarray) -> Any:
    raise AssertionError("a plan reads no examples")


def compile_step(config: Config, dataset: data.Dataset, slice_: Slice) -> Step:
    """Builds and compiles one step, as training would on that slice.

    Raises:
      UsageError: if training would raise it.
      DoesNotFit: if the compiler runs out of the slice's memory.
    """
    plan = plan_of(config, dataset, slice_)
    with platform.compiling_for(slice_.devices[0].platform), uncached(slice_):
        game = setup.build_gan(
            plan.config, dataset.shape, len(dataset.classes), plan.layout
        )
        plan = plan._replace(game=game)
        state, key, feed, passed = input_pipeline.argument_shapes(plan, 1)
        given = placed((state, passed, key), plan.layout)
        lowered = parallel.lower(
            input_pipeline.make_train_step(plan), feed, plan.layout, 1, *given
        )
        program = compiled(lowered)
    return read(plan, program, state)


def plan_of(config: Config, dataset: data.Dataset, slice_: Slice) -> setup.Experiment:
    """The run that is planned, still without its game."""
    devices = list(slice_.devices)
    if config.devices > len(devices):
        raise UsageError(
            f"--devices={config.devices}: --topology={slice_.name} has {len(devices)}"
        )
    devices = devices[: config.devices or None]
    if config.runs > 1:
        fitting = [n for n in range(1, len(devices) + 1) if config.runs % n == 0]
        devices = devices[: fitting[-1]]
    layout = layout_for(config, devices)
    config = setup.apply_batch_per_device(config, layout)
    setup.check_batch_size(config, layout)
    data.steps_per_epoch(dataset.size, config.d_updates, config.batch_size)
    limit = slice_.limit / 4 or 2**31
    resident = setup.choose_input(config.input, dataset.nbytes, limit)
    game: Any = None
    return setup.Experiment(config, layout, dataset, game, resident, 1, None)


def layout_for(config: Config, devices: list[Any]) -> parallel.Layout:
    """As training has it; but pmap is possible on any slice, to be compared."""
    plain = config.runs == 1 and not config.shard_state and len(devices) > 1
    if config.parallel == "pmap" and plain:
        return parallel.Layout(devices, "pmap")
    return parallel.layout_of(
        devices,
        parallel=config.parallel,
        shard_state=config.shard_state,
        runs=config.runs,
    )


@contextmanager
def uncached(slice_: Slice) -> Iterator[None]:
    """Without the cache of programs, which jax cannot read for another machine.

    It decides once whether there is a cache, so it is made to decide anew.
    """
    if slice_.name == "local":
        yield
        return
    before = jax.config.jax_enable_compilation_cache  # type: ignore[attr-defined]
    jax.config.update("jax_enable_compilation_cache", False)
    reset_cache()
    try:
        yield
    finally:
        jax.config.update("jax_enable_compilation_cache", before)
        reset_cache()


def placed(shapes: Tree, layout: parallel.Layout) -> Tree:
    """Shapes that say which device they are for, where no mesh or pmap says it."""
    if len(layout.devices) > 1:
        return shapes
    there = jax.sharding.SingleDeviceSharding(layout.devices[0])
    return jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=there), shapes
    )


MESSAGES = (
    r"required for .*?\((?P<needed>[\d.]+\w?)\) exceeds .*?\((?P<limit>[\d.]+\w?)\)",
    r"Used (?P<needed>[\d.]+\w?) of (?P<limit>[\d.]+\w?) hbm",
)
"""What the compiler says when memory runs out."""


def compiled(lowered: Any) -> Any:
    """The program; an error of memory as `DoesNotFit`."""
    try:
        return lowered.compile()
    except jax.errors.JaxRuntimeError as error:
        found = out_of_memory(str(error))
        if found is None:
            raise
        raise DoesNotFit(*found) from error


def out_of_memory(text: str) -> tuple[float, float] | None:
    """Bytes needed and bytes there, if that is what an error is about.

    >>> out_of_memory("RESOURCE_EXHAUSTED: ... Used 20.00G of 15.75G hbm.")
    (21474836480.0, 16911433728.0)
    """
    if "RESOURCE_EXHAUSTED" not in text or "hbm" not in text.lower():
        return None
    for pattern in MESSAGES:
        found = re.search(pattern, text)
        if found:
            return _bytes(found["needed"]), _bytes(found["limit"])
    return 0.0, 0.0


def _bytes(text: str) -> float:
    scale = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}.get(text[-1])
    return float(text) if scale is None else float(text[:-1]) * scale


def read(plan: setup.Experiment, program: Any, state: Tree) -> Step:
    """What there is to know of a compiled step."""
    found, text = program.memory_analysis(), program.as_text()
    module = parser.parse(text)
    own = of_state(module, len(jax.tree.leaves(state)))
    memory = Memory(
        arguments=found.argument_size_in_bytes,
        results=found.output_size_in_bytes - found.alias_size_in_bytes,
        temporaries=found.temp_size_in_bytes,
        code=found.generated_code_size_in_bytes,
        state=sum(x.stored for x in own),
    )
    reused = cost.aliased(module) & {x.number for x in own}
    counts = [sum(x.size for x in jax.tree.leaves(own)) for own in state.params]
    runs_ = plan.config.runs
    return Step(
        plan.config,
        plan.layout,
        memory,
        dict(program.cost_analysis() or {}),
        cost.work_of(module, len(plan.layout.devices)),
        (len(reused), len(own)),
        (counts[0] // runs_, counts[1] // runs_),
        text,
    )


def of_state(module: parser.Module, leaves: int) -> list[cost.Argument]:
    """The arguments that are leaves of the state: by name under jit, else by number.

    A leaf that no step reads, such as a rate that its schedule sets anew, is none.
    """
    names = {f"flat_args[{i}]" for i in range(leaves)}
    return [
        x
        for x in cost.parameters(module)
        if x.name in names or x.name.startswith("state.")
    ]
