"""The kill test of trainings: killed with SIGKILL at random moments and resumed, they end as an undisturbed one.

python tests/kills.py --kills 10 --seed 0 --settings plain ddp
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from conftest import ROOT, TINY

from autosegloss.training.resuming import checkpoint_paths

OFTEN = [
    *TINY,
    "trainer.log_every_n_steps=1",
    "trainer.enable_progress_bar=false",
    "checkpoint.every_n_steps=7",
    "notes=false",
]
SETTINGS = {
    "plain": [],
    "best": ["monitor=miou", "checkpoint.keep_best=2"],
    "workers": ["data.num_workers=2"],
    "crop": ["data.size=null", "data.crop=[32,32]", "data.source.size=48"],
    "ddp": ["trainer=ddp", "trainer.devices=2"],
    "grid": ["hydra.mode=MULTIRUN", "loss=cross_entropy,dice"],
}


class Killed:
    """The training of some settings in `folder`, killed again and again, and an undisturbed one beside it."""

    def __init__(self, folder: Path, settings: str, steps: int, seed: int):
        self.folder, self.random = folder, random.Random(f"{seed} {settings}")
        folder.mkdir(parents=True)
        grid = settings == "grid"
        length = [f"trainer.max_steps={steps}", f"validate_every={steps // 5}"]
        self.arguments = [*OFTEN, *length, *SETTINGS[settings]]
        self.place = "hydra.sweep.dir" if grid else "hydra.run.dir"
        self.runs = [Path("0"), Path("1")] if grid else [Path()]
        self.kills: Counter[str] = Counter()
        self.complaints: list[str] = []

    def run(self, kills: int) -> bool:
        """Kill it so often, finish it; whether it is identical to the undisturbed one."""
        begun = time.monotonic()
        assert self._start(*self.arguments, f"{self.place}=whole").wait() == 0, self._tail()
        length = time.monotonic() - begun
        while self.kills.total() < kills and self._kill(length):
            pass
        if self._start(*self._go_on()).wait():
            self.complaints.append(self._tail())
            return False
        self.complaints += [f"{run}: {what} differs" for run in self.runs for what in self._differing(run)]
        return not self.complaints

    def _go_on(self) -> list[str]:
        begun = (self.folder / "run/multirun.yaml").exists() or (self.folder / "run/.hydra/hydra.yaml").exists()
        return ["resume=run"] if begun else [*self.arguments, f"{self.place}=run"]

    def _kill(self, length: float) -> bool:
        """Kill it within the time that the undisturbed one took; whether it had not ended before."""
        before, process = self._state(), self._start(*self._go_on())
        try:
            code = process.wait(self.random.uniform(0.3, 1) * length)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            self.kills["in training" if self._state() != before else "in start-up"] += 1
            return True
        if code:
            self.complaints.append(self._tail())
        return False

    def _state(self) -> list[int]:
        logs = [self.folder / "run" / run / "log/metrics.csv" for run in self.runs]
        return [log.stat().st_size if log.exists() else 0 for log in logs]

    def _start(self, *arguments: str) -> subprocess.Popen:
        with (self.folder / "output.log").open("a") as output:
            return subprocess.Popen(
                [sys.executable, str(ROOT / "train.py"), *arguments],
                cwd=self.folder,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def _differing(self, run: Path) -> list[str]:
        """Which of the files of a run differ from those of the undisturbed one."""
        whole, killed = self.folder / "whole" / run, self.folder / "run" / run
        results = [json.loads((folder / "result.json").read_text()) for folder in (whole, killed)]
        kept = [{name: value for name, value in result.items() if "seconds" not in name} for result in results]
        files = ["weights.pt", "log/metrics.csv", *(f"checkpoints/{path.name}" for path in whole.glob("checkpoints/*"))]
        unequal = [name for name in files if (whole / name).read_bytes() != (killed / name).read_bytes()]
        left = [path.name for path in checkpoint_paths(killed)]
        return [*unequal, *["result.json"] * (kept[0] != kept[1]), *left]

    def _tail(self) -> str:
        return (self.folder / "output.log").read_text()[-2000:]


def main(arguments: Sequence[str] | None = None) -> int:
    """All settings, one after the other; 1 where one of them differs."""
    parser = argparse.ArgumentParser(description="Kill trainings at random moments; they shall end the same.")
    parser.add_argument("--kills", type=int, default=10, help="of each training")
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--settings", nargs="+", choices=SETTINGS, default=list(SETTINGS))
    options = parser.parse_args(arguments)
    wrong = False
    for settings in options.settings:
        with tempfile.TemporaryDirectory() as folder:
            killed = Killed(Path(folder) / settings, settings, options.steps, options.seed)
            identical = killed.run(options.kills)
        wrong |= not identical
        counted = ", ".join(f"{count} {where}" for where, count in sorted(killed.kills.items()))
        print(f"{settings:8}  kills {killed.kills.total()} ({counted})  {'identical' if identical else 'DIFFERS'}")
        print("\n".join(killed.complaints), end="", flush=True)
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main())
