"""How progress is displayed: a live bar of rich, or plain lines; neither can stop the program."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import NamedTuple, TextIO, cast

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn


class Status(NamedTuple):
    """The state of one step or phase: `done` of `total` runs; the texts are ready to be shown, "" if unknown."""

    name: str
    done: int
    total: int
    best: str
    elapsed: str
    left: str


class View:
    """Displays a status; this base class displays nothing."""

    def show(self, status: Status) -> None:
        pass

    def close(self) -> None:
        pass


class TolerantStream:
    """A stream that drops text that it cannot write: a closed terminal must not stop hours of trials."""

    def __init__(self, stream: TextIO | None):
        self._stream = stream
        self.encoding = getattr(stream, "encoding", None) or "utf-8"

    def write(self, text: str) -> int:
        with suppress(ValueError, OSError):
            if self._stream is not None:
                self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(ValueError, OSError):
            if self._stream is not None:
                self._stream.flush()

    def isatty(self) -> bool:
        with suppress(ValueError, OSError):
            return self._stream is not None and self._stream.isatty()
        return False


class LiveBar(View):
    """One live bar of rich."""

    def __init__(self, stream: TolerantStream):
        columns = (
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.completed:.0f}/{task.total:.0f}  {task.fields[best]}"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
        )
        console = Console(file=cast("TextIO", stream))  # rich uses no more of a stream than TolerantStream has
        # Warnings and log lines on stderr appear above the bar; stdout stays as it is.
        self._bar = Progress(*columns, console=console, redirect_stdout=False)
        self._task = self._bar.add_task("", best="", left="")
        self._bar.start()

    def show(self, status: Status) -> None:
        self._bar.update(
            self._task,
            description=status.name,
            completed=status.done,
            total=status.total,
            best=status.best,
            left=status.left,
        )

    def close(self) -> None:
        self._bar.stop()


class PlainLines(View):
    """Plain lines, few enough for a log file."""

    def __init__(self, stream: TolerantStream, interval: float):
        self._stream, self._interval, self._last = stream, interval, time.monotonic()

    def show(self, status: Status) -> None:
        now = time.monotonic()
        if status.done < status.total and now - self._last < self._interval:
            return
        self._last = now
        parts = (f"{status.name}: {status.done}/{status.total}", status.best, status.elapsed, status.left)
        self._stream.write(", ".join(filter(None, parts)) + "\n")
        self._stream.flush()
