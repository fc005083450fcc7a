"""Searches as users start them: processes that can be ended in every way, and what they find and leave behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from conftest import ROOT, TINY, alone

from autosegloss.search import History

# Leaves cross-entropy, Dice, the identity and the released card among the known losses.
FEW = [
    f"hydra.sweeper.candidates.{name}=null"
    for name in ("weighted-cross-entropy", "focal", "jaccard", "lovasz", "mixed")
]
MARK = "AUTOSEGLOSS_TEST_SEARCH"  # every process that a search or its launcher starts inherits it


class Running:
    """`python search.py` with tiny data in a process group of its own; its output goes to `log`."""

    def __init__(self, log: Path, *arguments: str):
        self._mark = f"{MARK}={uuid.uuid4().hex}"
        name, _, value = self._mark.partition("=")
        paths = os.pathsep.join([str(Path(__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])])
        environment = {**os.environ, name: value, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
        self.log, self.started = log, time.monotonic()
        with log.open("a") as output:
            self.process = subprocess.Popen(
                [sys.executable, str(ROOT / "search.py"), *arguments],
                cwd=log.parent,
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                # a shell that runs the tests in the background makes its children deaf to SIGINT
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )

    @classmethod
    def fresh(cls, directory: Path, *overrides: str, log: Path | None = None) -> Running:
        """A search that begins in `directory`."""
        arguments = [*TINY, *alone("search", overrides), *overrides]
        return cls(log or directory.with_suffix(".log"), *arguments, f"hydra.sweep.dir={directory}")

    @classmethod
    def resumed(cls, directory: Path, log: Path | None = None) -> Running:
        """A search that goes on in `directory`."""
        return cls(log or directory.with_suffix(".log"), f"resume={directory}")

    @property
    def ended(self) -> bool:
        return self.process.poll() is not None

    def kin(self) -> dict[int, str]:
        """{process: its command line} of all that this search has started, directly or not, and that still run."""
        kin = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != self.process.pid:
                try:
                    if self._mark.encode() in (entry / "environ").read_bytes():
                        kin[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
                except OSError:  # it has ended meanwhile, or is a zombie
                    continue
        return kin

    def trains(self) -> bool:
        """Whether there are processes that train, or make ready to."""
        return any("autosegloss.runtime.worker" in command for command in self.kin().values())

    def tail(self) -> str:
        """The end of what it wrote."""
        return self.log.read_text()[-3000:]

    def wait_until(self, when: Callable[[], bool], seconds: float = 240) -> bool:
        """Whether `when` came to hold before the search ended."""
        deadline = time.monotonic() + seconds
        while not when():
            if self.ended:
                return False
            assert time.monotonic() < deadline, f"waited {seconds:g} s in vain:\n{self.tail()}"
            time.sleep(0.05)
        return True

    def end(self, number: int, seconds: float = 30) -> float:
        """Send a signal, SIGINT as a terminal does to all of the group; the seconds that the search took to end."""
        start = time.monotonic()
        if number == signal.SIGINT and not self.ended:
            os.killpg(self.process.pid, number)
        else:
            self.process.send_signal(number)
        self.process.wait(seconds)
        return time.monotonic() - start

    def orphans(self, seconds: float = 10) -> dict[int, str]:
        """Which of its processes still run so many seconds after it has ended."""
        deadline = time.monotonic() + seconds
        while (left := self._ours()) and time.monotonic() < deadline:
            time.sleep(0.1)
        return left

    def _ours(self) -> dict[int, str]:
        """What is left but the agents of ray, which take a minute to miss their node."""
        return {process: command for process, command in self.kin().items() if "/ray/" not in command}

    def finish(self, seconds: float = 400) -> int:
        """Wait for its end; its exit code."""
        try:
            return self.process.wait(seconds)
        finally:
            self.clear()

    def clear(self) -> None:
        """Leave nothing of it behind."""
        for process in (self.process.pid, *self.kin()):
            try:
                os.kill(process, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.process.wait()


def runs(directory: Path) -> list[str]:
    """The folders of all runs that have a result."""
    return sorted(str(path.parent.relative_to(directory)) for path in directory.rglob("result.json"))


def failures(directory: Path) -> list[dict]:
    """The records of runs that failed."""
    path = directory / "failures.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def findings(directory: Path) -> dict[str, list[str]]:
    """All that a search has found, as text that is equal exactly where all bits are."""
    history, card = History(directory), yaml.safe_load((directory / "theta.yaml").read_text())
    recommended = directory / "recommendation.json"
    return {
        "thetas": [repr((t.step, t.index, t.theta)) for t in history.trials],
        "scores": [repr((t.status, t.score, t.scores)) for t in history.trials],
        "means": [repr((step.mean, step.average, step.std)) for step in history.steps],
        "found": [repr((card["theta"], card["score"]))],
        "recommended": recommended.read_text().splitlines() if recommended.exists() else [],
        "runs": [
            f"{run}: {json.loads((directory / run / 'result.json').read_text())['scores']}" for run in runs(directory)
        ],
    }


def refusal(command, *overrides: str, tiny: bool = True) -> str:
    """The line that ends `python search.py` with these overrides."""
    with pytest.raises(SystemExit) as ended:
        command("search", *overrides, tiny=tiny)
    assert str(ended.value).startswith("error: ")
    assert "\n" not in str(ended.value)
    return str(ended.value)
