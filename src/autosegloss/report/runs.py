"""What trainings and searches have left on the disk: their settings, their scores, the theta cards they used."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from autosegloss.errors import InputError
from autosegloss.theta_card import shipped_cards
from autosegloss.training.outcome import RESULT, Result

_STATE, _CARD = "state.json", "theta.yaml"  # of a search
_DAMAGES = (OSError, ValueError, KeyError, TypeError, AttributeError, yaml.YAMLError, OmegaConfBaseException)
_SHOWN = ("loss", "data", "network", "metric")


@dataclass(frozen=True)
class Run:
    """One finished training: `choices` by group, `config`, the theta cards in its loss ({} for one that is gone),
    scores in [0, 1] on the validation split, and the time its result was written."""

    path: Path
    choices: Mapping[str, str]
    config: DictConfig
    cards: tuple[Mapping[str, Any], ...]
    scores: Mapping[str, float]
    written: float

    @classmethod
    def load(cls, path: Path) -> Run:
        """Raises an error of the disk, of the formats, or of OmegaConf where the folder is damaged."""
        hydra = OmegaConf.load(path / ".hydra/hydra.yaml").hydra.runtime
        config = OmegaConf.load(path / ".hydra/config.yaml")
        thetas = _thetas(OmegaConf.to_container(config.loss, resolve=True))
        cards = tuple(_card(_whereabouts(theta, Path(hydra.cwd), path)) for theta in thetas)
        written = (path / RESULT).stat().st_mtime
        return cls(path, dict(hydra.choices), config, cards, Result.load(path).scores, written)

    @property
    def seed(self) -> int:
        return self.config.seed

    def __str__(self) -> str:
        what = [f"{group}={self.choices[group]}" for group in _SHOWN if group in self.choices]
        gone = ["its theta card is gone"] if {} in self.cards else []
        return f"{shown(self.path)} ({', '.join(what + gone)})"


@dataclass(frozen=True)
class Search:
    """A search, finished or not: its config with that of the sweeper under hydra.sweeper."""

    path: Path
    config: DictConfig

    @classmethod
    def load(cls, path: Path) -> Search:
        """Raises OSError, ValueError, KeyError or TypeError where state.json is damaged."""
        return cls(path, OmegaConf.create(json.loads((path / _STATE).read_text())["config"]))

    @property
    def seed(self) -> int:
        return self.config.seed

    @property
    def written(self) -> float:
        return (self.path / _STATE).stat().st_mtime

    def __str__(self) -> str:
        return shown(self.path)


@dataclass
class Archive:
    """All runs and searches below `folders`; what has no result yet, and what cannot be read."""

    runs: list[Run] = field(default_factory=list)
    searches: list[Search] = field(default_factory=list)
    unfinished: list[Path] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    folders: list[Path] = field(default_factory=list)

    @classmethod
    def of(cls, folders: Iterable[Path]) -> Archive:
        """Of runs of train.py, multiruns, searches, or folders of these; raises InputError for one that is missing."""
        archive, found = cls(), {}
        for folder in folders:
            archive.folders.append(folder)
            if not folder.is_dir():
                raise InputError(f"there is no folder {folder}: give folders of train.py or search.py, or above these")
            for path in _leaves(folder):
                found.setdefault(path.resolve(), path)
        for path in found.values():
            archive._add(path)
        return archive

    def _add(self, path: Path) -> None:
        kind, known = (Search, self.searches) if (path / _STATE).exists() else (Run, self.runs)
        if not (path / (_CARD if kind is Search else RESULT)).exists():
            self.unfinished.append(path)
            if kind is Run:
                return
        try:
            known.append(kind.load(path))
        except _DAMAGES as error:
            self.unreadable.append(f"{shown(path)} ({type(error).__name__}: {' '.join(str(error).split())[:120]})")


def deviations(expected: Mapping[str, Any], actual: DictConfig | Mapping[str, Any]) -> list[str]:
    """Which values at dotted keys a config has otherwise, in words; a key that ends in ? need not be there."""
    config = actual if OmegaConf.is_config(actual) else OmegaConf.create(actual)
    told = []
    for key, wanted in expected.items():
        name = key.removesuffix("?")
        value = _value(config, name, default=wanted if key.endswith("?") else None)
        if value != wanted:
            told.append(f"{name} is {_word(value)}, not {_word(wanted)}")
    return told


def shown(path: Path) -> str:
    """A path as short as it can be read from here."""
    absolute, here = path.absolute(), Path.cwd()
    return str(absolute.relative_to(here) if absolute.is_relative_to(here) else absolute)


def _leaves(folder: Path) -> Iterator[Path]:
    """Folders of a run or a search in or below `folder`; of a search only its comparison, not its trials."""
    if (folder / ".hydra").is_dir():
        yield folder
        return
    search = (folder / _STATE).exists()
    if search:
        yield folder
    for child in sorted((folder / "comparison" if search else folder).glob("*/")):
        yield from _leaves(child)


def _thetas(loss: Any) -> Iterator[str]:
    """The theta cards named in the plain config of a loss, in their order."""
    if isinstance(loss, Mapping) and isinstance(loss.get("theta"), str):
        yield loss["theta"]
    elif isinstance(loss, Mapping | list):
        for part in loss.values() if isinstance(loss, Mapping) else loss:
            yield from _thetas(part)


def _whereabouts(theta: str, cwd: Path, run: Path) -> Path:
    """The file of a card; where it is gone, that of the search around the run, which may have moved."""
    path = shipped_cards().get(theta, cwd / theta)
    around = [folder / _CARD for folder in run.absolute().parents if (folder / _STATE).exists()]
    return around[0] if around and path.name == _CARD and not path.exists() else path


def _card(path: Path) -> dict[str, Any]:
    """A theta card with `found_on`, the name of the data that its search had; {} where there is none."""
    try:
        page = yaml.safe_load(path.read_text())
        data = page["provenance"]["data"]
        found_on = data if isinstance(data, str) else data["source"]["_target_"].rpartition(".")[2]
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError):
        return {}
    named = {key: {"name": page[key]} for key in ("metric", "curve") if isinstance(page.get(key), str)}
    return {**page, **named, "found_on": found_on}


def _value(config: DictConfig, key: str, default: Any) -> Any:
    value = OmegaConf.select(config, key, default=default)
    return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value


def _word(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def newest(items: Sequence[Run] | Sequence[Search]) -> tuple[list, list[str]]:
    """One item a seed, the newest, by seed; and a word on each that was left out."""
    kept: dict[int, Any] = {}
    for item in sorted(items, key=lambda item: item.written):
        kept[item.seed] = item
    older = [item for item in items if item is not kept[item.seed]]
    left_out = [f"{item} is left out: its seed {item.seed} is that of the newer {kept[item.seed]}" for item in older]
    return [kept[seed] for seed in sorted(kept)], left_out
