"""What is checked and built before anything is compiled or written."""

import dataclasses
import logging
from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from jaxgan import data, parallel, workdir
from jaxgan.config.training import Config
from jaxgan.errors import UsageError
from jaxgan.gan import builder
from jaxgan.parallel import multi_seed
from jaxgan.types import Device, TrainState

log = logging.getLogger("jaxgan")


class Experiment(NamedTuple):
    """A run that is known to make sense."""

    config: Config
    layout: parallel.Layout
    dataset: data.Dataset
    game: builder.GAN
    resident: bool
    """Whether the data set lies on the devices."""
    steps_per_call: int
    held_out: data.Dataset | None
    """Examples that training does not see."""


def setup(config: Config) -> Experiment:
    """Finds the devices and the data, and builds the game.

    Raises:
      UsageError: naming the flag, and a value that works.
    """
    check_runs(config)
    layout = choose_layout(config)
    config = apply_batch_per_device(config, layout)
    check_batch_size(config, layout)
    builder.check_texts(config)
    dataset, held_out = load_data(config)
    log_values(dataset)
    per_epoch = data.steps_per_epoch(dataset.size, config.d_updates, config.batch_size)
    game = build_gan(config, dataset.shape, len(dataset.classes), layout)
    limit = parallel.resident_limit(layout.devices)
    resident = choose_input(config.input, dataset.nbytes, limit)
    count = choose_steps_per_call(config, layout.devices, per_epoch)
    return Experiment(config, layout, dataset, game, resident, count, held_out)


def choose_layout(config: Config) -> parallel.Layout:
    """The devices that are used, and how."""
    devices = parallel.choose_devices(config.devices)
    if config.runs > 1:
        devices = spread_runs(config, devices)
    log.info("%s", parallel.describe_devices(devices))
    parallel.warn_of_unused_accelerator(devices)
    return parallel.layout_of(
        devices,
        parallel=config.parallel,
        shard_state=config.shard_state,
        runs=config.runs,
    )


def apply_batch_per_device(config: Config, layout: parallel.Layout) -> Config:
    """The config with the whole batch, where the flags tell that of a device."""
    if not config.batch_per_device:
        return config
    sharing = 1 if config.runs > 1 else len(layout.devices)
    whole = config.batch_per_device * sharing
    return dataclasses.replace(config, batch_size=whole)


def build_gan(
    config: Config, shape: tuple[int, ...], classes: int, layout: parallel.Layout
) -> builder.GAN:
    """The game as a step of this layout has it."""
    return builder.build(
        config,
        shape,
        classes=classes,
        axis=layout.axis,
        devices=layout.parts,
        unroll=layout.unroll,
        around=parallel.shard_gradient(layout),
    )


def load_data(config: Config) -> tuple[data.Dataset, data.Dataset | None]:
    """The examples to train on, and those that are kept from it."""

    def split(name):
        return data.load(
            config.dataset,
            split=name,
            data_dir=config.data_dir or None,
            image_size=config.image_size or None,
            crop=config.crop,
            image_field=config.image_field,
            label_field=config.label_field,
            alpha=config.alpha,
            on_bad_example=config.on_bad_example,
        )

    parts = data.hold_out(split(config.split), config.held_out, config.split, split)
    if config.on_bad_example == "stop":
        return parts
    train, held_out = parts
    return data.skip_bad_examples(train), held_out and data.skip_bad_examples(held_out)


def log_values(dataset: data.Dataset) -> None:
    """Logs how many examples there are and their range, and warns if it is odd."""
    values = data.measure_values(dataset)
    log.info("%s", data.format_values(dataset, values))
    if warning := data.range_warning(dataset, values):
        log.warning("%s", warning)


def check_runs(config: Config) -> None:
    """One run can go back to a checkpoint; several share their step."""
    if config.runs > 1 and config.on_collapse == "rollback":
        raise UsageError(
            f"--on_collapse=rollback goes back in one run, not in "
            f"--runs={config.runs}: use --on_collapse=warn, or --runs=1"
        )


def spread_runs(config: Config, devices: list[Device]) -> list[Device]:
    """As many devices of each process as divide the runs; each has its runs whole."""
    processes = len({device.process_index for device in devices})
    each = config.runs // processes
    if config.runs % processes:
        raise UsageError(
            f"--runs={config.runs} do not spread over {processes} processes: use "
            f"--runs={(each + 1) * processes}"
        )
    fitting = [n for n in range(1, len(devices) // processes + 1) if each % n == 0]
    if config.devices not in (0, fitting[-1]):
        raise UsageError(
            f"--runs={config.runs} do not spread over --devices={config.devices}: use "
            f"--devices={fitting[-1]} or --runs={config.devices}"
        )
    return parallel.choose_devices(fitting[-1])


def seeds_of(config: Config) -> range:
    """The seeds that are trained, one for each run."""
    return range(config.seed, config.seed + config.runs)


def state_shapes(plan: Experiment) -> TrainState:
    """The shapes of a state, or of the states of several runs in one."""
    one = jax.eval_shape(plan.game.init, jax.random.key(0))
    count = plan.config.runs
    return jax.eval_shape(multi_seed.stack_runs, [one] * count) if count > 1 else one


def data_facts(dataset: data.Dataset) -> dict[str, Any]:
    """Returns the facts of the data for data.json: for sampling, and to compare."""
    return {
        "shape": list(dataset.shape),
        "dtype": str(dataset.dtype),
        "classes": list(dataset.classes),
        "size": dataset.size,
        "fingerprint": data.fingerprint(dataset),
    }


def allowed_differences(
    config: Config, known: dict[str, Any]
) -> Callable[[dict[str, Any], dict[str, Any]], frozenset[str]]:
    """Returns alike(old config, old data): fields in which a resumed run may differ.

    Data are compared by their examples where an earlier run kept a fingerprint of them,
    so that they may be found by another name; else by the place where they are.

    Args:
      config: of the run that resumes.
      known: the `facts` of its data.
    """

    def alike(old: dict[str, Any], old_data: dict[str, Any]) -> frozenset[str]:
        found = set()
        if old_data.get("classes") == []:
            found.add("classes")  # a run that knew of no labels uses none
        same = old_data.get("fingerprint") == known["fingerprint"] is not None
        if same or data.same_place(str(old.get("dataset")), config.dataset):
            found.add("dataset")
        if config.data_changed == "accept":
            changed = workdir.differences(old_data, known, frozenset(found))
            if changed:
                log.warning(
                    "goes on with other data: %s", workdir.format_differences(changed)
                )
            found |= workdir.ACCEPTABLE
        return frozenset(found)

    return alike


def check_batch_size(config: Config, layout: parallel.Layout) -> None:
    """A batch is split evenly over the devices, and there into parts."""
    batch, parts = config.batch_size, config.accumulate
    devices = len(layout.devices) if config.runs == 1 else 1
    fits = -(-batch // (devices * parts)) * devices * parts
    if batch % devices:
        raise UsageError(
            f"--batch_size={batch} does not divide over {devices} devices: "
            f"use --batch_size={fits} or --devices=1"
        )
    if batch % (devices * parts):
        raise UsageError(
            f"--batch_size={batch} does not divide into --accumulate={parts} "
            f"parts on each of {devices} device(s): use --batch_size={fits}"
        )


def choose_input(said: str, nbytes: int, limit: float) -> bool:
    """Whether the set lies on the devices: as said, or if it is small (`auto`)."""
    if said not in ("auto", "device", "host"):
        raise UsageError(f"--input={said}: choose auto, device or host")
    return said == "device" or (said == "auto" and nbytes <= limit)


def choose_steps_per_call(config: Config, devices: list[Device], per_epoch: int) -> int:
    """As said, or the device's default within an epoch and the reporting intervals."""
    if config.steps_per_call > per_epoch:
        raise UsageError(
            f"--steps_per_call={config.steps_per_call} is more than the {per_epoch} "
            f"steps of an epoch: use --steps_per_call={per_epoch} or less"
        )
    often = min(config.log_every, config.sample_every, config.save_every, config.steps)
    default = parallel.default_steps_per_call(devices)
    return config.steps_per_call or min(default, per_epoch, often)
