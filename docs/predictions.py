"""Draw the predictions of trained networks: python docs/predictions.py OUT.png NAME=RUN_FOLDER ...

A run folder is an output folder of train.py (weights.pt and .hydra/config.yaml). All runs must use the same data.
"""

from __future__ import annotations

import sys

from autosegloss.errors import InputError
from autosegloss.report import save
from autosegloss.report.prediction_figure import prediction_figure
from autosegloss.training.trained import TrainedRun


def main(out: str, *runs: str) -> None:
    trained = {name: TrainedRun.of(folder) for name, folder in (run.split("=", 1) for run in runs)}
    save(prediction_figure(trained), out)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except InputError as error:
        sys.exit(f"error: {error}")
