"""The check of a search before its first trial: every run that it will need can be made."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from hydra.errors import CompactHydraException
from omegaconf import DictConfig, OmegaConf

from autosegloss.errors import InputError, is_whole
from autosegloss.runtime import Devices, close_crews, crew_of
from autosegloss.search import Choice
from autosegloss.search.records import CARD_FILE
from autosegloss.training.outcome import Checked, Failure, Planned

from ._card import theta_card
from ._interrupt import sigterm_as_interrupt
from ._task import Task
from .launcher import in_process, on_this_machine

_WARMUP = "; hydra.sweeper.warmup sets this run"
_FINAL = "; the trainings of candidates have settings of their own, hydra.sweeper.final, which come after yours"
_TABLE = (
    "; the runs of the table have settings of their own, hydra.sweeper.comparison_common, which come after yours; "
    "hydra.sweeper.comparison_seeds=[] leaves the table out"
)


def check(task: Task, around: Mapping[str, DictConfig]) -> Checked:
    """Have a process make the data and the module of every run; a single worker trains in that process later.

    A launcher of a cluster trains on other machines: then no images are read here, and no GPU is looked for.

    Args:
        task: The search.
        around: {folder: configuration} of the runs that are not trials.

    Returns:
        The description of the data.

    Raises:
        InputError: A run cannot be made; the message names it.
        CompactHydraException: The check failed for another reason.
    """
    here = on_this_machine(task.launcher)
    with TemporaryDirectory() as folder:
        card = Path(folder, CARD_FILE)  # in place of the one that the search will find
        theta_card(task, Choice("mu", tuple(task.initial_mean()), 0.0)).save(card)
        configs = {name: _with_card(cfg, task.card_path, card) for name, cfg in {"trials": task.cfg, **around}.items()}
        planned = {name: _planned(name, cfg, here) for name, cfg in configs.items()}
        with sigterm_as_interrupt():
            checked = crew_of(1).check(planned, read=here)
    if not in_process(task.launcher):
        close_crews()
    if isinstance(checked, Failure):
        if checked.kind == "mistake":
            raise InputError(checked.message + _where_set(checked.message, task))
        raise CompactHydraException(f"the check before the search failed: {checked.message}")
    return checked


def _with_card(cfg: DictConfig, found: Path, card: Path) -> DictConfig:
    if OmegaConf.select(cfg, "loss.theta") == str(found):
        cfg = cfg.copy()
        cfg.loss.theta = str(card)
    return cfg


def _where_set(message: str, task: Task) -> str:
    """The setting that makes a run different from a trial, which was found right."""
    settings = {"warmup": _WARMUP, "comparison": _FINAL if task.settings.finalists else _TABLE}
    return settings.get(message.partition(":")[0].partition("/")[0], "")


def _planned(name: str, cfg: DictConfig, here: bool) -> Planned:
    if not here:
        asked = cfg.trainer.get("devices", 1)
        count = asked if is_whole(asked, least=1) else 1
        return Planned(cfg, count, count)
    try:
        devices = Devices.of(cfg.trainer)
    except InputError as error:
        raise InputError(f"{name}: {error}") from error
    return Planned(cfg, devices.count, devices.count if devices.gpu else 1)
