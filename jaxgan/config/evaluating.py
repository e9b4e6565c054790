"""The flags of `python -m jaxgan.evaluate`."""

import dataclasses
import re
from collections.abc import Container, Sequence
from pathlib import Path
from typing import Any

from jaxgan import storage
from jaxgan.config.anomalies import (
    USUAL_RATE,
    add_anomaly_flags,
    check_rate,
    parse_weights,
)
from jaxgan.config.flags import Parser, add_run_flags, parse_int
from jaxgan.config.foreign import SAMPLING
from jaxgan.config.sampling import MAX_SEED
from jaxgan.config.training import Config
from jaxgan.errors import UsageError
from jaxgan.files import check_writable, first_free, local_path

METRICS = "fd(classifier)|kid(classifier)|precision_recall(classifier)"
"""The default of `--metrics` for sets, and for runs that start from noise."""

AUTO = "auto"
"""The metrics that fit the task of a run."""

MAX_N, MAX_DRAWS = 1_000_000, 100

AUTOENCODER_STEPS = 2_000
"""The default of `--autoencoder_steps`."""

USUAL_N = 10_000
"""The default of `--n`."""

STATISTICS = "stats:"
"""The prefix of a file of statistics."""

WEIGHTS_HELP = (
    "file of the FID's weights, for metrics of inception such as fd(inception): "
    "pytorch-fid's pt_inception-2015-12-05-6726825d.pth, known by its SHA-256"
)
"""Of `--inception_weights`."""

NAME = re.compile(r"([^:]+(?::[\d.*]+)?)(?::(.+))?")
"""A name with its version, such as mnist:3.0.1, and a split, such as train[:50%]."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request:
    """The options of runs and of sets: the metrics, the counts and the files."""

    metrics: str = AUTO
    """`auto` for those of the data: `METRICS` where there are labels."""
    n: int = 0
    """Number of images to judge; 0 for 10,000, or all images of a smaller set.

    Of a task that maps images to images, 0 stands for at most 10,000 held-out ones.
    """
    n_real: int = 0
    """Number of real examples, 0 for at most `n`."""
    save_stats: Path | None = None
    """The file for the statistics of the real examples."""
    cache: bool = True
    """True to keep the features of real examples on disk."""
    out: Path | None = None
    """The file for the values, None for no file."""
    inception_weights: str = ""
    """The file of Inception's weights, for metrics that name none."""
    import_: str = ""
    """Modules that register extractors, metrics and data sources."""
    processes: Config = dataclasses.field(default_factory=Config)
    """Has the flags that connect several processes."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluateConfig(Request):
    """A checkpoint, the metrics to compute, and the samples to compute them from."""

    workdir: Path
    split: str = "auto"
    """`auto`, or the split that is held out."""
    against: Path | None = None
    """A file of statistics in place of held-out examples."""
    seed: int = 0
    """Of the first set of samples."""
    draws: int = 1
    """Number of sets of samples."""
    which: Any = "last"
    """`last`, `best` or a step."""
    raw: bool = False
    run: int | None = None
    """The number of the run, None for all of several."""
    false_alarms: float = USUAL_RATE
    """Rate of the threshold of a run that finds anomalies."""
    weights: dict[str, float] = dataclasses.field(default_factory=dict)
    """Of the parts of its score; {} for those that it chooses or its task has."""
    autoencoder_steps: int = AUTOENCODER_STEPS
    """Updates of the autoencoder beside it, 0 for none."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class CompareConfig(Request):
    """Two sets of images, and the metrics to compute."""

    real: Any
    """The name of a set, with its split after a colon; `stats:FILE`; or arrays."""
    fake: Any
    """The set to judge."""
    data_dir: str = ""
    image_size: str = ""
    crop: str = "center"


OF_RUNS = (
    *("split", "against", "seed", "seeds", "checkpoint", "raw", "run"),
    *("false_alarms", "weights", "autoencoder_steps"),
)
"""Flags that need `--workdir`."""
OF_SETS = ("data_dir", "image_size", "crop")
"""Flags that need `--compare`."""
COMMON = ("metrics", "n", "n_real")
"""Flags whose values are fields of both."""


def parse_args(argv: Sequence[str] | None = None) -> EvaluateConfig | CompareConfig:
    """Returns the configuration of a command line.

    Args:
      argv: arguments; those of the program if None.

    Raises:
      UsageError: naming the flag and a value that works.
    """
    flags = vars(make_parser().parse_flags(argv))
    # A flag that is not given has the default of its field.
    flags = {name: x for name, x in flags.items() if x is not None and x is not False}
    if ("workdir" in flags) == ("compare" in flags):
        raise UsageError(
            "use either --workdir=RUN, or --compare and two sets, such as "
            "--compare mnist:test folder:samples"
        )
    # A flag that would have no effect is an error.
    others = OF_SETS if "workdir" in flags else OF_RUNS
    for name in others:
        if name in flags:
            needed = "--compare" if name in OF_SETS else "--workdir"
            raise UsageError(f"--{name} is only for {needed}; leave it out")
    meeting = ("coordinator", "num_processes", "process_id")
    common: dict[str, Any] = {
        **{name: flags[name] for name in COMMON if name in flags},
        "cache": "no_cache" not in flags,
        "import_": flags.get("import", ""),
        "inception_weights": weights_path(flags.get("inception_weights")),
        "processes": Config(**{name: flags[name] for name in meeting if name in flags}),
    }
    # In the configuration, 0 stands for the default.
    if common.get("n") == 0:
        check_range("n", 0, 2, MAX_N, USUAL_N)
    if "save_stats" in flags:
        common["save_stats"] = _output("--save_stats", flags["save_stats"])
    return check((_of_run if "workdir" in flags else _of_sets)(flags, common))


def _of_run(flags: dict[str, Any], common: dict[str, Any]) -> EvaluateConfig:
    """Returns the configuration for a run."""
    workdir = storage.run_folder("--workdir", flags["workdir"])
    out = workdir / "evaluation.json"
    if "out" in flags:
        out = _output("--out", flags["out"])
    names = ("split", "seed", "raw", "run", "false_alarms", "autoencoder_steps")
    own = {name: flags[name] for name in names if name in flags}
    return EvaluateConfig(
        workdir=workdir,
        draws=flags.get("seeds", 1),
        which=checkpoint_of(flags.get("checkpoint", "last")),
        against=statistics_of(flags["against"]) if "against" in flags else None,
        out=out,
        weights=parse_weights(flags.get("weights", "")),
        **own,
        **common,
    )


def _of_sets(flags: dict[str, Any], common: dict[str, Any]) -> CompareConfig:
    """Returns the configuration for two sets."""
    sets = flags["compare"]
    if len(sets) != 2 or not all(sets):
        raise UsageError(
            f"--compare {' '.join(sets)}: name two sets, the real one first, such as "
            "--compare mnist:test folder:samples"
        )
    real, fake = sets
    out = _output("--out", flags["out"]) if "out" in flags else free_name()
    own = {name: flags[name] for name in OF_SETS if name in flags}
    return CompareConfig(real=real, fake=fake, out=out, **own, **common)


def check(config: Any) -> Any:
    """Returns a configuration if its numbers are in their ranges.

    Raises:
      UsageError: naming the flag and a value that works.
    """
    if config.n:
        check_range("n", config.n, 2, MAX_N, USUAL_N)
    check_range("n_real", config.n_real, 0, MAX_N, USUAL_N)
    if config.n_real == 1:
        raise UsageError("--n_real=1: one example has no spread; use --n_real=10000")
    if isinstance(config, EvaluateConfig):
        check_range("seeds", config.draws, 1, MAX_DRAWS, 3)
        check_range("seed", config.seed, 0, MAX_SEED, 0)
        check_rate(config.false_alarms)
        steps, usual = config.autoencoder_steps, AUTOENCODER_STEPS
        check_range("autoencoder_steps", steps, 0, MAX_N, usual)
        if config.against and (config.n_real or config.save_stats):
            raise UsageError(
                "--against=stats:FILE replaces the real examples: leave out --n_real "
                "and --save_stats"
            )
    return config


def check_range(name: str, value: int, low: int, high: int, usual: int) -> None:
    """Raises UsageError unless a number is in its range."""
    if not low <= value <= high:
        raise UsageError(
            f"--{name}={value}: must be from {low} to {high:,}, such as "
            f"--{name}={usual}"
        )


def checkpoint_of(text: str | int) -> str | int:
    """Returns `last`, `best` or the number of a step.

    Raises:
      UsageError: for any other text.
    """
    which = str(text)
    if which.isascii() and which.isdigit() and len(which) < 19:
        return int(which)
    if which not in ("last", "best"):
        raise UsageError(f"--checkpoint={which}: choose last, best or a step")
    return which


def statistics_of(text: str, flag: str = "--against") -> Path:
    """Returns the path of `stats:FILE`.

    Args:
      text: the text.
      flag: its flag.

    Raises:
      UsageError: for a text of another form.

    >>> statistics_of("stats:cifar10.npz")
    PosixPath('cifar10.npz')
    """
    path = text.removeprefix(STATISTICS)
    if path == text or not path:
        raise UsageError(
            f"{flag}={text}: write it like stats:FILE.npz, a file of --save_stats or "
            "of pytorch-fid; compare two sets with --compare"
        )
    return local_path(flag, path, prefix=STATISTICS)


def weights_path(text: str | Path | None) -> str:
    """Returns the path of `--inception_weights`; None and "" are no file.

    Raises:
      UsageError: for a path that is not a local one.
    """
    return str(local_path("--inception_weights", text)) if text else ""


def split_name(
    text: str, with_path: Container[str] = ("folder", "npz")
) -> tuple[str, str]:
    """Returns the name of a set and its split, `train` by default.

    Args:
      text: a name, with its split after a colon.
      with_path: the prefixes of paths, which are not divided.

    >>> split_name("mnist:3.0.1"), split_name("mnist:3.0.1:train[:9%]")
    (('mnist:3.0.1', 'train'), ('mnist:3.0.1', 'train[:9%]'))
    >>> split_name("ring8:test"), split_name("folder:a:b")
    (('ring8', 'test'), ('folder:a:b', 'train'))
    """
    found = NAME.fullmatch(text)
    if not found or "://" in text or text.partition(":")[0] in with_path:
        return text, "train"
    return found[1], found[2] or "train"


def free_name() -> Path:
    """Returns a file in the current folder that does not exist yet."""
    path = first_free("evaluation.json")
    check_writable("--out", path)
    return path


def _output(flag: str, text: str) -> Path:
    """Returns the path of an output file that can be written."""
    path = local_path(flag, text)
    check_writable(flag, path)
    return path


def make_parser() -> Parser:
    parser = Parser(
        "python -m jaxgan.evaluate",
        description="Compare samples of a checkpoint with held-out examples, or a set "
        "of images with another one.",
        allow_abbrev=False,
        foreign=SAMPLING,
    )
    _add_sets(parser)
    _add_samples(parser)
    add = parser.add_argument
    add("--inception_weights", help=WEIGHTS_HELP)
    add("--import", help="modules that register metrics, extractors or data sources")
    add("--no_cache", action="store_true", help="do not keep features of real examples")
    add("--save_stats", help=".npz file for the statistics of the real examples")
    add(
        "--out",
        help="file for the values (default: WORKDIR/evaluation.json; with --compare, a "
        "new evaluation.json or evaluation-2.json here)",
    )
    add("--coordinator", help="HOST:PORT of process 0, for several processes, or none")
    add("--num_processes", type=parse_int, help="number of processes")
    add("--process_id", type=parse_int, help="number of this process, starting at 0")
    return parser


def _add_sets(parser: Parser) -> None:
    """Adds the flags that choose the metrics and the sets."""
    add = parser.add_argument
    add("--workdir", help="folder of the run")
    add(
        "--compare",
        nargs="+",
        metavar="SET",
        help="the real set and the one to judge, instead of a run: folder:PATH, "
        "npz:PATH, a name of TFDS such as mnist:test, or text:PATH for both; the real "
        "one may be stats:FILE",
    )
    add(
        "--metrics",
        help="metrics, joined by |, such as fd, kid, score, precision_recall or "
        "memorization of an extractor, modes(channels) of stacked_mnist, or l1, psnr, "
        "ssim and perceptual of pairs; "
        f"--metrics= lists all (default: {METRICS}, of efficientnet for images and of "
        "mel for sounds without labels; for tasks that map images to images, "
        "l1|psnr|ssim|perceptual|fd(efficientnet) beside plain methods; for text, "
        "fd(minilm)|kid(minilm)|bleu|distinct|copies|length beside n-grams)",
    )
    add("--n", type=parse_int, help="samples to judge (default: 10000; of text, 2000)")
    add("--n_real", type=parse_int, help="real examples (default: at most --n)")
    add("--data_dir", help="where TFDS keeps the sets of --compare")
    add("--image_size", help="size of the images of --compare, such as 64 or 48x64")
    add("--crop", help="crop before that: center, none, N or HxW (default: center)")


def _add_samples(parser: Parser) -> None:
    """Adds the flags of a run."""
    add = parser.add_argument
    add(
        "--split",
        help="examples to compare with: a split that the run was not trained on, a "
        "number of training examples or part (1 in 10 of them); auto is what the run "
        "held out, else the split test (default: auto)",
    )
    add("--against", help="stats:FILE: statistics in place of held-out examples")
    add("--seed", type=parse_int, help="seed of the samples (default: 0)")
    add(
        "--seeds",
        type=parse_int,
        help="number of sets of samples; their mean and spread are shown (default: 1)",
    )
    add("--checkpoint", help="checkpoint: last, best or a step (default: last)")
    add_run_flags(parser, None, "all of them")
    add_anomaly_flags(parser)
    add(
        "--autoencoder_steps",
        type=parse_int,
        help="updates of the plain autoencoder that a run which finds anomalies is "
        f"compared with; 0 for none (default: {AUTOENCODER_STEPS})",
    )
