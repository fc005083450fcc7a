"""Random cases of tasks, formulas and options: values finite and in range, ignored pixels without effect, and more.

    python benchmarks/fuzz_tasks.py --cases 10000 --seed 0

prints each fault with the seed of its case, which `--cases 1 --seed SEED` runs again, and at the end their number.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from autosegloss import SurrogateLoss
from autosegloss import theta as thetas
from autosegloss.formulas import BoundaryF1, BoundaryIoU, Formula, resolve, weighted_sum
from autosegloss.formulas.exact import exact_sums
from autosegloss.functional import score
from autosegloss.tasks import Task
from autosegloss.tasks.binary import Binary
from autosegloss.tasks.multiclass import Multiclass
from autosegloss.tasks.multilabel import Multilabel

IGNORE = 255


@dataclass
class Case:
    """A batch of a task with the options of a loss and of a metric."""

    task: Task
    formula: Formula
    theta: Any
    options: dict[str, Any]
    logits: Tensor
    labels: Tensor
    preds: Tensor
    soft: Tensor

    def __str__(self) -> str:
        shapes = f"{self.logits.dtype} {tuple(self.logits.shape)}, {self.labels.dtype} {tuple(self.labels.shape)}"
        return f"{self.task} {self.formula} {self.options} {shapes}"

    @property
    def ignored(self) -> Tensor:
        """(N, 1 or C, *S)."""
        ignored = self.labels == IGNORE
        return ignored if ignored.ndim == self.logits.ndim else ignored.unsqueeze(1)

    def loss(self, **more: Any) -> SurrogateLoss:
        return SurrogateLoss(self.formula, theta=self.theta, task=self.task, **{**self.options, **more})

    def metric(self, preds: Tensor, labels: Tensor) -> Tensor:
        return score(preds, labels, self.formula, self.logits.shape[1], task=self.task, **self.options)


def drawn(seed: int) -> Case:
    """The case of a seed."""
    pick, rng = random.Random(seed), torch.Generator().manual_seed(seed)
    task = pick.choice([Multiclass(), Binary(pick.choice([0.2, 0.5])), Multilabel()])
    classes = 1 if isinstance(task, Binary) else pick.randint(2, 5)
    space = [pick.randint(1, 11) for _ in range(pick.choice([2, 2, 2, 3]))]
    shape = (pick.randint(1, 4), classes, *space)
    formula = _formula(pick)
    size = thetas.size(formula, SurrogateLoss(formula).curve)
    theta = pick.choice([None, torch.rand(size, generator=rng), torch.randint(2, (size,), generator=rng)])
    logits = torch.randn(shape, generator=rng) * pick.choice([0.1, 2, 30, 1e4])
    crisp = Multiclass() == task
    labels, preds = (
        torch.randint(classes if crisp else 2, (shape[0], *space) if crisp else shape, generator=rng) for _ in range(2)
    )
    if pick.random() < 0.5:
        labels[..., : space[-1] // 2], preds[..., : 1 + space[-1] // 2] = 0, 0
    if pick.random() < 0.2:
        labels[:] = 0
    ignored = torch.rand(labels.shape, generator=rng) < pick.choice([0, 0, 0.1, 0.5, 1])
    if pick.random() < 0.3:
        ignored[0] = True
    soft = torch.rand(shape, generator=rng)
    soft = soft.softmax(1) if crisp else soft
    soft = soft.masked_fill(ignored.unsqueeze(1) if crisp else ignored, IGNORE)
    labels = labels.masked_fill(ignored, IGNORE).to(pick.choice([torch.int64, torch.int32, torch.uint8]))
    logits = logits.to(pick.choice([torch.float32, torch.float32, torch.float64, torch.float16, torch.bfloat16]))
    return Case(task, formula, theta, _options(pick, classes), logits, labels, preds, soft)


def _formula(pick: random.Random) -> Formula:
    made: list[Callable[[], Formula]] = [
        *(lambda name=name: resolve(name) for name in sorted(Formula.members)),
        lambda: BoundaryIoU(pick.choice([1, 2, 0.1])),
        lambda: BoundaryF1(pick.choice([1, 2, 0.1])),
        lambda: weighted_sum(["miou", BoundaryF1(1)], weights=[2, 1]),
        lambda: weighted_sum(["gacc", "biou"]),
    ]
    return pick.choice(made)()


def _options(pick: random.Random, classes: int) -> dict[str, Any]:
    options: dict[str, Any] = {"aggregate": pick.choice(["batch", "batch", "image", "image,class", "worst image"])}
    ids = sorted(pick.sample(range(classes), pick.randint(1, classes)))
    options["classes"] = pick.choice(["all", "present", ids])
    if options["classes"] != "present":
        options["absent"] = pick.choice([None, "skip", "zero", "one"])
    if pick.random() < 0.3:
        count = len(ids) if options["classes"] == ids else classes
        options["class_weights"] = [pick.choice([0.3, 1, 2]) for _ in range(count)]
    return options


def read(loss: SurrogateLoss, logits: Tensor, labels: Tensor, valid: Tensor | None = None) -> tuple[Tensor, Tensor]:
    logits = logits.clone().requires_grad_()
    value = loss(logits, labels, valid)
    return value.detach(), torch.autograd.grad(value, logits)[0]


def same(one: Tensor, other: Tensor, tolerance: float = 0.0) -> bool:
    return torch.allclose(one.double(), other.double(), rtol=tolerance, atol=tolerance, equal_nan=True)


def faults(case: Case) -> Iterator[str]:
    """What a case does that it must not."""
    loss = case.loss()
    for kind, labels in (("crisp", case.labels), ("soft", case.soft)):
        value, gradient = read(loss, case.logits, labels)
        if not (value.isfinite() and gradient.isfinite().all()):
            yield f"{kind}: not finite"
        if not -1e-5 <= value <= 1 + 1e-5:
            yield f"{kind}: the loss {value:.6g} lies outside of [0, 1]"
        if gradient.masked_select(case.ignored).any():
            yield f"{kind}: a gradient at ignored pixels"
        junk = read(loss, case.logits.masked_fill(case.ignored, torch.nan), labels)
        if not (same(junk[0], value) and same(junk[1], gradient)):
            yield f"{kind}: ignored pixels change the loss"
        masked = read(loss, case.logits, labels.where(labels != IGNORE, 0) if kind == "crisp" else labels,
                      ~case.ignored)  # fmt: skip
        if not same(masked[0], value, 1e-6):
            yield f"{kind}: a mask is not the ignored label"
        blank = torch.full_like(labels[:1], IGNORE)
        more = read(loss, torch.cat([case.logits, case.logits[:1]]), torch.cat([labels, blank]))
        if not same(more[0], value, 1e-5):
            yield f"{kind}: an image that is all ignored changes the loss"
    yield from _of_metric(case)
    yield from _of_crisp(case)


def _of_metric(case: Case) -> Iterator[str]:
    metric = case.metric(case.logits, case.labels)
    if not (metric.isnan() or 0 <= metric <= 1):
        yield f"the metric {metric:.6g} lies outside of [0, 1]"
    if not same(case.metric(case.logits.masked_fill(case.ignored, torch.nan), case.labels), metric):
        yield "ignored pixels change the metric"
    blank = torch.full_like(case.labels[:1], IGNORE)
    more = case.metric(torch.cat([case.logits, case.logits[:1]]), torch.cat([case.labels, blank]))
    if not same(more, metric, 1e-6):
        yield "an image that is all ignored changes the metric"
    if not same(case.metric(case.logits.flip(0, -1), case.labels.flip(0, -1)), metric, 1e-6):
        yield "mirrored images have another metric"


def _of_crisp(case: Case) -> Iterator[str]:
    """The soft reading of crisp predictions is the exact one."""
    crisp = case.preds
    if isinstance(case.task, Multiclass):
        index = torch.arange(case.logits.shape[1]).view(-1, *[1] * (crisp.ndim - 1))
        crisp = crisp.unsqueeze(1) == index
    loss = case.loss(from_logits=False)
    pred, truth = case.task.judged(case.preds, case.labels, case.logits.shape[1], IGNORE)
    exact = exact_sums(case.formula, pred, truth.true, truth.valid)
    for name, value in loss.statistics(crisp.float(), case.labels).items():
        if not same(value, exact[name], 1e-4):
            yield f"the soft sum '{name}' of crisp predictions is not the exact one"
    if not (0 <= (value := loss(crisp.float(), case.labels)) <= 1 + 1e-5):
        yield f"the loss {value:.6g} of crisp predictions lies outside of [0, 1]"


def told(case: Case) -> list[str]:
    """The faults of a case, an error among them."""
    try:
        return list(faults(case))
    except Exception as error:  # any error is a fault, and the next case is another
        return [f"{type(error).__name__}: {error}"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0, help="of the first case")
    args = parser.parse_args()
    torch.set_num_threads(1)
    found: Counter[str] = Counter()
    for seed in range(args.seed, args.seed + args.cases):
        case = drawn(seed)
        for fault in told(case):
            found[fault] += 1
            print(f"seed {seed}: {fault}: {case}", flush=True)
        if (done := seed + 1 - args.seed) % 250 == 0:
            print(f"{done} cases, {sum(found.values())} faults", file=sys.stderr, flush=True)
    print(f"{sum(found.values())} faults in {args.cases} cases")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
