"""The progress of a search on the console: one live line in a terminal, plain lines in a log file."""

from __future__ import annotations

import math
import sys
import threading
import time
from contextlib import suppress
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn


class SearchProgress:
    """Counts the trials of a search of `steps` steps with `samples` trials each, on `stream` or stderr.

    A terminal shows one live bar; anything else gets a plain line at the end of a step, and every `interval`
    seconds within it. Calls may come from any thread; a stream that fails or is closed is ignored.
    """

    def __init__(self, steps: int, samples: int, stream: TextIO | None = None, interval: float = 30.0):
        self._lock = threading.RLock()
        self._steps, self._samples = steps, samples
        stream = _Forgiving(sys.stderr if stream is None else stream)
        self._view = _Live(stream) if stream.isatty() else _Lines(stream, interval)
        self._name, self._done, self._total = "search", 0, samples
        self._best: float | None = None
        self._clock, self._in_phase = _Clock(steps * samples), False

    def start_step(self, step: int) -> None:
        """Begin step `step`, counted from 1; the trials of earlier steps count as done (a resumed search)."""
        with self._lock:
            if self._in_phase:
                self._clock, self._in_phase = _Clock(self._steps * self._samples), False
                self._best = None
            self._clock.skip_to((step - 1) * self._samples)
            self._begin(f"step {step}/{self._steps}", self._samples)

    def phase(self, name: str, total: int) -> None:
        """Begin another stretch of work of `total` runs, such as the comparison after the search."""
        with self._lock:
            self._clock, self._in_phase = _Clock(total), True
            self._best = None
            self._begin(name, total)

    def trial_done(self, score: float | None = None) -> None:
        """Count one trial or run; None where it failed or has no score."""
        with self._lock:
            self._done += 1
            self._clock.done += 1
            if score is not None and math.isfinite(score):
                self._best = score if self._best is None else max(self._best, score)
            self._show()

    def close(self) -> None:
        """End the display; calls after it do nothing."""
        with self._lock:
            self._view.close()
            self._view = _Silent()

    def __enter__(self) -> SearchProgress:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _begin(self, name: str, total: int) -> None:
        self._name, self._done, self._total = name, 0, total
        self._show()

    def _show(self) -> None:
        best = "" if self._best is None else f"best {self._best:.4f}"
        self._view.show(self._name, self._done, self._total, best, self._clock)


class _Clock:
    """Time spent and time left of `total` trials, from those that finished since it was made."""

    def __init__(self, total: int):
        self.total, self.done, self.skipped, self.start = total, 0, 0, time.monotonic()

    def skip_to(self, done: int) -> None:
        self.skipped += max(0, done - self.done)
        self.done = max(self.done, done)

    def elapsed(self) -> float:
        return time.monotonic() - self.start

    def left(self) -> str:
        timed = self.done - self.skipped
        seconds = self.elapsed() / timed * max(0, self.total - self.done) if timed else None
        return "" if seconds is None else f"{duration(seconds)} left"


class _Forgiving:
    """A stream that swallows what it cannot write: hours of trials must outlive a closed terminal."""

    def __init__(self, stream: TextIO | None):
        self._stream = stream
        self.encoding = getattr(stream, "encoding", None) or "utf-8"

    def write(self, text: str) -> int:
        with suppress(AttributeError, ValueError, OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(AttributeError, ValueError, OSError):
            self._stream.flush()

    def isatty(self) -> bool:
        with suppress(AttributeError, ValueError, OSError):
            return self._stream.isatty()
        return False


class _Live:
    """One live bar of rich."""

    def __init__(self, stream: _Forgiving):
        columns = (
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.completed:.0f}/{task.total:.0f}  {task.fields[best]}"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
        )
        # the lines of warnings and of logging go above the bar, but nobody's stdout is taken over
        self._bar = Progress(*columns, console=Console(file=stream), redirect_stdout=False)
        self._task = self._bar.add_task("", best="", left="")
        self._bar.start()

    def show(self, name: str, done: int, total: int, best: str, clock: _Clock) -> None:
        self._bar.update(self._task, description=name, completed=done, total=total, best=best, left=clock.left())

    def close(self) -> None:
        self._bar.stop()


class _Lines:
    """Plain lines, few enough for a log file."""

    def __init__(self, stream: _Forgiving, interval: float):
        self._stream, self._interval, self._last = stream, interval, time.monotonic()

    def show(self, name: str, done: int, total: int, best: str, clock: _Clock) -> None:
        now = time.monotonic()
        if done < total and now - self._last < self._interval:
            return
        self._last = now
        parts = (f"{name}: {done}/{total}", best, f"{duration(clock.elapsed())} elapsed", clock.left())
        self._stream.write(", ".join(filter(None, parts)) + "\n")
        self._stream.flush()

    def close(self) -> None:
        pass


class _Silent:
    """Shows nothing."""

    def show(self, *_: object) -> None:
        pass

    def close(self) -> None:
        pass


def duration(seconds: float) -> str:
    """A time as h:mm:ss."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}"
