"""What a search needs to go on after its process was killed: kept on disk, whole at every moment."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from autosegloss.errors import InputError
from autosegloss.files import write_whole

FILE = "state.json"
# What may differ when a search goes on: it changes no result.
_FREE = {"resume", "dry_run", "trials_per_gpu", "hydra"}
_FREE_SETTINGS = {"max_retries", "trial_timeout", "min_finished", "max_batch_size", "owner"}


@dataclass(frozen=True)
class State:
    """A search at the beginning of a step: what it was started with, and what the step will train with.

    thetas (M, D) are those of step `step`, [] after the last; `strategy` is its state once they were drawn.
    """

    overrides: list[str]
    config: dict[str, Any]
    step: int = 0
    thetas: list[list[float]] | None = None
    strategy: dict[str, Any] | None = None

    def at(self, step: int, thetas: Sequence[Sequence[float]], strategy: Mapping[str, Any]) -> State:
        """The same search at the beginning of another step."""
        return replace(self, step=step, thetas=[list(theta) for theta in thetas], strategy=dict(strategy))

    def save(self, directory: Path) -> None:
        """Write state.json whole or not at all; floats round-trip exactly."""
        write_whole(directory / FILE, json.dumps(asdict(self), indent=1))

    @staticmethod
    def exists(directory: Path) -> bool:
        """Whether `directory` holds a search."""
        return (directory / FILE).exists()

    @classmethod
    def load(cls, directory: Path) -> State:
        """Raises InputError where `directory` holds no search."""
        try:
            state = cls(**json.loads((directory / FILE).read_text()))
            if not all(isinstance(override, str) for override in state.overrides):
                raise TypeError("the overrides are no texts")
            return state
        except (FileNotFoundError, NotADirectoryError):
            raise InputError(f"resume={directory}: there is no search in this folder (no {FILE})") from None
        except (OSError, ValueError, TypeError) as error:
            raise InputError(f"resume={directory}: {FILE} cannot be read ({error}): restore it or start anew") from None

    def check_same(self, config: Mapping[str, Any], directory: Path) -> None:
        """Raises InputError where a resumed search would not be the one that was started."""
        differing = list(_differences(self.config, config))
        if differing:
            shown = ", ".join(differing[:8]) + (", ..." if len(differing) > 8 else "")
            raise InputError(
                f"resume={directory}: the search was started with another configuration: {shown}; "
                "leave these out, or start a new search"
            )


def searched_config(cfg: DictConfig) -> dict[str, Any]:
    """All that the results of a search depend on, in plain types, with interpolations as they are written."""
    plain = OmegaConf.to_container(cfg, resolve=False)
    settings = {name: value for name, value in plain["hydra"]["sweeper"].items() if name not in _FREE_SETTINGS}
    return {**{key: value for key, value in plain.items() if key not in _FREE}, "hydra": {"sweeper": settings}}


def _differences(old: Any, new: Any, key: str = "") -> Iterator[str]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        if old.get("_target_") != new.get("_target_"):  # whose options follow from that
            old, new = ({"_target_": other.get("_target_")} for other in (old, new))
        for name in dict.fromkeys([*old, *new]):
            yield from _differences(old.get(name), new.get(name), f"{key}.{name}".lstrip("."))
    elif old != new:
        yield f"{key} was {old!r}, is {new!r}"
