"""The cost of a trial besides its training: the time between the trials of a small search, and its parts.

python benchmarks/trial_start.py [overrides of search.py, e.g. hydra/launcher=joblib hydra.launcher.n_jobs=1]
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from autosegloss.training.outcome import RESULT, Result

TRIALS = 31
PLAIN = [
    f"hydra.sweeper.samples={TRIALS}",
    "hydra.sweeper.steps=1",
    "hydra.sweeper.warmup=null",
    "hydra.sweeper.finalists=0",
    "hydra.sweeper.comparison_seeds=[]",
    "trainer.max_steps=2",
    "trainer.accelerator=cpu",
]


def main(overrides: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        program = str(Path(__file__).parent.parent / "search.py")
        command = [sys.executable, program, *PLAIN, *overrides, f"hydra.sweep.dir={folder}/search"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        files = sorted(Path(folder).rglob(RESULT), key=lambda path: path.stat().st_mtime)
        ends = [path.stat().st_mtime for path in files]
        results = [Result.load(path.parent) for path in files]
    rows: dict[str, list[float]] = {"launch and hand-over": [], "set-up": [], "training": [], "validation": []}
    for result, before, end in zip(results[1:], ends, ends[1:], strict=False):
        rows["launch and hand-over"].append(end - before - result.seconds)
        rows["set-up"].append(result.seconds - result.fit_seconds - result.eval_seconds)
        rows["training"].append(result.fit_seconds)
        rows["validation"].append(result.eval_seconds)
    for name, seconds in rows.items():
        low, high = min(seconds), max(seconds)
        print(f"{name:22} median {statistics.median(seconds):.3f} s   from {low:.3f} to {high:.3f}")
    start = [a + b for a, b in zip(rows["launch and hand-over"], rows["set-up"], strict=True)]
    print(f"{'start of a trial':22} median {statistics.median(start):.3f} s   of {len(start)} trials after the first")


if __name__ == "__main__":
    main(sys.argv[1:])
