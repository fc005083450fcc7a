"""The devices of a config, and leases of GPUs that never overlap and never deadlock."""

import signal
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from types import SimpleNamespace

import pytest
import torch
from omegaconf import OmegaConf

from autosegloss.errors import InputError, RunError
from autosegloss.runtime import Devices, devices
from autosegloss.runtime.devices import Leases, visible_gpus

# Takes `count` of four GPUs again and again; fails where a GPU has more holders than slots.
CONTENDER = """
import os, sys, time
from pathlib import Path
from autosegloss.runtime.devices import Leases

count, slots, folder = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
for _ in range(15):
    with Leases("abcd", slots, folder / "leases").take(count, pause=0.02) as gpus:
        marks = [folder / f"{gpu} {os.getpid()}" for gpu in gpus]
        for mark in marks:
            mark.touch()
        assert len(set(gpus)) == count
        assert max(len(list(folder.glob(f"{gpu} *"))) for gpu in gpus) <= slots
        time.sleep(0.01)
        for mark in marks:
            mark.unlink()
"""
HOLDER = """
import sys, time
from pathlib import Path
from autosegloss.runtime.devices import Leases

with Leases("a", 1, Path(sys.argv[1])).take(1):
    print("held", flush=True)
    time.sleep(60)
"""
MANY = {"accelerator": "gpu"}
SPELLINGS = [  # config, GPUs there are, what it means
    ({}, 0, Devices(1, False)),
    ({}, 2, Devices(1, True)),
    ({"accelerator": "auto", "devices": "auto"}, 0, Devices(1, False)),
    ({"accelerator": "auto", "devices": "auto"}, 3, Devices(3, True)),
    ({"accelerator": None, "devices": 2}, 3, Devices(2, True)),
    ({"accelerator": "cpu", "devices": 2}, 3, Devices(2, False)),
    ({"accelerator": "cpu", "devices": "2"}, 0, Devices(2, False)),
    ({"accelerator": "cpu", "devices": "auto"}, 3, Devices(1, False)),
    ({"accelerator": "cpu", "devices": -1}, 0, Devices(1, False)),
    ({"accelerator": "cuda", "devices": 1}, 1, Devices(1, True)),
    ({**MANY, "devices": 4}, 4, Devices(4, True)),
    ({**MANY, "devices": "2"}, 4, Devices(2, True)),
    ({**MANY, "devices": -1}, 4, Devices(4, True)),
    ({**MANY, "devices": "-1"}, 4, Devices(4, True)),
    ({**MANY, "devices": [3, 1]}, 4, Devices(2, True, (3, 1))),
    ({**MANY, "devices": ["0", "1"]}, 2, Devices(2, True, (0, 1))),
    ({**MANY, "devices": "0,1"}, 2, Devices(2, True, (0, 1))),
    ({**MANY, "devices": " 1, "}, 2, Devices(1, True, (1,))),
]
MISTAKES = [
    ({"accelerator": "gpu", "devices": 1}, 0, "trainer.accelerator=gpu: there is no GPU here"),
    ({"accelerator": "cuda", "devices": "auto"}, 0, "trainer.accelerator=cuda: there is no GPU here"),
    ({**MANY, "devices": 5}, 4, "trainer.devices=5 asks for more GPUs than the 4 here"),
    ({**MANY, "devices": [0, 4]}, 4, r"numbers of GPUs, each once, from 0 to 3, got \[0, 4\]"),
    ({**MANY, "devices": [1, 1]}, 4, "each once"),
    ({**MANY, "devices": []}, 4, "each once"),
    ({**MANY, "devices": [0, -1]}, 4, "each once"),
    ({**MANY, "devices": [True]}, 4, "each once"),
    ({**MANY, "devices": "0,x"}, 4, "each once"),
    ({**MANY, "devices": ","}, 4, "each once"),
    ({"accelerator": "cpu", "devices": [0, 1]}, 4, "must be a number: there are no GPUs to name"),
    ({"devices": "0,1"}, 0, "must be a number: there are no GPUs to name"),
    *(
        ({"accelerator": accelerator, "devices": wrong}, 4, "must be a whole number of 1 or more, a list or auto, got")
        for accelerator in ("cpu", "gpu")
        for wrong in (0, "0", -2, 1.5, True, None, "all", "", "²", {"a": 1})
    ),
]


@pytest.mark.parametrize("kind", [dict, OmegaConf.create])
@pytest.mark.parametrize(("config", "gpus", "expected"), SPELLINGS)
def test_devices_are_read_as_lightning_reads_them(kind, config, gpus, expected):
    found = Devices.of(kind(config), gpus)
    assert found == expected
    assert all(type(number) is int for number in (found.count, *found.named))


@pytest.mark.parametrize(("config", "gpus", "message"), MISTAKES)
def test_what_cannot_be_had_is_a_mistake(config, gpus, message):
    with pytest.raises(InputError, match=message):
        Devices.of(OmegaConf.create(config), gpus)


@pytest.fixture
def two_gpus(monkeypatch, tmp_path):
    """Leases below tmp_path for two GPUs that no run has had."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(devices, "visible_gpus", lambda: ["gpu0", "gpu1"])
    monkeypatch.setattr(devices, "recent", [])


def ended():
    """The search has ended: a lease does not wait."""
    return False


@pytest.mark.usefixtures("two_gpus")
def test_gpus_are_leased_and_cpus_and_named_gpus_are_not(tmp_path):
    with Devices(1, True).leased(1) as first, Devices(1, True).leased(1) as second:
        assert (first, second) == ([0], [1])
        with Devices(2, True, (1, 0)).leased(1) as named, Devices(3, False).leased(1) as cpus:
            assert (named, cpus) == ([1, 0], 3)
        with pytest.raises(RunError, match="the search that launched this run has ended"):
            Devices(1, True).leased(1, ended).__enter__()
    with Devices(2, True).leased(1, ended) as both:
        assert both == [0, 1]
    assert len(list(tmp_path.glob("autosegloss-*/gpu*"))) == 2


@pytest.mark.usefixtures("two_gpus")
@pytest.mark.parametrize("slots", [0, -1, 1.5, None])
def test_a_number_of_trainings_a_gpu_that_is_none_is_refused(slots):
    with pytest.raises(InputError, match="trials_per_gpu must be a whole number of 1 or more"):
        Devices(1, True).leased(slots).__enter__()


@pytest.mark.usefixtures("two_gpus")
def test_more_gpus_than_there_are_are_not_waited_for():
    with pytest.raises(InputError, match="3 GPUs are asked for, there are 2 here"):
        Devices(3, True).leased(4).__enter__()


@pytest.mark.usefixtures("two_gpus")
def test_a_gpu_is_shared_only_when_all_are_in_use():
    with ExitStack() as held:
        given = [held.enter_context(Devices(1, True).leased(2, ended)) for _ in range(4)]
        assert sorted(given[:2]) == sorted(given[2:]) == [[0], [1]]
        with pytest.raises(RunError):
            Devices(1, True).leased(2, ended).__enter__()


@pytest.mark.usefixtures("two_gpus")
def test_a_process_asks_first_for_what_it_had_before():
    with Devices(1, True).leased(1), Devices(1, True).leased(1) as second:
        pass
    assert second == [1]
    for _ in range(2):
        with Devices(1, True).leased(1) as again:
            assert again == [1]


def start(code: str, *arguments: object) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-c", code, *map(str, arguments)], stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize(("counts", "slots"), [([1] * 8, 1), ([1] * 12, 2), ([2] * 6, 1), ([1, 2, 3, 4, 2, 1], 1)])
@pytest.mark.slow
def test_processes_that_compete_never_overlap_and_all_get_their_turn(lab, counts, slots):
    contenders = [start(CONTENDER, count, slots, lab.runs) for count in counts]
    try:
        assert [contender.wait(30) for contender in contenders] == [0] * len(counts)
    finally:
        for contender in contenders:
            contender.kill()
            contender.communicate()


def test_a_lease_ends_with_the_process_that_holds_it(lab):
    with start(HOLDER, lab.runs) as holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(RunError):
            Leases("a", 1, lab.runs).take(1, ended).__enter__()
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        with Leases("a", 1, lab.runs).take(1, ended) as given:
            assert given == [0]


@pytest.mark.parametrize(
    ("visible", "unique", "expected"),
    [
        (None, True, ["gpuid-0", "gpuid-1"]),
        ("0,1", True, ["gpuid-0", "gpuid-1"]),  # a scheduler numbers the GPUs of each job from 0
        ("MIG-a,MIG-b", True, ["gpuMIG-a", "gpuMIG-b"]),  # parts of one GPU
        (None, False, ["gpu0", "gpu1"]),
        ("6, 4", False, ["gpu6", "gpu4"]),
        ("GPU-aa,GPU-bb", False, ["gpuGPU-aa", "gpuGPU-bb"]),
    ],
)
def test_gpus_have_names_that_do_not_depend_on_how_a_process_numbers_them(monkeypatch, visible, unique, expected):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    known = (lambda number: SimpleNamespace(uuid=f"id-{number}")) if unique else (lambda _: SimpleNamespace())
    monkeypatch.setattr(torch.cuda, "get_device_properties", known)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert visible_gpus() == expected


def test_there_may_be_no_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert visible_gpus() == []
