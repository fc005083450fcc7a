"""Search the loss for a metric: python search.py metric=miou"""

import hydra
from omegaconf import DictConfig

from autosegloss.cli.jobs import program, trial


@hydra.main(version_base="1.3", config_path="conf", config_name="search")
def main(cfg: DictConfig) -> dict[str, float]:
    return trial(cfg)


if __name__ == "__main__":
    program(main)
