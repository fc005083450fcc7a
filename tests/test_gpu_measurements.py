"""The measurements of a GPU, in this process on the CPU."""

import math
import time
from importlib import import_module
from types import SimpleNamespace

import pytest
import torch
from conftest import ROOT
from torch import nn

CPU = torch.device("cpu")


@pytest.fixture
def gpu(monkeypatch):
    """`gpu("cases")` is the module benchmarks/gpu/cases.py."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return lambda name: import_module(f"gpu.{name}")


def test_losses_and_metrics_are_equal_on_the_cpu(gpu):
    correctness = gpu("correctness")
    lines = [*correctness.hand_made("float32", True, seed=0), *correctness.exact(True, seed=0)]
    assert [line["faults"] for line in lines if "faults" in line] == [0, 0]
    assert [line["fault"] for line in lines if line["what"] == "exact metrics"] == [False] * 3
    row = correctness._target("hand-made losses", lines[:2])
    assert row["ok"]
    assert row["measured"].startswith("0 faults in 4 cases; float32 gradient")


class Wrong(nn.Module):
    """A loss that is another in float32 than in float64."""

    def __init__(self, change):
        super().__init__()
        self.change = change

    def forward(self, logits, labels):
        hidden = (labels == 1000).unsqueeze(1)
        value = nn.functional.cross_entropy(logits.masked_fill(hidden, 0), labels, ignore_index=1000)
        return self.change(value, logits) if logits.dtype == torch.float32 else value


@pytest.mark.parametrize(
    ("change", "faults"),
    [
        (lambda value, logits: value, 0),
        (lambda value, logits: value * 1.001, 2),
        (lambda value, logits: value.detach() + 1.001 * (value - value.detach()), 2),
        (lambda value, logits: value + torch.nan, 2),
        (lambda value, logits: value + 0 * logits.sum(), 2),  # the nan of ignored pixels
    ],
)
def test_a_loss_that_differs_is_a_fault(gpu, change, faults):
    cases = gpu("cases")
    case = cases.Case("none", (2, 3, 6, 7), ("contiguous", "view"))
    *found, last = cases.check("wrong", "float32", [case], lambda *_: Wrong(change), CPU, seed=0)
    assert (len(found), last["faults"], last["cases"]) == (faults, faults, 2)
    assert all(line["fault"] for line in found)


def test_a_loss_that_raises_is_a_fault(gpu):
    cases = gpu("cases")
    found, last = cases.check("none", "float32", [cases.Case("none", (2, 3, 6, 7))], lambda *_: None, CPU, seed=0)
    assert found["fault"]
    assert found["error"] == "TypeError"
    assert (last["faults"], last["cases"]) == (1, 0)


def test_few_elements_may_differ_widely(gpu):
    relative, reference = gpu("cases").relative, torch.ones(2000)
    out = reference.clone()
    out[7] = 1.5
    assert relative(out, reference, least=1.0, without=1e-3) == 0
    assert relative(out, reference, least=1.0) == pytest.approx(0.5 / math.sqrt(2000))
    assert math.isnan(relative(out.where(out == 1, torch.nan), reference, least=1.0, without=1e-3))


def test_layouts_hold_the_same_values(gpu):
    scenes = gpu("scenes")
    values, labels = scenes.random_batch((2, 3, 5, 6, 7), 0.3, seed=0)
    assert 0 < (labels == scenes.IGNORE).float().mean() < 0.6
    made = [scenes.laid_out(values, layout) for layout in scenes.LAYOUTS]
    assert all(torch.equal(x, values) for x in made)
    assert len({x.stride() for x in made}) == len(made)


def test_costs_beside_cross_entropy_and_their_limits(gpu):
    loss_cost, rivals = gpu("loss_cost"), gpu("rivals")
    scene = rivals.Scene((1, 21, 6, 7), "float32", CPU)
    losses = {"miou": lambda: rivals.released("miou", CPU), "missing": lambda: import_module("not_there")}
    captured, cost, target, missing = loss_cost._scene(scene, 100.0, losses)
    assert captured["captured"] is False
    assert min(cost[f"{kind}_{what}"] for kind in ("eager", "device") for what in ("ms", "base_ms", "ratio")) > 0
    assert cost["floor_ms"] == pytest.approx(3 * 4 * 21 * 42 / 100e6)
    assert not target["ok"]  # the memory is not known
    assert missing["error"] == "ModuleNotFoundError"
    line = {"loss": "bf1", "shape": "s", "eager_ratio": 2.9, "device_ratio": 2.5, "memory_ratio": 3.0}
    assert loss_cost._target(line, 3)["ok"]
    assert not loss_cost._target({**line, "device_ratio": 3.1}, 3)["ok"]


def test_kernels_are_counted_and_named(gpu):
    found = gpu("profiles").kernels(lambda: torch.ones(3).add(1).add(1), CPU)
    assert next(kernel.calls for kernel in found if kernel.name == "aten::add") == 2
    assert sorted(found, key=lambda kernel: -kernel.microseconds) == found


def test_functions_take_turns_and_slow_ones_fewer(gpu):
    calls = []
    runs = {name: lambda name=name: calls.append(name) or time.sleep(0.002) for name in "ab"}
    times = gpu("timing").in_turn(runs, CPU, rounds=50, most=1, warm=1)
    assert calls == ["a", "b"] * 4
    assert [len(values) for values in times.values()] == [3, 3]


def test_a_block_that_takes_too_long_is_left(gpu):
    at_most = gpu("timing").at_most
    with pytest.raises(TimeoutError, match=r"stopped after 0.05 s"), at_most(0.05):
        time.sleep(10)
    with at_most(0.05):
        pass
    time.sleep(0.1)  # no alarm is left


def test_metrics_beside_a_confusion_matrix(gpu):
    metrics = gpu("metrics")
    logits, labels = gpu("scenes").random_batch((1, 3, 8, 9), 0.1, seed=0, ignore=255)
    lines = list(metrics._costs("logits", logits, labels, 3, checked=True))
    assert [line["metrics"] for line in lines if "metrics" in line] == [*metrics.GROUPS]
    assert all(line["ms"] > 0 for line in lines if "metrics" in line)
    assert lines[-1]["ok"] == (lines[-2]["ratio"] <= metrics.LIMIT)


def test_a_wait_is_told_by_its_line(gpu, monkeypatch):
    waits = gpu("waits")

    def waiting():
        raise RuntimeError("called a synchronizing CUDA operation")

    monkeypatch.setattr(waits, "_mode", lambda mode: None)
    assert waits.of_call(lambda: None, cuda=True) == {"waits": False}
    calls = iter([lambda: None, waiting])  # the first call warms up
    found = waits.of_call(lambda: next(calls)(), cuda=True)
    assert found["waits"]
    assert 'raise RuntimeError("called' in found["at"]
    with pytest.raises(RuntimeError, match="something else"):
        waits._result(RuntimeError("something else"))


@pytest.mark.parametrize("between", [False, True])
def test_some_steps_are_watched(gpu, monkeypatch, between):
    waits, modes = gpu("waits"), []
    monkeypatch.setattr(waits, "_mode", modes.append)
    watch, trainer = waits.WatchedSteps(between), SimpleNamespace(global_step=0)
    within, after = [], []  # the modes in each step, and after it
    for step in range(6):
        modes.append(modes[-1] if modes else "default")
        watch.on_train_batch_start(trainer, None, None, step)
        within.append(modes[-1])
        trainer.global_step += 1
        watch.on_train_batch_end(trainer)
        after.append(modes[-1])
    watched = [step in (2, 3, 4) for step in range(6)]
    assert [mode == "error" for mode in within] == watched
    assert [mode == "error" for mode in after] == [between and step in (2, 3) for step in range(6)]
    modes.append("error")
    watch.on_exception()
    assert modes[-1] == "default"


def test_the_environment_names_versions_and_what_is_missing(gpu, monkeypatch):
    environment = gpu("environment")
    monkeypatch.setattr(environment, "NAMES", ("numpy", "no-such-package"))
    line = environment.described()
    assert line["torch"] == torch.__version__
    assert line["numpy"]
    assert line["no-such-package"] is None
