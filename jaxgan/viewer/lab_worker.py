"""Games of the lab that train in a thread, while a page shows them."""

import contextlib
import queue
import threading
import time
import weakref
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from jaxgan.errors import UsageError, first_line
from jaxgan.viewer.lab_data import PlaneSet
from jaxgan.viewer.lab_game import Game
from jaxgan.viewer.lab_settings import Settings
from jaxgan.viewer.lab_words import Numbers, explain, measure

FRAME_SECONDS = 0.12
"""Least time between two pictures."""

IDLE_SECONDS = 30.0
"""A game pauses if no page has looked at it for as long."""

MOST_STEPS = 200
"""Maximum number of steps between two pictures."""


OPEN: weakref.WeakSet["Worker"] = weakref.WeakSet()
"""All workers, to end them with the program."""


class View(NamedTuple):
    """Contents of a page about a game."""

    seen: dict[str, np.ndarray]
    numbers: Numbers
    best: int
    rows: list[dict[str, float]]
    plane: PlaneSet
    sentence: str


class Worker:
    """Trains games in a thread. All methods may be called from a page's thread.

    Args:
      settings: one per game.
      plane: the data of all games.
    """

    def __init__(self, settings: list[Settings], plane: PlaneSet) -> None:
        self._wanted, self._plane = list(settings), plane
        self._games: list[Game] = []
        self._best: list[int] = []
        self._jobs: queue.Queue[Callable[[], None]] = queue.Queue()
        self._looked, self._closed = time.monotonic(), False
        self.playing = False
        self.speed = 10
        """Steps between two pictures."""
        self.average = True
        """True to show the generators' moving average."""
        self.status = "Building the networks ..."
        """The activity of the worker, for the page."""
        self.views: list[View] = []
        self.version = 0
        """Changes with each picture."""
        self._thread = threading.Thread(target=self._run, daemon=True, name="lab")

    def start(self) -> None:
        """Starts the thread."""
        self._jobs.put(self._build)
        OPEN.add(self)
        self._thread.start()

    def close(self) -> None:
        """Ends the thread after the call that runs."""
        self._closed = True
        self._jobs.put(lambda: None)

    def join(self, seconds: float) -> bool:
        """Waits for the end of the thread; returns False if it still runs."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def look(self) -> tuple[int, list[View], str]:
        """Returns the version, the newest views and the status."""
        self._looked = time.monotonic()
        return self.version, self.views, self.status

    def set_games(self, settings: list[Settings]) -> None:
        """Changes the rules, or the number of games."""
        self._jobs.put(lambda: self._change(list(settings)))

    def set_plane(self, plane: PlaneSet) -> None:
        """Changes the data of all games, which start again."""

        def change():
            self._plane = plane
            for game in self._games:
                game.set_plane(plane)
                game.restart()
            self._best = [0] * len(self._games)

        self._jobs.put(change)

    def restart(self) -> None:
        """Starts all games again."""

        def restart():
            for game in self._games:
                game.restart()
            self._best = [0] * len(self._games)

        self._jobs.put(restart)

    def step(self, player: str | None = None) -> None:
        """Makes one step of all games, or one update of a player, and pauses."""
        self.playing = False

        def step():
            for game in self._games:
                if player is None:
                    game.advance(1)
                else:
                    self.status = f"Compiling one update of {player} ..."
                    game.update(player)

        self._jobs.put(step)

    def _build(self) -> None:
        self._change(self._wanted)

    def _change(self, settings: list[Settings]) -> None:
        self.status = "Compiling ..."
        for number, wanted in enumerate(settings):
            if number >= len(self._games):
                self._games.append(Game(wanted, self._plane))
                self._best.append(0)
                if number:
                    self._catch_up(self._games[number])
            elif not self._games[number].change(wanted):
                self._best[number] = 0
        del self._games[len(settings) :], self._best[len(settings) :]

    def _catch_up(self, game: Game) -> None:
        """Trains a game that joins another one for as many steps."""
        missing = min(self._games[0].step, 2_000)
        while game.step < missing and not self._closed:
            game.advance(min(MOST_STEPS, missing - game.step))

    def _run(self) -> None:
        while not self._closed:
            started = time.monotonic()
            try:
                changed = self._work()
            except UsageError as error:
                self.playing, changed = False, True
                self._show(f"Not possible: {first_line(error)}")
            except Exception as error:
                self.playing = False
                self.status = f"{type(error).__name__}: {first_line(error)}"
                changed = False
            rest = FRAME_SECONDS - (time.monotonic() - started)
            if changed and rest > 0:
                time.sleep(rest)

    def _work(self) -> bool:
        """Runs the next job, or trains for a picture; returns True if it drew one."""
        playing = self.playing and time.monotonic() - self._looked < IDLE_SECONDS
        job: Callable[[], None] | None = None
        with contextlib.suppress(queue.Empty):
            job = self._jobs.get(timeout=0 if playing else 0.5)
        if job is not None:
            job()
            # Several changes are shown at once.
            while not self._jobs.empty():
                self._jobs.get()()
        elif playing:
            for game in self._games:
                if not game.rows:
                    self.status = "Compiling the train step ..."
                game.advance(min(max(self.speed, 1), MOST_STEPS))
        else:
            return False
        if not self._closed:
            self._show("Training" if self.playing else "Paused")
        return True

    def _show(self, status: str) -> None:
        """Draws all games."""
        views = []
        for number, game in enumerate(self._games):
            seen = game.see(average=self.average)
            numbers = measure(game.step, seen, game.plane)
            if not numbers.finite:
                self.playing = False
            self._best[number] = max(self._best[number], numbers.covered)
            rules, best = game.settings, self._best[number]
            sentence = explain(rules.loss, rules.d_terms, numbers, best)
            views.append(
                View(seen, numbers, best, list(game.rows), game.plane, sentence)
            )
        self.views, self.status = views, status
        self.version += 1

    def redraw(self) -> None:
        """Draws all games again, without training."""
        self._jobs.put(lambda: None)


def close_all(seconds: float) -> None:
    """Ends all workers, and waits for the calls that run.

    Args:
      seconds: the longest wait. The interpreter must not end during a call of XLA.
    """
    workers, end = list(OPEN), time.monotonic() + seconds
    for worker in workers:
        worker.close()
    for worker in workers:
        worker.join(max(end - time.monotonic(), 0))
