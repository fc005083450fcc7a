"""What a search works on: its settings, the configuration of its trials, its metric and curve, all validated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from hydra.plugins.launcher import Launcher
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from autosegloss import theta as thetas
from autosegloss.curves import CurveFamily
from autosegloss.errors import InputError
from autosegloss.formulas import PAPER, Formula, resolve
from autosegloss.ranking import guard_of
from autosegloss.ranking.guards import Guard
from autosegloss.search import Candidate
from autosegloss.search.optuna_journal import check_optuna
from autosegloss.search.records import CARD_FILE

from ._candidates import given_candidates
from ._comparison import Comparison
from ._prior import prior_candidates
from .config import SweeperConf

OPTUNA = "optuna"  # of `export`


@dataclass(frozen=True)
class Task:
    """A search to do: T = `steps` steps of M = `samples` trials with the configuration `cfg`.

    `arguments` are the user's overrides, which every run starts with; all files go to `directory`.
    """

    settings: SweeperConf
    steps: int
    samples: int
    launcher: Launcher
    cfg: DictConfig
    arguments: Sequence[str]
    directory: Path
    metric: Formula
    curve: CurveFamily
    guard: Guard

    @classmethod
    def of(
        cls, settings: SweeperConf, launcher: Launcher, cfg: DictConfig, arguments: Sequence[str], directory: Path
    ) -> Task:
        """Validate the settings and make the metric and the curve.

        Raises:
            InputError: A setting is out of range, or nothing in the configuration depends on theta.
        """
        metric, curve = instantiate(cfg.metric), instantiate(cfg.curve)
        if not thetas.size(metric, curve):
            raise InputError(f"curve '{curve.name}' has no parameters to search: choose another, e.g. curve=bezier")
        if not _depends_on_theta(cfg):
            raise InputError("the loss does not depend on theta: a search trains with loss=surrogate")
        steps, samples = _at_least("steps", settings.steps, 1), _at_least("samples", settings.samples, 1)
        _check(settings)
        _check_sooner(settings, cfg.trainer.max_steps)
        _check_export(cfg.export)
        given = plain(cfg.guard) if isinstance(cfg.guard, DictConfig) else cfg.guard
        guard = guard_of(given, metric.name, measured_by(metric))
        return cls(settings, steps, samples, launcher, cfg, arguments, directory, metric, curve, guard)

    @property
    def card_path(self) -> Path:
        """The file of the theta card that the search ends with."""
        return self.directory / CARD_FILE

    @property
    def comparison(self) -> Comparison:
        """The runs that compare the found loss with others."""
        return Comparison(self.settings, self.card_path, self.metric.name)

    def initial_mean(self) -> list[float]:
        """mu_0 (D,), the theta of the identity curves."""
        return thetas.identity(self.metric, self.curve).tolist()

    @property
    def measured(self) -> dict[str, Formula]:
        """The metrics that every run is judged by."""
        return measured_by(self.metric)

    @cached_property
    def prior(self) -> list[Candidate]:
        """The losses that earlier searches have found."""
        given = plain(self.cfg.prior) if OmegaConf.is_config(self.cfg.prior) else self.cfg.prior
        return prior_candidates(given, self.directory, self.metric, self.curve)

    @property
    def candidates(self) -> list[Candidate]:
        """The known losses that may be recommended, the simplest first."""
        identity = tuple(self.initial_mean())
        return [*given_candidates(self.settings, self.metric.name, identity), *self.prior]


def measured_by(target: Formula) -> dict[str, Formula]:
    """The six metrics of the paper, and the target with its options, by name."""
    return {**{name: resolve(name) for name in PAPER}, target.name: target}


def plain(cfg: DictConfig, resolve: bool = True) -> dict[str, Any]:
    """A configuration as plain Python containers."""
    container: Any = OmegaConf.to_container(
        cfg, resolve=resolve
    )  # typed as any container; of a DictConfig it is a dict
    return container


def _check(settings: SweeperConf) -> None:
    _at_least("finalists", settings.finalists, 0)
    _at_least("final_seeds", settings.final_seeds, 1)
    _at_least("max_retries", settings.max_retries, 0)
    for name in ("trial_timeout", "max_batch_size"):
        value = getattr(settings, name)
        if value is not None and value <= 0:
            raise InputError(f"hydra.sweeper.{name} must be above 0, or null, got {value}")
    if not 0 < settings.min_finished <= 1:
        raise InputError(f"hydra.sweeper.min_finished must be above 0 and at most 1, got {settings.min_finished}")


def _check_sooner(settings: SweeperConf, whole: int) -> None:
    if settings.sooner is None:
        return
    if not settings.finalists:
        raise InputError(
            "hydra.sweeper.sooner: expected null with hydra.sweeper.finalists=0: its budget is for finalists"
        )
    if not 0 < settings.sooner < whole:
        raise InputError(
            f"hydra.sweeper.sooner: expected training steps from 1 to {whole - 1}, less than trainer.max_steps={whole}"
            f", or null, got {settings.sooner}"
        )


def _check_export(name: Any) -> None:
    if name not in (None, OPTUNA):
        raise InputError(f"export must be {OPTUNA}, or null, got {name!r}")
    if name == OPTUNA:
        check_optuna()


def _at_least(name: str, value: int | None, least: int) -> int:
    if value is None or value < least:
        raise InputError(f"hydra.sweeper.{name} must be {least} or more, got {value}")
    return value


def _depends_on_theta(cfg: DictConfig) -> bool:
    losses = []
    for theta in ([0.0], [1.0]):
        other = cfg.copy()
        other.theta = theta
        losses.append(plain(other.loss))
    return losses[0] != losses[1]
