"""The summary of a check, made from its lines alone."""

from __future__ import annotations

from pathlib import Path

from gpu import record

FILE = "summary.md"


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
        f"| {line['part']} | {line['target']} | {_cell(line.get('measured', ''))} | {words[line.get('ok')]} |"
        for line in lines
        if "target" in line
    ]
    return ["| part | target | measured | |", "|---|---|---|---|", *rows]


def _parts(lines: list[dict]) -> list[str]:
    """How each part ended, from the line that the frame writes then."""
    return [f"- {line['part']}: {line['ended']}, {line['took']} s" for line in lines if "ended" in line]


def _errors(lines: list[dict]) -> list[str]:
    """What failed, shortly."""
    failed = [line for line in lines if "error" in line]
    hidden = {"part", "seconds", "error", "message", "traceback"}
    rows = []
    for line in failed:
        what = " ".join(f"{key}={value}" for key, value in line.items() if key not in hidden)
        rows.append(f"- {line['part']} {what}: {line['error']}: {_cell(line['message'][:200])}")
    return [f"{len(failed)} measurements failed.", *rows]


def _cell(value: object) -> str:
    return str(value).replace("\n", " ").replace("|", "/")
