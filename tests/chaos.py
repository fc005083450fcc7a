"""The chaos test: a search is killed at random moments, its trainings fail at random, and it finds the same.

python tests/chaos.py --kills 20 --seed 0 --launchers one two      or: make chaos
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain, repeat
from pathlib import Path

from helpers.faults import MOMENTS, Fault, met, plan, started
from helpers.searches import FEW, Running, failures, findings, runs

FAULTS = 2  # of one run, at most
TRIAL_TIMEOUT = 12
SEARCH = (
    "metric=macc",
    "data.holdout=8",
    "trainer.max_steps=15",  # fewer leave all trials with the same score
    "checkpoint.every_n_steps=4",  # of the runs around the trials
    "hydra.sweeper.rungs=[5,10]",
    "hydra.sweeper.keep=3",
    "hydra.sweeper.warmup=['loss=cross_entropy','trainer.max_steps=15']",
    "hydra.sweeper.final=['trainer.max_steps=20']",
    *FEW,
    f"hydra.sweeper.trial_timeout={TRIAL_TIMEOUT}",
    f"hydra.sweeper.max_retries={FAULTS + 1}",  # and once the process of a launcher, with all that it was to run
)
LAUNCHERS = {"one": (), "two": ("workers=2",)}  # by the number of workers
SIGNALS = {signal.SIGKILL: 0.6, signal.SIGTERM: 0.2, signal.SIGINT: 0.2}
KINDS = {"raise": 3, "memory": 1, "exit": 2, "kill": 2}
HANGS = 2  # in all: each costs the timeout
ORPHANS_END = 10  # seconds after the search


@dataclass
class Account:
    """What a search went through."""

    kills: Counter[str] = field(default_factory=Counter)
    others: Counter[str] = field(default_factory=Counter)
    resumes: int = 0
    orphans: list[str] = field(default_factory=list)
    slowest_end: float = 0.0
    complaints: list[str] = field(default_factory=list)


class Chaos:
    """One search in `directory` that is killed `kills` times; `undisturbed` is the folder of one that was not."""

    def __init__(
        self, directory: Path, undisturbed: Path, launcher: str, arguments: Sequence[str], kills: int, seed: int
    ):
        self.directory, self.undisturbed, self.launcher = directory, undisturbed, launcher
        self.random = random.Random(f"{seed} {launcher}")
        self.account, self.faults = Account(), directory.with_name(f"{directory.name}_faults")
        total = runs(undisturbed)
        self.moments = sorted(self.random.randrange(len(total)) for _ in range(kills))
        callbacks = plan(self.faults, self._drawn(total))
        self.arguments = [*arguments, *LAUNCHERS[launcher], callbacks]

    def run(self) -> Account:
        """Kill and resume until it is finished; what was found otherwise stands in the complaints."""
        for moment in chain(self.moments, repeat(0)):
            if sum(self.account.kills.values()) == len(self.moments):
                break
            self._kill_at(moment)
        search = self._start()
        code = search.finish()
        if code:
            self.account.complaints.append(f"ended with {code}: {search.tail()}")
        else:
            self.account.complaints += differences(findings(self.undisturbed), findings(self.directory))
        return self.account

    def _drawn(self, folders: Sequence[str]) -> dict[str, list[Fault]]:
        drawn = {}
        for folder in folders:
            count = self.random.choice([0, 0, 0, 0, 0, 0, 1, FAULTS])
            kinds = self.random.choices(list(KINDS), list(KINDS.values()), k=count)
            drawn[folder] = [Fault(kind, self.random.choice(MOMENTS)) for kind in kinds]
        for folder in self.random.sample([folder for folder in folders if folder.startswith("step")], HANGS):
            drawn[folder] = [*drawn[folder][: FAULTS - 1], Fault("hang", self.random.choice(MOMENTS))]
        return drawn

    def _start(self) -> Running:
        if (self.directory / "state.json").exists():
            self.account.resumes += 1
            return Running.resumed(self.directory)
        return Running.fresh(self.directory, *self.arguments)

    def _kill_at(self, moment: int) -> None:
        """Kill the search when so many runs are done, and where that is so already, while it starts."""
        search, late = self._start(), len(runs(self.directory)) >= moment
        try:
            if late:
                time.sleep(self.random.uniform(0, 15))
            elif search.wait_until(lambda: len(runs(self.directory)) >= moment):
                time.sleep(self.random.uniform(0, 1))
            if self.random.random() < 0.3 and (kin := search.kin()):
                self._kill_one_of(kin)
                time.sleep(self.random.uniform(0, 8))
            if not search.ended:
                self._kill(search)
            elif search.process.returncode:
                self.account.complaints.append(f"ended with {search.process.returncode}: {search.tail()}")
        finally:
            search.clear()

    def _kill_one_of(self, kin: dict[int, str]) -> None:
        process, command = self.random.choice(sorted(kin.items()))
        try:
            os.kill(process, signal.SIGKILL)
        except ProcessLookupError:
            return
        self.account.others[_role(command)] += 1

    def _kill(self, search: Running) -> None:
        number = self.random.choices(list(SIGNALS), list(SIGNALS.values()))[0]
        phase = self._phase(search)
        start = time.monotonic()
        search.end(number)
        self.account.kills[f"{number.name} in {phase}"] += 1
        left = search.orphans(ORPHANS_END)
        self.account.orphans += [f"{number.name} in {phase}: {command}" for command in left.values()]
        self.account.slowest_end = max(self.account.slowest_end, time.monotonic() - start)

    def _phase(self, search: Running) -> str:
        if not search.trains():
            return "start-up"
        if (self.directory / "comparison").exists():
            return "comparison"
        return "steps" if list(self.directory.glob("step_*")) else "warm-up"


def differences(expected: dict[str, list[str]], found: dict[str, list[str]]) -> list[str]:
    """What differs between the findings of two searches, a line each."""
    lines = []
    for name, values in expected.items():
        lines += [f"{name}: {len(values)} expected, {len(found[name])} found"] * (len(values) != len(found[name]))
        lines += [f"{name}: expected {a}, found {b}" for a, b in zip(values, found[name], strict=False) if a != b]
    return lines


def undisturbed_search(directory: Path, *arguments: str) -> None:
    """The search that the others are compared with: no faults, no kills, one run after the other."""
    search = Running.fresh(directory, *arguments)
    assert search.finish() == 0, search.tail()


def _role(command: str) -> str:
    return next(
        (role for role, part in {"worker": "autosegloss.runtime", "tracker": "tracker"}.items() if part in command),
        "launcher's process",
    )


def table(chaos: Chaos, seconds: float) -> list[str]:
    """The figures of one search, a line each."""
    account, failed = chaos.account, failures(chaos.directory)
    begun, done = started(chaos.faults), len(runs(chaos.directory))
    return [
        f"== {chaos.launcher}: {'DIFFERS' if account.complaints or account.orphans else 'identical'}, {seconds:.0f} s",
        f"kills of the search         {sum(account.kills.values())}: {_listed(account.kills)}",
        f"kills of another process    {sum(account.others.values())}: {_listed(account.others)}",
        f"resumes                     {account.resumes}",
        f"faults injected             {sum(met(chaos.faults).values())}: {_listed(met(chaos.faults))}",
        f"failures in the records     {len(failed)}, of attempts {_listed(Counter(str(f['attempt']) for f in failed))}",
        f"trainings begun             {begun} for {done} runs",
        f"orphans                     {len(account.orphans)}; all were gone after {account.slowest_end:.1f} s at most",
        *(f"  orphan: {line}" for line in account.orphans),
        *(f"  {line}" for line in account.complaints),
    ]


def _listed(counter: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counter.items())) or "none"


def main() -> int:
    """All launchers, one after the other; 1 where one of them differs."""
    parser = argparse.ArgumentParser(description="Kill a search at random moments; it shall find the same in the end.")
    parser.add_argument("--kills", type=int, default=20, help="of each search")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--launchers", nargs="+", choices=LAUNCHERS, default=list(LAUNCHERS))
    parser.add_argument("--directory", type=Path, help="where to keep the searches; the default is a temporary folder")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        directory = (options.directory or Path(temporary)).absolute()
        directory.mkdir(parents=True, exist_ok=True)
        size = ["hydra.sweeper.steps=4", "hydra.sweeper.samples=4", "hydra.sweeper.finalists=2"]
        undisturbed_search(directory / "undisturbed", *SEARCH, *size)
        wrong = False
        for launcher in options.launchers:
            start = time.monotonic()
            arguments = directory / launcher, directory / "undisturbed", launcher, [*SEARCH, *size]
            chaos = Chaos(*arguments, options.kills, options.seed)
            account = chaos.run()
            wrong |= bool(account.complaints or account.orphans)
            print("\n".join(table(chaos, time.monotonic() - start)), flush=True)
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main())
