"""Draw the predictions of trained networks: python docs/predictions.py OUT.png NAME=RUN_FOLDER ...

A run folder is an output folder of train.py (weights.pt and .hydra/config.yaml). All runs must use the same data.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from autosegloss.data.transforms import as_rgb, denormalise
from autosegloss.errors import InputError
from autosegloss.report import samples_figure, save
from autosegloss.training.module import SegmentationModule, predicted
from autosegloss.training.run import make_module

SHOWN = 3


def main(out: str, *runs: str) -> None:
    folders = dict(run.split("=", 1) for run in runs)
    configs = {name: OmegaConf.load(Path(folder, ".hydra/config.yaml")) for name, folder in folders.items()}
    data = instantiate(next(iter(configs.values())).data)
    images, labels = (part[:SHOWN] for part in next(iter(data.val_dataloader()))[0])  # the first of one size
    columns = {"ground truth": labels.numpy()}
    for name, cfg in configs.items():
        cfg.init_weights = str(Path(folders[name], "weights.pt"))
        module: SegmentationModule = make_module(cfg, data).eval()
        with torch.inference_mode():
            columns[name] = predicted(module(images), labels.shape[1:]).numpy()
    pixels = as_rgb(denormalise(images))
    save(samples_figure(pixels.numpy(), columns, data.class_names, data.ignore_index), out)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except InputError as error:
        sys.exit(f"error: {error}")
