"""The flags of `python -m jaxgan.train`, as a frozen dataclass."""

import dataclasses

from jaxgan.config.data_flags import DataFlags
from jaxgan.config.flags import flag, parse_value
from jaxgan.config.presets import PRESETS

AUTO = "auto"
"""The value of `eval_metrics` that stands for a metric chosen by the data."""
ADAM = "adam(2e-3, b1=0.0, b2=0.99, clipping_threshold=1)"
"""The optimizer of both players. Without clipped updates one large gradient is up to
ten steps at once, from which training on pictures of 64 pixels does not recover."""


@dataclasses.dataclass(frozen=True)
class Config(DataFlags):
    """The configuration of a run. `--help` documents the fields.

    `jaxgan.config.resolve.make_config` makes one from presets and checks it.

    >>> Config(steps=5).steps, Config().loss
    (5, 'relativistic')
    """

    # The game: networks, losses and what is added to them.
    preset: str = flag(
        "auto", "model", "recipe that sets other defaults: " + ", ".join(PRESETS)
    )
    budget: str = flag(
        "",
        "model",
        "time for the run, such as 20m or 2h, by which a recipe for images is chosen: "
        "width, batch size, gamma, moving average, augmentation and steps, each logged "
        "with its reason; empty for those of the preset",
    )
    task: str = flag(
        "generate(64)",
        "model",
        "how samples are generated for a batch: generate(dim, latents), "
        "conditional(dim, latents), codes(dim, categories, continuous); from images: "
        "paired, unpaired, domains (labels or attributes), super_resolution(factor), "
        "inpainting(mask) with masks of center(size), boxes, strokes, any; "
        "anomaly(dim, noise) with an encoder, to find unusual examples; of sounds: "
        "spectrogram(dim, conditional=True), vocoder(size, hop, mels); of texts: "
        "text(relaxation)",
    )
    networks: str = flag(
        "small",
        "model",
        "generator and discriminator: small, mlp, dcgan, r3gan (also called residual), "
        "resnet, sagan, biggan, stylegan2, "
        "encoder_mlp, encoder_small (with an encoder), "
        "image_to_image(generator, discriminator), two_domains(generator, "
        "discriminator); generators of these: unet, resnet_generator, srresnet, rrdb, "
        "gated_unet, partial_unet; discriminators: patch; for sounds: wavegan, specgan "
        "(with the task spectrogram), hifigan and griffin_lim (with the task vocoder); "
        "text(generator, discriminator) of recurrent_generator, transformer_generator, "
        "text_discriminator, no_discriminator",
    )
    generator_wrap: str = flag(
        "", "model", "wrappers of the generator, innermost first: embed, spectral_norm"
    )
    discriminator_wrap: str = flag(
        "",
        "model",
        "wrappers of the discriminator, innermost first: spectral_norm, pack, "
        "minibatch_std, projection, classifier",
    )
    loss: str = flag(
        "relativistic",
        "model",
        "adversarial loss: minimax, non_saturating, least_squares, wasserstein, "
        "hinge, relativistic, relativistic_average, or none to train by other terms",
    )
    d_terms: str = flag(
        "r1(auto)|r2(auto)",
        "model",
        "terms added to the discriminator's loss: r1, r2, approximate_r1, "
        "approximate_r2, gradient_penalty, dragan, lecam, consistency, orthogonal, "
        "auxiliary_classifier, mutual_information, domain_classification, or one of "
        "them every few steps: "
        "every(16, r1(10)); weights may be schedules, and r1(auto) chooses gamma by "
        "the size of images",
    )
    g_terms: str = flag(
        "",
        "model",
        "terms added to the generator's loss: feature_matching, path_length, "
        "orthogonal, auxiliary_classifier, mutual_information, domain_classification, "
        "encoder, every; of texts: likelihood; of images: l1, l2, cycle, cycle_l2, "
        "identity, total_variation, perceptual (takes jaxgan[features]); of waveforms: "
        "mel_l1, stft",
    )
    augment: str = flag(
        "",
        "model",
        "augmentations of everything the discriminator sees, in order: color, "
        "translation, cutout (DiffAugment), geometric, ada_color, noise (ADA), flip, "
        "rotate90",
    )
    augment_p: float | str = flag(
        1.0,
        "model",
        "probability of each augmentation: a number, a schedule, or ada(target) to "
        "adapt it",
        kind=parse_value,
        minimum=0,
    )

    import_: str = flag(
        "",
        "model",
        "modules to import first, separated by commas, which register losses, terms, "
        "networks, tasks, metrics or data sources of your own",
        resumable=True,
    )

    # Updates, batches and precision.
    d_updates: int = flag(
        1,
        "optimization",
        "discriminator updates per step, each on its own batch",
        minimum=1,
    )
    g_latents: str = flag(
        "fresh",
        "optimization",
        "latents of the generator's update: fresh, or the same as in the last "
        "discriminator update, as in some tutorials (saves a forward pass)",
        choices=("fresh", "same"),
    )
    batch_size: int = flag(
        64, "optimization", "examples per update, over all devices", minimum=1
    )
    batch_per_device: int = flag(
        0,
        "optimization",
        "examples per update and device, instead of --batch_size; 0 to use that",
        resumable=True,
        minimum=0,
    )
    accumulate: int = flag(
        1,
        "optimization",
        "number of gradient-accumulation micro-batches",
        minimum=1,
    )
    g_optimizer: str = flag(
        ADAM,
        "optimization",
        "generator optimizer: adam, adamw, rmsprop, sgd or another optax optimizer, "
        "after clip_by_global_norm and the like, before clip_weights and freeze; "
        "learning rates may be schedules (linear, cosine, exponential, warmup), which "
        "the name steps ends with the run: adam(cosine(2e-3, 1e-5, steps))",
    )
    d_optimizer: str = flag(ADAM, "optimization", "discriminator optimizer")
    ema_half_life: float | str = flag(
        32_000.0,
        "optimization",
        "half-life of the generator's moving average (EMA), in images, or its "
        "schedule; 0 for no average",
        kind=parse_value,
        minimum=0,
    )
    ema_ramp: float = flag(
        0.1,
        "optimization",
        "limit of the EMA half-life, as a fraction of the images seen; 0 for no limit",
        minimum=0,
    )
    precision: str = flag(
        "float32",
        "optimization",
        "precision of the networks: float32, or mixed (bfloat16 with float32 "
        "parameters, statistics, losses and optimizers)",
        choices=("float32", "mixed"),
    )
    remat: bool = flag(
        False,
        "optimization",
        "recompute activations in the backward pass: slower, with less memory for "
        "deep networks on accelerators (XLA for CPU ignores it)",
        resumable=True,
    )

    # The run.
    steps: int = flag(
        12_000,
        "run",
        "training steps: d_updates discriminator updates and one generator update each",
        resumable=True,
        minimum=1,
    )
    seed: int = flag(
        0,
        "run",
        "random seed",
        minimum=0,
        maximum=2**63 - 1,  # the held-out examples are drawn with the seed 2**63
    )
    runs: int = flag(
        1,
        "run",
        "number of seeds, starting at --seed, to train side by side",
        minimum=1,
        maximum=4_096,
    )
    on_collapse: str = flag(
        "warn",
        "run",
        "what to do if the run collapses or stops being finite: warn, stop, or "
        "rollback to the best checkpoint with new noise",
        resumable=True,
        choices=("warn", "stop", "rollback"),
    )
    rollbacks: int = flag(3, "run", "maximum rollbacks", resumable=True, minimum=0)
    workdir: str = flag(
        "", "run", "folder of the run; empty for runs/DATASET-PRESET", resumable=True
    )
    init_from: str = flag(
        "",
        "run",
        "WORKDIR or WORKDIR:STEP of another run (a step, best or last) from whose "
        "weights a new run starts, as far as their shapes fit, or hf:FOLDER of an "
        "export with its training_state; ignored on resume",
        resumable=True,
    )
    init_optimizer: bool = flag(
        False,
        "run",
        "with --init_from, start from the optimizer states too, with the counters of "
        "their schedules; a player's state is copied if all of it fits",
        resumable=True,
    )
    max_minutes: float = flag(
        0.0,
        "run",
        "minutes after which the run saves and exits with code 75, to be restarted; "
        "0 for no limit",
        resumable=True,
        minimum=0,
    )
    dry_run: bool = flag(
        False,
        "run",
        "print the configuration, compile the step, print its costs, and stop",
        resumable=True,
    )

    # What is written, and how often.
    log_every: int = flag(
        100, "logging", "steps between two log lines", resumable=True, minimum=1
    )
    sample_every: int = flag(
        500,
        "logging",
        "steps between two pictures of samples",
        resumable=True,
        minimum=1,
    )
    save_every: int = flag(
        1_000, "logging", "steps between two checkpoints", resumable=True, minimum=1
    )
    keep: int = flag(
        3,
        "logging",
        "number of newest checkpoints to keep, besides the best",
        resumable=True,
        minimum=1,
    )
    samples: int = flag(
        64, "logging", "samples in a picture", minimum=1, maximum=65_536
    )
    score_samples: int = flag(
        1_024,
        "logging",
        "fixed examples that sliced_wasserstein and diversity compare samples with, "
        "and whose labels the samples of all metrics have",
        minimum=2,
    )
    eval_metrics: str = flag(
        AUTO,
        "logging",
        "metrics of the moving average, joined by |: sliced_wasserstein, "
        "mode_coverage, diversity, ngrams (of texts), and, in the features of "
        "classifier, efficientnet, inception, (of sounds) mel or (of texts) minilm, "
        "fd(classifier), kid, precision_recall, "
        "memorization, classes, and modes(channels) for stacked_mnist; the "
        "score of the first selects the best checkpoint, so a resumed run may only "
        "change the others; auto is that of a run that is resumed, and else "
        "fd(classifier) for 10,000 or more labeled images, 500 per class, whose "
        "classifier is trained before step 0 and kept, kid(minilm) or ngrams for "
        "texts, and sliced_wasserstein for other data",
        resumable=True,
    )
    inception_weights: str = flag(
        "",
        "logging",
        "file of the FID's weights, for metrics of inception such as fd(inception): "
        "pytorch-fid's pt_inception-2015-12-05-6726825d.pth",
        resumable=True,
    )
    score_weights: str = flag(
        "normal",
        "logging",
        "weights of the parts of an anomaly score: normal (chosen by jaxgan.score and "
        "evaluate on held-out normal pictures and on pieces of these, rearranged), or "
        "task (those that the task states)",
        resumable=True,
        choices=("normal", "task"),
    )
    eval_every: int = flag(
        0,
        "logging",
        "steps between two evaluations by --eval_metrics, a multiple or a divisor of "
        "--save_every; 0 to evaluate each checkpoint. Checkpoints that are not "
        "evaluated are never the best",
        resumable=True,
        minimum=0,
    )
    no_report: bool = flag(
        False,
        "logging",
        "write no report.html at the end",
        resumable=True,
    )
    profile: int = flag(
        0,
        "logging",
        "compiled calls to trace into WORKDIR/profile, after two warm-up calls, and "
        "to summarize; 0 for none, --profile alone for 10",
        resumable=True,
        bare=10,
        minimum=0,
    )
    profiler_port: int = flag(
        0,
        "logging",
        "port at which xprof and TensorBoard capture profiles while the run goes on; "
        "further processes on the same machine have the next ports; 0 for none",
        resumable=True,
        minimum=0,
        maximum=65_535,
    )

    # Devices and processes.
    devices: int = flag(
        0,
        "distributed",
        "number of local devices to use; 0 for all, of which a CPU has one, or several "
        "if the networks train faster on them",
        resumable=True,
        minimum=0,
    )
    parallel: str = flag(
        "auto",
        "distributed",
        "how several devices run the step: pmap, mesh (shard_map, also over several "
        "processes) or auto",
        resumable=True,
    )
    shard_state: bool = flag(
        False,
        "distributed",
        "shard the optimizer state and the moving average over the devices (ZeRO)",
        resumable=True,
    )
    steps_per_call: int = flag(
        0,
        "distributed",
        "steps in one compiled call; 0 for 1 on CPU and up to 50 elsewhere",
        resumable=True,
        minimum=0,
    )
    coordinator: str = flag(
        "auto",
        "distributed",
        "where processes meet: HOST:PORT of process 0, auto (detect a TPU pod or a "
        "scheduler) or none",
        resumable=True,
    )
    num_processes: int = flag(
        0,
        "distributed",
        "number of processes, with --coordinator",
        resumable=True,
        minimum=0,
        maximum=65_536,
    )
    process_id: int = flag(
        -1,
        "distributed",
        "number of this process, starting at 0",
        resumable=True,
        minimum=-1,
    )
    meet_seconds: float = flag(
        120.0,
        "distributed",
        "seconds that processes wait for one another at the start",
        resumable=True,
        minimum=0,
        maximum=1e6,  # sockets accept no more
    )
    heartbeat_seconds: float = flag(
        60.0,
        "distributed",
        "seconds without a heartbeat after which a process counts as lost, and all end",
        resumable=True,
        minimum=1,
    )


RESUMABLE = frozenset(
    field.name for field in dataclasses.fields(Config) if field.metadata["resumable"]
)
"""Flags that a resumed run may change: they only extend, place or report it."""
