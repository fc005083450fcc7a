"""The check of a GPU: its frame, with parts made up here, and a dry run."""

import json
import shutil
import signal
import subprocess
import sys
import time

import pytest
from conftest import ROOT

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
    frame = Frame(tmp_path, environment=OWN, metrics=told, correctness=told)
    process = frame.start("--part", "6")
    assert "no GPU on this machine: --dry" in process.communicate(timeout=30)[0]
    assert process.returncode == 1
    assert not frame.lines("metrics")
    frame.run("--part", "1", "6", "--dry")
    assert frame.lines("correctness")[0].items() >= {"dry": True, "interpreted": "1"}.items()
    assert frame.lines("metrics")[0].items() >= {"dry": True, "interpreted": None}.items()


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


@pytest.mark.slow
def test_a_dry_run_of_the_parts_that_train_nothing(tmp_path):
    """The others have tests of their own."""
    command = [sys.executable, str(BENCHMARKS / "gpu_check.py"), "--dry", "--limit", "400", "--out", str(tmp_path)]
    subprocess.run([*command, "--part", "1", "2", "6"], check=True, timeout=900)
    lines = [json.loads(text) for text in (tmp_path / "lines.jsonl").read_text().splitlines()]
    parts = ["environment", "correctness", "loss_cost", "metrics"]
    assert {line["part"]: line["ended"] for line in lines if "ended" in line} == dict.fromkeys(parts, "finished")
    assert {line["error"] for line in lines if "error" in line} <= {"ModuleNotFoundError"}  # of rivals
    rows = {line["target"]: line["ok"] for line in lines if "target" in line}
    assert rows["the Triton kernels run, and agree with torch"]
    assert rows["surrogates: GPU = CPU"]
