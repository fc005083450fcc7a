"""Part 1: losses and metrics on the GPU against the CPU, the losses against float64.

Every metric x curve family x type x layout, with ignored pixels and nan there; few and many classes; a volume; a large
and an odd size; the hand-made losses; exact metrics, which have to be equal. Processes share the work: most of the time
goes to the compilation of kernels.
"""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import torch
from torch import nn

from autosegloss import SurrogateLoss, segmentation_metrics, with_triton
from autosegloss import theta as thetas
from autosegloss.algebra.morphology import check_pooling
from autosegloss.curves import Bezier, CurveFamily, Identity, Linear
from autosegloss.formulas import PAPER, resolve
from autosegloss.kernels.evaluate import check_boundary
from autosegloss.kernels.fused import check_kernels
from autosegloss.with_triton import kernels_on
from gpu.cases import Case, check
from gpu.record import guarded
from gpu.scenes import IGNORE, LAYOUTS, random_batch

CONF = Path(__file__).resolve().parents[2] / "conf"
CURVES: dict[str, CurveFamily] = {
    "bezier 2": Bezier(),
    "bezier 3": Bezier(pieces=3),
    "linear": Linear(),
    "identity": Identity(),
}
RELEASED = "released"
SURROGATES = {"surrogate", "naive", "searched", *(f"searched_{metric}" for metric in PAPER)}
DTYPES = ("float32", "float16", "bfloat16")
PROCESSES = 12
MODULES = [
    ("autosegloss.kernels.triton_kernels", check_kernels),
    ("autosegloss.kernels.boundary", check_boundary),
    ("autosegloss.algebra.pooling_kernel", check_pooling),
]


def run(dry: bool) -> Iterator[dict]:
    device, seed = torch.device("cpu" if dry else "cuda"), int(time.time())
    yield {"what": "seed", "seed": seed}
    yield from guarded(lambda: _kernels(device), what="Triton kernels")
    yield {"what": "one class", "note": "losses and metrics refuse a single class with a message"}
    made = []
    for line in _in_processes(_units(dry, seed), dry):
        made.append(line)
        yield line
    for what in ("surrogates", "hand-made losses", "exact metrics"):
        yield _target(what, [line for line in made if line.get("what") == what])


def _units(dry: bool, seed: int) -> list[Callable[[], list[dict]]]:
    """The work in parts that are worth a process: those with kernels first, since they take longest."""
    metrics, dtypes = (
        (("miou", "bf1"), ("float32",)) if dry else (("miou", "gacc", "biou", "bf1", "fwiou", "macc"), DTYPES)
    )
    surrogates = [partial(surrogate, metric, dtype, dry, seed) for dtype in dtypes for metric in metrics]
    return [*surrogates, partial(exact, dry, seed), *(partial(hand_made, dtype, dry, seed) for dtype in dtypes)]


def _in_processes(units: list[Callable[[], list[dict]]], dry: bool) -> Iterator[dict]:
    if dry:
        for unit in units:
            yield from guarded(partial(iter, unit()))
        return
    pool = ProcessPoolExecutor(min(PROCESSES, os.cpu_count() or 1), get_context("spawn"), _one_thread)
    try:
        for future in as_completed([pool.submit(unit) for unit in units]):
            yield from guarded(lambda future=future: iter(future.result()))
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


class Warnings(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.told.append(record.getMessage())


def _one_thread() -> None:
    torch.set_num_threads(1)


def _kernels(device: torch.device) -> dict:
    """Whether all Triton kernels are used."""
    warnings = Warnings()
    with_triton.log.addHandler(warnings)
    used = [kernels_on(device, *module) is not None for module in MODULES]
    measured = "yes" if all(used) else "; ".join(warnings.told)
    return {"target": "the Triton kernels run, and agree with torch", "measured": measured, "ok": all(used)}


def surrogate(metric: str, dtype: str, dry: bool, seed: int) -> list[dict]:
    """The lines of one metric in one type."""

    def make(case: Case, own: int) -> SurrogateLoss:
        if case.curve == RELEASED:
            return SurrogateLoss.from_pretrained(metric, ignore_index=IGNORE)
        family, formula = CURVES[case.curve], resolve(metric)
        random = torch.rand(thetas.size(formula, family), generator=torch.Generator().manual_seed(own))
        return SurrogateLoss(formula, 0.1 + 0.8 * random, family, ignore_index=IGNORE)

    lines = check(metric, dtype, _cases(dry), make, torch.device("cpu" if dry else "cuda"), seed)
    return [{"what": "surrogates", **line} for line in lines]


def _cases(dry: bool) -> list[Case]:
    if dry:
        return [Case("bezier 2", (2, 5, 9, 11), LAYOUTS[2:]), Case("identity", (1, 3, 4, 5, 6), LAYOUTS[1:2])]
    curves = [Case(curve, (2, 21, 65, 67), LAYOUTS) for curve in (*CURVES, RELEASED)]
    classes = [Case("bezier 2", (2, count, 33, 35)) for count in (2, 150, 300)]
    volume, large = Case("bezier 2", (2, 5, 9, 17, 19), LAYOUTS), Case("bezier 2", (2, 19, 256, 256), LAYOUTS[:2])
    ignored = [Case("bezier 3", (2, 21, 65, 67), ignored=share) for share in (0, 1)]
    return [*curves, *classes, volume, large._replace(nan=False), *ignored]


def hand_made(dtype: str, dry: bool, seed: int) -> list[dict]:
    """The lines of every loss of conf/loss but the bare surrogates, in one type."""
    device = torch.device("cpu" if dry else "cuda")
    names = ["cross_entropy", "ssim"] if dry else sorted({path.stem for path in CONF.glob("loss/*.yaml")} - SURROGATES)
    cases = [Case("", (2, 5, 17, 19) if dry else (2, 21, 65, 67), LAYOUTS[:2])]
    lines: list[dict] = []
    for name in names:
        lines += check(name, dtype, cases, partial(_configured, name), device, seed)
    return [{"what": "hand-made losses", **line} for line in lines]


def _configured(name: str, case: Case, seed: int) -> nn.Module:
    """A loss of conf/loss."""
    from hydra import compose, initialize_config_dir

    from autosegloss.training.run import make_loss

    with initialize_config_dir(str(CONF), version_base="1.3"):
        loss = make_loss(compose("train", [f"loss={name}"]), IGNORE)
    for part in loss.modules():
        if hasattr(part, "measure") and part.weights is None:
            part.measure(torch.arange(1, case.shape[1] + 1))
    return loss


def exact(dry: bool, seed: int) -> list[dict]:
    """Sums and scores of the six metrics on the device and on the CPU, which have to be equal."""
    device = torch.device("cpu" if dry else "cuda")
    shapes = [(2, 5, 17, 19)] if dry else [(2, c, 65, 67) for c in (2, 21, 150, 300)]
    shapes += [] if dry else [(2, 5, 9, 17, 19), (2, 19, 512, 512)]
    lines: list[dict] = []
    for number, shape in enumerate(shapes, seed):
        for kind in ("float32", "bfloat16", "classes"):
            about = {"what": "exact metrics", "case": f"{shape} {kind}", "case_seed": number}
            lines += guarded(partial(_exact, shape, kind, number, device), **about)
    return lines


def _exact(shape: Sequence[int], kind: str, seed: int, device: torch.device) -> dict:
    logits, labels = random_batch(shape, 0.1, seed)
    preds = logits.argmax(dim=1) if kind == "classes" else logits.to(getattr(torch, kind))
    states, scores = [], []
    for place in (torch.device("cpu"), device):
        metrics = segmentation_metrics(shape[1], IGNORE).to(place)
        metrics.update(preds.to(place), labels.to(place))
        scores.append({name: value.item() for name, value in metrics.compute().items()})
        states.append({f"{key} {s}": getattr(m, s).tolist() for key, m in metrics.items() for s in m._statistics})
    other = [name for name, value in states[0].items() if states[1][name] != value]
    other += [name for name, value in scores[0].items() if not isclose(value, scores[1][name])]
    return {"fault": bool(other), "differ": ", ".join(other)}


def isclose(a: float, b: float) -> bool:
    """Whether scores are equal but for the last digit of a sum over classes."""
    return math.isclose(a, b, rel_tol=1e-6) or (math.isnan(a) and math.isnan(b))


def _target(what: str, lines: list[dict]) -> dict:
    """The row of the summary."""
    faults = sum(bool(line.get("fault") or "error" in line) for line in lines)
    count = sum(line.get("cases", what == "exact metrics") for line in lines)
    measured = f"{faults} faults in {count} cases"
    for dtype in DTYPES:
        worst = [line for line in lines if line.get("dtype") == dtype and "cases" in line and "gradient" in line]
        if worst:
            line = max(worst, key=lambda line: line["gradient"])
            measured += f"; {dtype} gradient {line['gradient']:.0e} ({line['name']})"
    return {"target": f"{what}: GPU = CPU", "measured": measured, "ok": bool(lines) and not faults}
