"""What torch.compile makes of a training step with a loss: time with and without, graphs, and graph breaks.

    python benchmarks/compiled.py                             # a small network, (2,21,256,256), one thread
    python benchmarks/compiled.py --shape 4,21,512,512 --threads 2 --losses miou bf1 --backend aot_eager

A step is forward and backward of two convolutions and the loss. Both take turns; "compiled" is the median ratio of the
rounds. "dense" is the ratio of the loss by plain operations of torch, without a compiler, to the loss.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch._dynamo.utils import counters

from autosegloss import SurrogateLoss

Step = Callable[[Tensor, Tensor], Tensor]


def main() -> None:
    options = _options()
    torch.set_num_threads(options.threads)
    print(f"torch {torch.__version__}, {options.threads} thread(s), {tuple(options.shape)}, {options.backend}")
    print(f"{'loss':14} {'s':>7} {'compiled':>9} {'dense':>7} {'graphs':>7} {'breaks':>7} {'to compile, s':>14}")
    for name in options.losses:
        _row(name, options)


def _row(name: str, options: argparse.Namespace) -> None:
    count, classes, height, width = options.shape
    loss = nn.CrossEntropyLoss() if name == "cross_entropy" else SurrogateLoss.from_pretrained(name)
    net = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, classes, 3, padding=1))
    images, labels = torch.randn(count, 3, height, width), torch.randint(classes, (count, height, width))

    def step(x: Tensor, y: Tensor) -> Tensor:
        value: Tensor = loss(net(x), y)
        return value

    torch._dynamo.reset()
    counters.clear()
    compiled: Step = torch.compile(step, backend=options.backend)
    begin = time.perf_counter()
    _seconds(compiled, images, labels)
    to_compile = time.perf_counter() - begin
    ratio, seconds = _ratio(compiled, step, images, labels, options.rounds)
    dense = float("nan")
    if isinstance(loss, SurrogateLoss):
        logits = net(images).detach().requires_grad_()
        dense, _ = _ratio(loss.dense, loss, logits, labels, options.rounds)
    breaks = sum(counters["graph_break"].values())
    graphs = counters["stats"]["unique_graphs"]
    print(f"{name:14} {seconds:7.3f} {ratio:9.2f} {dense:7.1f} {graphs:7} {breaks:7} {to_compile:14.1f}", flush=True)


def _ratio(one: Step, other: Step, x: Tensor, y: Tensor, rounds: int) -> tuple[float, float]:
    """The median ratio of the seconds of two steps that take turns, and the least seconds of the other."""
    _seconds(one, x, y), _seconds(other, x, y)
    pairs = [(_seconds(one, x, y), _seconds(other, x, y)) for _ in range(rounds)]
    return statistics.median(a / b for a, b in pairs), min(b for _, b in pairs)


def _seconds(step: Step, x: Tensor, y: Tensor) -> float:
    begin = time.process_time()
    step(x, y).backward()
    return time.process_time() - begin


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", type=lambda text: [int(n) for n in text.split(",")], default=[2, 21, 256, 256])
    parser.add_argument("--losses", nargs="+", default=["cross_entropy", "gacc", "miou", "biou", "bf1"])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--backend", default="inductor")
    return parser.parse_args()


if __name__ == "__main__":
    main()
