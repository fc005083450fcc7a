"""Folders of runs with weights, written without a training."""

from pathlib import Path

import torch
from conftest import TINY
from helpers.members import CONF
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf, open_dict

from autosegloss.training.outcome import Result
from autosegloss.training.run import make_network


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
