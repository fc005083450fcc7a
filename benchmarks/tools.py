"""The numbers of other tools beside ours, on random masks: which option reproduces which tool.

    python benchmarks/tools.py
    python benchmarks/tools.py --scenes 100 --seed 1

prints a table of the largest differences over the scenes. A tool that is not installed is named below the table. Two
are in no package index and need clones on PYTHONPATH: bowenc0221/boundary-iou-api and
davisvideochallenge/davis2017-evaluation. The exit code is 1 if a number that is said to be the same is another one.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import warnings
from importlib import metadata

import torch
from tool_numbers import areas, boundaries  # noqa: F401  (they add the rows)
from tool_numbers.rows import ROWS, Row
from tool_numbers.scenes import Scene, scenes

from autosegloss import metrics
from autosegloss.formulas import BoundaryF1, FBeta, SurfaceDice

NAMES = {"FormulaMetric": metrics.FormulaMetric, "BoundaryF1": BoundaryF1, "FBeta": FBeta, "SurfaceDice": SurfaceDice}
SAME = 1e-5  # a larger difference is not one of rounding


def our_number(row: Row, scene: Scene) -> float:
    """The value of the expression that the table shows."""
    metric = eval(row.ours, dict(NAMES))
    metric.update(scene.preds, scene.labels)
    return float(metric.compute())


def differences(row: Row, drawn: list[Scene]) -> torch.Tensor:
    """Ours less theirs, for each scene."""
    kept = [scene.of(row.task, row.ignored) for scene in drawn]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of tools, about absent classes
        return torch.tensor([our_number(row, scene) - row.theirs(scene) for scene in kept], dtype=torch.float64)


def problem(module: str) -> str | None:
    """Why a tool cannot be used here; None if it can."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            importlib.import_module(module)
    except ImportError as error:
        return str(error)
    return None


def version(row: Row) -> str:
    try:
        return f"{row.package} {metadata.version(row.package)}"
    except metadata.PackageNotFoundError:
        return row.package


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    drawn, missing, wrong = scenes(options.scenes, options.seed), {}, []
    print("| tool | its number | ours | largest difference | mean difference |")
    print("|---|---|---|---:|---:|")
    for row in ROWS:
        if reason := problem(row.module):
            missing[row.package] = reason
            continue
        off = differences(row, drawn)
        print(f"| {version(row)} | {row.call} | `{row.ours}` | {off.abs().max():.1g} | {off.mean():+.1g} |", flush=True)
        if row.same and not off.abs().max() <= SAME:
            wrong.append(row.call)
    for package, reason in missing.items():
        print(f"\n{package} is not here: {reason}")
    for call in wrong:
        print(f"\nnot the same: {call}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
