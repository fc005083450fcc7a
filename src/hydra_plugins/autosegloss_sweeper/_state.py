"""The state that a search resumes from, kept in state.json, which is complete at every moment."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from autosegloss.errors import InputError
from autosegloss.files import write_whole
from autosegloss.search import Proposal
from autosegloss.search.records import STATE_FILE
from autosegloss.training.resuming import differences

from ._task import plain

# These may change when a search is resumed: they do not affect its results.
_FREE = {"resume", "dry_run", "checkpoint", "trials_per_gpu", "workers", "export", "hydra"}
_FREE_SETTINGS = {"max_retries", "trial_timeout", "min_finished", "max_batch_size", "owner"}


@dataclass(frozen=True)
class State:
    """A search at the beginning of a step.

    Args:
        overrides: The overrides that the search was started with, as they were typed.
        config: The configuration that its results depend on, see `searched_config`.
        step: Index of the step.
        proposals: The trials of the step; None before they are chosen, [] after the last step.
        procedure: The state of the procedure after it chose them; None before.
        sizes: How many trials each step before has.
    """

    overrides: list[str]
    config: dict[str, Any]
    step: int = 0
    proposals: list[Proposal] | None = None
    procedure: dict[str, Any] | None = None
    sizes: list[int] = field(default_factory=list)

    def at(self, step: int, proposals: Sequence[Proposal], procedure: Mapping[str, Any]) -> State:
        """The state of the same search at the beginning of its first step, or of the one after its own."""
        sizes = [*self.sizes, *([len(self.proposals)] if self.proposals and step > self.step else [])]
        return replace(self, step=step, proposals=list(proposals), procedure=dict(procedure), sizes=sizes)

    def save(self, directory: Path) -> None:
        """Replace state.json in one move; floats round-trip exactly."""
        write_whole(directory / STATE_FILE, json.dumps(asdict(self), indent=1))

    @staticmethod
    def exists(directory: Path) -> bool:
        """Whether `directory` is the folder of a search."""
        return (directory / STATE_FILE).exists()

    @classmethod
    def load(cls, directory: Path) -> State:
        """Read state.json.

        Raises:
            InputError: `directory` is not the folder of a search, or the file is damaged.
        """
        try:
            record = json.loads((directory / STATE_FILE).read_text())
            if record.get("proposals") is not None:
                record["proposals"] = [Proposal.load(proposal) for proposal in record["proposals"]]
            state = cls(**record)
            if not all(isinstance(override, str) for override in state.overrides):
                raise TypeError("the overrides are not text")
            return state
        except (FileNotFoundError, NotADirectoryError):
            raise InputError(f"resume={directory}: there is no search in this folder (no {STATE_FILE})") from None
        except (OSError, ValueError, TypeError, AttributeError, KeyError) as error:
            raise InputError(
                f"resume={directory}: {STATE_FILE} cannot be read ({error}): restore it or start anew"
            ) from None

    def check_same(self, config: Mapping[str, Any], directory: Path) -> None:
        """Compare with the configuration of the resumed search.

        Raises:
            InputError: The two differ in a value that affects the results.
        """
        differing = list(differences(self.config, config))
        if differing:
            named = ", ".join(differing[:8]) + (", ..." if len(differing) > 8 else "")
            raise InputError(
                f"resume={directory}: the search was started with another configuration: {named}; "
                "leave these out, or start a new search"
            )


def searched_config(cfg: DictConfig) -> dict[str, Any]:
    """The part of a configuration that the results of a search depend on, with interpolations as written."""
    config = plain(cfg, resolve=False)
    settings = {name: value for name, value in config["hydra"]["sweeper"].items() if name not in _FREE_SETTINGS}
    return {**{key: value for key, value in config.items() if key not in _FREE}, "hydra": {"sweeper": settings}}
