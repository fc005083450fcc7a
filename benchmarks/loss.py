"""What a loss costs beside cross-entropy: forward and backward, in time and in memory beyond its input.

    python benchmarks/loss.py                                     # (4,21,512,512), (8,19,512,1024), (32,21,128,128)
    python benchmarks/loss.py --shapes 4,21,512,512 --threads 1 --losses miou biou --json loss.json

"laid out" is the formula on one-hot maps, by autograd, as it is written; the surrogates compute the same sums. All
losses of a shape take turns in one process, and the least of the rounds counts, so that the ratios hold on a busy
machine, too. Memory of the host is counted in a second process, which gives back at once what it frees.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
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
from autosegloss.formulas import PAPER

Loss = Callable[[Tensor, Tensor], Tensor]
SHAPES = ["4,21,512,512", "8,19,512,1024", "32,21,128,128"]


def main() -> None:
    options = _options()
    torch.set_num_threads(options.threads)
    device, dtype = torch.device(options.device), getattr(torch, options.dtype)
    machine = {"device": _name(device), "threads": options.threads, "torch": torch.__version__, "dtype": options.dtype}
    pages = []
    for shape in options.shapes:
        sizes = [int(n) for n in shape.split(",")]
        rows = compare(_losses(options.losses), *scene(sizes, device, dtype), options.rounds)
        pages.append({**machine, "shape": sizes, "losses": rows})
    if options.memory_only:
        print(json.dumps([{name: row["bytes"] for name, row in page["losses"].items()} for page in pages]))
        return
    if device.type == "cpu":
        _take_memory(pages, _of_another_process())
    for page in pages:
        _relate(page["losses"])
        Console().print(_table(page))
    if options.json:
        Path(options.json).write_text(json.dumps(pages, indent=1))


def _of_another_process() -> list[dict[str, int]]:
    """Bytes by loss for each shape, where the allocator of the C library keeps nothing back."""
    command = [sys.executable, __file__, *sys.argv[1:], "--memory-only", "--rounds", "1"]
    frees_at_once = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "0"}
    printed = subprocess.run(command, env=frees_at_once, stdout=subprocess.PIPE, text=True, check=True).stdout
    return json.loads(printed)


def _take_memory(pages: list[dict], memory: list[dict[str, int]]) -> None:
    for page, byte_counts in zip(pages, memory, strict=True):
        for name, row in page["losses"].items():
            row["bytes"] = byte_counts[name]


def _relate(rows: dict[str, dict[str, float]]) -> None:
    """Add the ratios to cross-entropy."""
    base = dict(rows["cross-entropy"])
    for row in rows.values():
        row["time"], row["memory"] = row["seconds"] / base["seconds"], row["bytes"] / max(1, base["bytes"])


def scene(sizes: list[int], device: torch.device, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Random logits, and labels in blocks of 16 pixels with some noise, 5 % of them ignored."""
    generator = torch.Generator().manual_seed(0)
    n, c, h, w = sizes
    labels = torch.randint(c, (n, -(-h // 16), -(-w // 16)), generator=generator)
    labels = labels.repeat_interleave(16, 1).repeat_interleave(16, 2)[:, :h, :w].contiguous()
    noise = torch.rand(n, h, w, generator=generator)
    labels = torch.where(noise < 0.05, 255, labels)
    return 2 * torch.randn(n, c, h, w, generator=generator).to(device, dtype), labels.to(device)


def compare(losses: dict[str, Loss], logits: Tensor, labels: Tensor, rounds: int) -> dict[str, dict[str, float]]:
    """{loss: the least seconds of the rounds, and bytes}."""
    rows = {name: {"seconds": float("inf"), "bytes": 0} for name in losses}
    for number in range(rounds + 1):  # the first warms up
        for name, loss in losses.items():
            seconds, extra = measure(loss, logits, labels)
            if number:
                rows[name] = {"seconds": min(seconds, rows[name]["seconds"]), "bytes": extra}
    return rows


def measure(loss: Loss, logits: Tensor, labels: Tensor) -> tuple[float, int]:
    """Seconds and peak bytes of one forward and backward."""
    leaf = logits.detach().clone().requires_grad_()
    before = _peak_from_here(logits.device)
    start = time.perf_counter()
    loss(leaf, labels).backward()
    if logits.is_cuda:
        torch.cuda.synchronize()
    return time.perf_counter() - start, _peak(logits.device) - before


def _losses(names: list[str]) -> dict[str, Loss]:
    losses: dict[str, Loss] = {
        "cross-entropy": torch.nn.CrossEntropyLoss(ignore_index=255),
        "Dice": DiceLoss("multiclass", ignore_index=255),
        "Jaccard": JaccardLoss("multiclass", ignore_index=255),
        "Lovász": LovaszLoss("multiclass", ignore_index=255),
    }
    for name in names:
        surrogate = SurrogateLoss.from_pretrained(name)
        losses[name] = surrogate
        losses[f"{name}, laid out"] = lambda logits, labels, loss=surrogate: _laid_out(loss, logits, labels)
    return losses


def _laid_out(loss: SurrogateLoss, logits: Tensor, labels: Tensor) -> Tensor:
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
    table = Table(title=f"{tuple(page['shape'])} {page['dtype']}, {page['threads']} threads, {page['device']}")
    for column in ("loss", "seconds", "x cross-entropy", "MB", "x cross-entropy"):
        table.add_column(column, justify="left" if column == "loss" else "right")
    for name, row in page["losses"].items():
        cells = (f"{row['seconds']:.3f}", f"{row['time']:.2f}", f"{row['bytes'] / 2**20:.0f}", f"{row['memory']:.2f}")
        table.add_row(name, *cells)
    return table


def _name(device: torch.device) -> str:
    return torch.cuda.get_device_name() if device.type == "cuda" else platform.processor() or platform.machine()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", nargs="+", default=SHAPES, metavar="N,C,H,W")
    parser.add_argument("--losses", nargs="*", default=list(PAPER), choices=PAPER)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16", "float16"])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--memory-only", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
