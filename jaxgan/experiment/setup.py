"""Sets up an experiment, before anything is compiled or written."""

import dataclasses
import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from flax import linen as nn

from jaxgan import data, parallel, storage, workdir
from jaxgan.config.training import AUTO, Config
from jaxgan.distributed.consensus import is_main_process
from jaxgan.errors import UsageError
from jaxgan.experiment import cpu_devices, init_from
from jaxgan.experiment.auto_recipe import AUGMENTATIONS, FEW, choose_recipe
from jaxgan.experiment.batches import check_batch_size, log_unused
from jaxgan.experiment.experiment import Experiment
from jaxgan.experiment.gamma import choose_gamma, is_same_gamma
from jaxgan.gan import builder, data_checks
from jaxgan.gan.build_evaluators import build_evaluators, default_metrics, task_of
from jaxgan.gan.flag_texts import without_labels
from jaxgan.networks.conditions import condition_field
from jaxgan.networks.wrappers import group_of
from jaxgan.types import Device, ExampleSpec

log = logging.getLogger("jaxgan")


def setup(config: Config) -> Experiment:
    """Finds the devices, loads the data and builds the GAN.

    Args:
      config: the configuration.

    Raises:
      UsageError: naming the flag and a value that works.
    """
    # Everything that needs no data is checked first.
    check_runs(config)
    check_eval_every(config)
    config, source = choose_source(config)
    resumed = is_resumed(config)
    layout = choose_layout(config)
    config = record_devices(config, layout)
    config = apply_batch_per_device(config, layout)
    check_batch_size(config, layout)
    builder.check_texts(config)
    # Then the data are read, and the networks are built for their shape.
    dataset, held_out = load_data(config, new=is_new(config))
    log_values(dataset)
    if config.budget and layout.processes > 1:
        raise UsageError(
            "--budget times steps on one machine, and there are "
            f"{layout.processes} processes: use --steps"
        )
    config = without_labels(choose_recipe(config, dataset), dataset.example)
    check_batch_size(config, layout)
    if not resumed:
        builder.check_dataset(config, dataset)
    config = choose_gamma(choose_metrics(config, dataset), dataset)
    evaluators = build_evaluators(config, dataset, held_out)
    per_epoch = data.steps_per_epoch(dataset.size, config.d_updates, config.batch_size)
    # Choose between data on the devices and batches from the host.
    limit = parallel.resident_limit(layout.devices)
    resident = choose_input(config.input, dataset.nbytes, limit)
    gan = build_gan(config, dataset.example, layout, resident)
    log_group(config, layout, gan.networks.discriminator)
    if not resumed:
        log_hints(config, dataset)
        data_checks.log_halvings(gan.networks.generator, dataset.shape)
    count = choose_steps_per_call(config, layout.devices, per_epoch)
    experiment = Experiment(
        config, layout, dataset, gan, resident, count, held_out, evaluators
    )
    if source:
        init_from.check_vocabulary(source, dataset.example)
        shapes = experiment.state_shapes()
        init_from.check_fits(source, shapes, config.runs, report=config.dry_run)
    return experiment


def is_resumed(config: Config) -> bool:
    """Returns True if the workdir has checkpoints of the run."""
    return init_from.recorded_flags(config.workdir) is not None


def log_hints(config: Config, dataset: data.Dataset) -> None:
    """Logs flags that suit the data better than those of a new run's preset."""
    if config.budget:
        return  # the flags are chosen by the time
    field = condition_field(dataset.example)
    if config.preset == "default" and config.task == Config().task and field:
        unused = preset = "attributes"
        if field == "label":
            unused, preset = "labels", "conditional"
        log.info(
            "the %s of %s are not used; --preset=%s uses them",
            *(unused, config.dataset, preset),
        )
    recipes = ("default", "conditional", "attributes")
    if config.preset in recipes and not config.augment and dataset.size < FEW:
        log.info(
            "a discriminator learns %s examples by heart: --augment='%s' delays it",
            f"{dataset.size:,}",
            AUGMENTATIONS,
        )


def choose_source(config: Config) -> tuple[Config, init_from.Source | None]:
    """Checks the run from whose weights a new run starts.

    A run with checkpoints is resumed. It keeps the flags in its config.json, whose
    source may be gone.

    Returns:
      The configuration, and the source to check further in this process, or None.

    Raises:
      UsageError: naming the flag.
    """
    source = init_from.source_of(config.init_from, config.init_optimizer)
    if source:
        init_from.check_other(source, config.workdir)
    recorded = init_from.recorded_flags(config.workdir)
    if recorded is not None:
        return dataclasses.replace(config, **recorded), None
    # Only the main process reads it now, as with checkpoints of the run.
    if source is None or not is_main_process():
        return config, None
    init_from.check_source(source, config.runs)
    return config, source


def choose_layout(config: Config) -> parallel.Layout:
    """Chooses the devices, and divides a batch or several runs over them."""
    with arguments_are_flags():
        devices = parallel.choose_devices(config.devices)
    devices = spread_runs(config, devices)
    log.info("%s", parallel.describe_devices(devices))
    parallel.warn_of_unused_accelerator(devices)
    line = cpu_devices.describe(config, len(devices))
    if line and devices[0].platform == "cpu":
        log.info("%s", line)
    layout = layout_for(config, devices)
    log_unused(config, layout)
    return layout


def record_devices(config: Config, layout: parallel.Layout) -> Config:
    """Returns the configuration with the number of CPU devices, to resume with it."""
    if layout.devices[0].platform != "cpu" or layout.processes > 1:
        return config
    return dataclasses.replace(config, devices=len(layout.devices))


def layout_for(
    config: Config, devices: list[Device], processes: int | None = None
) -> parallel.Layout:
    """Returns the layout that the flags choose for some devices.

    Args:
      config: the configuration.
      devices: the devices.
      processes: number of processes, by default those of the devices.
    """
    with arguments_are_flags():
        return parallel.layout_of(
            devices,
            parallel=config.parallel,
            shard_state=config.shard_state,
            runs=config.runs,
            processes=processes,
        )


@contextmanager
def arguments_are_flags() -> Iterator[None]:
    """Lets errors that begin with the name of an argument begin with its flag."""
    try:
        yield
    except UsageError as error:
        # Such an error begins with the name of the argument.
        message = str(error)
        if re.match(r"(devices|parallel|shard_state)\b", message):
            message = re.sub(r"^(?=\w)|\b(?=parallel=|runs$)", "--", message)
        raise UsageError(message) from error


def apply_batch_per_device(config: Config, layout: parallel.Layout) -> Config:
    """Returns the configuration with the global batch size of `batch_per_device`."""
    if not config.batch_per_device:
        return config
    batch_size = config.batch_per_device * layout.parts
    return dataclasses.replace(config, batch_size=batch_size)


def build_gan(
    config: Config,
    example: ExampleSpec,
    layout: parallel.Layout,
    resident: bool = True,
) -> builder.GAN:
    """Builds the GAN for a layout of devices.

    Args:
      config: the configuration.
      example: the fields of an example.
      layout: the devices.
      resident: True if batches come from data on the devices.

    Raises:
      UsageError: naming the flag, if something cannot be built.
    """
    return builder.build_gan(
        config,
        example,
        axis=layout.axis,
        devices=layout.parts,
        unroll=layout.unroll,
        wrap_gradient=layout.strategy.wrap_gradient(layout),
        placed=placed_on(layout, resident),
    )


def placed_on(layout: parallel.Layout, resident: bool) -> builder.Placed:
    """Returns the shardings of the arguments of a step, as far as they are known.

    Streamed batches of a single device stay on the host, which has no mesh.
    """
    if len(layout.devices) > 1 and not layout.axis:
        return builder.NOWHERE
    sharding = layout.spread(None)
    on_host = len(layout.devices) == 1 and not resident
    return builder.Placed(sharding, None if on_host else sharding)


def is_new(config: Config) -> bool:
    """Returns True if the workdir holds no run, which would be resumed."""
    folder = storage.run_folder("--workdir", config.workdir)
    return not (folder / "config.json").is_file()


def load_data(
    config: Config, *, new: bool = False
) -> tuple[data.Dataset, data.Dataset | None]:
    """Loads the training examples, and the held-out examples or None.

    Args:
      config: the configuration.
      new: True to refuse flags of sounds for other data. Runs of earlier versions may
        have them, and ignored them.

    Raises:
      UsageError: if the data cannot be loaded or split.
    """
    heard = {
        "rate": config.rate,
        "seconds": config.seconds,
        "loudness": config.loudness,
    }
    if not new and not data.is_of_sounds(config.dataset):
        heard = {}

    def split(name):
        dataset = data.load(
            config.dataset,
            split=name,
            data_dir=config.data_dir or None,
            image_size=config.image_size or None,
            crop=config.crop,
            image_field=config.image_field,
            label_field=config.label_field,
            alpha=config.alpha,
            on_bad_example=config.on_bad_example,
            **heard,
            text=data.TextReading(
                config.text, config.tokens, config.length, config.vocabulary
            ),
        )
        return data.keep_normal(dataset, config.normal)

    dataset, choice = split(config.split), config.held_out
    # The split `test` stays unseen, as detectors of other examples are tested on it.
    if choice == "auto" and (config.normal or detects(config, dataset)):
        choice = "part"
    parts = data.hold_out(dataset, choice, config.split, split)
    if config.on_bad_example == "stop":
        return parts
    # Split first, so that substitutes for bad examples are of the same part.
    train, held_out = parts
    return data.skip_bad_examples(train), held_out and data.skip_bad_examples(held_out)


def detects(config: Config, dataset: data.Dataset) -> bool:
    """Returns True if the task scores examples by how unusual they are."""
    if not isinstance(config, Config):
        return False  # flags of data alone, which name no task
    task = task_of(config, dataset)
    return task is not None and task.score is not None


def log_values(dataset: data.Dataset) -> None:
    """Logs the number and the range of the examples. Warns of an unusual range."""
    values = data.measure_values(dataset)
    log.info("%s", data.format_values(dataset, values))
    if warning := data.range_warning(dataset, values):
        log.warning("%s", warning)


def check_runs(config: Config) -> None:
    """Raises UsageError if several runs may roll back.

    They share their step, so that a single one cannot go back.
    """
    if config.runs > 1 and config.on_collapse == "rollback":
        raise UsageError(
            "--on_collapse=rollback needs a single run, not "
            f"--runs={config.runs}: use --on_collapse=warn, or --runs=1"
        )


def check_eval_every(config: Config) -> None:
    """Raises UsageError unless evaluations and checkpoints come at the same steps.

    All evaluations at checkpoints, or all checkpoints at evaluations, are enough.
    """
    every, save = config.eval_every, config.save_every
    if every == 0 or every % save == 0 or save % every == 0:
        return
    # The nearest smaller interval that fits.
    fits = every // save * save or largest_divisor(save, every)
    raise UsageError(
        f"--eval_every={every} with --save_every={save}: one must be a multiple of the "
        f"other, so that checkpoints have scores: use --eval_every={fits}"
    )


def choose_metrics(config: Config, dataset: data.Dataset) -> Config:
    """Returns the configuration with metrics in place of `--eval_metrics=auto`."""
    if config.eval_metrics != AUTO:
        return config
    metrics = default_metrics(dataset, task_of(config, dataset))
    return dataclasses.replace(config, eval_metrics=metrics)


def spread_runs(config: Config, devices: list[Device]) -> list[Device]:
    """Returns as many devices as divide several runs evenly; each trains whole runs.

    A single run keeps all devices, which share it.

    Raises:
      UsageError: if the runs do not divide over the processes or over `devices`.
    """
    if config.runs == 1:
        return devices
    processes = len({device.process_index for device in devices})
    per_process = config.runs // processes
    # Each process trains the same number of runs.
    if config.runs % processes:
        raise UsageError(
            f"--runs={config.runs} does not divide over {processes} processes: use "
            f"--runs={(per_process + 1) * processes}"
        )
    # The number of local devices. 0 selects the largest that divides.
    count = largest_divisor(per_process, len(devices) // processes)
    if config.devices not in (0, count):
        raise UsageError(
            f"--runs={config.runs} does not divide over --devices={config.devices}: "
            f"use --devices={count} or --runs={config.devices}"
        )
    return parallel.choose_devices(count)


def even_devices(runs: int, devices: int) -> int:
    """Returns the most devices that divide several runs evenly, or share a single one.

    >>> even_devices(6, 8), even_devices(6, 5), even_devices(7, 4), even_devices(1, 8)
    (6, 3, 1, 8)
    """
    return devices if runs == 1 else largest_divisor(runs, devices)


def largest_divisor(number: int, limit: int) -> int:
    """Returns the largest divisor of a number that is at most `limit`."""
    return max(x for x in range(1, limit + 1) if number % x == 0)


def allowed_differences(
    config: Config, known: dict[str, Any]
) -> Callable[[dict[str, Any], dict[str, Any]], frozenset[str]]:
    """Returns a function that selects the fields in which a resumed run may differ.

    Data are compared by their fingerprint if the earlier run stored one, so that their
    path may change. Otherwise they are compared by their path.

    Args:
      config: of the run that resumes.
      known: the `data_facts` of its data.

    Returns:
      alike(old config, old data), which returns names of fields.
    """

    def alike(old: dict[str, Any], old_data: dict[str, Any]) -> frozenset[str]:
        allowed = set()
        if old_data.get("classes") == []:
            allowed.add("classes")  # a run without labels uses none
        # Without a fingerprint both are None, which proves nothing.
        same = old_data.get("fingerprint") == known["fingerprint"] is not None
        if same or data.same_place(str(old.get("dataset")), config.dataset):
            allowed.add("dataset")
        if is_same_gamma(old, config.d_terms):
            allowed.add("d_terms")
        # Other data are accepted, but logged.
        if config.data_changed == "accept":
            changed = workdir.differences(old_data, known, frozenset(allowed))
            if changed:
                log.warning(
                    "continuing with other data: %s",
                    workdir.format_differences(changed),
                )
            allowed |= workdir.ACCEPTABLE
        return frozenset(allowed)

    return alike


def log_group(config: Config, layout: parallel.Layout, net: nn.Module) -> None:
    """Logs that a discriminator's groups are smaller than those of its flags."""
    group = group_of(net)
    at_once = config.batch_size // (layout.parts * config.accumulate)
    if at_once < group:
        log.info(
            "a device has %d example(s) at a time: the discriminator reads their "
            "deviation, not that of groups of %d",
            *(at_once, group),
        )


def choose_input(mode: str, nbytes: int, limit: float) -> bool:
    """Returns True if the data set is kept on the devices, False if it is streamed.

    Args:
      mode: `device`, `host`, or `auto`: on the devices if it is within the limit.
      nbytes: size of the data set in bytes.
      limit: maximum size for `auto` in bytes.

    Raises:
      UsageError: for any other mode.
    """
    if mode not in ("auto", "device", "host"):
        raise UsageError(f"--input={mode}: choose auto, device or host")
    return mode == "device" or (mode == "auto" and nbytes <= limit)


def choose_steps_per_call(config: Config, devices: list[Device], per_epoch: int) -> int:
    """Returns the flag, or a default within an epoch and the logging intervals.

    Raises:
      UsageError: if the flag exceeds the steps of an epoch.
    """
    if config.steps_per_call > per_epoch:
        raise UsageError(
            f"--steps_per_call={config.steps_per_call} is more than the {per_epoch} "
            f"steps of an epoch: use --steps_per_call={per_epoch} or less"
        )
    # A longer call would delay metrics, samples and checkpoints.
    intervals = (config.log_every, config.sample_every, config.save_every)
    intervals += (config.eval_every,) if config.eval_every else ()
    default = parallel.default_steps_per_call(devices)
    return config.steps_per_call or min(default, per_epoch, *intervals, config.steps)
