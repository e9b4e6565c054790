"""Compiles the train step of a config for a slice that need not be attached."""

import dataclasses
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.experimental.compilation_cache.compilation_cache import reset_cache

from jaxgan import data, parallel
from jaxgan.config.planning import PlanConfig
from jaxgan.config.training import Config
from jaxgan.errors import UsageError
from jaxgan.experiment import setup
from jaxgan.experiment.experiment import Experiment
from jaxgan.networks.ops import platform
from jaxgan.parallel import topology
from jaxgan.performance.hlo import cost, parser
from jaxgan.performance.hlo.cost import Work
from jaxgan.performance.planning.chips import Slice
from jaxgan.types import ExampleSpec, Field, Tree, image_example


class Memory(NamedTuple):
    """The memory of a program, in bytes per device."""

    arguments: int
    results: int
    """Results that do not reuse the memory of an argument."""
    temporaries: int
    code: int
    """The program itself."""
    state: int = 0
    """The part of the arguments that is the train state."""

    @property
    def total(self) -> int:
        """The bytes that are in memory at once."""
        return self.arguments + self.results + self.temporaries + self.code


class Step(NamedTuple):
    """A compiled step and its cost."""

    config: Config
    layout: parallel.Layout
    memory: Memory
    cost: dict[str, float]
    """The compiler's own cost analysis, which counts a loop once."""
    work: Work
    donated: tuple[int, int]
    """Leaves of the state whose memory is reused, and all that the program reads."""
    parameters: tuple[int, int]
    """The number of parameters of the generator and of the discriminator."""
    text: str
    """The program in HLO."""


class DoesNotFit(Exception):
    """The compiler ran out of the device's memory; sizes are in bytes."""

    def __init__(self, needed: float, limit: float):
        super().__init__(f"{needed / 2**30:.2f} GiB of {limit / 2**30:.2f} GiB")
        self.needed, self.limit = needed, limit


def dataset_of(question: PlanConfig) -> data.Dataset:
    """Returns the dataset; with `--shape`, a made-up one that takes no memory."""
    size = question.examples
    if not question.shapes:
        return setup.load_data(question.config, new=True)[0]
    config = question.config
    example = made_up_example(
        question.shapes,
        question.classes,
        vocabulary=config.vocabulary,
        rate=config.rate or RATE,
    )
    # Broadcast zeros have the shape of the examples and the memory of one number.
    arrays: Any = {
        name: np.broadcast_to(np.zeros((), field.dtype), (size, *field.shape))
        for name, field in example.items()
    }
    return data.Dataset(
        config.dataset, size, example, _nothing, "made up", arrays=arrays
    )


KINDS = {1: "vector", 2: "waveform", 3: "image"}
"""Kinds of made-up fields by their number of axes, unless the name is a kind."""
DTYPES = {"mask": np.uint8, "image": np.uint8, "waveform": np.int16}
"""Of the kinds of made-up fields; that of others is float32."""
RATE = 16_000
"""Samples per second of made-up waveforms, unless a rate is given."""


def made_up_example(
    shapes: Mapping[str, tuple[int, ...]],
    classes: int,
    *,
    vocabulary: int = 1,
    rate: int = RATE,
) -> ExampleSpec:
    """Returns fields of these shapes, with the dtypes of loaded data.

    Images and masks are uint8, waveforms int16, tokens int32, and others float32.

    Args:
      shapes: by the name of the field.
      classes: number of classes; 0 for no labels.
      vocabulary: number of different tokens of a field called `tokens`.
      rate: samples per second of waveforms.

    >>> fields = made_up_example({"image": (8, 8, 3), "attributes": (4,)}, classes=0)
    >>> fields["image"].kind, fields["attributes"].kind, fields.classes
    ('image', 'attributes', ())
    """
    example = ExampleSpec()
    for name, shape in shapes.items():
        kind = name if name in ("mask", "attributes") else KINDS[len(shape)]
        dtype = np.dtype(DTYPES.get(kind, np.float32))
        heard = rate if kind == "waveform" else 0
        example[name] = Field(shape, dtype, kind, rate=heard)
        if name == "tokens":
            words = tuple(map(str, range(vocabulary)))
            example[name] = Field(shape, np.dtype(np.int32), name, words)
    if classes:
        example["label"] = image_example((1,), classes=classes)["label"]
    return example


def _nothing(numbers: np.ndarray) -> Any:
    raise AssertionError("a plan reads no examples")


def compile_step(config: Config, dataset: data.Dataset, slice_: Slice) -> Step:
    """Builds and compiles one step as training would on a slice.

    Raises:
      UsageError: if the config is wrong, as in training.
      DoesNotFit: if the compiler runs out of the device's memory.
    """
    plan = plan_of(config, dataset, slice_)
    # Networks choose the form of some layers by the platform they are compiled for.
    with platform.compiling_for(slice_.devices[0].platform), uncached(slice_):
        # Networks are built within the context, which sets their platform.
        gan = setup.build_gan(plan.config, dataset.example, plan.layout)
        plan = dataclasses.replace(plan, gan=gan)
        # Arguments are shapes, so that no memory is allocated.
        state, key, feed, passed = plan.argument_shapes(1)
        arguments = placed((state, passed, key), plan.layout)
        jit = plan.layout.strategy.jit
        jitted = jit(plan.train_step, feed, plan.layout, 1, arguments[0])
        program = compiled(jitted.lower(*arguments))
    return read(plan, program, state)


def plan_of(config: Config, dataset: data.Dataset, slice_: Slice) -> Experiment:
    """Sets up the planned run, without its networks."""
    layout = layout_on(config, slice_)
    config = setup.apply_batch_per_device(config, layout)
    setup.check_batch_size(config, layout)
    data.steps_per_epoch(dataset.size, config.d_updates, config.batch_size)
    # The dataset is kept on the device if it takes at most a quarter of its memory.
    limit = slice_.limit / 4 or 2**31
    resident = setup.choose_input(config.input, dataset.nbytes, limit)
    # The networks are built later, for the platform of the slice.
    gan: Any = None
    return Experiment(config, layout, dataset, gan, resident, 1, None)


def layout_on(config: Config, slice_: Slice) -> parallel.Layout:
    """Chooses the layout like training, but allows pmap on any slice, to compare."""
    count = len(slice_.devices)
    if config.devices > count:
        raise UsageError(
            f"--devices={config.devices}: --topology={slice_.title} has {count}; "
            "use that many or fewer"
        )
    # 0 stands for all devices. Several runs must divide over them.
    count = setup.even_devices(config.runs, config.devices or count)
    processes = 1 if config.parallel == "pmap" else None
    return setup.layout_for(config, list(slice_.devices[:count]), processes)


@contextmanager
def uncached(slice_: Slice) -> Iterator[None]:
    """Disables the compilation cache, which JAX cannot read for another machine.

    JAX decides only once if there is a cache, so the decision is reset.
    """
    if slice_.name == "local":
        yield
        return
    before = jax.config.jax_enable_compilation_cache  # type: ignore[attr-defined]
    jax.config.update("jax_enable_compilation_cache", False)
    # JAX decides anew at the next compilation.
    reset_cache()
    try:
        yield
    finally:
        jax.config.update("jax_enable_compilation_cache", before)
        reset_cache()


def placed(shapes: Tree, layout: parallel.Layout) -> Tree:
    """Adds the device to shapes, if there is only one."""
    if len(layout.devices) > 1:  # the mesh or pmap has the devices
        return shapes
    there = jax.sharding.SingleDeviceSharding(layout.devices[0])
    return jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=there), shapes
    )


MESSAGES = (
    r"required for .*?\((?P<needed>[\d.]+\w?)\) exceeds .*?\((?P<limit>[\d.]+\w?)\)",
    r"Used (?P<needed>[\d.]+\w?) of (?P<limit>[\d.]+\w?) hbm",
)
"""The compiler's out-of-memory errors."""


def compiled(lowered: Any) -> Any:
    """Compiles a program; raises `DoesNotFit` if it needs too much memory."""
    try:
        return lowered.compile()
    except jax.errors.JaxRuntimeError as error:
        # Other errors are not about memory and are raised unchanged.
        sizes = out_of_memory(str(error))
        if sizes is None:
            raise
        raise DoesNotFit(*sizes) from error


def out_of_memory(text: str) -> tuple[float, float] | None:
    """Reads the needed and the available bytes from an out-of-memory error.

    Returns:
      None for any other error, zeros if the text has no numbers.

    >>> out_of_memory("RESOURCE_EXHAUSTED: ... Used 20.00G of 15.75G hbm.")
    (21474836480.0, 16911433728.0)
    """
    if "RESOURCE_EXHAUSTED" not in text or "hbm" not in text.lower():
        return None
    # The compiler has several messages for this.
    for pattern in MESSAGES:
        match = re.search(pattern, text)
        if match:
            return _bytes(match["needed"]), _bytes(match["limit"])
    return 0.0, 0.0


def _bytes(text: str) -> float:
    # A suffix is a binary unit; a number without one is in bytes.
    scale = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}.get(text[-1])
    return float(text) if scale is None else float(text[:-1]) * scale


def read(plan: Experiment, program: Any, state: Tree) -> Step:
    """Reads memory, work and donation from a compiled step."""
    analysis, text = program.memory_analysis(), program.as_text()
    module = parser.parse(text)
    # The leaves of the state that the program reads.
    leaves = of_state(module, len(jax.tree.leaves(state)))
    memory = Memory(
        arguments=analysis.argument_size_in_bytes,
        results=analysis.output_size_in_bytes - analysis.alias_size_in_bytes,
        temporaries=analysis.temp_size_in_bytes,
        code=analysis.generated_code_size_in_bytes,
        state=sum(x.stored for x in leaves),
    )
    # Donated leaves whose memory a result reuses.
    reused = cost.aliased(module) & {x.number for x in leaves}
    # Elements of the generator's and the discriminator's parameters.
    counts = [sum(x.size for x in jax.tree.leaves(player)) for player in state.params]
    # The parameters of several runs are stacked.
    runs_ = plan.config.runs
    return Step(
        plan.config,
        plan.layout,
        memory,
        dict(program.cost_analysis() or {}),
        cost.work_of(
            module, len(plan.layout.devices), topology.slices_of(plan.layout.devices)
        ),
        (len(reused), len(leaves)),
        (counts[0] // runs_, counts[1] // runs_),
        text,
    )


def of_state(module: parser.Module, leaves: int) -> list[cost.Argument]:
    """Returns the arguments that are leaves of the state.

    They are found by name under jit, else by number. Leaves that the step does not
    read, such as a learning rate that its schedule overwrites, are not arguments.
    """
    # The state is the first argument, so its leaves have the first numbers.
    names = {f"flat_args[{i}]" for i in range(leaves)}
    return [
        x
        for x in cost.parameters(module)
        if x.name in names or x.name.startswith("state.")
    ]
