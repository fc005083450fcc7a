"""The optimiser and the schedule of a training, against torch stepped by hand and the rates' own formulas."""

import math

import pytest
import torch
from helpers.commands import composed
from omegaconf import OmegaConf
from torch import nn
from torch.testing import assert_close

from autosegloss.errors import InputError
from autosegloss.training.optimizers import optimizer_with_schedule, parameter_groups

STEPS = 10
SGD = {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.0, "head_multiplier": 10, "min_lr": 1e-3}


class TwoParts(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder, self.head = nn.Linear(3, 4), nn.Linear(4, 2)

    def forward(self, x):
        return self.head(self.encoder(x))


def made(*overrides: str, network: nn.Module | None = None, max_steps: int = STEPS, **values):
    cfg = composed("train", ["optimizer=sgd", *overrides])
    optimizer = OmegaConf.merge(cfg.optimizer, values)
    cfg.optimizer = optimizer
    return optimizer_with_schedule(cfg.optimizer, cfg.schedule)(network or TwoParts(), max_steps=max_steps)


def rates(optimizer, schedule, steps: int) -> list[list[float]]:
    seen = []
    for _ in range(steps):
        seen.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
        schedule.step()
    return [list(group) for group in zip(*seen, strict=True)]


def test_the_rate_falls_polynomially_and_the_head_learns_faster():
    optimizer, schedule = made(**SGD)
    for base, seen in zip((0.1, 1.0), rates(optimizer, schedule, 12), strict=True):
        expected = [1e-3 + (base - 1e-3) * max(0, 1 - step / STEPS) ** 0.9 for step in range(12)]
        assert_close(seen, expected)
    head = {id(p) for p in optimizer.param_groups[1]["params"]}
    assert len(head) == 2
    assert not head & {id(p) for p in optimizer.param_groups[0]["params"]}


FALLS = {
    "poly": lambda base, part: 1e-3 + (base - 1e-3) * (1 - part) ** 0.9,
    "cosine": lambda base, part: 1e-3 + (base - 1e-3) * (1 + math.cos(math.pi * part)) / 2,
    "constant": lambda base, part: base,
}


@pytest.mark.parametrize(
    ("schedule", "warmup"), [("poly", 0), ("poly", 1), ("poly", 4), ("cosine", 0), ("cosine", 4), ("constant", 4)]
)
def test_a_schedule_follows_its_formula_after_the_warm_up(schedule, warmup):
    seen, fall = rates(*made(f"schedule={schedule}", f"schedule.warmup={warmup}", **SGD), STEPS), FALLS[schedule]
    for base, group in zip((0.1, 1.0), seen, strict=True):
        rise = [base * (step + 1) / (warmup + 1) for step in range(warmup)]
        assert_close(group, rise + [fall(base, step / (STEPS - warmup)) for step in range(STEPS - warmup)])


def test_one_cycle_is_that_of_torch_up_to_the_last_step():
    weight = nn.Parameter(torch.zeros(2))
    reference = torch.optim.SGD([weight], lr=0.1, momentum=0.9)
    cycle = torch.optim.lr_scheduler.OneCycleLR(reference, 0.1, total_steps=STEPS, pct_start=0.3)
    seen = rates(*made("schedule=onecycle", **{**SGD, "head_multiplier": 1}), STEPS)
    assert_close(seen, rates(reference, cycle, STEPS) * 2)


@pytest.mark.parametrize(
    ("choice", "values", "reference"),
    [
        (
            "sgd",
            {"lr": 0.1, "weight_decay": 0.01, "min_lr": 0.1},
            lambda parts: torch.optim.SGD(parts, momentum=0.9, weight_decay=0.01),
        ),
        ("adamw", {"lr": 0.1, "min_lr": 0.1}, lambda parts: torch.optim.AdamW(parts, weight_decay=0.01)),
        (
            "adamw",
            {"_target_": "torch.optim.RAdam", "lr": 0.1, "min_lr": 0.1},
            lambda parts: torch.optim.RAdam(parts, weight_decay=0.01),
        ),
    ],
)
def test_steps_are_those_of_torch(choice, values, reference):
    torch.manual_seed(0)
    ours, theirs, images = TwoParts(), TwoParts(), torch.randn(5, 3)
    theirs.load_state_dict(ours.state_dict())
    optimizer, schedule = made(f"optimizer={choice}", "schedule=constant", network=ours, **values)
    by_hand = reference(
        [{"params": theirs.encoder.parameters(), "lr": 0.1}, {"params": theirs.head.parameters(), "lr": 1.0}]
    )
    for _ in range(3):
        for network, step in ((ours, optimizer), (theirs, by_hand)):
            step.zero_grad()
            network(images).square().sum().backward()
            step.step()
        schedule.step()
    assert_close(ours.state_dict(), theirs.state_dict(), rtol=0, atol=0)


def test_a_network_without_an_encoder_learns_at_one_rate():
    assert [group["lr"] for group in parameter_groups(nn.Linear(3, 2), 0.1, head_multiplier=10)] == [0.1]


@pytest.mark.parametrize("change", [{"lr": "abc"}, {"lr": 0}, {"lr": None}, {"momentum": -1}, {"min_lr": True}])
def test_an_optimiser_setting_that_is_no_number_is_refused(change):
    with pytest.raises(InputError, match=rf"optimizer.{next(iter(change))} must be a number"):
        made(**change)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["optimizer=adamw", "+optimizer.amsgrat=true"], "optimizer: .*'amsgrat'"),
        (["optimizer=adamw", "+optimizer.betas=[2,3]"], "optimizer: Invalid beta"),
        (["schedule=onecycle", "schedule.pct_start=2"], "schedule: .*pct_start"),
        (["schedule._target_=torch.optim.lr_scheduler.StepLR"], "schedule: .*unexpected keyword"),
        (["schedule.warmup=10"], "schedule.warmup must be a whole number from 0 to 9, got 10"),
        (["schedule.warmup=0.5"], "schedule.warmup must be a whole number from 0 to 9, got 0.5"),
        (["schedule.power=steep"], "schedule.power must be a number of 0 or more, got 'steep'"),
        (["schedule=cosine", "schedule.min_lr=-1"], "schedule.min_lr must be a number of 0 or more, got -1"),
    ],
)
def test_what_torch_or_a_schedule_refuses_is_one_line(overrides, message):
    with pytest.raises(InputError, match=f"^{message}"):
        made(*overrides)
