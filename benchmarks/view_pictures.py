"""Pictures of the viewer for the docs, and how long a move of a latent takes.

    python benchmarks/view_pictures.py runs/mnist-default --out=view.json

A browser without a window (Debian's chromium, driven by selenium) opens the pages that
`python -m jaxgan.view` serves. docs/viewer.png is the page of runs after a search for
the neighbors of a sample, docs/lab.png the lab after `--steps` steps of both games. The
JSON has the milliseconds of `--moves` moves of a slider: of the server, and until the
picture is on the screen.
"""

import argparse
import io
import json
import re
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from arms import about
from PIL import Image
from selenium import webdriver

SECONDS = 400
"""Longest wait for something to appear."""

FIND = """
const models = [...Bokeh.documents[0]._all_models.values()];
const found = models.find(x => x.name == arguments[0]);
"""
CLICK = """
const all = (root) => [...root.querySelectorAll("*")].flatMap(
  (x) => [x, ...(x.shadowRoot ? all(x.shadowRoot) : [])]);
all(document).find((x) => x.localName == "button"
  && x.textContent.includes(arguments[0])).click();
"""


class Page:
    """A browser with a page of the viewer."""

    def __init__(self, width: int) -> None:
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium") or ""
        for flag in (
            *("--headless=new", "--no-sandbox", "--disable-dev-shm-usage"),
            "--hide-scrollbars",
        ):
            options.add_argument(flag)
        service = webdriver.ChromeService(shutil.which("chromedriver"))
        self.driver, self.width = webdriver.Chrome(options, service), width

    def open(self, address: str) -> None:
        """Opens an address, and waits for its models."""
        self.driver.set_window_size(self.width, 1_000)
        self.driver.get(address)
        script = "return !!window.Bokeh?.documents?.[0]?.is_idle"
        self.until(lambda: self.driver.execute_script(script))

    def until(self, done: Callable[[], Any]) -> Any:
        """Waits until a function returns something true, and returns that."""
        end = time.monotonic() + SECONDS
        while not (made := done()):
            if time.monotonic() > end:
                raise SystemExit("the page does not show what is expected")
            time.sleep(0.05)
        return made

    def get(self, name: str, prop: str) -> Any:
        """Returns a property of a model."""
        return self.driver.execute_script(
            FIND + "return found[arguments[1]]", name, prop
        )

    def set(self, name: str, prop: str, value: Any) -> None:
        """Sets a property of a model."""
        self.driver.execute_script(
            FIND + "found[arguments[1]] = arguments[2]", name, prop, value
        )

    def click(self, text: str) -> None:
        """Presses a button."""
        self.driver.execute_script(CLICK, text)

    def picture(self, file: str) -> None:
        """Writes the page as a PNG of 256 colors."""
        script = "return document.documentElement.scrollHeight"
        height = self.driver.execute_script(script)
        self.driver.set_window_size(self.width, height + 140)
        time.sleep(2)  # plots are drawn again in the new size
        image = Image.open(io.BytesIO(self.driver.get_screenshot_as_png()))
        colors = image.convert("RGB").quantize(256, dither=Image.Dither.NONE)
        colors.save(file, optimize=True)
        print(f"{file}: {Path(file).stat().st_size:,} bytes")


def runs(page: Page, address: str) -> None:
    """Makes the picture of the page of runs."""
    page.open(address)
    page.set("number", "value", 4)
    page.click("Nearest examples")
    page.until(lambda: "the logit" in page.get("said", "text"))
    page.picture("docs/viewer.png")


def lab(page: Page, address: str, steps: int) -> None:
    """Makes the picture of the lab."""
    page.open(f"{address}lab")
    page.until(lambda: "Paused" in page.get("status", "text"))
    page.set("speed", "value", 20)
    page.set("play", "active", True)

    def done() -> bool:
        numbers = re.findall(r"step ([\d,]+)", page.get("facts_b", "text") or "")
        return bool(numbers) and int(numbers[0].replace(",", "")) >= steps

    page.until(done)
    page.set("play", "active", False)
    page.until(lambda: "Paused" in page.get("status", "text"))
    page.picture("docs/lab.png")


def latents(page: Page, address: str, moves: int) -> dict[str, Any]:
    """Returns the milliseconds of moves of a slider."""
    page.open(f"{address}latents")
    page.until(lambda: "drawn in" in page.get("foot", "text"))
    server, screen = [], []
    for number in range(moves):
        page.set("seen", "text", "")
        page.set("direction1", "value", 0.1 + number % 30 / 10)
        text = page.until(lambda: page.get("seen", "text"))
        screen.append(int(re.findall(r"(\d+) ms", text)[0]))
        server.append(int(re.findall(r"drawn in (\d+)", page.get("foot", "text"))[0]))
        time.sleep(0.1)
    return {
        "moves": moves,
        "server_ms": statistics.median(server),
        "screen_ms": statistics.median(screen),
        "server_ms_90": sorted(server)[int(0.9 * moves)],
        "screen_ms_90": sorted(screen)[int(0.9 * moves)],
    }


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workdir")
    parser.add_argument("--steps", type=int, default=2_000)
    parser.add_argument("--moves", type=int, default=60)
    parser.add_argument("--width", type=int, default=1_300)
    parser.add_argument("--out", default="")
    args = parser.parse_args()
    command = [sys.executable, "-m", "jaxgan.view", f"--workdir={args.workdir}"]
    server = subprocess.Popen(
        [*command, "--port=0"], stderr=subprocess.PIPE, text=True, bufsize=1
    )
    page = None
    try:
        assert server.stderr
        address = re.findall(r"http://\S+", server.stderr.readline())[0]
        page = Page(args.width)
        runs(page, address)
        measured = {**latents(page, address, args.moves), "machine": about()}
        lab(page, address, args.steps)
    finally:
        if page:
            page.driver.quit()
        server.terminate()
        server.wait(120)
    text = json.dumps(measured, indent=1)
    print(text)
    if args.out:
        Path(args.out).write_text(text + "\n")


if __name__ == "__main__":
    main()
