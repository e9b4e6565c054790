"""The flags of the data set, part of those of `python -m jaxgan.train`."""

import dataclasses

from jaxgan.config.flags import flag


@dataclasses.dataclass(frozen=True)
class DataFlags:
    """Flags that select the data set and the way it is read."""

    dataset: str = flag(
        "mnist",
        "data",
        "TFDS image data set, folder:PATH, pairs:PATH (folders A and B, or side by "
        "side), unpaired:PATH_A,PATH_B, domains:PATH (a sub-folder per domain), "
        "array_record:, webdataset: or parquet:PATTERN (shards, such as "
        "'webdataset:shards-{000..009}.tar'), "
        "audio:PATH (WAV and other sounds), text:PATH (a file, or a folder of .txt "
        "files), npz:PATH, tiny_shakespeare, kjv_clauses, names, wamerican (words), "
        "ring8, grid25 or stacked_mnist",
    )
    split: str = flag(
        "train",
        "data",
        "split to train on, such as train[:50%%], or a sub-folder of image folders",
    )
    data_dir: str = flag(
        "",
        "data",
        "where TFDS keeps data sets; empty for TFDS's default",
        resumable=True,
    )
    image_size: str = flag(
        "", "data", "N or HxW, in pixels; empty keeps the size of the data set"
    )
    crop: str = flag(
        "center", "data", "crop taken before resizing: center, none, N or HxW"
    )
    rate: int = flag(
        0,
        "data",
        "samples per second to which sounds are resampled; 0 for the rate of the first",
        minimum=0,
        maximum=192_000,
    )
    seconds: float = flag(
        1.024,
        "data",
        "length to which sounds are cut or padded with zeros",
        minimum=0.001,
        maximum=600,
    )
    loudness: str = flag(
        "rms",
        "data",
        "normalization of sounds: rms (to 0.1 of full scale), peak (to full scale) or "
        "none",
        choices=("rms", "peak", "none"),
    )
    image_field: str = flag(
        "",
        "data",
        "feature (TFDS) or array (npz) that holds the images, if there are several; A "
        "or B of pairs:PATH; empty to detect it (B)",
    )
    label_field: str = flag(
        "",
        "data",
        "feature, array or column of metadata.csv that holds the labels; none to train "
        "without labels; empty to detect it",
    )
    text: str = flag(
        "lines",
        "data",
        "examples of text:PATH: its lines, or windows cut from running text",
        choices=("lines", "windows"),
    )
    tokens: str = flag(
        "characters",
        "data",
        "tokens of text:PATH: characters or words",
        choices=("characters", "words"),
    )
    length: int = flag(
        0,
        "data",
        "tokens of an example of text:PATH; longer lines are left out; 0 for a length "
        "that 95 in 100 lines have at most, and windows of 64 characters or 20 words",
        minimum=0,
        maximum=2**16 - 1,
    )
    vocabulary: int = flag(
        5_000,
        "data",
        "most different tokens of text:PATH; rarer ones become one unknown token",
        minimum=3,
        maximum=2**20 - 1,
    )
    normal: str = flag(
        "",
        "data",
        "normal classes by name or number, such as 0,1,2: only their examples are "
        "trained on and held out; empty for all",
    )
    held_out: str = flag(
        "auto",
        "data",
        "held-out examples used to detect over-fitting: a split, a count, none, part "
        "(1 in 10 of the training examples, at most 1,000), or auto (the split test, "
        "or val of image folders, else 1 in 20, at most 256; part with --normal or "
        "--task=anomaly)",
    )
    data_changed: str = flag(
        "refuse",
        "data",
        "what to do if a run resumes with other data of the same shape: refuse or "
        "accept",
        resumable=True,
        choices=("refuse", "accept"),
    )
    alpha: str = flag(
        "auto",
        "data",
        "transparent pixels of image folders: keep (train on RGBA), white or black "
        "(put on that color), or auto (keep if every picture has an alpha channel, or "
        "any uses it)",
        choices=("auto", "keep", "white", "black"),
    )
    on_bad_example: str = flag(
        "stop",
        "data",
        "what to do if an example cannot be read: stop (after saving), or skip (use "
        "the next one instead)",
        resumable=True,
        choices=("stop", "skip"),
    )
    input: str = flag(
        "auto",
        "data",
        "where the data set is kept: device, host (decoded during training) or auto",
        resumable=True,
    )
    input_workers: int = flag(
        -1,
        "data",
        "processes that decode pictures with --input=host; 0 decodes in threads; -1 "
        "uses one process for each core but one, up to 16, and threads on two cores",
        resumable=True,
        minimum=-1,
        maximum=1024,
    )
