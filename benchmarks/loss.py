"""What a loss costs beside cross-entropy: forward and backward, in time and in memory beyond its input.

    python benchmarks/loss.py                                     # (4,21,512,512), (8,19,512,1024), (32,21,128,128)
    python benchmarks/loss.py --shapes 4,21,512,512 --threads 1 --losses miou "miou, dense" --json loss.json
    python benchmarks/loss.py --dtype bfloat16                    # logits as they are under autocast
    python benchmarks/loss.py --pages kept                        # see below
    python benchmarks/loss.py --device cuda
    python benchmarks/loss.py --shapes 8,1,512,512 8,2,512,512    # one channel: a binary task

"dense" is the formula on dense maps, by autograd, as it is written; the surrogates compute the same sums. "dice
formula" is the metric of CONTRIBUTING.md, which knows nothing of how its sums are computed. Each loss takes turns with
cross-entropy in a process of their own: the ratio is the median of rounds, seconds the least.

On a CPU much of the time of both goes to the kernel, which clears the pages of every large tensor anew, unless the C
library happens to have kept them (`--pages kept` makes it keep all). Both occur in trainings; ratios differ, since
cross-entropy makes three tensors of the size of the logits and a surrogate one or two. Memory is counted in another
process, which gives back at once what it frees.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from segmentation_models_pytorch.losses import DiceLoss, JaccardLoss, LovaszLoss
from torch import Tensor

from autosegloss import SurrogateLoss
from autosegloss.formulas import PAPER, Formula, ratio

Loss = Callable[[Tensor, Tensor], Tensor]
BASE, OTHERS = "cross-entropy", ("Dice", "Jaccard", "Lovász")
NAMES = [*PAPER, *(f"{name}, dense" for name in PAPER), *OTHERS, "dice formula"]
SHAPES = ["4,21,512,512", "8,19,512,1024", "32,21,128,128"]


def main() -> None:
    options = _options()
    if options.one:
        return print(json.dumps(_alone(options, options.one)))
    pages = [_page(options, shape) for shape in options.shapes]
    for page in pages:
        Console().print(_table(page))
    if options.json:
        Path(options.json).write_text(json.dumps(pages, indent=1))


def _page(options: argparse.Namespace, shape: str) -> dict:
    """The rows of one shape: seconds, bytes, and their ratios to cross-entropy."""
    rows = {}
    for name in _losses(shape):
        if options.losses and name not in (BASE, *options.losses):
            continue
        timed = _in_a_process(options, shape, name, PAGES[options.pages])
        counted = timed if options.device != "cpu" else _in_a_process(options, shape, name, GIVEN_BACK, "--rounds", "1")
        ratio = statistics.median(a / b for a, b in zip(timed["seconds"], timed["base_seconds"], strict=True))
        memory = counted["bytes"] / max(1, counted["base_bytes"])
        rows[name] = {"seconds": min(timed["seconds"]), "time": ratio, "bytes": counted["bytes"], "memory": memory}
    machine = {key: timed[key] for key in ("device", "threads", "torch")}
    sizes = [int(n) for n in shape.split(",")]
    return {**machine, "dtype": options.dtype, "pages": options.pages, "shape": sizes, "losses": rows}


# What the C library of Linux keeps of the memory that is freed.
GIVEN_BACK = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "0"}
PAGES = {"fresh": {}, "kept": {"MALLOC_MMAP_THRESHOLD_": str(2**32), "MALLOC_TRIM_THRESHOLD_": str(2**33)}}


def _in_a_process(options: argparse.Namespace, shape: str, name: str, env: dict[str, str], *more: str) -> dict:
    given = {"--shapes": shape, "--one": name, "--device": options.device, "--dtype": options.dtype}
    counts = {"--threads": str(options.threads), "--rounds": str(options.rounds)}
    command = [sys.executable, __file__, *(word for pair in {**given, **counts}.items() for word in pair), *more]
    printed = subprocess.run(command, env={**os.environ, **env}, stdout=subprocess.PIPE, text=True, check=True).stdout
    return json.loads(printed)


def _alone(options: argparse.Namespace, name: str) -> dict:
    """Rounds of cross-entropy and another loss in turn; the first warms up."""
    torch.set_num_threads(options.threads)
    device, dtype = torch.device(options.device), getattr(torch, options.dtype)
    losses = _losses(options.shapes[0])
    scenery = scene([int(n) for n in options.shapes[0].split(",")], device, dtype)
    rounds = [(measure(losses[BASE], *scenery), measure(losses[name], *scenery)) for _ in range(options.rounds + 1)][1:]
    base, other = zip(*rounds, strict=True)
    return {
        "device": _name(device),
        "threads": options.threads,
        "torch": torch.__version__,
        "seconds": [seconds for seconds, _ in other],
        "base_seconds": [seconds for seconds, _ in base],
        "bytes": other[-1][1],
        "base_bytes": base[-1][1],
    }


def scene(sizes: list[int], device: torch.device, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Random logits, and labels in blocks of 16 pixels with some noise, 5 % of them ignored, but for one channel."""
    generator = torch.Generator().manual_seed(0)
    n, c, h, w = sizes
    labels = torch.randint(max(c, 2), (n, -(-h // 16), -(-w // 16)), generator=generator)
    labels = labels.repeat_interleave(16, 1).repeat_interleave(16, 2)[:, :h, :w].contiguous()
    noise = torch.rand(n, h, w, generator=generator)
    labels = labels.float()[:, None] if c == 1 else torch.where(noise < 0.05, 255, labels)
    return 2 * torch.randn(n, c, h, w, generator=generator).to(device, dtype), labels.to(device)


def measure(loss: Loss, logits: Tensor, labels: Tensor) -> tuple[float, int]:
    """Seconds and peak bytes of one forward and backward."""
    leaf = logits.detach().clone().requires_grad_()
    before = _peak_from_here(logits.device)
    start = time.perf_counter()
    with torch.autocast(logits.device.type, logits.dtype, enabled=logits.dtype != torch.float32):
        value = loss(leaf, labels)
    value.backward()
    if logits.is_cuda:
        torch.cuda.synchronize()
    return time.perf_counter() - start, _peak(logits.device) - before


def _losses(shape: str) -> dict[str, Loss]:
    binary = int(shape.split(",")[1]) == 1
    task, ignored = ("binary", {}) if binary else ("multiclass", {"ignore_index": 255})
    losses: dict[str, Loss] = {
        BASE: torch.nn.BCEWithLogitsLoss() if binary else torch.nn.CrossEntropyLoss(ignore_index=255),
        "Dice": DiceLoss(task, **ignored),
        "Jaccard": JaccardLoss(task) if binary else JaccardLoss(task, ignore_index=255),
        "Lovász": LovaszLoss(task, **ignored),
    }
    for name in PAPER:
        surrogate = SurrogateLoss.from_pretrained(name, task=task)
        losses[name] = surrogate
        losses[f"{name}, dense"] = lambda logits, labels, loss=surrogate: _dense(loss, logits, labels)
    losses["dice formula"] = SurrogateLoss(DiceFormula(), theta=[0.3] * 6, task=task)
    return losses


class DiceFormula(Formula):
    """Dice = 1/C sum_c 2 |pred_c AND true_c| / (|pred_c| + |true_c|)."""

    name, operations = "dice formula", ("and",)

    def statistics(self, logic, pred, true, valid):
        both = logic.and_("and", pred, true).total(valid)
        return {"both": both, "pred": pred.total(valid), "true": true.total(valid)}

    def class_scores(self, sums):
        return ratio(2 * sums["both"], torch.maximum(sums["pred"], sums["both"]) + sums["true"])


def _dense(loss: SurrogateLoss, logits: Tensor, labels: Tensor) -> Tensor:
    return 1 - loss.formula.score(loss.dense_statistics(logits, labels), loss.classes)


def _peak_from_here(device: torch.device) -> int:
    """Bytes in use now, from which the peak is counted; on a CPU those that Linux counts for this process."""
    if device.type == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        return torch.cuda.memory_allocated()
    Path("/proc/self/clear_refs").write_text("5")
    return _peak(device)


def _peak(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated()
    status = Path("/proc/self/status").read_text()
    return 1024 * int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1])


def _table(page: dict) -> Table:
    table = Table(
        title=f"{tuple(page['shape'])} {page['dtype']}, {page['threads']} threads, {page['device']}, {page['pages']}"
    )
    for column in ("loss", "seconds", "x cross-entropy", "MB", "x cross-entropy"):
        table.add_column(column, justify="left" if column == "loss" else "right")
    for name, row in page["losses"].items():
        cells = (f"{row['seconds']:.3f}", f"{row['time']:.2f}", f"{row['bytes'] / 2**20:.0f}", f"{row['memory']:.2f}")
        table.add_row(name, *cells)
    return table


def _name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name()
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.machine())


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", nargs="+", default=SHAPES, metavar="N,C,H,W")
    parser.add_argument("--losses", nargs="+", metavar="NAME", choices=NAMES, help="all, if not given")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16", "float16"])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument(
        "--pages", default="fresh", choices=PAGES, help="what the C library has after a tensor is freed"
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
