"""What earlier searches have found, as losses that a new search begins with."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from hydra.utils import instantiate
from omegaconf import OmegaConf

from autosegloss.curves import CurveFamily
from autosegloss.errors import InputError
from autosegloss.files import short_path, write_whole
from autosegloss.formulas import Formula
from autosegloss.search import Candidate, History
from autosegloss.search.records import PRIOR_FILE, STATE_FILE
from autosegloss.search.trials import FlatTheta
from autosegloss.theta_card import ThetaCard, shipped_cards

from ._overrides import theta_override

CARDS = "cards"  # those that ship, of all metrics with the same operations
BEST = 2  # thetas of a search
LEVEL = 3  # of simplicity: as a card


class Known(NamedTuple):
    """A theta (D,) that was found earlier, its scale, and the name of its loss."""

    name: str
    theta: FlatTheta
    scale: float


def prior_candidates(setting: Any, directory: Path, metric: Formula, curve: CurveFamily) -> list[Candidate]:
    """The losses of earlier searches, best first of each; of a search that has begun, those that it began with.

    Args:
        setting: A folder of an earlier search, "cards", or a list of these; None: none.
        directory: Of the search.
        metric: Its metric.
        curve: Its curves.

    Raises:
        InputError: A folder holds no search, or one with other operations or curves.
    """
    path = directory / PRIOR_FILE
    if path.exists() and (directory / STATE_FILE).exists():
        known = [Known(each["name"], tuple(each["theta"]), each["scale"]) for each in json.loads(path.read_text())]
    else:
        known = list(_known(setting, metric, curve))
    return [
        Candidate(each.name, ("loss=surrogate", theta_override(each.theta)), each.scale, theta=each.theta, level=LEVEL)
        for each in known
    ]


def save_prior(directory: Path, candidates: Sequence[Candidate]) -> None:
    """Write down with what the search begins, whatever becomes of the earlier ones."""
    records = [{name: asdict(each)[name] for name in Known._fields} for each in candidates]
    if records:
        write_whole(directory / PRIOR_FILE, json.dumps(records, indent=1))


def fitting_theta(card: ThetaCard, metric: Formula, curve: CurveFamily) -> FlatTheta:
    """The theta (D,) of a card as one of this metric and curve; () if it is none."""
    rows = [card.theta.get(name) for name in metric.operations]
    if card.curve != curve or len(card.theta) != len(rows) or any(row is None or len(row) > 1 for row in rows):
        return ()
    return tuple(number for row in rows if row is not None for number in row[0].tolist())


def _known(setting: Any, metric: Formula, curve: CurveFamily) -> Iterator[Known]:
    count = 0
    for source in [setting] if isinstance(setting, str) else setting or []:
        if source == CARDS:
            cards = {name: ThetaCard.load(name) for name in shipped_cards() if name != metric.name}
            fitting = {name: (fitting_theta(card, metric, curve), card.scale) for name, card in cards.items()}
            yield from (Known(f"card of {name}", theta, scale) for name, (theta, scale) in fitting.items() if theta)
            continue
        for theta, scale in _found(Path(str(source)), metric, curve):
            count += 1
            yield Known(f"prior {count}", theta, scale)


def _found(folder: Path, metric: Formula, curve: CurveFamily) -> list[tuple[FlatTheta, float]]:
    """The best thetas of a search with their scales, the longest trained first."""
    if folder.is_file():
        raise InputError(
            f"prior={folder}: a card cannot be a prior; give the folder of its search, or the word {CARDS}"
        )
    try:
        config = OmegaConf.create(json.loads((folder / STATE_FILE).read_text())["config"])
        operations, curves = instantiate(config.metric).operations, instantiate(config.curve)
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = " ".join(str(getattr(error, "strerror", None) or error).split())[:120]
        raise InputError(
            f"prior={folder}: no search can be read there ({reason}): give folders of "
            f"search.py, {CARDS}, or several of these in brackets, as prior=[FOLDER,{CARDS}]"
        ) from None
    if (operations, curves) != (metric.operations, curve):
        raise InputError(
            f"prior={folder}: its thetas bend {', '.join(operations)} by the curve {curves}, those of "
            f"{metric.name} bend {', '.join(metric.operations)} by the curve {curve}: choose another search"
        )
    scored = [trial for trial in History(folder).trials if trial.score is not None and trial.theta]
    ranked = sorted(scored, key=lambda trial: (trial.pause_at is None, trial.pause_at or 0, trial.score), reverse=True)
    found = list(dict.fromkeys((trial.theta, trial.scale) for trial in ranked))[:BEST]
    if not found:
        raise InputError(f"prior={short_path(folder)}: no trial of this search has a score: choose another search")
    return found
