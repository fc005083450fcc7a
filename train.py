"""Train a network with any loss and judge it by all metrics: python train.py loss=searched_miou"""

import hydra
from omegaconf import DictConfig

from autosegloss.cli.errors import run_program
from autosegloss.cli.jobs import job


@hydra.main(version_base="1.3", config_path="conf", config_name="train")
def main(cfg: DictConfig) -> dict[str, float]:
    return job(cfg)


if __name__ == "__main__":
    run_program(main)
