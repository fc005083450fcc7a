"""Strategies compared in simulated searches on a fitted table of thetas, hundreds in minutes.

    python benchmarks/thetas.py --out thetas.jsonl --metrics miou bf1       # on a GPU, some thousands an hour
    python benchmarks/strategies.py --pack thetas.jsonl                     # the table, benchmarks/thetas.json
    python benchmarks/strategies.py miou --repeats 100 --png strategies.png # the simulated searches

A theta of the table has its scores on the hold-out images after 40, 80, 160 and 250 training steps, and on the
validation split after 250. Gaussian processes are fitted to them; what they leave unexplained is drawn from the table
and stays the same for a theta. A curve shows the validation score, after 250 steps, of the theta that a search would
end with after so many training steps.
"""

from __future__ import annotations

import argparse
import json
import zlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from scipy.linalg import cho_factor, cho_solve

from autosegloss.curves import Bezier, Curve
from autosegloss.search import (
    CMAES,
    PPO,
    SEARCHED,
    Algorithm1,
    History,
    OptunaSearch,
    Procedure,
    Proposal,
    Race,
    RandomSearch,
    Space,
    Strategy,
    Trial,
)

TABLE = Path(__file__).with_name("thetas.json")
MARKS = (40, 80, 160, 250)
AT = torch.linspace(0.02, 0.98, 9, dtype=torch.float64)  # arguments of the curves
WIDTHS = (0.5, 0.8, 1.2, 2.0, 3.0)  # of the kernel, times the distance of two typical thetas
NOISES = (0.03, 0.1, 0.3, 1.0)  # variance of what is left, in parts of the kernel's


class Process:
    """A Gaussian process with a squared exponential kernel, its width and noise chosen by likelihood."""

    def __init__(self, points: np.ndarray, values: np.ndarray):
        self.points, self.mean, self.std = points, values.mean(), values.std() or 1.0
        targets = (values - self.mean) / self.std
        typical = np.sqrt(2 * points.var(0).sum())
        fits = [self._fit(targets, typical * width, noise) for width in WIDTHS for noise in NOISES]
        _, self.width, self.weights, left = max(fits, key=lambda fit: fit[0])
        self.unexplained = self.std * left

    def __call__(self, points: np.ndarray) -> np.ndarray:
        return self.mean + self.std * self._kernel(points, self.width) @ self.weights

    def _kernel(self, points: np.ndarray, width: float) -> np.ndarray:
        square = ((points[:, None] - self.points[None]) ** 2).sum(-1)
        return np.exp(-square / (2 * width**2))

    def _fit(self, targets: np.ndarray, width: float, noise: float) -> tuple[float, float, np.ndarray, np.ndarray]:
        """Likelihood, width, weights, and what a fit to all other points leaves of each (Rasmussen, eq. 5.12)."""
        kernel = self._kernel(self.points, width) + noise * np.eye(len(targets))
        factor = cho_factor(kernel, lower=True)
        weights = cho_solve(factor, targets)
        variance = targets @ weights / len(targets)
        likelihood = -0.5 * len(targets) * np.log(variance) - np.log(np.diag(factor[0])).sum()
        return likelihood, width, weights, weights / np.diag(cho_solve(factor, np.eye(len(targets))))


class Landscape:
    """The fitted scores of a metric: hold-out after each of MARKS, validation at the end.

    What is fitted is -log(1 - score), by the values of the curves at AT: two thetas may lie far apart and bend alike.
    """

    def __init__(self, rows: Sequence[dict]):
        points = features([row["theta"] for row in rows])
        values = -np.log1p(-np.array([[*row["holdout"], row["val"]] for row in rows]))
        self.processes = [Process(points, column) for column in values.T]
        self.residuals = np.stack([process.unexplained for process in self.processes], axis=1)
        self.explained = 1 - (self.residuals**2).sum(0) / ((values - values.mean(0)) ** 2).sum(0)

    def scores(self, theta: Sequence[float]) -> np.ndarray:
        """Hold-out after each of MARKS (4), then validation."""
        point = features([theta])
        fitted = np.array([process(point)[0] for process in self.processes])
        return -np.expm1(-fitted - self.residuals[zlib.crc32(point.tobytes()) % len(self.residuals)])

    def final(self, theta: Sequence[float]) -> float:
        """The fitted validation score, without what stays unexplained."""
        return float(-np.expm1(-self.processes[-1](features([theta]))[0]))


def features(thetas: Sequence[Sequence[float]]) -> np.ndarray:
    """The values of the Bezier curves of each theta at AT, (thetas, curves * len(AT))."""
    family = Bezier()
    rows = torch.tensor(np.asarray(thetas)).double().view(-1, family.num_parameters)
    values = [Curve(family, family.control_points(row))(AT) for row in rows]
    return torch.stack(values).view(len(thetas), -1).numpy()


class Way(NamedTuple):
    """A procedure to simulate: `make(mu, entries, seed)`, and the training steps of a trial without rungs."""

    make: Callable[[Sequence[float], Sequence[Proposal], int], Procedure]
    trial: int


def ways(steps: int) -> Iterator[tuple[str, Way]]:
    """The procedures by name; each does at most `steps` steps."""
    for trial in (80, 250):
        for name, strategy in STRATEGIES.items():
            yield f"{name}, {trial}", Way(_algorithm1(strategy, steps), trial)
    for name in ("random", "cmaes"):
        yield f"race {name}", Way(_race(STRATEGIES[name], steps, rungs=(80, 160)), 250)


def _algorithm1(strategy: Callable[..., Strategy], steps: int) -> Callable[..., Procedure]:
    def make(mu: Sequence[float], entries: Sequence[Proposal], seed: int) -> Procedure:
        return Algorithm1(strategy(initial_mean=mu, samples=8, seed=seed), steps, _proposal)

    return make


def _race(strategy: Callable[..., Strategy], steps: int, rungs: Sequence[int]) -> Callable[..., Procedure]:
    def make(mu: Sequence[float], entries: Sequence[Proposal], seed: int) -> Procedure:
        own = strategy(initial_mean=mu, samples=8, seed=seed)
        return Race(own, steps, _proposal, entries, Space(), rungs, seed=seed)

    return make


def _proposal(point: Sequence[float]) -> Proposal:
    return Proposal(SEARCHED, (), tuple(point), 1.0, tuple(point))


STRATEGIES: dict[str, Callable[..., Strategy]] = {"random": RandomSearch, "ppo": PPO, "cmaes": CMAES}
if find_spec("optuna"):
    STRATEGIES["tpe"] = partial(OptunaSearch, sampler="tpe")


def simulated(way: Way, landscape: Landscape, entries: Sequence[Proposal], seed: int) -> list[tuple[int, float]]:
    """(training steps spent, validation score of the theta found) after each step of a search."""
    procedure, history, spent, curve = way.make(entries[0].theta, entries, seed), History(), 0, []
    while proposals := procedure.ask(history.steps):
        step = len(history.steps)
        for index, proposal in enumerate(proposals):
            until = proposal.pause_at or way.trial
            begun = history.steps[proposal.origin.step].trials[proposal.origin.trial].pause_at if proposal.origin else 0
            spent += until - (begun or 0)
            score = float(landscape.scores(proposal.theta)[MARKS.index(until)])
            own = {name: getattr(proposal, name) for name in ("name", "phase", "pause_at", "origin")}
            history.add(Trial(step, index, proposal.theta, score, **own))
        procedure.tell(history.close_step(step, procedure.mean), proposals)
        curve.append((spent, landscape.final(found(history, way.trial))))
    return curve


def found(history: History, trial: int) -> Sequence[float]:
    """The theta with the best score of those that were trained longest."""
    return max(history.trials, key=lambda t: (t.pause_at or trial, t.score)).theta


def main() -> None:
    options = _options()
    if options.pack:
        _pack(options.pack)
        return
    landscape = Landscape((table := json.loads(TABLE.read_text())[options.metric])["rows"])
    entries = [Proposal(name, (), tuple(theta)) for name, theta in table["starts"].items()]
    shares = ", ".join(f"{share:.2f}" for share in landscape.explained)
    print(f"{options.metric}: {len(table['rows'])} thetas; of the variance the others explain {shares}")
    for name, entry in zip(table["starts"], entries, strict=True):
        print(f"  {name:12} {100 * landscape.final(entry.theta):.1f}")
    curves = {}
    for name, way in ways(options.steps):
        if name not in (options.ways or [name]):
            continue
        runs = [simulated(way, landscape, entries, seed) for seed in range(options.repeats)]
        curves[name] = runs
        print(f"{name:14} " + "  ".join(_at(runs, spent) for spent in options.budgets), flush=True)
    if options.png:
        _draw(curves, options.metric, options.png)


def _at(runs: Sequence[Sequence[tuple[int, float]]], budget: int) -> str:
    """Mean and standard deviation over searches of what is found with at most `budget` training steps."""
    reached = [[score for spent, score in run if spent <= budget] for run in runs]
    values = np.array([scores[-1] for scores in reached if scores])
    return f"{budget}: {100 * values.mean():.1f} ± {100 * values.std():.1f}" if len(values) else f"{budget}: -"


def _pack(paths: Sequence[str]) -> None:
    """Write the table from the records of benchmarks/thetas.py."""
    from scales import starts

    table: dict[str, dict] = {}
    for record in (json.loads(line) for path in paths for line in Path(path).read_text().splitlines()):
        metric = record["metric"]
        scores = [record["holdout"][str(mark)][metric] for mark in MARKS]
        rows = table.setdefault(metric, {"starts": {}, "rows": []})["rows"]
        rows.append({"theta": record["theta"], "holdout": scores, "val": record["val"][metric]})
    for metric, page in table.items():
        page["starts"] = {n: t.tolist() for n, t in zip(("identity", "released"), starts(metric), strict=True)}
    TABLE.write_text(json.dumps(table).replace('}, {"theta"', '},\n{"theta"') + "\n")
    print({metric: len(page["rows"]) for metric, page in table.items()})


def _draw(curves: dict[str, list], metric: str, path: str) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.5, 4.5), layout="constrained")
    axes = figure.subplots()
    for name, runs in curves.items():
        steps = sorted({spent for run in runs for spent, _ in run})
        best = np.array([[next((s for t, s in reversed(run) if t <= step), np.nan) for step in steps] for run in runs])
        low, middle, high = np.nanpercentile(100 * best, [25, 50, 75], axis=0)
        axes.plot(steps, middle, label=name)
        axes.fill_between(steps, low, high, alpha=0.15, lw=0)
    axes.set(xlabel="training steps spent", ylabel=f"{metric} of the theta found, validation", xscale="log")
    axes.legend(fontsize=8)
    figure.savefig(path)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("metric", nargs="?", default="miou")
    for name, default in (("--repeats", 50), ("--steps", 20)):
        parser.add_argument(name, type=int, default=default)
    parser.add_argument("--budgets", type=int, nargs="+", default=[2000, 4000, 8000, 16000, 40000])
    parser.add_argument("--ways", nargs="+", help="a part of them, as 'ppo, 250' 'race cmaes'")
    parser.add_argument("--png")
    parser.add_argument("--pack", nargs="+", metavar="JSONL")
    return parser.parse_args()


if __name__ == "__main__":
    main()
