"""The folder of a run, put to use: its settings, its data, and its network with the weights that it has learnt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
import yaml
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf, open_dict
from torch import Tensor, nn

from autosegloss.errors import InputError
from autosegloss.tasks import Task
from autosegloss.tasks.multiclass import Multiclass
from autosegloss.training.auxiliary import without_auxiliary
from autosegloss.training.outcome import DATA, WEIGHTS
from autosegloss.training.run import make_network
from autosegloss.training.task import task_of
from autosegloss.training.weights import load_exactly, read_state

if TYPE_CHECKING:
    from autosegloss.data.datamodule import SegmentationData

_PREFIX = "network."  # of the weights in a checkpoint of Lightning, which holds those of the loss, too


@dataclass(frozen=True)
class TrainedRun:
    """A run that has left weights.

    Args:
        folder: of train.py, or of a comparison in the folder of a search.
        weights: its weights.pt, or a checkpoint.
        config: the composed settings.

    Example::

        run = TrainedRun.of("outputs/train/2026-01-31_12-00-00")
        data = run.data()
        network = run.network(data.num_classes, data.source.channels)
    """

    folder: Path
    weights: Path
    config: DictConfig

    @classmethod
    def of(cls, path: str | Path) -> TrainedRun:
        """Read the folder of a run, or a checkpoint in or below it.

        Raises:
            InputError: there is no such run, it has no weights, or its settings cannot be read.
        """
        path = Path(path).expanduser()
        if not path.exists():
            raise InputError(f"there is no run {path}: give the folder of a training, or a file of weights in it")
        around = (path, *path.absolute().parents) if path.is_file() else (path,)
        folder = next((each for each in around if (each / ".hydra/config.yaml").is_file()), None)
        if folder is None:
            where = "in no folder of a run" if path.is_file() else "no run"
            raise InputError(f"{path} is {where}: expected a folder of train.py, which holds .hydra/config.yaml")
        weights = path if path.is_file() else path / WEIGHTS
        if not weights.is_file():
            raise InputError(f"{path} has no {WEIGHTS}: train it with save_weights=true, or give a checkpoint of it")
        return cls(folder, weights, _config(folder))

    def data(self) -> SegmentationData:
        """The data of the run; their files are looked for when they are needed."""
        return instantiate(self.config.data)

    @property
    def task(self) -> Task:
        """What the logits of the network mean."""
        return task_of(self.config)

    def with_threshold(self, threshold: str) -> TrainedRun:
        """The run with another threshold, as it was typed.

        Raises:
            InputError: its task has no threshold, or it is no number in (0, 1).
        """
        config = self.config.copy()
        with open_dict(config):
            config.threshold = yaml.safe_load(threshold)
        task_of(config)
        return replace(self, config=config)

    def network(self, num_classes: int, bands: int) -> nn.Module:
        """The network, ready to predict: images (N, bands, H, W) -> logits (N, C, H, W).

        C is the number of classes of the data, `num_classes`, and 1 for the foreground of a binary task.

        Raises:
            InputError: the weights cannot be read, or are those of another network.
        """
        config = self.config.copy()
        config.auxiliary = None  # of trainings alone
        for source in ("encoder_weights", "weights"):
            if OmegaConf.select(config, f"network.{source}") is not None:
                config.network[source] = None  # nothing to fetch or to read: all weights follow
        network = make_network(config, self.task.channels(num_classes), bands)
        name = f"{self.weights} of {self.folder}, with {num_classes} classes and {bands} bands,"
        load_exactly(network, without_auxiliary(_state(self.weights)), name)
        return network.eval().to(memory_format=torch.channels_last)

    def classes(self) -> tuple[str, ...]:
        """The names of the classes, as the run has recorded them, or else from its data."""
        try:
            return tuple(yaml.safe_load((self.folder / DATA).read_text(encoding="utf-8"))["classes"])
        except (OSError, ValueError, TypeError, KeyError, yaml.YAMLError):
            return self.data().class_names


def _config(folder: Path) -> DictConfig:
    """The settings of a run; a relative data.root is looked for where the run was started, too."""
    try:
        config = OmegaConf.load(folder / ".hydra/config.yaml")
        assert isinstance(config, DictConfig)
        config.setdefault("task", Multiclass.name)  # of an earlier version; other data may refer to it
        root = OmegaConf.select(config, "data.root")
        if isinstance(root, str) and not Path(root).expanduser().exists():
            runtime = yaml.safe_load((folder / ".hydra/hydra.yaml").read_text(encoding="utf-8"))["hydra"]["runtime"]
            config.data.root = str(Path(runtime["cwd"], root))
    except (OSError, ValueError, TypeError, KeyError, AssertionError, yaml.YAMLError) as error:
        raise InputError(f"the settings in {folder}/.hydra cannot be read: {' '.join(str(error).split())}") from error
    return config


def _state(path: Path) -> Mapping[str, Tensor]:
    """The weights of the network in a weights.pt, or in a checkpoint of Lightning."""
    state = read_state(str(path), "weights")
    if path.suffix != ".ckpt":
        return state
    return {name.removeprefix(_PREFIX): part for name, part in state.items() if name.startswith(_PREFIX)}
