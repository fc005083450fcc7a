"""Losses at several scales and learning rates: scores on the hold-out and on the validation split, along the training.

    python benchmarks/scales.py --out sgd.jsonl --part 0/2 &     # a second process does the other half: --part 1/2
    python benchmarks/scales.py --out adamw.jsonl --optimizer adamw --scales 1 --rates 3e-3 1e-2 3e-2
    python benchmarks/scales.py --out msrc21.jsonl --rates 6e-3 6e-2 --head 10 -- data=folder ...  # for search.py

Each run is a line of JSON; what is in the file is not repeated. The data and the network are those of the demo, without
overrides, and there is a factor before the loss.
"""

from __future__ import annotations

import argparse
import itertools
import time
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import DictConfig
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader

from autosegloss import ThetaCard
from autosegloss import theta as thetas
from autosegloss.curves import CurveFamily
from autosegloss.search import JsonLines, TruncatedNormal
from autosegloss.training.module import SegmentationModule
from autosegloss.training.run import make_module

CONF = Path(__file__).parent.parent / "conf"
METRICS = ("miou", "fwiou", "gacc", "macc", "biou", "bf1")
HANDMADE = ("cross_entropy", "wce", "dice", "lovasz", "jaccard", "focal")
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
Judged = Iterable[Sequence[tuple[torch.Tensor, torch.Tensor]]]
MARKS = (0.16, 0.32, 0.64, 1)  # of a training, when it is judged


class Run(NamedTuple):
    """A training: the overrides of its loss, a factor before the loss, the learning rate and the seed."""

    loss: str
    overrides: tuple[str, ...]
    scale: float
    rate: float
    seed: int

    @property
    def key(self) -> str:
        return f"{self.loss} x{self.scale:g} lr{self.rate:g} seed{self.seed}"


def main() -> None:
    options = _options()
    torch.set_num_threads(1)
    lines = JsonLines(options.out)
    done = {record["key"] for record in lines.read()}
    index, parts = map(int, options.part.split("/"))
    todo = [run for run in _runs(options) if zlib.crc32(run.key.encode()) % parts == index]
    with initialize_config_dir(str(CONF.absolute()), version_base="1.3"):
        for run in todo:
            if run.key not in done:
                lines.append(_train(run, options))


def _runs(options: argparse.Namespace) -> Iterator[Run]:
    losses = dict(_known())
    for seed, scale, rate in itertools.product(options.seeds, options.scales, options.rates):
        for loss, overrides in losses.items():
            if options.losses and loss not in options.losses:
                continue
            yield Run(loss, overrides, scale, rate, seed)


def _known() -> Iterator[tuple[str, tuple[str, ...]]]:
    for loss in HANDMADE:
        yield loss, (f"loss={loss}",)
    for metric in METRICS:
        yield f"identity {metric}", (f"metric={metric}", "loss=naive")
        yield f"released {metric}", (f"metric={metric}", "loss=searched", f"loss.theta={metric}")


class Drawn(NamedTuple):
    """A theta to train with."""

    number: int
    metric: str
    theta: tuple[float, ...]

    @property
    def key(self) -> str:
        return f"theta {self.metric} {self.number}"


def drawn(metrics: Sequence[str], count: int) -> Iterator[Drawn]:
    """Thetas around the identity, around the released card, and anywhere, in turn, of the metrics in turn."""
    begin = {metric: starts(metric) for metric in metrics}
    rng = np.random.default_rng(0)
    for number in range(count):
        metric = metrics[number % len(metrics)]
        identity, released = begin[metric]
        centre, sigma = ((identity, 0.2), (released, 0.15), (identity, 5.0))[number // len(metrics) % 3]
        theta = TruncatedNormal(centre, sigma).sample(rng, 1)[0]
        yield Drawn(number, metric, tuple(round(float(x), 4) for x in theta))


def starts(metric: str) -> tuple[np.ndarray, np.ndarray]:
    """The identity and the released theta (D,) of a metric; a card with a curve for each operand gives the identity."""
    card, curve = ThetaCard.load(metric), CurveFamily.resolve("bezier")
    identity = thetas.identity(card.metric, curve).double()
    released = torch.cat([rows[0] for rows in card.theta.values()]).double()
    return identity.numpy(), (released if released.shape == identity.shape else identity).numpy()


def _train(run: Run, options: argparse.Namespace) -> dict[str, Any]:
    """Train and judge; the record of a run."""
    steps, optimizer = options.steps, options.optimizer
    marks = [round(steps * mark) for mark in MARKS]
    rate = [f"optimizer={optimizer}", f"optimizer.lr={run.rate}", f"optimizer.head_multiplier={options.head}"]
    own = [*options.overrides, *run.overrides, *rate, f"seed={run.seed}", f"trainer.max_steps={steps}"]
    cfg = compose("search", own)
    torch.manual_seed(run.seed)
    data = instantiate(cfg.data)
    module = make_module(cfg, data).to(DEVICE)
    judges = {"holdout": data.val_dataloader(), "val": validation(cfg)}
    start, seconds = time.perf_counter(), 0.0
    record: dict[str, Any] = {"key": run.key, **run._asdict(), "optimizer": optimizer, "marks": {}}
    optimiser, schedule = module.optimizer(module.network, max_steps=steps)
    for step, (images, labels) in enumerate(batches(data.train_dataloader())):
        if step in marks:
            seconds += time.perf_counter() - start
            record["marks"][step] = {name: judged(module, loader) for name, loader in judges.items()}
            module.train()
            start = time.perf_counter()
        if step == steps:
            break
        labels = labels.to(DEVICE)
        logits = module(images.to(DEVICE))
        loss = run.scale * module.loss(logits, labels)
        if step == 0 or step in marks:
            record["marks"].setdefault(step, {})["ratio"] = _ratio(loss / run.scale, logits, labels)
        optimiser.zero_grad()
        loss.backward()
        if not loss.isfinite():
            record["diverged"] = step
            break
        optimiser.step()
        schedule.step()
    return {**record, "fit_seconds": round(seconds, 2)}


def batches(loader: DataLoader) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    for epoch in itertools.count():
        loader.sampler.set_epoch(epoch)
        yield from loader


def validation(cfg: DictConfig) -> DataLoader:
    other = cfg.copy()
    other.data.holdout = None
    return instantiate(other.data).val_dataloader()


def _ratio(loss: torch.Tensor, logits: torch.Tensor, labels: torch.Tensor) -> float:
    """The norm of the gradient by the logits, in parts of cross-entropy's."""
    own = torch.autograd.grad(loss, logits, retain_graph=True)[0].norm()
    other = torch.autograd.grad(cross_entropy(logits, labels, ignore_index=255), logits, retain_graph=True)[0].norm()
    return round(float(own / other), 5)


@torch.no_grad()
def judged(
    module: SegmentationModule, loader: Iterable[Sequence[tuple[torch.Tensor, torch.Tensor]]]
) -> dict[str, float]:
    """The scores of a network on the batches of a loader."""
    module.eval()
    module.val_metrics.reset()
    for batch in loader:
        for images, labels in batch:
            module.val_metrics.update(module(images.to(DEVICE)).argmax(1), labels.to(DEVICE))
    return {name.removeprefix("val/"): round(float(value), 5) for name, value in module.val_metrics.compute().items()}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True)
    parser.add_argument("--part", default="0/1")
    parser.add_argument("overrides", nargs="*", help="of search.py")
    parser.add_argument("--optimizer", default="sgd", choices=["sgd", "adamw"])
    parser.add_argument("--rates", type=float, nargs="+", default=[0.2])
    parser.add_argument("--head", type=float, default=1, help="how many times the rate of the encoder the head has")
    parser.add_argument("--steps", type=int, default=250)
    parser.add_argument("--scales", type=float, nargs="+", default=[1, 4, 16, 2, 8, 32])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--losses", nargs="+", help="a part of them, e.g. dice 'released miou'")
    return parser.parse_args()


if __name__ == "__main__":
    main()
