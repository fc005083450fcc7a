"""Strategies compared in real searches: what the best theta of each reaches, and the training steps it took to find it.

    python benchmarks/searches.py OUT                                     # shapes, six metrics, 5 seeds: many hours
    python benchmarks/searches.py OUT --metrics miou bf1 --seeds 0 1 --ways auto random --steps 2 6
    python benchmarks/searches.py OUT --only-collect                      # the table of what is finished
    python benchmarks/searches.py OUT -- data=folder data.root=ROOT data.size=[96,128] network=smp ...   # other data

A search that was stopped goes on. Each way does the same race with another strategy, or the search of the paper with
PPO2, for several numbers of steps of thetas. OUT/searches.json has a record for each: the training steps of its trials,
and the scores of the best theta and of cross-entropy on the validation split, which no choice has seen.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean, pstdev
from typing import Any

from demos import run
from rich.console import Console
from rich.table import Table

from autosegloss.search import SEARCHED, History

PLAIN = ["hydra.sweeper.rungs=[]", "hydra.sweeper.trial=[]"]
WAYS = {
    "auto": ["hydra/sweeper=auto"],
    "random": ["hydra/sweeper=random"],
    "ppo": ["hydra/sweeper=ppo"],
    "tpe": ["hydra/sweeper=optuna"],
    "random, no race": ["hydra/sweeper=random", *PLAIN],
    "ppo, no race": ["hydra/sweeper=ppo", *PLAIN],
}


def main() -> None:
    options = _options()
    left = list(itertools.product(options.seeds, options.metrics, options.ways, options.steps))
    for seed, metric, way, steps in left:
        if not options.only_collect:
            own = [f"metric={metric}", f"seed={seed}", *WAYS[way], f"hydra.sweeper.steps={steps}", *options.overrides]
            run(_folder(options.out, metric, way, steps, seed), own)
    records = list(_records(options))
    (options.out / "searches.json").write_text(json.dumps(records, indent=1))
    Console(width=120).print(_table(records))


def _records(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    for seed, metric, way, steps in itertools.product(options.seeds, options.metrics, options.ways, options.steps):
        folder = _folder(options.out, metric, way, steps, seed)
        if (folder / "recommendation.json").exists():
            page = json.loads((folder / "recommendation.json").read_text())
            means = {candidate["name"]: candidate["mean"] for candidate in page["candidates"]}
            found = {"recommended": means[page["recommended"]], "cross-entropy": means[page["baseline"]]}
            thetas = [each for each in page["candidates"] if each["name"].startswith(SEARCHED)]
            searched = max(thetas, key=lambda each: each["choice"]["mean"])["mean"]
            yield {
                **{"metric": metric, "way": way, "steps": steps, "seed": seed, "spent": _spent(folder)},
                **{"searched": searched, **found},
            }


def _spent(folder: Path) -> int:
    """The training steps of all trials of a search."""
    trials = History(folder).trials
    paused = {(trial.step, trial.index): trial.pause_at or 0 for trial in trials}
    whole = _length(folder)
    return sum((trial.pause_at or whole) - (paused[trial.origin] if trial.origin else 0) for trial in trials)


def _length(folder: Path) -> int:
    """The training steps of a whole trial."""
    state = json.loads((folder / "state.json").read_text())
    return int(state["config"]["trainer"]["max_steps"])


def _table(records: list[dict[str, Any]]) -> Table:
    table = Table(title="validation, in percent: mean and standard deviation over seeds")
    for column in ("metric", "way", "training steps", "searches", "best theta", "recommended", "cross-entropy"):
        table.add_column(column, justify="left" if column in ("metric", "way") else "right")
    groups = defaultdict(list)
    for record in records:
        groups[record["metric"], record["way"], record["steps"]].append(record)
    for (metric, way, _), same in groups.items():
        scores = [[100 * record[name] for record in same] for name in ("searched", "recommended", "cross-entropy")]
        spent = f"{fmean(record['spent'] for record in same):.0f}"
        table.add_row(metric, way, spent, str(len(same)), *(f"{fmean(s):.1f} ± {pstdev(s):.1f}" for s in scores))
    return table


def _folder(out: Path, metric: str, way: str, steps: int, seed: int) -> Path:
    return out.absolute() / f"{metric}_{way.replace(', ', '_').replace(' ', '_')}_{steps}_{seed}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("overrides", nargs="*", help="of search.py, after --")
    parser.add_argument("--metrics", nargs="+", default=["gacc", "macc", "miou", "fwiou", "biou", "bf1"])
    parser.add_argument("--ways", nargs="+", default=["auto", "random", "ppo", "ppo, no race"], choices=WAYS)
    parser.add_argument("--steps", type=int, nargs="+", default=[1, 3, 9], help="of thetas")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--only-collect", action="store_true", help="run nothing")
    return parser.parse_args()


if __name__ == "__main__":
    main()
