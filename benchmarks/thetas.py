"""The scores of thousands of thetas along their trainings: on a GPU many trainings run at once, each as a CUDA graph.

    python benchmarks/thetas.py --out thetas.jsonl --count 2000 --metrics miou bf1 --part 0/4 &   # a process each part
    python benchmarks/strategies.py --pack thetas.jsonl                                           # the table of it

Data, network, optimiser and schedule are those of the demo. All trainings see the same batches and begin with the same
weights, as the trials of a search do. A line has a theta, its scores on the hold-out after each of --marks with the
average of the last weights (decay 0.95), and on the validation split with the last weights. What is in the file is not
repeated. Without a GPU the same trainings run one after the other.
"""

from __future__ import annotations

import argparse
import copy
import itertools
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext

import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from scales import CONF, METRICS, batches, drawn, judged, validation
from torch import Tensor, nn

from autosegloss import SurrogateLoss
from autosegloss.algebra.inputs import labels_are_classes
from autosegloss.search import JsonLines
from autosegloss.training.optimizers import parameter_groups
from autosegloss.training.run import make_module

DECAY = 0.95
RATE = 0.01


class Batches:
    """All batches of a training on the device, and the rate of each step."""

    def __init__(self, cfg, data, count: int, device: torch.device):
        steps = list(itertools.islice(batches(data.train_dataloader()), count))
        self.images = torch.stack([images for images, _ in steps]).to(device)
        self.labels = torch.stack([labels for _, labels in steps]).to(device)
        optimizer, schedule = make_module(cfg, data).optimizer(nn.Linear(1, 1), max_steps=count)
        rates = []
        for _ in steps:
            rates.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            schedule.step()
        self.rates = torch.tensor(rates, device=device)


class Lane:
    """One training at a time: its network, the average of its weights, and on a GPU its stream."""

    def __init__(self, cfg, data, given: Batches):
        self.given, self.device = given, given.images.device
        self.module = make_module(cfg, data).to(self.device)
        self.average = copy.deepcopy(self.module)
        self.start = [value.clone() for value in _state(self.module)]
        self.at = torch.zeros(1, dtype=torch.long, device=self.device)
        self.rate = torch.zeros((), device=self.device)
        self.stream = torch.cuda.Stream() if self.device.type == "cuda" else None

    def begin(self, loss: SurrogateLoss) -> None:
        """Do the first step, and capture the others as a graph."""
        with self.on_stream():
            self.loss = loss.to(self.device)
            torch._foreach_copy_(_state(self.module), self.start)
            self.module.train()
            self.at.zero_()
            groups, capturable = parameter_groups(self.module.network, 1.0), self.stream is not None
            self.optimizer = torch.optim.AdamW(groups, weight_decay=0.01, capturable=capturable)
            for group in self.optimizer.param_groups:
                group["lr"] = self.rate
            self._step()
            torch._foreach_copy_(_state(self.average), _state(self.module))
            self.replay = self._step if self.stream is None else self._captured()

    def _captured(self):
        self.stream.synchronize()
        self.optimizer.zero_grad(set_to_none=True)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=self.stream, capture_error_mode="thread_local"):
            self._step()
        return graph.replay

    def _step(self) -> None:
        images = self.given.images.index_select(0, self.at)[0]
        labels = self.given.labels.index_select(0, self.at)[0]
        self.rate.copy_(self.given.rates.index_select(0, self.at)[0])
        with labels_are_classes():
            loss = self.loss(self.module(images), labels)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        own, average = _floats(self.module), _floats(self.average)
        torch._foreach_lerp_(average, own, 1 - DECAY)
        self.at.add_(1)

    def on_stream(self):
        return nullcontext() if self.stream is None else torch.cuda.stream(self.stream)


def main() -> None:
    options = _options()
    torch.set_num_threads(1)
    lines = JsonLines(options.out)
    done = {record["key"] for record in lines.read()}
    index, parts = map(int, options.part.split("/"))
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    end = time.monotonic() + options.seconds
    with initialize_config_dir(str(CONF.absolute()), version_base="1.3"):
        todo = [run for run in drawn(options.metrics, options.count) if run.key not in done][index::parts]
        losses = {metric: _loss(metric) for metric in options.metrics}
        count = options.marks[-1]
        cfg = compose("search", [*options.overrides, f"optimizer.lr={RATE}", f"trainer.max_steps={count}"])
        torch.manual_seed(0)
        data = instantiate(cfg.data)
        loaders = [_on(device, loader) for loader in _loaders(cfg, data)]
        given = Batches(cfg, data, count, device)
        torch.manual_seed(0)
        first = Lane(cfg, data, given)
        lanes = [first, *(Lane(cfg, data, given) for _ in range(options.lanes - 1))]
        for lane in lanes:
            lane.start = first.start
        while todo and time.monotonic() < end:
            runs, todo = todo[: options.lanes], todo[options.lanes :]
            for record in _trained(lanes, runs, losses, loaders, options.marks):
                lines.append(record)


def _trained(lanes: Sequence[Lane], runs, losses, loaders, marks: Sequence[int]) -> Iterator[dict]:
    busy = list(zip(lanes, runs, strict=False))
    for lane, run in busy:
        like = losses[run.metric]
        lane.begin(SurrogateLoss(like.formula, run.theta, like.curve, like.ignore_index, like.classes))
    holdout, validation = loaders
    records = {run.key: {**run._asdict(), "key": run.key, "holdout": {}} for _, run in busy}
    for begin, mark in itertools.pairwise((1, *marks)):
        for _ in range(mark - begin):
            for lane, _ in busy:
                with lane.on_stream():
                    lane.replay()
        for lane, run in busy:
            with lane.on_stream():
                records[run.key]["holdout"][mark] = judged(lane.average, [holdout])
    for lane, run in busy:
        with lane.on_stream():
            records[run.key]["val"] = judged(lane.module, [validation])
    return iter(records.values())


def _state(module: nn.Module) -> list[Tensor]:
    return [value.detach() for value in (*module.network.parameters(), *module.network.buffers())]


def _floats(module: nn.Module) -> list[Tensor]:
    return [value for value in _state(module) if value.is_floating_point()]


def _loss(metric: str) -> SurrogateLoss:
    cfg = compose("search", [f"metric={metric}", "loss=surrogate"])
    return make_module(cfg, instantiate(cfg.data)).loss


def _on(device: torch.device, loader) -> list[tuple[Tensor, Tensor]]:
    return [(images.to(device), labels.to(device)) for batch in loader for images, labels in batch]


def _loaders(cfg, data):
    return data.val_dataloader(), validation(cfg)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True)
    parser.add_argument("overrides", nargs="*", help="of search.py, after --")
    parser.add_argument("--marks", type=int, nargs="+", default=[40, 80, 160, 250], help="steps, the last the length")
    parser.add_argument("--part", default="0/1", help="this one of so many processes, which have a file each")
    parser.add_argument("--metrics", nargs="+", default=["miou", "bf1"], choices=METRICS)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--lanes", type=int, default=4, help="trainings at once")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin none after so many")
    return parser.parse_args()


if __name__ == "__main__":
    main()
