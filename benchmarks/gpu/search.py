"""Part 5: small searches through the program, several at once on one GPU that they lease from each other.

Three of them are the same: one is killed and resumed, the others are not disturbed; so the difference of these two says
what the GPU's own arithmetic changes. In a trial of the fourth the GPU's memory runs out.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

from autosegloss.search.records import CARD_FILE, FAILURES_FILE, TRIALS_FILE
from autosegloss.training.outcome import RESULT, Result
from gpu.record import guarded

PROGRAM = Path(__file__).resolve().parents[2] / "search.py"
PLAIN = [
    "metric=miou",
    "hydra/sweeper=ppo",
    "hydra.sweeper.rungs=[]",
    "hydra/launcher=basic",
    "hydra.sweeper.warmup=null",
    "hydra.sweeper.finalists=0",
    "hydra.sweeper.comparison_seeds=[]",
    "hydra.sweeper.max_retries=0",
    "hydra.sweeper.steps=2",
    "hydra.sweeper.samples=2",
]
TINY = [
    "trainer.accelerator=cpu",
    "data.source.train=24",
    "data.holdout=8",
    "data.batch_size=4",
    "trainer.max_steps=2",
    "hydra.sweeper.steps=1",
]
FULL = "step_0000/trial_001"  # the trial whose memory runs out
SECONDS = 100.0  # for a search
SLACK = 0.1  # seconds between the end of a training and the time of its file


def run(dry: bool) -> Iterator[dict]:
    own = [*PLAIN, *(TINY if dry else ["trainer=gpu", "trainer.max_steps=20"])]
    hog = ["+callbacks.hog._target_=gpu.hog.Hog", f"+callbacks.hog.trial={FULL}"]
    more = {"undisturbed": [], "killed": [], "memory": hog, **({} if dry else {"again": []})}
    with tempfile.TemporaryDirectory() as parent:
        searches = {name: Search(Path(parent, name), [*own, *extra]) for name, extra in more.items()}
        try:
            yield from _checks(searches, leased=not dry)
        finally:
            for search in searches.values():
                search.kill()


class Search:
    """A search in a process of its own."""

    def __init__(self, folder: Path, overrides: Sequence[str]):
        self.folder, self.log = folder, folder.with_suffix(".log")
        self.begin = time.monotonic()
        self.start(*overrides, f"hydra.sweep.dir={folder}")

    def start(self, *arguments: str) -> None:
        with self.log.open("a") as log:
            self.process = subprocess.Popen([sys.executable, str(PROGRAM), *arguments], stdout=log, stderr=log)

    def wait(self) -> dict:
        """Wait for its end; RuntimeError with its last words if that is not a success."""
        code = self.process.wait(SECONDS)
        if code:
            raise RuntimeError(f"exit code {code}: {self.log.read_text()[-400:]}")
        return {"took": round(time.monotonic() - self.begin, 1)}

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    @property
    def results(self) -> list[Path]:
        return sorted(self.folder.rglob(RESULT))

    @property
    def trials(self) -> list[dict]:
        return self._records(TRIALS_FILE)

    @property
    def failures(self) -> list[dict]:
        return self._records(FAILURES_FILE)

    def _records(self, name: str) -> list[dict]:
        path = self.folder / name
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def _checks(searches: dict[str, Search], leased: bool) -> Iterator[dict]:
    killed, undisturbed = searches["killed"], searches["undisturbed"]
    yield from guarded(lambda: _killed(killed), what="kill -9")
    yield from guarded(lambda: _ended(undisturbed), what="undisturbed")
    yield from guarded(lambda: _memory(searches["memory"]), what="memory")
    repeats = True  # as it does on a CPU
    if "again" in searches:
        for line in guarded(lambda: _same(undisturbed, searches["again"]), what="the same seed twice"):
            repeats = line.get("ok", False)
            yield line
    yield from guarded(lambda: _resumed(undisturbed, killed, repeats), what="resume")
    yield from guarded(lambda: _leases([*searches.values()], leased), what="leases")


def _ended(search: Search) -> dict:
    took = search.wait()
    scores = [trial["score"] for trial in search.trials]
    ok = len(scores) == len(search.results) and all(score is not None for score in scores)
    return {
        "target": "a search through trainer=gpu with leases",
        "measured": f"{len(scores)} trials, theta {'found' if (search.folder / CARD_FILE).exists() else 'missing'}",
        "ok": ok,
        **took,
        "trial_seconds": [round(trial["seconds"], 2) for trial in search.trials],
    }


def _killed(search: Search) -> dict:
    """Kill it as soon as it has a result, see that its trials end, and resume it."""
    end = time.monotonic() + SECONDS
    while not search.results and search.process.poll() is None and time.monotonic() < end:
        time.sleep(0.02)
    running = search.process.poll() is None
    os.kill(search.process.pid, signal.SIGKILL)
    search.process.wait()
    before = len(search.results)
    time.sleep(2)  # a trial that outlived the search would leave its result
    after = len(search.results)
    search.start(f"resume={search.folder}")
    return {"was_running": running, "results_at_its_end": before, "results_2_s_later": after}


def _memory(search: Search) -> dict:
    search.wait()
    failed, finished = search.failures, [trial for trial in search.trials if trial["status"] == "ok"]
    messages = sorted({failure["message"] for failure in failed})
    full = all("memory" in message and "\n" not in message for message in messages)
    where = all(failure["run"] == FULL for failure in failed)
    return {
        "target": "a trial without memory is a failure of one line, and the search goes on",
        "measured": f"{len(failed)} failed, {len(finished)} finished: {'; '.join(messages)}",
        "ok": full and where and len(failed) + len(finished) == len(search.trials) and bool(failed and finished),
    }


def _leases(searches: Sequence[Search], leased: bool) -> dict:
    """Whether two trials ever trained at once; each began its seconds before its result was written."""
    spans = sorted((*_span(path), search.folder.name) for search in searches for path in search.results)
    overlap = max((first[1] - second[0] for first, second in pairwise(spans)), default=0.0)
    switches = sum(first[2] != second[2] for first, second in pairwise(spans))
    return {
        "target": f"{len(searches)} searches at once share one GPU, a trial at a time",
        "measured": f"{len(spans)} trials, {switches} changes of the search, longest overlap {overlap:.2f} s",
        "ok": overlap < SLACK if leased else None,
        "waits": [round(second[0] - first[1], 2) for first, second in pairwise(spans)],
    }


def _span(path: Path) -> tuple[float, float]:
    end = path.stat().st_mtime
    return end - Result.load(path.parent).seconds, end


def _same(one: Search, other: Search) -> dict:
    other.wait()
    difference = _difference(one, other)
    measured = "the same records" if difference == 0 else f"differ by {difference:.2g}"
    return {"target": "a search with the same seed repeats itself", "measured": measured, "ok": difference == 0}


def _resumed(undisturbed: Search, killed: Search, repeats: bool) -> dict:
    """Where two undisturbed searches differ from each other, a resumed one can only have the same first thetas."""
    killed.wait()
    difference = _difference(undisturbed, killed)
    measured = "the same records" if difference == 0 else f"differ by {difference:.2g}"
    own = "" if repeats else "; undisturbed searches differ from each other, too"
    ok = difference == 0 if repeats else _first_thetas(killed) == _first_thetas(undisturbed)
    return {"target": "a killed search, resumed, is as an undisturbed one", "measured": measured + own, "ok": ok}


def _difference(one: Search, other: Search) -> float:
    """The largest difference of a number in the records of two searches; inf if they have other trials."""
    ours, theirs = ({(t["step"], t["index"]): t for t in search.trials} for search in (one, other))
    if ours.keys() != theirs.keys() or not ours:
        return float("inf")
    pairs = [(_numbers(ours[key]), _numbers(theirs[key])) for key in ours]
    return max(abs(a - b) for first, second in pairs for a, b in zip(first, second, strict=True))


def _numbers(trial: dict) -> list[float]:
    return [*trial["theta"], *trial["scores"].values()]


def _first_thetas(search: Search) -> list[list[float]]:
    return [trial["theta"] for trial in search.trials if trial["step"] == 0]
