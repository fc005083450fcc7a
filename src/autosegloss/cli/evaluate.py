"""The program `autosegloss evaluate`: judges the network of a run, or masks in files, in detail."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.progress import track

from autosegloss.cli.arguments import Arguments, device_of, one_path, read_arguments, typed_arguments
from autosegloss.cli.configs import compose_training
from autosegloss.cli.errors import run_program
from autosegloss.cli.help import EVALUATE
from autosegloss.data import Boundary
from autosegloss.data.datasets.class_files import TABLE_FILE, classes_in
from autosegloss.data.datasets.class_table import Classes, plain_classes
from autosegloss.data.datasets.layers import in_layers
from autosegloss.data.datasets.source import SPLITS
from autosegloss.errors import InputError, unknown
from autosegloss.evaluation.bootstrap import differences
from autosegloss.evaluation.decode import decoder
from autosegloss.evaluation.judging import ALL, file_predictions, judged_parts, network_predictions
from autosegloss.evaluation.measure import Judged, Measured, measure
from autosegloss.evaluation.writing import Evaluation
from autosegloss.files import short_path
from autosegloss.formulas import PAPER, resolve
from autosegloss.ranking import resamples
from autosegloss.tasks import Task
from autosegloss.tasks.multiclass import Multiclass
from autosegloss.training.outcome import scored_at
from autosegloss.training.run import target_metrics
from autosegloss.training.trained import TrainedRun

SETTINGS: dict[str, Any] = {
    "split": "val",
    "decode": "argmax",
    "threshold": None,
    "task": None,
    "other": None,
    "predictions": None,
    "truth": None,
    "classes": None,
    "ignore_index": "255",
    "width": 0.02,
    "tolerance": 0.0075,
    "rims": "false",
    "bootstrap": 1000,
    "seed": 0,
    "out": None,
    "device": "auto",
    "config-dir": None,
}
_FROM_RUN = ("size", "crop", "keep_aspect", "score_at")  # how a run sees images holds for other data, too


def main() -> None:
    """The program; an error of the user ends it with one line."""
    run_program(run)


def run(arguments: Sequence[str] | None = None) -> None:
    """Execute the arguments; None takes those of the command line.

    Raises:
        InputError: a run, data or files cannot be judged as the arguments say.
    """
    typed = typed_arguments() if arguments is None else arguments
    if EVALUATE.shown(typed):
        return
    chosen = read_arguments(typed, SETTINGS, groups=("data",), flags=("config-dir",))
    settings = chosen.settings
    if settings["bootstrap"] < 1:
        raise InputError("bootstrap: expected 1 or more resamples, got 0")
    evaluation, folder = _of_files(chosen) if settings["predictions"] else _of_run(chosen)
    out = Path(settings["out"] or folder)
    try:
        table = evaluation.write(out)
    except OSError as error:
        raise InputError(f"{out} cannot be written ({error}): choose another place with out=DIR") from error
    Console(width=None if sys.stdout.isatty() else 120).print(table)
    print(f"page: {short_path(out)}/index.html")


def _of_run(chosen: Arguments) -> tuple[Evaluation, Path]:
    """The evaluation of a run, and where its files go if the user does not say."""
    settings, split = chosen.settings, chosen.settings["split"]
    if split not in (*SPLITS, ALL):
        raise unknown("split", split, (*SPLITS, ALL))
    path = one_path("evaluate", chosen.paths, "the folder of a run, or predictions=DIR truth=DIR")
    if settings["task"]:
        raise InputError("task is that of the run, and is given for masks in files alone: leave it out")
    run = _of_arguments(path, chosen)
    measured = _measured(run, settings)
    counts = resamples(len(measured.names), settings["bootstrap"], settings["seed"])
    about = {"run": str(short_path(run.folder)), "weights": run.weights.name, "data": _data_name(run), "split": split}
    about |= {"scored at": scored_at(run.config.data), **_as_labels(run.task, settings["decode"])}
    found = {}
    if settings["other"]:
        other = _of_arguments(settings["other"], chosen)
        found = differences(measured, _measured(other, settings), counts)
        about["other"] = str(short_path(other.folder))
    title = f"{run.folder.name}: {split}"
    parts = [*(f"{o.partition('=')[2]}" for o in chosen.overrides if o.startswith("data=")), split]
    parts += [settings["decode"]] if settings["decode"] != SETTINGS["decode"] else []
    return Evaluation(title, about, measured, counts, found), run.folder / "evaluation" / "-".join(parts)


def _of_files(chosen: Arguments) -> tuple[Evaluation, Path]:
    """The evaluation of masks in files, and where its files go if the user does not say."""
    settings = chosen.settings
    if chosen.paths or chosen.overrides or settings["other"]:
        extra = [*chosen.paths, *chosen.overrides, *(["other="] if settings["other"] else [])]
        raise InputError(f"predictions=DIR judges masks in files: leave out {' '.join(extra)}")
    if settings["threshold"]:
        raise InputError("threshold is for the probabilities of a run, masks in files have none: leave it out")
    if not settings["truth"]:
        raise InputError("predictions=DIR needs the true masks, too: set truth=DIR")
    predictions, truth = Path(settings["predictions"]).expanduser(), Path(settings["truth"]).expanduser()
    ignored = yaml.safe_load(settings["ignore_index"])
    task = Task.resolve(settings["task"] or Multiclass.name)
    classes = _classes(settings["classes"], truth, ignored, task.usual_classes)
    if not task.exclusive:
        classes = in_layers(classes, ignored)
    boundary = Boundary(settings["width"], settings["tolerance"], yaml.safe_load(settings["rims"]))
    options = {formula.name: formula for formula in boundary.metrics}
    formulas = [options.get(name) or resolve(name) for name in PAPER]
    images = _tracked(file_predictions(predictions, truth, classes), None)
    measured = measure(images, formulas, classes.names, ignored, task)
    counts = resamples(len(measured.names), settings["bootstrap"], settings["seed"])
    about = {"predictions": str(predictions), "truth": str(truth), "task": settings["task"]}
    return Evaluation(f"{predictions.name}: masks in files", about, measured, counts), Path("evaluation")


def _classes(given: str | None, truth: Path, ignore_index: int | None, usual: Sequence[str]) -> Classes:
    """The classes that were typed, those of a table in the folder of the true masks or above it, or the usual ones."""
    if given is not None:
        value = yaml.safe_load(given)
        if not isinstance(value, int | list) or isinstance(value, bool):
            raise InputError(f"classes: expected a number, or names as [sky,road], got {given}")
        return plain_classes(value, ignore_index)
    for folder in (truth, truth.parent):
        try:
            return classes_in(folder, ignore_index, "error")
        except InputError:
            continue
    if usual:
        return plain_classes(usual, ignore_index)
    raise InputError(
        f"the classes are unknown: set classes=N or classes=[sky,road,...], or put a {TABLE_FILE} in {truth}"
    )


def _of_arguments(path: str, chosen: Arguments) -> TrainedRun:
    """The run at `path`, with the data and the threshold that the arguments name."""
    run = _with_data(TrainedRun.of(path), chosen)
    return run if chosen.settings["threshold"] is None else run.with_threshold(chosen.settings["threshold"])


def _as_labels(task: Task, decode: str) -> dict[str, Any]:
    """How labels follow from logits, for the page."""
    multiclass = isinstance(task, Multiclass)
    return {"decode": decode} if multiclass else {"task": task.name, **task.options()}


def _with_data(run: TrainedRun, chosen: Arguments) -> TrainedRun:
    """The run with the data that the arguments name in the place of its own."""
    overrides = chosen.overrides
    if not overrides:
        return run
    config = run.config.copy()
    if any(override.startswith("data=") for override in overrides):
        typed = {override.partition("=")[0] for override in overrides}
        kept = {key: OmegaConf.select(run.config.data, key) for key in _FROM_RUN if f"data.{key}" not in typed}
        composed = compose_training(overrides, chosen.settings["config-dir"])
        config.data = OmegaConf.merge(composed.data, kept)
    else:
        config = _changed(config, overrides)
    return TrainedRun(run.folder, run.weights, config)


def _changed(config: DictConfig, overrides: Sequence[str]) -> DictConfig:
    """The settings of a run with others in their place; raises InputError for a key that it lacks."""
    for override in overrides:
        key, _, value = override.partition("=")
        above, _, last = key.rpartition(".")
        parent = OmegaConf.select(config, above)
        if not isinstance(parent, DictConfig) or last not in parent:
            known = [f"{above}.{name!s}" for name in parent] if isinstance(parent, DictConfig) else list(config.data)
            raise unknown("setting", key, known)
        OmegaConf.update(config, key, yaml.safe_load(value))
    return config


def _measured(run: TrainedRun, settings: dict[str, Any]) -> Measured:
    data, split, task = run.data(), settings["split"], run.task
    decode = decoder(settings["decode"], task)
    network = run.network(data.num_classes, data.source.channels)
    device = device_of(settings["device"])
    formulas = [resolve(metric) for metric in target_metrics(run.config, data)]
    images = network_predictions(network, data, split, task, decode, device)
    total = sum(len(indices) for _, indices in judged_parts(data, split))
    return measure(_tracked(images, total), formulas, data.class_names, data.ignore_index, task)


def _tracked(images: Iterable[Judged], total: int | None) -> Iterable[Judged]:
    """The images, with a bar on stderr if that is a terminal."""
    console = Console(stderr=True)
    return track(images, "images", total, console=console, transient=True, disable=not console.is_terminal)


def _data_name(run: TrainedRun) -> str:
    source = run.config.data.source
    root = OmegaConf.select(run.config, "data.root")
    return source._target_.rpartition(".")[2] + (f" in {root}" if root else "")
