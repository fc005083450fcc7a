"""Folders of runs with weights: written without a training, or trained for a moment."""

from pathlib import Path

import torch
from conftest import TINY
from helpers.members import CONF
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf, open_dict

from autosegloss.training.outcome import Result
from autosegloss.training.run import make_network, train

OWN = ["data.size=null", "data.batch_size=4", "data.augment.scale=[1,1]", "trainer.max_steps=40"]


def write_trained(
    folder: Path, *overrides: str, seed: int = 0, classes: int = 6, shapes: bool = True, scores=None, test=None
) -> Path:
    """Write the folder of a training with these overrides whose network keeps its random weights.

    With `shapes` it trains on the tiny data of other tests.
    """
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose(
            "train", [*(TINY if shapes else TINY[5:]), f"seed={seed}", *overrides], return_hydra_config=True
        )
    choices = OmegaConf.to_container(config.hydra.runtime.choices)
    with open_dict(config):
        del config.hydra
    (folder / ".hydra").mkdir(parents=True)
    OmegaConf.save(config, folder / ".hydra/config.yaml")
    runtime = {"choices": choices, "cwd": str(folder.parent)}
    OmegaConf.save({"hydra": {"runtime": runtime}}, folder / ".hydra/hydra.yaml")
    torch.manual_seed(seed)
    torch.save(make_network(config, classes, 3).state_dict(), folder / "weights.pt")
    if scores is not None:
        Result(scores, test or {}, 1.0, scored_at="the masks' own size").save(folder)
    return folder


def trained(folder: Path, *overrides: str, channels: int, source: str | None = None) -> Path:
    """The folder of a training with these settings, on the data set of a class in the place of their own."""
    aside = ["notes=false", "logger=none", "evidence=true", "trainer.enable_progress_bar=false"]
    write_trained(folder, *overrides, *aside, classes=channels, shapes=False)
    config = OmegaConf.load(folder / ".hydra/config.yaml")
    if source:
        config.data.source = {"_target_": source}
        OmegaConf.save(config, folder / ".hydra/config.yaml")
    train(config, folder)
    return folder
