"""The program `autosegloss predict`: masks of images by the network of a run."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track

from autosegloss.cli.arguments import device_of, one_path, read_arguments, typed_arguments
from autosegloss.cli.errors import run_program
from autosegloss.cli.help import PREDICT
from autosegloss.data.datasets.folder import Folder
from autosegloss.data.datasets.images import ImageReader, read_image
from autosegloss.data.datasets.layers import SUFFIX, save_layers
from autosegloss.data.datasets.source import Source
from autosegloss.errors import InputError
from autosegloss.evaluation.mask_files import (
    TableValues,
    check_out,
    class_colours,
    image_files,
    overlay_name,
    save_indices,
    save_overlay,
)
from autosegloss.evaluation.prediction import Predictor
from autosegloss.files import short_path
from autosegloss.training.trained import TrainedRun

_AS_TRAINED = ()  # files are read as those of the training
_READING = ("bands", "max_value", "max_megapixels")  # settings of the reader of images

SETTINGS: dict[str, Any] = {
    "images": None,
    "out": None,
    "overlay": False,
    "values": False,
    "window": 0,
    "overlap": 0.5,
    "flip": False,
    "threshold": None,
    "device": "auto",
    **{f"data.source.{name}": _AS_TRAINED for name in _READING},
}

Save = Callable[[np.ndarray, Path], None]


def main() -> None:
    """The program; an error of the user, or a file that is no image, ends it with one line."""
    run_program(run)


def run(arguments: Sequence[str] | None = None) -> None:
    """Execute the arguments; None takes those of the command line.

    Raises:
        InputError: the run, the images or a setting cannot be used.
        SystemExit: some files could not be read.
    """
    typed = typed_arguments() if arguments is None else arguments
    if PREDICT.shown(typed):
        return
    paths, settings, _ = read_arguments(typed, SETTINGS)
    trained = TrainedRun.of(one_path("predict", paths, "the folder of a run"))
    if settings["threshold"] is not None:
        trained = trained.with_threshold(settings["threshold"])
    for key in ("images", "out"):
        if settings[key] is None:
            raise InputError(f"{key} is not given: set {key}=PATH")
    images, out = Path(settings["images"]).expanduser(), Path(settings["out"]).expanduser()
    files = image_files(images)
    if not trained.task.exclusive:
        files = {image: name.with_suffix(SUFFIX) for image, name in files.items()}
    check_out(images, files, out)
    faults = _predict(trained, files, out, settings)
    print(f"masks: {len(files) - len(faults)} in {short_path(out)}")
    for fault in faults:
        print(f"skipped: {fault}")
    if faults:
        sys.exit(f"error: {len(faults)} of {len(files)} files could not be read, see above")


def _predict(trained: TrainedRun, files: dict[Path, Path], out: Path, settings: dict[str, Any]) -> list[str]:
    """Write the masks; returns the faults of files that could not be read."""
    data, names = trained.data(), trained.classes()
    device, colours = device_of(settings["device"]), class_colours(len(names))
    network = trained.network(len(names), data.source.channels).to(device)
    options = {key: settings[key] for key in ("window", "overlap", "flip")}
    predictor = Predictor(network, device, data.resize, **options, task=trained.task)
    save: Callable[[np.ndarray, Path], None] = save_layers
    if trained.task.exclusive:
        save = partial(_indices, colours)
    if settings["values"]:
        save = _table_values(data.source, names).save
    read, faults = _reader(data.source, settings), []
    console = Console(stderr=True)
    for path, name in track(files.items(), "images", console=console, transient=True, disable=not console.is_terminal):
        try:
            image = read(path)
        except InputError as error:
            faults.append(str(error))
            continue
        mask = predictor(image).numpy()
        try:
            save(mask, out / name)
            if settings["overlay"]:
                save_overlay(image, mask, colours, out / overlay_name(name))
        except OSError as error:
            raise InputError(f"{out / name} cannot be written ({error}): choose another place with out=DIR") from error
    return faults


def _reader(source: Source, settings: dict[str, Any]) -> ImageReader:
    """The reader of the training, with what the user sets in its place; raises InputError for more or fewer bands."""
    typed = {name: settings[f"data.source.{name}"] for name in _READING}
    own = source.image_reader if isinstance(source, Folder) else read_image
    reader = replace(own, **{name: value for name, value in typed.items() if value != _AS_TRAINED})
    if typed["bands"] != _AS_TRAINED and reader.channels != source.channels:
        raise InputError(
            f"data.source.bands: the network of the run takes {source.channels} bands, got {reader.channels}: choose "
            f"{source.channels} of those in the images"
        )
    return reader


def _indices(colours: np.ndarray, mask: np.ndarray, path: Path) -> None:
    save_indices(mask, colours, path)


def _table_values(source: Source, names: Sequence[str]) -> TableValues:
    if not isinstance(source, Folder) or source.mask_table is None:
        raise InputError("values=true: the data of the run have no table of values or colours: leave it out")
    return TableValues(source.mask_table, names)
