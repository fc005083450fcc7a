"""The summary of a check, made from its lines alone."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from gpu import record

FILE = "summary.md"
_OF_ERRORS = {"part", "seconds", "error", "message", "traceback"}


def write(folder: Path) -> str:
    """Make the Markdown of the summary anew, and write it beside the lines."""
    text = markdown(record.read(folder))
    (folder / FILE).write_text(text)
    return text


def markdown(lines: list[dict]) -> str:
    environment = next((line for line in lines if line["part"] == "environment"), {})
    keys = ("device", "date", "driver", "cuda", "torch", "triton", "python", "commit")
    title = ", ".join(f"{key} {environment[key]}" for key in keys if environment.get(key))
    return (
        "\n".join([f"# {title or 'GPU check'}", "", *_targets(lines), "", *_parts(lines), "", *_errors(lines)]) + "\n"
    )


def _targets(lines: list[dict]) -> list[str]:
    words = {True: "ok", False: "missed", None: "not measured"}
    rows = [
        f"| {line['part']} | {_cell(line['target'])} | {_cell(line.get('measured', ''))} | {words[line.get('ok')]} |"
        for line in lines
        if "target" in line
    ]
    met = sum(line.get("ok") is True for line in lines if "target" in line)
    return [f"{met} of {len(rows)} targets are met.", "", "| part | target | measured | |", "|---|---|---|---|", *rows]


def _parts(lines: list[dict]) -> list[str]:
    """How each part ended, from the line that the frame writes then, and notes."""
    ended = [f"- {line['part']}: {line['ended']}, {line['took']} s" for line in lines if "ended" in line]
    return ended + [f"- {line['part']}: {line['note']}" for line in lines if "note" in line]


def _errors(lines: list[dict]) -> list[str]:
    """What failed, each message once, with the first measurement that it is of."""
    failed = [line for line in lines if "error" in line]
    alike: dict[tuple, list[dict]] = defaultdict(list)
    for line in failed:
        alike[line["part"], line["error"], line["message"]].append(line)
    rows = []
    for (part, error, message), same in alike.items():
        first = ", ".join(str(value) for key, value in same[0].items() if key not in _OF_ERRORS)
        rows.append(f"- {part}, {len(same)} times: {error}: {_cell(message[:200])}; first of {first}")
    return [f"{len(failed)} measurements failed.", *rows]


def _cell(value: object) -> str:
    return str(value).replace("\n", " ").replace("|", "/")
