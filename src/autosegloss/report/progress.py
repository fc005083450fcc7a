"""The progress of a search on the console: one live line in a terminal, plain lines in a log file."""

from __future__ import annotations

import math
import sys
import threading
import time
from typing import TextIO

from autosegloss.report.progress_views import LiveBar, PlainLines, Status, TolerantStream, View


class SearchProgress:
    """Counts the finished trials of a search and shows them with the best score and the time left.

    A terminal shows one live bar. Any other stream gets a plain line at the end of a step, and one every `interval`
    seconds within it. All methods may be called from any thread. A stream that fails or is closed is ignored.

    Args:
        steps: T, the number of steps.
        samples: M, the number of trials per step.
        stream: where to write; None means stderr.
        interval: seconds between two plain lines of one step.

    Example:
        >>> with SearchProgress(steps=20, samples=32) as progress:  # doctest: +SKIP
        ...     progress.start_step(1)
        ...     progress.trial_done(0.42)
    """

    def __init__(self, steps: int, samples: int, stream: TextIO | None = None, interval: float = 30.0):
        self._lock = threading.RLock()
        self._steps, self._samples = steps, samples
        out = TolerantStream(sys.stderr if stream is None else stream)
        self._view: View = LiveBar(out) if out.isatty() else PlainLines(out, interval)
        self._name, self._done, self._total = "search", 0, samples
        self._best: float | None = None
        self._clock, self._in_phase = _Clock(steps * samples), False

    def start_step(self, step: int) -> None:
        """Begin step `step`, counted from 1; the trials of earlier steps count as done, as in a resumed search."""
        with self._lock:
            if self._in_phase:
                self._clock, self._in_phase = _Clock(self._steps * self._samples), False
                self._best = None
            self._clock.skip_to((step - 1) * self._samples)
            self._begin(f"step {step}/{self._steps}", self._samples)

    def phase(self, name: str, total: int) -> None:
        """Begin a phase of `total` runs before or after the steps, such as the comparison of losses."""
        with self._lock:
            self._clock, self._in_phase = _Clock(total), True
            self._best = None
            self._begin(name, total)

    def trial_done(self, score: float | None = None) -> None:
        """Count one trial or run; `score` is None if it failed or has no score."""
        with self._lock:
            self._done += 1
            self._clock.done += 1
            if score is not None and math.isfinite(score):
                self._best = score if self._best is None else max(self._best, score)
            self._show()

    def close(self) -> None:
        """End the display; later calls show nothing."""
        with self._lock:
            self._view.close()
            self._view = View()

    def __enter__(self) -> SearchProgress:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _begin(self, name: str, total: int) -> None:
        self._name, self._done, self._total = name, 0, total
        self._show()

    def _show(self) -> None:
        best = "" if self._best is None else f"best {self._best:.4f}"
        elapsed = f"{duration(self._clock.elapsed())} elapsed"
        self._view.show(Status(self._name, self._done, self._total, best, elapsed, self._clock.left()))


class _Clock:
    """Measures the time of `total` trials and estimates the rest from the trials that finished since its start."""

    def __init__(self, total: int):
        self.total, self.done, self.skipped, self.start = total, 0, 0, time.monotonic()

    def skip_to(self, done: int) -> None:
        self.skipped += max(0, done - self.done)
        self.done = max(self.done, done)

    def elapsed(self) -> float:
        return time.monotonic() - self.start

    def left(self) -> str:
        timed = self.done - self.skipped
        return f"{duration(self.elapsed() / timed * max(0, self.total - self.done))} left" if timed else ""


def duration(seconds: float) -> str:
    """Format a time as h:mm:ss.

    Example:
        >>> duration(3725)
        '1:02:05'
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
