"""The check of a GPU: its frame with parts made up here, and its measurements on the CPU."""

import json
import math
import shutil
import signal
import subprocess
import sys
import time
from importlib import import_module
from types import SimpleNamespace

import pytest
import torch
from conftest import ROOT
from torch import nn

BENCHMARKS = ROOT / "benchmarks"
OWN = "def run(dry):\n    yield {'figure': 1}\n"
GPU = "def run(dry):\n    yield {'device': 'made up', 'capability': '9.0'}\n"


class Frame:
    """The frame in a folder of its own, with parts from their source code."""

    def __init__(self, folder, **parts):
        self.out = folder / "out"
        (folder / "benchmarks/gpu").mkdir(parents=True)
        self.script = shutil.copy(BENCHMARKS / "gpu_check.py", folder / "benchmarks")
        for name in ("__init__", "child", "record", "summary"):
            shutil.copy(BENCHMARKS / f"gpu/{name}.py", folder / "benchmarks/gpu")
        for name, source in {"environment": GPU, **parts}.items():
            (folder / f"benchmarks/gpu/{name}.py").write_text(source)

    def start(self, *options):
        command = [sys.executable, self.script, "--out", str(self.out), *options]
        # a shell that runs the tests in the background makes its children deaf to SIGINT
        hearing = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **hearing)

    def run(self, *options):
        """What it prints."""
        process = self.start(*options)
        printed, _ = process.communicate(timeout=60)
        assert process.returncode == 0, printed
        return printed

    def lines(self, part):
        path = self.out / "lines.jsonl"
        lines = [json.loads(text) for text in path.read_text().splitlines()] if path.exists() else []
        return [line for line in lines if line["part"] == part]

    def wait_for_a_line(self, part):
        deadline = time.monotonic() + 30
        while not self.lines(part):
            assert time.monotonic() < deadline
            time.sleep(0.02)


def test_a_part_that_raises_is_recorded_and_the_next_one_runs(tmp_path):
    failing = OWN + "    raise ValueError('it went wrong')\n"
    frame = Frame(tmp_path, correctness=failing, loss_cost="import not_there\n", metrics=OWN)
    printed = frame.run("--part", "1", "2", "6")
    first, error, ended = frame.lines("correctness")
    assert first["figure"] == 1
    assert first["seconds"] >= 0
    assert (error["error"], error["message"]) == ("ValueError", "it went wrong")
    assert "raise ValueError('it went wrong')" in error["traceback"]
    assert ended["ended"] == "failed"
    assert frame.lines("loss_cost")[0]["error"] == "ModuleNotFoundError"
    assert [line.get("figure") for line in frame.lines("metrics")] == [1, None]
    assert "ValueError: it went wrong" in printed
    assert "made up" in printed


HANGING = """
import subprocess, time
def run(dry):
    child = subprocess.Popen(["sleep", "100"])
    yield {"process": child.pid}
    try:
        time.sleep(100)
    finally:
        yield {"cleaned": True}
"""


def test_a_part_over_its_limit_is_stopped_with_all_it_has_started_and_keeps_its_lines(tmp_path):
    frame = Frame(tmp_path, correctness=HANGING, metrics=OWN)
    printed = frame.run("--part", "1", "6", "--limit", "1")
    first, cleaned, ended = frame.lines("correctness")
    assert cleaned["cleaned"]
    assert ended["ended"] == "stopped after 1 s"
    assert "correctness: stopped after 1 s" in printed
    assert not runs(first["process"])
    assert frame.lines("metrics")[0]["figure"] == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_check_that_is_interrupted_ends_its_part_and_writes_the_summary(tmp_path, number):
    frame = Frame(tmp_path, correctness=HANGING, metrics=OWN)
    process = frame.start("--part", "1", "6")
    frame.wait_for_a_line("correctness")
    process.send_signal(number)
    process.communicate(timeout=30)
    assert process.returncode == 130
    assert not runs(frame.lines("correctness")[0]["process"])
    assert "correctness: interrupted" in (frame.out / "summary.md").read_text()
    assert not frame.lines("metrics")


def runs(process):
    """Whether a process runs; one that has ended may wait for its parent."""
    try:
        with open(f"/proc/{process}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_part_that_is_killed_is_told_from_one_that_fails(tmp_path):
    killed = OWN + "    import os, signal\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    frame = Frame(tmp_path, correctness=killed)
    frame.run("--part", "1")
    assert [line.get("ended") for line in frame.lines("correctness")] == [None, "ended with code -9"]


def test_without_a_gpu_only_a_dry_run_goes_on(tmp_path):
    told = "import os\ndef run(dry):\n    yield {'dry': dry, 'interpreted': os.environ.get('TRITON_INTERPRET')}\n"
    frame = Frame(tmp_path, environment=OWN, metrics=told)
    process = frame.start("--part", "6")
    assert "no GPU on this machine: --dry" in process.communicate(timeout=30)[0]
    assert process.returncode == 1
    assert not frame.lines("metrics")
    frame.run("--part", "6", "--dry")
    assert frame.lines("metrics")[0].items() >= {"dry": True, "interpreted": "1"}.items()


def test_lines_of_a_part_that_runs_again_are_replaced_and_the_summary_can_be_made_anew(tmp_path):
    target = "def run(dry):\n    yield {'target': 'a | b', 'measured': 2.5, 'ok': False}\n"
    frame = Frame(tmp_path, correctness=OWN, metrics=target)
    frame.run("--part", "1", "6")
    frame.run("--part", "6")
    assert len(frame.lines("metrics")) == len(frame.lines("correctness")) == 2
    with (frame.out / "lines.jsonl").open("a") as file:
        file.write('{"part": "metr')
    before = (frame.out / "summary.md").read_text()
    (frame.out / "summary.md").unlink()
    printed = subprocess.check_output([sys.executable, frame.script, "--summary", str(frame.out)], text=True)
    assert "| metrics | a / b | 2.5 | missed |" in printed
    assert (frame.out / "summary.md").read_text() == before


# The measurements, in this process on the CPU

CPU = torch.device("cpu")


@pytest.fixture
def gpu(monkeypatch):
    """`gpu("cases")` is the module benchmarks/gpu/cases.py."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
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
    assert captured["ok"]
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


@pytest.mark.slow
def test_a_dry_run_of_all_parts(tmp_path, gpu):
    parts = import_module(gpu("record").__package__).PARTS
    there = [n for n, name in parts.items() if (BENCHMARKS / f"gpu/{name}.py").exists()]
    command = [sys.executable, str(BENCHMARKS / "gpu_check.py"), "--dry", "--out", str(tmp_path), "--part"]
    subprocess.run([*command, *map(str, there)], check=True, timeout=900)
    lines = [json.loads(text) for text in (tmp_path / "lines.jsonl").read_text().splitlines()]
    assert {line["part"]: line["ended"] for line in lines if "ended" in line} == dict.fromkeys(
        ["environment", *(parts[n] for n in there)], "finished"
    )
    assert {line["error"] for line in lines if "error" in line} <= {"ModuleNotFoundError"}  # of rivals
    rows = {line["target"]: line["ok"] for line in lines if "target" in line}
    assert rows["the Triton kernels run, and agree with torch"]
    assert rows["surrogates: GPU = CPU"]
