"""Part 2: what a loss costs beside cross-entropy, forward and backward.

`eager` is the time between two events around the calls of torch, which take turns with those of cross-entropy; `device`
is that of a CUDA graph of the same work, so without the time that calls take on the CPU. `floor` is the time in which
the GPU reads the logits twice and writes a gradient of their size. Memory is counted beyond the input.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor

from autosegloss.formulas import PAPER
from gpu.graphs import Replay
from gpu.profiles import kernels
from gpu.record import guarded
from gpu.rivals import BASE, LIBRARIES, Loss, Scene, Step, cross_entropy, dense, released
from gpu.timing import at_most, in_turn, milliseconds, peak_megabytes

FIRST, SECOND = (4, 21, 512, 512), (32, 21, 128, 128)
SCENES = [
    (FIRST, "float32"),
    (SECOND, "float32"),
    (FIRST, "bfloat16"),
    ((8, 2, 512, 512), "float32"),
    ((8, 19, 512, 1024), "float32"),
    (SECOND, "bfloat16"),
    ((8, 19, 512, 1024), "bfloat16"),
    ((8, 2, 512, 512), "bfloat16"),
]
LIMITS = {**dict.fromkeys(PAPER, 1.0), "bf1": 3.0}
LIMIT = float(os.environ.get("GPU_CHECK_LIMIT", "120"))
TIMING = 0.5 * LIMIT  # seconds after which no further scene is begun
COMPILING = 40  # seconds that torch.compile gets for a loss at most
SHORT = 5  # seconds that are too few for it
END = LIMIT - 10  # seconds at which it is stopped
TOP = 12


def run(dry: bool) -> Iterator[dict]:
    start, device = time.perf_counter(), torch.device("cpu" if dry else "cuda")
    scenes = [((2, 5, 16, 18), "float32"), ((2, 5, 16, 18), "bfloat16")] if dry else SCENES
    bandwidth = _bandwidth(2**20 if dry else 2**28, device)
    yield {"what": "copy within the device", "gb_per_s": bandwidth}
    yield {"what": "one class", "note": "losses refuse a single channel, whose softmax is 1: two are measured"}
    for number, (shape, dtype) in enumerate(scenes):
        if number and time.perf_counter() - start > TIMING:
            yield {"what": "cost", "shape": str(shape), "dtype": dtype, "skipped": "no time is left"}
            continue
        yield from _scene(Scene(shape, dtype, device), bandwidth, _ours(device))
    first = Scene(*scenes[0], device)
    yield from _scene(first, bandwidth, LIBRARIES)
    for name, make in {BASE: lambda: cross_entropy, **_ours(device), **LIBRARIES}.items():
        yield from guarded(partial(_profile, first, name, make), what="kernels", loss=name, **first.described)
    for name in ("miou", "bf1"):
        about = {"what": "torch.compile", "loss": name, **first.described}
        left = min(COMPILING, END - (time.perf_counter() - start))
        if left < SHORT:
            yield {**about, "skipped": "no time is left"}
        else:
            yield from guarded(partial(_compiled, first, name, left), **about)


def _ours(device: torch.device) -> dict[str, Callable[[], Loss]]:
    return {name: partial(released, name, device) for name in PAPER}


def _bandwidth(count: int, device: torch.device) -> float:
    """GB/s of a copy within the device, bytes read and bytes written."""
    source = torch.randn(count, device=device)
    target = torch.empty_like(source)
    taken = in_turn({"copy": lambda: target.copy_(source)}, device)["copy"]
    return 2 * source.nbytes / statistics.median(taken) / 1e6


def _scene(scene: Scene, bandwidth: float, losses: dict[str, Callable[[], Loss]]) -> Iterator[dict]:
    """The cost of losses in one scene, and whether it is within the limits."""
    floor = 3 * scene.logits.nbytes / bandwidth / 1e6
    base = scene.step(cross_entropy)
    replays, line = _captured(base, scene.device)
    yield {"what": "capture", "loss": BASE, **scene.described, **line}
    for name, make in losses.items():
        about = {"what": "cost", "loss": name, **scene.described}
        for line in guarded(partial(_cost, scene, make, base, replays), **about):
            yield {**line, "floor_ms": floor}
            if name in LIMITS and scene.dtype == "float32" and scene.shape[1] == FIRST[1] and "error" not in line:
                yield _target(line, LIMITS[name])


def _captured(step: Step, device: torch.device) -> tuple[list[Callable[[], object]], dict]:
    """The captured step, on a CPU the step itself, and the line of it; no step if it cannot be captured."""
    if device.type != "cuda":
        return [step], {"captured": False}
    try:
        replay = Replay(step)
    except RuntimeError as error:
        return [], {"captured": False, "device_error": str(error)[:300]}
    if not _same(step(), replay):
        return [], {"captured": True, "device_error": "a replay gives another gradient than an eager step"}
    return [replay], {"captured": True}


def _same(expected: tuple[Tensor, Tensor], replay: Replay) -> bool:
    """Whether a replay writes the gradient of an eager step."""
    gradient = replay.results[1].fill_(torch.nan)
    replay()
    return torch.allclose(gradient, expected[1], rtol=1e-2, atol=1e-3 * expected[1].abs().max().item())


def _cost(scene: Scene, make: Callable[[], Loss], base: Step, base_replays: list[Callable[[], object]]) -> dict:
    """Times in ms and peak memory in MB of a loss and of cross-entropy."""
    device, step = scene.device, scene.step(make())
    times = in_turn({"base": base, "loss": step}, device)
    line = _ratio("eager", times) | {"rounds": len(times["loss"])}
    memory, base_memory = peak_megabytes(step, device), peak_megabytes(base, device)
    if memory is not None and base_memory:
        line |= {"mb": memory, "base_mb": base_memory, "memory_ratio": memory / base_memory}
    replays, captured = _captured(step, device)
    if replays:
        others = {"base": base_replays[0]} if base_replays else {}
        line |= _ratio("device", in_turn({**others, "loss": replays[0]}, device))
    return line | captured


def _ratio(kind: str, times: dict[str, list[float]]) -> dict:
    """Medians in ms, and the median of the ratios of the rounds."""
    line = {f"{kind}_ms": statistics.median(times["loss"])}
    if "base" in times:
        ratios = [a / b for a, b in zip(times["loss"], times["base"], strict=True)]
        line |= {f"{kind}_base_ms": statistics.median(times["base"]), f"{kind}_ratio": statistics.median(ratios)}
    return line


def _target(line: dict, limit: float) -> dict:
    """The row of the summary: times and memory beside cross-entropy."""
    ratios = {kind: line.get(f"{kind}_ratio") for kind in ("eager", "device", "memory")}
    measured = ", ".join(f"{kind} {ratio:.2f}" for kind, ratio in ratios.items() if ratio is not None)
    text = f"{line['loss']} {line['shape']}: {limit:g} x cross-entropy at most"
    return {"target": text, "measured": measured, "ok": all(r is not None and r <= limit for r in ratios.values())}


def _profile(scene: Scene, name: str, make: Callable[[], Loss]) -> Iterator[dict]:
    """The number of kernels of a step, and for two losses those that take longest."""
    found = kernels(scene.step(make()), scene.device)
    total = sum(kernel.microseconds for kernel in found)
    launches = sum(kernel.calls for kernel in found if not kernel.name.startswith(("Memcpy", "Memset")))
    copies = sum(kernel.calls for kernel in found) - launches
    yield {"launches": launches, "copies_and_fills": copies, "kinds": len(found), "us": total}
    for kernel in found[:TOP] if name in (BASE, "miou", "bf1") else ():
        yield {"kernel": kernel.name[:160], "us": kernel.microseconds, "calls": kernel.calls}


def _compiled(scene: Scene, name: str, seconds: float) -> dict:
    """The dense formula under torch.compile."""
    backend = "inductor" if scene.device.type == "cuda" else "eager"  # for a CPU it takes minutes
    loss = torch.compile(dense(name, scene.device), backend=backend, dynamic=False)
    step = scene.step(loss)
    with at_most(seconds):
        first = milliseconds(step, scene.device)
        times = in_turn({"base": scene.step(cross_entropy), "loss": step}, scene.device)
    line = {"compile_s": (first - statistics.median(times["loss"])) / 1000, **_ratio("eager", times)}
    return line | {"mb": peak_megabytes(step, scene.device)}
