"""The folders of runs and searches: their settings, their scores, the theta cards in their losses."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf

from autosegloss.files import short_path
from autosegloss.search.records import CARD_FILE, STATE_FILE
from autosegloss.theta_card import shipped_cards
from autosegloss.training.outcome import RESULT, Result

_NAMED_GROUPS = ("loss", "data", "network", "metric")


@dataclass(frozen=True)
class Run:
    """The folder of a finished training.

    Args:
        path: the folder.
        choices: the chosen config of each group, as {"loss": "dice"}.
        config: the composed config.
        cards: the theta cards in the loss, in their order; an empty one for a card that cannot be read.
        result: its scores, {metric: score in [0, 1]}, on the validation split and on others.
        written: the time of its result, in seconds since the epoch.
    """

    path: Path
    choices: Mapping[str, str]
    config: DictConfig
    cards: tuple[DictConfig, ...]
    result: Result
    written: float

    @classmethod
    def load(cls, path: Path) -> Run:
        """Read a folder of train.py.

        Raises:
            OSError, ValueError, KeyError, TypeError, AttributeError, YAMLError, OmegaConfBaseException: the folder is
                damaged.
        """
        runtime = _load_config(path / ".hydra/hydra.yaml").hydra.runtime
        config = _load_config(path / ".hydra/config.yaml")
        references = _card_references(OmegaConf.to_container(config.loss, resolve=True))
        cards = tuple(_load_card(_card_path(reference, Path(runtime.cwd), path)) for reference in references)
        written = (path / RESULT).stat().st_mtime
        return cls(path, dict(runtime.choices), config, cards, Result.load(path), written)

    @property
    def scores(self) -> Mapping[str, float]:
        """Those on the validation split."""
        return self.result.scores

    @property
    def seed(self) -> int:
        return self.config.seed

    def __str__(self) -> str:
        details = [f"{group}={self.choices[group]}" for group in _NAMED_GROUPS if group in self.choices]
        if not all(self.cards):
            details.append("its theta card is gone")
        return f"{short_path(self.path)} ({', '.join(details)})"


@dataclass(frozen=True)
class SearchFolder:
    """The folder of a search, finished or not; `config` has the settings of the sweeper under hydra.sweeper."""

    path: Path
    config: DictConfig
    written: float

    @classmethod
    def load(cls, path: Path) -> SearchFolder:
        """Read a folder of search.py; raises OSError, ValueError, KeyError or TypeError if its state is damaged."""
        state = path / STATE_FILE
        return cls(path, OmegaConf.create(json.loads(state.read_text())["config"]), state.stat().st_mtime)

    @property
    def seed(self) -> int:
        return self.config.seed

    def __str__(self) -> str:
        return str(short_path(self.path))


def _load_config(path: Path) -> DictConfig:
    config = OmegaConf.load(path)
    if not isinstance(config, DictConfig):
        raise TypeError(f"expected keys and values in {path.name}, got a list")
    return config


def _card_references(loss: Any) -> Iterator[str]:
    """The names or paths of the theta cards in the plain config of a loss, in their order."""
    if isinstance(loss, Mapping) and isinstance(loss.get("theta"), str):
        yield loss["theta"]
    elif isinstance(loss, Mapping | list):
        for part in loss.values() if isinstance(loss, Mapping) else loss:
            yield from _card_references(part)


def _card_path(reference: str, cwd: Path, run: Path) -> Path:
    """The file of a card; if the search around the run was moved, its card is in the new folder."""
    path = shipped_cards().get(reference, cwd / reference)
    if path.name != CARD_FILE or path.exists():
        return path
    searches = (folder for folder in run.absolute().parents if (folder / STATE_FILE).exists())
    return next((folder / CARD_FILE for folder in searches), path)


def _load_card(path: Path) -> DictConfig:
    """A theta card with the additional key `found_on`, the name of the data of its search; {} if it is unreadable."""
    try:
        card = yaml.safe_load(path.read_text())
        data = card["provenance"]["data"]
        found_on = data if isinstance(data, str) else data["source"]["_target_"].rpartition(".")[2]
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError):
        return OmegaConf.create({})
    named = {key: {"name": card[key]} for key in ("metric", "curve") if isinstance(card.get(key), str)}
    return OmegaConf.create({**card, **named, "found_on": found_on})
