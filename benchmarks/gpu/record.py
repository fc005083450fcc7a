"""Lines of JSON, and errors as lines."""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

LINES = "lines.jsonl"


def append(folder: Path, line: dict) -> None:
    """Write a line that stays, whatever happens to this process next."""
    with (folder / LINES).open("a") as file:
        file.write(json.dumps(line, default=str) + "\n")


def read(folder: Path) -> list[dict]:
    """All lines of a folder; the last one may be cut off, where a process was killed."""
    path, lines = folder / LINES, []
    for text in path.read_text().splitlines() if path.exists() else ():
        with suppress(json.JSONDecodeError):
            line = json.loads(text)
            if isinstance(line, dict) and "part" in line:
                lines.append(line)
    return lines


def forget(folder: Path, part: str) -> None:
    """Drop the lines of a part that is about to run again."""
    kept = [line for line in read(folder) if line["part"] != part]
    (folder / LINES).write_text("".join(json.dumps(line) + "\n" for line in kept))


def failure(error: BaseException) -> dict:
    """What a line says of an exception."""
    message = str(error).strip()
    last = traceback.format_exception(error)[-4:]
    return {"error": type(error).__name__, "message": message[:500], "traceback": "".join(last)[-1500:]}


def guarded(measure: Callable[[], dict | Iterator[dict]], **what: Any) -> Iterator[dict]:
    """The lines of a measurement, each with `what` it is of; an exception becomes the last of them."""
    try:
        made = measure()
        for line in [made] if isinstance(made, dict) else made:
            yield {**what, **line}
    except Exception as error:  # of any kind: a figure that fails must not cost those after it
        yield {**what, **failure(error)}
