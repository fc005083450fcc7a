"""Part 6: what metrics cost beside a confusion matrix of torchmetrics, and where a training waits for the GPU."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import torch
from torch import Tensor
from torchmetrics.classification import MulticlassConfusionMatrix

from autosegloss import segmentation_metrics
from autosegloss.algebra.inputs import labels_are_classes
from autosegloss.formulas import PAPER
from gpu.record import guarded
from gpu.scenes import random_batch
from gpu.timing import in_turn, peak_megabytes
from gpu.waits import of_call, of_training

CONF = Path(__file__).resolve().parents[2] / "conf"
IGNORE = 255
SIX = "all six"
SURROGATES = {"surrogate", "naive", "searched", *(f"searched_{metric}" for metric in PAPER)}
GROUPS = {**{name: [name] for name in PAPER}, SIX: list(PAPER)}
LIMIT = 2.0  # times the confusion matrix, for the six together

Update = Callable[[], object]


def run(dry: bool) -> Iterator[dict]:
    device, shape = torch.device("cpu" if dry else "cuda"), (2, 5, 16, 18) if dry else (8, 21, 512, 512)
    logits, labels = (values.to(device) for values in random_batch(shape, 0.05, seed=0, ignore=IGNORE))
    inputs = {"classes": logits.argmax(dim=1), "logits": logits}
    for kind, preds in inputs.items():
        for checked in (False, True):
            yield from _costs(kind, preds, labels, shape[1], checked)
    yield from _updates(inputs, labels, shape[1])
    yield from _trainings(dry)


def _costs(kind: str, preds: Tensor, labels: Tensor, classes: int, checked: bool) -> Iterator[dict]:
    """Time and memory of an update; `checked` says whether values of labels are checked, which waits for the GPU."""
    matrix = MulticlassConfusionMatrix(classes, ignore_index=IGNORE, validate_args=checked).to(labels.device)
    base = partial(matrix.update, preds, labels)
    for name in GROUPS:
        update = _update(name, classes, preds, labels, checked)
        about = {"what": "update", "metrics": name, "input": kind, "checked": checked}
        for line in guarded(partial(_cost, update, base, labels.device), **about):
            yield line
            if name == SIX and "error" not in line:
                text = f"six metrics, {kind}{', checked' if checked else ''}: {LIMIT:g} x confusion matrix at most"
                yield {"target": text, "measured": f"{line['ratio']:.2f}", "ok": line["ratio"] <= LIMIT}


def _update(name: str, classes: int, preds: Tensor, labels: Tensor, checked: bool) -> Update:
    metrics = segmentation_metrics(classes, IGNORE, GROUPS[name]).to(labels.device)

    def update() -> None:
        metrics.update(preds, labels)

    def trusted() -> None:
        with labels_are_classes():
            update()

    return update if checked else trusted


def _cost(update: Update, base: Update, device: torch.device) -> dict:
    times = in_turn({"base": base, "update": update}, device)
    ratio = statistics.median(a / b for a, b in zip(times["update"], times["base"], strict=True))
    medians = {"ms": statistics.median(times["update"]), "base_ms": statistics.median(times["base"]), "ratio": ratio}
    return {**medians, "mb": peak_megabytes(update, device), "base_mb": peak_megabytes(base, device)}


def _updates(inputs: dict[str, Tensor], labels: Tensor, classes: int) -> Iterator[dict]:
    """Whether an update waits."""
    for kind, preds in inputs.items():
        for name in GROUPS:
            update = _update(name, classes, preds, labels, checked=False)
            about = {"what": "wait", "of": f"update of {name}, {kind}"}
            yield from _wait(about, partial(of_call, update, labels.is_cuda), target=name == SIX)


def _trainings(dry: bool) -> Iterator[dict]:
    """Whether a step of a training waits: for each loss of conf/loss within the steps, for one also between them."""
    surrogates = [[f"loss=searched_{name}"] for name in PAPER] + [["loss=naive", "metric=miou+bf1"]]
    precise = [] if dry else [["loss=searched_miou", "trainer.precision=bf16-mixed"]]
    others = {path.stem for path in CONF.glob("loss/*.yaml")} - SURROGATES
    for overrides in (surrogates[:1] if dry else surrogates) + precise:
        yield from _training(overrides, dry, target=True)
    yield from _training(["loss=searched_miou"], dry, target=False, between=True)
    for name in ["cross_entropy"] if dry else sorted(others):
        yield from _training([f"loss={name}"], dry, target=False)


def _training(overrides: list[str], dry: bool, target: bool, between: bool = False) -> Iterator[dict]:
    about = {"what": "wait", "of": f"{'from step to step' if between else 'step'} of {' '.join(overrides)}"}
    yield from _wait(about, partial(of_training, overrides, between, cuda=not dry), target)


def _wait(about: dict, run: Callable[[], dict], target: bool) -> Iterator[dict]:
    for line in guarded(run, **about):
        if target and "error" not in line:
            measured = f"waits at {line['ours'] or line['at']}" if line["waits"] else "none"
            line |= {"target": f"no wait for the GPU: {about['of']}", "measured": measured, "ok": not line["waits"]}
        yield line
