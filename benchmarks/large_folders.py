"""Time and memory of the start of a run on a folder of a million pictures.

    python benchmarks/large_folders.py --count=1000000 --out=large_folders.json

makes the folder from hard links of 20 PNG files and measures, each time in a process of
its own: imports, loading, the fingerprint, and the first streamed batch. The first
start makes the index, in an empty cache folder, and the others read it. The folder is
removed at the end.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

LINKS = 60_000
"""Most links of a file; ext4 allows 65,000."""
ORIGINALS = 20
SECONDS = 3_600
"""Longest wait for a start."""


LAYOUTS = {
    "folder": "folder:{0}",
    "pairs": "pairs:{0}",
    "unpaired": "unpaired:{0}/A,{0}/B",
    "domains": "domains:{0}",
}
"""Names of data sets of a folder, by the kind of the source."""


def make_folder(root: Path, count: int, folders: int, size: int, layout: str) -> None:
    """Makes a folder of `count` pictures, in `folders` folders of each domain."""
    rng, originals = np.random.default_rng(0), root.parent / "originals"
    originals.mkdir()
    needed = max(ORIGINALS, -(-count // LINKS))
    for i in range(needed):
        pixels = rng.integers(0, 256, (size, size, 3), np.uint8)
        Image.fromarray(pixels).save(originals / f"{i}.png")
    domains = [root] if layout == "folder" else [root / "A", root / "B"]
    for domain in domains:
        # Equal names would be splits or pairs.
        start = domain.name if layout == "domains" else ""
        for number in range(folders):
            own = domain / f"{start}{number:05}"
            own.mkdir(parents=True)
            for i in range(number, count // len(domains), folders):
                os.link(originals / f"{i % needed}.png", own / f"{i:08}.png")


def start(name: str) -> None:
    """Starts like a run and prints the seconds and the peak memory."""
    began = time.monotonic()
    from jaxgan import data

    dataset = data.load(name)
    loaded, used = time.monotonic() - began, time.process_time()
    digest = data.fingerprint(dataset)
    batches = data.stream(dataset, seed=0, updates=1, batch=64)
    next(iter(batches))
    row = {
        "examples": dataset.size,
        "load_seconds": loaded,
        "cpu_seconds": used,
        "first_batch_seconds": time.monotonic() - began,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "fingerprint": digest,
    }
    print(json.dumps(row), flush=True)
    os._exit(0)  # without waiting for batches that are decoded ahead


def measure(name: str, cache: Path, starts: int) -> list[dict]:
    """Returns a row of each start."""
    rows = []
    for _ in range(starts):
        began = time.monotonic()
        done = subprocess.run(
            [sys.executable, __file__, f"--start={name}"],
            env={**os.environ, "XDG_CACHE_HOME": str(cache), "JAX_PLATFORMS": "cpu"},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            timeout=SECONDS,
        )
        row = json.loads(done.stdout.splitlines()[-1])
        rows.append({"seconds": time.monotonic() - began, **row})
        print(rows[-1], flush=True)
    return rows


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--count", type=int, default=1_000_000, help="pictures")
    add("--folders", type=int, default=1_000)
    add("--size", type=int, default=64, help="pixels of a side")
    add("--starts", type=int, default=3)
    add("--place", help="folder for the pictures; the system's one for temporary files")
    add("--layout", default="folder", choices=LAYOUTS)
    add("--start", help="measure one start on a data set, and stop")
    add("--out", default="large_folders.json", help="JSON file of the results")
    args = parser.parse_args()
    if args.start:
        start(args.start)
    with tempfile.TemporaryDirectory(dir=args.place) as place:
        folder = Path(place, "pictures")
        make_folder(folder, args.count, args.folders, args.size, args.layout)
        time.sleep(3)  # a folder that just changed is not indexed
        name = LAYOUTS[args.layout].format(folder)
        rows = measure(name, Path(place, "cache"), args.starts)
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    from arms import about

    same = {name: vars(args)[name] for name in ("layout", "count", "folders")}
    found = {**same, "rows": rows, **about()}
    Path(args.out).write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
