"""Trials an hour with several trials side by side.

    python benchmarks/workers.py                                             # 1 and 2 processes of the joblib launcher
    python benchmarks/workers.py --workers 1 2 4 8 trainer=gpu trials_per_gpu=8          # that share one GPU

Each number of workers has a search of its own; its first trials, in which processes start, are not counted. Other
arguments are overrides of search.py.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from autosegloss.training.outcome import RESULT

PLAIN = [
    "hydra/launcher=joblib",
    "hydra/sweeper=ppo",
    "hydra.sweeper.rungs=[]",
    "hydra.sweeper.steps=1",
    "hydra.sweeper.warmup=null",
    "hydra.sweeper.finalists=0",
    "hydra.sweeper.comparison_seeds=[]",
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--trials", type=int, default=24)
    options, overrides = parser.parse_known_args()
    base = None
    for workers in options.workers:
        rate = trials_an_hour(workers, options.trials, overrides)
        base = base or rate
        print(f"{workers:3} workers: {rate:7.0f} trials an hour, {rate / base:.2f} times those of {options.workers[0]}")


def trials_an_hour(workers: int, trials: int, overrides: list[str]) -> float:
    with tempfile.TemporaryDirectory() as folder:
        program = str(Path(__file__).parent.parent / "search.py")
        own = [
            f"hydra.launcher.n_jobs={workers}",
            f"hydra.sweeper.samples={trials}",
            f"hydra.sweep.dir={folder}/search",
        ]
        command = [sys.executable, program, *PLAIN, *own, *overrides]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        ends = sorted(path.stat().st_mtime for path in Path(folder).rglob(RESULT))
    ends = ends[2 * workers - 1 :]  # the second trial of each worker is the first that starts in a running process
    return 3600 * (len(ends) - 1) / (ends[-1] - ends[0])


if __name__ == "__main__":
    main()
