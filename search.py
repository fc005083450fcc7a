"""Search the loss for a metric: python search.py metric=miou"""

from typing import Any

import hydra
from omegaconf import DictConfig

from autosegloss.cli.errors import run_program
from autosegloss.cli.jobs import trial


@hydra.main(version_base="1.3", config_path="conf", config_name="search")
def main(cfg: DictConfig) -> dict[str, Any]:
    return trial(cfg)


if __name__ == "__main__":
    run_program(main)
