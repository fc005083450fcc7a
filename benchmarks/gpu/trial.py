"""Part 3: the paper's trial. Where a step's time goes, what settings gain, and the GPU-hours of the paper's search."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import FrameType

import torch

from autosegloss.algebra.inputs import labels_are_classes
from autosegloss.training.module import predicted
from gpu import loop, paper
from gpu.record import guarded

GOAL, PAPER_HOURS = 2.0, 8.5 * 8  # GPU-hours; 8.5 hours on 8 V100 in Table 6
BF16, CHOOSES, FUSED = "trainer.precision=bf16-mixed", "+trainer.benchmark=true", "+optimizer.fused=true"
GRAPH = "callbacks=cuda_graph"
COMPILE_SECONDS = 50.0


def run(dry: bool) -> Iterator[dict]:
    best: dict = {}
    yield from guarded(_arithmetic, what="arithmetic")
    yield from guarded(lambda: _warm(dry), what="first training of a process")
    for overrides in ([BF16], [], [BF16, CHOOSES, FUSED], *([] if dry else [[BF16, CHOOSES, FUSED, GRAPH]])):
        yield from _trial(dry, ["loss=searched_miou", *overrides], best)
    yield _target(dry, best)
    yield from _graphs(dry, [("searched_miou", "bf16-mixed")])
    for loss in ("searched_miou", "searched_bf1", "cross_entropy"):
        for precision in ("bf16-mixed", "32-true"):
            yield from _parts(dry, loss, precision)
    yield from guarded(lambda: _evaluation(dry), what="evaluation")
    yield from _changes(dry)
    yield from _graphs(dry, [("searched_bf1", "bf16-mixed"), ("searched_miou", "32-true")])
    yield from _trial(dry, ["loss=searched_bf1", BF16, CHOOSES, FUSED], {})
    yield from _compiled(dry)


def _arithmetic() -> dict:
    """How torch computes in float32 by itself; the project leaves it so."""
    return {
        "cudnn_tf32": torch.backends.cudnn.allow_tf32,
        "matmul_precision": torch.get_float32_matmul_precision(),
        "cudnn_benchmark": torch.backends.cudnn.benchmark,
    }


def _warm(dry: bool) -> dict:
    """Decoding the images, loading the libraries, compiling the kernels of the loss."""
    begin = time.perf_counter()
    result = paper.trained(_cfg(dry, "loss=searched_miou", steps=3, judges=1))
    return {"whole_seconds": round(time.perf_counter() - begin, 2), "fit_seconds": round(result.fit_seconds, 2)}


def _cfg(dry: bool, *overrides: str, steps: int, judges: int | None = None):
    limit = [] if judges is None else [f"+trainer.limit_val_batches={judges}"]
    return paper.settings(dry, f"trainer.max_steps={steps}", *overrides, *limit)


def _trial(dry: bool, overrides: list[str], best: dict) -> Iterator[dict]:
    """A line of the whole training; the fastest of those that share `best` is left in it."""
    for line in guarded(lambda: _measured(dry, overrides), what="trial", overrides=" ".join(overrides)):
        yield line
        if "hours" in line and line["hours"] < best.get("hours", float("inf")):
            best.update(line)


def _measured(dry: bool, overrides: list[str]) -> dict:
    """The times of a trial by the project's own program, from short trainings and a longer one."""
    few, many = (1, 3) if dry else (10, 110)
    with paper.backends():
        first, short = (paper.trained(_cfg(dry, *overrides, steps=few, judges=1)) for _ in range(2))
        long = paper.trained(_cfg(dry, *overrides, steps=many))
    rate = (many - few) / (long.fit_seconds - short.fit_seconds)
    begin = short.fit_seconds - few / rate
    set_up = long.seconds - long.fit_seconds - long.eval_seconds
    trial = set_up + begin + paper.STEPS / rate + long.eval_seconds
    return {
        "steps_per_second": round(rate, 2),
        "first_fit_seconds": round(first.fit_seconds, 3),
        "set_up_seconds": round(set_up, 3),
        "begin_seconds": round(begin, 3),
        "evaluation_seconds": round(long.eval_seconds, 3),
        "trial_seconds": round(trial, 2),
        "hours": round(paper.hours(trial), 3),
        "miou": round(long.scores["miou"], 4),
    }


def _target(dry: bool, best: dict) -> dict:
    goal = f"{paper.TRIALS} trials of the paper below {GOAL:g} GPU-hours (paper: {PAPER_HOURS:g} V100-hours)"
    if dry or not best:
        return {"target": goal, "measured": "no trial of the paper was measured", "ok": None}
    measured = f"{best['hours']:.2f} h with {best['overrides']}"
    return {"target": goal, "measured": measured, "ok": best["hours"] < GOAL}


def _changes(dry: bool) -> Iterator[dict]:
    """The same steps with one thing changed."""
    for precision in ("bf16-mixed", "32-true"):
        yield from _parts(dry, "searched_miou", precision, benchmark=True)
        yield from _parts(dry, "searched_miou", precision, channels_last=False, benchmark=True)
    yield from _parts(dry, "searched_miou", "32-true", tf32=False)


def _parts(
    dry: bool, loss: str, precision: str, channels_last: bool = True, tf32: bool = True, benchmark: bool = False
) -> Iterator[dict]:
    def measure() -> dict:
        with paper.backends(tf32, benchmark):
            own = _loop(dry, loss, precision, channels_last)
            steps, warm = (2, 1) if dry else (40, 10)
            rate, stamps = loop.rate(own.step, own.waits, steps, warm), loop.Stamps(own.device)
            for _ in range(steps // 2):
                stamps("rest")
                own.step(stamps)
            parts = {f"ms, {part}": round(ms, 3) for part, ms in stamps.medians().items()}
        return {"steps_per_second": round(rate, 2), "ms": round(1000 / rate, 3), **parts, **_memory()}

    how = {"channels_last": channels_last, "tf32": tf32, "benchmark": benchmark}
    yield from guarded(measure, what="step", loss=loss, precision=precision, **how)


def _loop(dry: bool, loss: str, precision: str, channels_last: bool = True, *overrides: str) -> loop.Loop:
    cfg = paper.settings(dry, f"loss={loss}", *overrides)
    torch.manual_seed(0)
    return loop.Loop(cfg, torch.device("cpu") if dry else torch.device("cuda", 0), precision, channels_last)


def _memory() -> dict:
    if not torch.cuda.is_available():
        return {}
    peak = torch.cuda.max_memory_allocated() / 2**30
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    return {"peak_gib": round(peak, 2)}


def _evaluation(dry: bool) -> Iterator[dict]:
    """The images that a trial is judged on: the network alone, and with the six metrics."""
    own = _loop(dry, "searched_miou", "bf16-mixed")
    own.module.eval()
    for name in ("warm", "network", "network and metrics"):
        begin = time.perf_counter()
        with torch.no_grad(), own.autocast(), labels_are_classes():
            for images, labels in (stack for batch in own.judged for stack in batch):
                preds = predicted(own.forward(images), labels.shape[1:])
                if name != "network":
                    own.module.val_metrics.update(preds, labels)
        if name != "network":
            own.module.val_metrics.compute()
        own.waits()
        yield {"of": name, "took": round(time.perf_counter() - begin, 3)}


def _graphs(dry: bool, cases: list[tuple[str, str]]) -> Iterator[dict]:
    """What launches cost: the same steps with a part replayed as a CUDA graph; the optimiser is one kernel."""
    makes: dict[str, Callable] = {"none": lambda own: own.step, "network": loop.network_graphed, "step": loop.graphed}
    for loss, precision in cases if not dry else ():
        for graph, make in makes.items():
            measure = partial(_graph, loss, precision, make)
            yield from guarded(measure, what="graph", graph=graph, loss=loss, precision=precision)


def _graph(loss: str, precision: str, make: Callable) -> dict:
    with paper.backends(benchmark=True):
        own = _loop(False, loss, precision, True, FUSED)
        rate = loop.rate(make(own), own.waits, steps=60, warm=10)
        last = own.loss(*next(own.batches), lambda part: None).item()
    return {"steps_per_second": round(rate, 2), "ms": round(1000 / rate, 3), "loss_after": round(last, 4), **_memory()}


def _compiled(dry: bool) -> Iterator[dict]:
    """A trial with compile=true."""
    overrides = ["loss=searched_miou", BF16, CHOOSES, FUSED, "compile=true"]

    def measure() -> dict:
        with _within(COMPILE_SECONDS):
            return _measured(False, overrides)

    if not dry:
        yield from guarded(measure, what="trial", overrides=" ".join(overrides))


@contextmanager
def _within(seconds: float) -> Iterator[None]:
    """Within it a TimeoutError is raised after so many seconds."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"not finished after {seconds:g} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
