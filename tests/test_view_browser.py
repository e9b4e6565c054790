"""The pages in a real browser, without a window."""

import json
import re
import shutil
import time
from urllib.parse import quote

import numpy as np
import pytest

pytest.importorskip("bokeh")
webdriver = pytest.importorskip("selenium.webdriver")

from viewers import served, written_run  # noqa: E402

BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")

pytestmark = pytest.mark.skipif(
    not (BROWSER and DRIVER),
    reason="no chromium and chromedriver: apt-get install chromium chromium-driver",
)

SECONDS = 90
"""Longest wait for something to appear."""

FIND = """
const models = [...Bokeh.documents[0]._all_models.values()];
const found = models.find(x => x.name == arguments[0]);
"""
HASH = (
    FIND
    + """
const source = found.renderers[0].data_source;
const pixels = source.data.image[0];
if (!pixels) return 0;
return Array.from(pixels).reduce((a, x) => (31 * a + x) >>> 0, 7);
"""
)


class Page:
    """A browser, and what it logs."""

    def __init__(self):
        options = webdriver.ChromeOptions()
        options.binary_location = BROWSER
        for flag in (
            *("--headless=new", "--no-sandbox", "--disable-gpu"),
            *("--disable-dev-shm-usage", "--window-size=1400,1000"),
        ):
            options.add_argument(flag)
        logs = {"browser": "ALL", "performance": "ALL"}
        options.set_capability("goog:loggingPrefs", logs)
        service = webdriver.ChromeService(DRIVER)
        self.driver = webdriver.Chrome(options, service)

    def open(self, address):
        # What an earlier page logged, whose server has ended, counts no more.
        self.driver.get("about:blank")
        for kind in ("browser", "performance"):
            self.driver.get_log(kind)
        self.driver.get(address)
        script = "return !!window.Bokeh?.documents?.[0]?.is_idle"
        self.until(lambda: self.driver.execute_script(script))

    def until(self, done):
        end = time.monotonic() + SECONDS
        while not (made := done()):
            assert time.monotonic() < end
            time.sleep(0.1)
        return made

    def get(self, name, prop):
        return self.driver.execute_script(
            FIND + "return found[arguments[1]]", name, prop
        )

    def set(self, name, prop, value):
        self.driver.execute_script(
            FIND + "found[arguments[1]] = arguments[2]", name, prop, value
        )

    def shadow(self, tag, text):
        """An element with a text, also inside of shadow roots."""
        script = """
        const all = (root) => [...root.querySelectorAll("*")].flatMap(
          (x) => [x, ...(x.shadowRoot ? all(x.shadowRoot) : [])]);
        return all(document).find((x) => x.localName == arguments[0]
          && x.textContent.includes(arguments[1]))"""
        return self.driver.execute_script(script, tag, text)

    def drag(self, name, start, end):
        """Draws a line on a plot with the mouse, in fractions of its sides."""
        script = FIND + "return Bokeh.index.find_one(found).el.getBoundingClientRect()"
        box = self.driver.execute_script(script, name)
        origin = np.array([box["left"], box["top"]])
        sides = np.array([box["width"], box["height"]])
        actions = webdriver.ActionChains(self.driver)
        mouse = actions.w3c_actions.pointer_action
        for i, at in enumerate(np.linspace(start, end, 12)):
            mouse.move_to_location(*(origin + at * sides).astype(int).tolist())
            if i == 0:
                mouse.pointer_down()
        mouse.pointer_up()
        actions.perform()

    def picture(self, name):
        """A number that changes with the pixels of a plot's first picture."""
        return self.driver.execute_script(HASH, name)

    def check(self, address):
        """Asserts that nothing went wrong, and nothing came from elsewhere."""
        log = self.driver.get_log("browser")
        bad = [x["message"] for x in log if x["level"] in ("SEVERE", "WARNING")]
        assert not bad
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                url = message["params"]["request"]["url"]
                assert url.startswith((address, "data:")), url


def steps(browser):
    """The number of steps of the first game."""
    return int(
        re.findall(r"step ([\d,]+)", browser.get("facts_a", "text"))[0].replace(",", "")
    )


@pytest.fixture(scope="module")
def browser():
    page = Page()
    yield page
    page.driver.quit()


def test_sliders_change_pictures(browser, finished, tmp_path):
    (tmp_path / "runs").mkdir()
    shutil.copytree(finished, tmp_path / "runs" / "trained")
    name = "<img src=x onerror=window.hacked=1>"
    rows = json.dumps({"step": 1, "kind": "collapse", "finding": name}) + "\n"
    written_run(tmp_path / "runs" / name, rows=rows)
    with served(f"--workdir={tmp_path}/runs") as address:
        browser.open(f"{address}/?run={quote('trained|' + name)}")
        # Samples through training.
        last = browser.until(lambda: browser.picture("sampled"))
        browser.set("through", "value", 0)
        browser.until(lambda: browser.picture("sampled") != last)
        # Names of folders and findings stay text.
        browser.until(lambda: "&lt;img" in browser.get("findings", "text"))
        script = "return window.hacked || document.querySelectorAll('img').length"
        assert not browser.driver.execute_script(script)
        # One sample: its history, neighbors and score.
        before = browser.picture("history")
        browser.set("number", "value", 3)
        browser.until(lambda: browser.picture("history") != before)
        button = browser.shadow("button", "Nearest examples")
        browser.driver.execute_script("arguments[0].click()", button)
        browser.until(lambda: "the logit" in browser.get("said", "text"))
        assert browser.picture("nearest")
        browser.check(address)
        # Latents: a slider moves, and the picture changes.
        browser.open(f"{address}/latents?run=trained")
        first = browser.until(lambda: browser.picture("latents"))
        browser.set("truncation", "value", 0.5)
        browser.until(lambda: browser.picture("latents") != first)
        browser.until(lambda: "on the screen" in browser.get("seen", "text"))
        assert "drawn in" in browser.get("foot", "text")
        browser.check(address)


def test_the_lab_reaches_all_modes(browser):
    with served("--lab") as address:
        browser.open(f"{address}/lab?games=1")
        browser.until(lambda: "Paused" in browser.get("status", "text"))
        first = browser.picture("plane_a")
        browser.set("speed", "value", 50)
        browser.set("play", "active", True)
        browser.until(lambda: "| 8/8 modes" in browser.get("facts_a", "text"))
        assert "All 8 modes" in browser.get("say_a", "text")
        assert browser.picture("plane_a") != first
        # A change of a rate is no reason to compile, or to start again.
        step = steps(browser)
        browser.set("d_rate_a", "value", "1e-3")
        browser.set("play", "active", False)
        browser.until(lambda: "Paused" in browser.get("status", "text"))
        assert steps(browser) >= step
        # Points that are drawn with the mouse are data.
        browser.set("data", "value", "drawn")
        browser.until(lambda: "draw with the mouse" in browser.get("status", "text"))
        browser.drag("plane_a", (0.3, 0.4), (0.5, 0.5))
        browser.until(lambda: "places" in browser.get("facts_a", "text"))
        browser.check(address)
