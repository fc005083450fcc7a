"""Draw the predictions of trained networks: python docs/predictions.py OUT.png NAME=RUN_FOLDER ...

A run folder is an output folder of train.py (weights.pt and .hydra/config.yaml). All runs must use the same data.
"""

from __future__ import annotations

import sys

import torch

from autosegloss.data.transforms import as_rgb, denormalise
from autosegloss.errors import InputError
from autosegloss.report import samples_figure, save
from autosegloss.training.module import logits_of, predicted
from autosegloss.training.trained import TrainedRun

SHOWN = 3


def main(out: str, *runs: str) -> None:
    trained = {name: TrainedRun.of(folder) for name, folder in (run.split("=", 1) for run in runs)}
    data = next(iter(trained.values())).data()
    images, labels = (part[:SHOWN] for part in next(iter(data.val_dataloader()))[0])  # the first of one size
    columns = {"ground truth": labels.numpy()}
    for name, run in trained.items():
        network = run.network(data.num_classes, data.source.channels)
        with torch.inference_mode():
            columns[name] = predicted(logits_of(network, images), labels.shape[1:]).numpy()
    pixels = as_rgb(denormalise(images))
    save(samples_figure(pixels.numpy(), columns, data.class_names, data.ignore_index), out)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except InputError as error:
        sys.exit(f"error: {error}")
