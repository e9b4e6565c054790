"""Images per second of sources for large data, beside tf.data and PyTorch's DataLoader.

    python benchmarks/large_data.py --torch=VENV/bin/python --tf=VENV/bin/python \
        --out=large_data.json

The same `--count` JPEG files of each of `--sizes` are written as a folder, as shards of
array_record, as tar shards of WebDataset, as parquet files (row groups of 100) and as
one npz. Each arm reads shuffled batches of `--batch` uint8 images in a process of its
own for `--seconds`, in `--rounds` rounds in turns. *cpu* is the CPU time of 1,000
images, of the process and its children, which other programs disturb less. `--torch`
and `--tf` are interpreters of environments with PyTorch and TensorFlow; without them
these arms are left out, as is Grain if it is not installed.
"""

import argparse
import importlib.util
import io
import itertools
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

SOURCES = ("folder", "array_record", "webdataset", "parquet", "npz")
HEAD = ["arm", "size", "images/s (range)", "cpu s / 1,000", "first batch s"]


def write(folder: Path, count: int, size: int) -> dict[str, str]:
    """Writes the same pictures in each format; returns names of data sets."""
    import tarfile

    import pyarrow as pa
    from array_record.python.array_record_module import ArrayRecordWriter
    from input_pipeline import pictures
    from PIL import Image
    from pyarrow import parquet

    images = list(pictures(count, size))
    files = []
    for image in images:
        file = io.BytesIO()
        Image.fromarray(image).save(file, "jpeg", quality=90)
        files.append(file.getvalue())
    for i, content in enumerate(files):
        own = folder / "folder" / f"{i * 10 // count}"
        own.mkdir(parents=True, exist_ok=True)
        (own / f"{i:06}.jpg").write_bytes(content)
    shards = np.array_split(np.arange(count), 10)
    for shard, numbers in enumerate(shards):
        writer = ArrayRecordWriter(
            str(folder / f"s.array_record-{shard:05}-of-00010"), "group_size:1"
        )
        with tarfile.open(folder / f"s-{shard:06}.tar", "w") as tar:
            for i in numbers.tolist():
                writer.write(files[i])
                parts = {"jpg": files[i], "cls": b"%d" % (i * 10 // count)}
                for suffix, content in parts.items():
                    info = tarfile.TarInfo(f"{i:06}.{suffix}")
                    info.size = len(content)
                    tar.addfile(info, io.BytesIO(content))
        writer.close()
        rows = [{"bytes": files[i], "path": None} for i in numbers]
        table = pa.table({"image": rows, "label": [i * 10 // count for i in numbers]})
        parquet.write_table(table, folder / f"s-{shard:05}.parquet", row_group_size=100)
    np.savez(folder / "all.npz", images=np.stack(images))
    return {
        "folder": f"folder:{folder}/folder",
        "array_record": f"array_record:{folder}/s.array_record-*",
        "webdataset": f"webdataset:{folder}/s-{{000000..000009}}.tar",
        "parquet": f"parquet:{folder}/s-*.parquet",
        "npz": f"npz:{folder}/all.npz",
    }


def ours(name: str, workers: int, batch: int) -> Iterator[Any]:
    """Yields batches of ours, decoded by threads or by processes."""
    from jaxgan import data

    dataset = data.load(name)
    return data.stream(dataset, seed=0, updates=1, batch=batch, workers=workers)


class GrainSource:
    """The pictures of a data set of ours, as a source of Grain."""

    def __init__(self, name: str) -> None:
        from jaxgan import data

        decoding = data.load(name).decoding
        assert decoding is not None
        size = data.load(name).size
        self._places = decoding.locate(np.arange(size))
        self._decoder = decoding.decoder

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, number: Any) -> np.ndarray:
        return self._decoder([self._places[int(number)]])[0]


def with_grain(name: str, workers: int, batch: int) -> Iterator[Any]:
    """Yields batches of Grain."""
    import grain  # type: ignore[import-not-found]
    from absl import flags

    flags.FLAGS(["grain"])  # its processes read absl's flags
    source: Any = GrainSource(name)
    data = grain.MapDataset.source(source).shuffle(seed=0).repeat()
    if not workers:
        return iter(data.to_iter_dataset().batch(batch))
    batches = data.batch(batch).to_iter_dataset()
    return iter(batches.mp_prefetch(grain.MultiprocessingOptions(workers)))


def with_torch(name: str, workers: int, batch: int) -> Iterator[Any]:
    """Yields batches of PyTorch's DataLoader over a folder, decoded by Pillow."""
    import torch  # type: ignore[import-not-found]
    from PIL import Image

    class Files(torch.utils.data.Dataset):
        paths = sorted(Path(name.partition(":")[2]).rglob("*.jpg"))

        def __len__(self):
            return len(self.paths)

        def __getitem__(self, number):
            with Image.open(self.paths[number]) as image:
                return torch.from_numpy(np.array(image.convert("RGB")))

    torch.set_num_threads(1)
    loader = torch.utils.data.DataLoader(
        Files(),
        batch,
        shuffle=True,
        num_workers=workers,
        drop_last=True,
        persistent_workers=workers > 0,
    )
    return itertools.chain.from_iterable(itertools.repeat(loader))


def with_tf(name: str, workers: int, batch: int) -> Iterator[Any]:
    """Yields batches of tf.data over a folder; AUTOTUNE chooses its threads."""
    del workers
    import tensorflow as tf

    paths = sorted(map(str, Path(name.partition(":")[2]).rglob("*.jpg")))

    def decode(path):
        return tf.io.decode_jpeg(tf.io.read_file(path), channels=3)

    data = tf.data.Dataset.from_tensor_slices(paths).shuffle(len(paths)).repeat()
    data = data.map(decode, num_parallel_calls=tf.data.AUTOTUNE)
    return data.batch(batch, drop_remainder=True).prefetch(4).as_numpy_iterator()


ARMS: dict[str, Callable[[str, int, int], Iterator[Any]]] = {
    "ours": ours,
    "grain": with_grain,
    "torch": with_torch,
    "tf": with_tf,
}


def family() -> dict[int, float]:
    """Returns the CPU time of this process and of its descendants, by process."""
    found, stats = {os.getpid(): 0.0}, []
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = file.read_text().rpartition(")")[2].split()
        except OSError:  # it has ended
            continue
        process = int(file.parent.name)
        # Of this process also those of children that have ended.
        last = 15 if process == os.getpid() else 13
        times = sum(map(int, fields[11:last])) / os.sysconf("SC_CLK_TCK")
        stats.append((process, int(fields[1]), times))
    for process, parent, times in sorted(stats):
        if process in found or parent in found:
            found[process] = times
    return found


def run_arm(arm: str, name: str, workers: int, args: argparse.Namespace) -> None:
    """Measures one arm in this process, and prints a line of JSON."""
    began = time.perf_counter()
    batches = ARMS[arm](name, workers, args.batch)
    next(batches)
    first = time.perf_counter() - began
    for _ in range(8):  # what was read ahead
        next(batches)
    cpu = sum(family().values())
    count, began = 0, time.perf_counter()
    while time.perf_counter() - began < args.seconds:
        next(batches)
        count += args.batch
    seconds = time.perf_counter() - began
    cpu = sum(family().values()) - cpu
    found = {"rate": count / seconds, "cpu": 1000 * cpu / count, "first": first}
    print(json.dumps(found), flush=True)
    # Some loaders wait for their processes, or leave them.
    for process in family():
        if process != os.getpid():
            os.kill(process, signal.SIGKILL)
    os._exit(0)


def arms_of(args: argparse.Namespace) -> list[tuple[str, str, str, int]]:
    """Returns interpreter, arm, source and number of processes of each arm."""
    here = sys.executable
    found = [(here, "ours", x, w) for x in SOURCES[:-1] for w in (0, 2)]
    found += [(here, "ours", "folder", 1), (here, "ours", "npz", 0)]
    if importlib.util.find_spec("grain"):
        found += [(here, "grain", "folder", w) for w in (0, 1, 2)]
    if args.torch:
        found += [(args.torch, "torch", "folder", w) for w in (0, 1, 2)]
    return [*found, (args.tf, "tf", "folder", 0)] if args.tf else found


def measure(folder: Path, size: int, args: argparse.Namespace) -> list[dict]:
    """Measures all arms at one size."""
    names = write(folder, args.count, size)
    rows: dict[str, dict] = {}
    failed: set[str] = set()
    for _ in range(args.rounds):
        for python, arm, source, workers in arms_of(args):
            options = [f"--arm={arm}", f"--name={names[source]}"]
            options += [f"--workers={workers}", f"--batch={args.batch}"]
            label = f"{arm} {source}" + (f", {workers} processes" if workers else "")
            if label in failed:
                continue
            command = [python, __file__, *options, f"--seconds={args.seconds}"]
            done = subprocess.run(
                ["timeout", "-k1", "40", *command],
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                failed.add(label)
                print(f"{label}: left out: {done.stderr.strip()[-300:]}", flush=True)
                continue
            row = rows.setdefault(label, {"arm": label, "size": size, "runs": []})
            row["runs"].append(json.loads(done.stdout.splitlines()[-1]))
            print(label, size, row["runs"][-1], flush=True)
    return list(rows.values())


def table_of(found: dict) -> list[str]:
    """Returns a Markdown table as lines."""
    from arms import table

    def middle(row, key):
        return statistics.median(run[key] for run in row["runs"])

    rows = []
    for row in found["rows"]:
        rates = [run["rate"] for run in row["runs"]]
        span = f"{middle(row, 'rate'):,.0f} ({min(rates):,.0f} to {max(rates):,.0f})"
        cpu, first = f"{middle(row, 'cpu'):.2f}", f"{middle(row, 'first'):.1f}"
        rows.append([row["arm"], str(row["size"]), span, cpu, first])
    return table(HEAD, rows)


def main() -> None:
    """Measures all arms, prints a table and writes JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", default="64,256", help="sides in pixels")
    parser.add_argument("--count", type=int, default=2_000, help="number of images")
    parser.add_argument("--batch", type=int, default=64, help="images of a batch")
    parser.add_argument("--seconds", type=float, default=4, help="length of a window")
    parser.add_argument("--rounds", type=int, default=3, help="windows of each arm")
    parser.add_argument("--torch", default="", help="interpreter with PyTorch")
    parser.add_argument("--tf", default="", help="interpreter with TensorFlow")
    parser.add_argument("--out", help="JSON file for the results")
    parser.add_argument("--arm", choices=tuple(ARMS), help=argparse.SUPPRESS)
    parser.add_argument("--name", help=argparse.SUPPRESS)
    parser.add_argument("--workers", type=int, default=0, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.arm:
        return run_arm(args.arm, args.name, args.workers, args)
    from arms import about

    rows = []
    for size in map(int, args.sizes.split(",")):
        with tempfile.TemporaryDirectory() as folder:
            rows += measure(Path(folder), size, args)
    found = {**about(), "batch": args.batch, "count": args.count, "rows": rows}
    print("\n".join(table_of(found)))
    if args.out:
        Path(args.out).write_text(json.dumps(found, indent=1) + "\n")
    return None


if __name__ == "__main__":
    main()
