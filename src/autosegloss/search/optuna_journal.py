"""The trials of a search as a journal of Optuna, which its dashboard opens: optuna-dashboard optuna.log"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from autosegloss.errors import not_installed
from autosegloss.files import whole_file
from autosegloss.search.trials import Trial

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

JOURNAL = "optuna.log"  # in the folder of a search


def check_optuna() -> None:
    """Raise InputError if Optuna is not installed."""
    if find_spec("optuna") is None:
        raise not_installed("export=optuna", "optuna", extra="optuna")


def write_journal(trials: Sequence[Trial], folder: Path, study: str) -> None:
    """Write optuna.log: a study that maximises, with a trial for each of `trials`.

    Args:
        trials: Of a search. The numbers of theta are the parameters theta_0, theta_1, ..., beside the scale; the name
            of the loss, its phase and all scores are attributes.
        folder: Of the search.
        study: The name of the study.

    Raises:
        InputError: Optuna is not installed.
        OSError: The disk is full.
    """
    check_optuna()
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with whole_file(folder / JOURNAL) as draft, warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(draft)))
        written = optuna.create_study(storage=storage, study_name=study, direction="maximize")
        numbers = [0.0, 1.0, *(number for trial in trials for number in trial.theta)]  # of some curves any
        for trial in trials:
            written.add_trial(_frozen(trial, min(numbers), max(numbers)))


def _frozen(trial: Trial, low: float, high: float) -> FrozenTrial:
    """A trial as Optuna keeps it, whose theta lies between two numbers."""
    from optuna.distributions import BaseDistribution, FloatDistribution
    from optuna.trial import TrialState, create_trial

    theta = {f"theta_{index}": number for index, number in enumerate(trial.theta)}
    ranges: dict[str, BaseDistribution] = {name: FloatDistribution(low, high) for name in theta}
    return create_trial(
        state=TrialState.FAIL if trial.score is None else TrialState.COMPLETE,
        value=trial.score,
        params={**theta, "scale": trial.scale},
        distributions={**ranges, "scale": FloatDistribution(1e-6, 1e6, log=True)},
        user_attrs=_attributes(trial),
    )


def _attributes(trial: Trial) -> dict[str, object]:
    own = {name: getattr(trial, name) for name in ("name", "phase", "step", "index", "pause_at", "status", "seconds")}
    return {**own, **trial.scores}
