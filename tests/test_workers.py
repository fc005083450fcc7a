"""How many trainings a search runs side by side: the whole machine, unless it is told otherwise."""

import importlib

import pytest
import torch
from helpers.commands import composed

workers = importlib.import_module("hydra_plugins.autosegloss_sweeper._workers")
GB = 2**30


@pytest.fixture
def machine(monkeypatch):
    """`machine(cores, gpus, memory)`: the machine that is counted."""

    def build(cores: int, gpus: int = 0, memory: float = 1000) -> None:
        available = type("Memory", (), {"available": memory * GB})
        monkeypatch.setattr(workers, "cpu_count", lambda only_physical_cores: cores)
        monkeypatch.setattr(workers.psutil, "virtual_memory", lambda: available)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)

    return build


@pytest.mark.parametrize(
    ("counted", "overrides", "expected"),
    [
        ((6,), [], 6),
        ((1,), [], 1),
        ((6, 4), [], 4),
        ((6, 4), ["trials_per_gpu=2"], 8),
        ((6, 4), ["trainer=ddp", "trainer.devices=2"], 2),
        ((6, 4), ["trainer.devices=[2]"], 1),
        ((6, 4), ["trainer.devices=8"], 1),  # the check refuses it
        ((6, 4), ["trainer.accelerator=cpu"], 6),
        ((6, 0), ["trainer=gpu"], 1),  # likewise
        ((6,), ["threads=3"], 2),
        ((6,), ["threads=8"], 1),
        ((6,), ["threads=null"], 6),
        ((6,), ["trainer=ddp", "trainer.devices=3"], 2),
        ((6, 0, 5), [], 2),
        ((6, 0, 0.5), [], 1),
        ((6, 4), ["workers=3"], 3),
    ],
)
def test_workers_are_gpus_or_physical_cores(machine, counted, overrides, expected):
    machine(*counted)
    assert workers.workers_of(composed("search", overrides)) == expected


@pytest.mark.parametrize("given", ["0", "-1", "1.5", "all", "true"])
def test_another_number_of_workers_is_refused(command, given):
    with pytest.raises(SystemExit, match=r"^error: workers must be a whole number of 1 or more, or null, got") as ended:
        command("search", f"workers={given}")
    assert "\n" not in str(ended.value)
