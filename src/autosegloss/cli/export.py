"""The program `autosegloss export`: the network of a run as a file for other programs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from autosegloss.cli.arguments import one_path, read_arguments, typed_arguments
from autosegloss.cli.errors import run_program
from autosegloss.cli.help import EXPORT
from autosegloss.errors import InputError, unknown
from autosegloss.files import short_path, whole_file
from autosegloss.training.export import OPSET, Exported, describe, export_onnx, export_torch
from autosegloss.training.trained import TrainedRun

SETTINGS: dict[str, Any] = {"format": "onnx", "out": None}
FORMATS: dict[str, tuple[Callable[..., Exported], str, str]] = {
    "onnx": (export_onnx, "model.onnx", f"ONNX, opset {OPSET}, with onnxruntime"),
    "torch": (export_torch, "model.pt2", "a program of torch.export"),
}
"""By name: what exports, the file's name, and what is checked, in words."""


def main() -> None:
    """The program; an error of the user ends it with one line."""
    run_program(run)


def run(arguments: Sequence[str] | None = None) -> None:
    """Execute the arguments; None takes those of the command line.

    Raises:
        InputError: there is no such run, its network cannot be exported, or the file cannot be written.
    """
    typed = typed_arguments() if arguments is None else arguments
    if EXPORT.shown(typed):
        return
    paths, settings, _ = read_arguments(typed, SETTINGS)
    if settings["format"] not in FORMATS:
        raise unknown("format", settings["format"], FORMATS)
    trained = TrainedRun.of(one_path("export", paths, "the folder of a run"))
    export, name, what = FORMATS[settings["format"]]
    out = Path(settings["out"] or trained.folder / name)
    data, classes = trained.data(), trained.classes()
    size, bands = data.size or data.crop or (256, 256), data.source.channels
    exported = export(trained.network(len(classes), bands), bands, size, classes, trained.task)
    _write(out, exported.content)
    print(f"exported: {short_path(out)}, {len(exported.content) / 1e6:.1f} MB")
    told = describe(classes, bands, size, any_size=len(exported.sizes) > 1, task=trained.task)
    print(f"input: {told['input']}\noutput: {told['output']}")
    tried = ", ".join("x".join(map(str, each)) for each in exported.sizes)
    print(f"checked: {what}, on images of {tried}")
    print(f"logits differ from PyTorch's by {exported.difference:.1g} at most, the largest is {exported.largest:.3g}")


def _write(out: Path, content: bytes) -> None:
    try:
        with whole_file(out) as draft:
            draft.write_bytes(content)
    except OSError as error:
        raise InputError(f"{out} cannot be written ({error}): choose another place with out=FILE") from error
