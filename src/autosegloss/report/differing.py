"""Names of runs by what differs in their settings, and runs of one name as rows of a table."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Any

from omegaconf import DictConfig, OmegaConf

from autosegloss.report.runs import Run
from autosegloss.training.resuming import FREE, FREE_TRAINER

_SHOWN = 24  # characters of a value in a name
# What says nothing about the training: its seed, its place, and how it is shown.
_SHOWS = ("logger", "callbacks")  # groups
_ASIDE = (
    "seed",
    "test",
    *FREE,
    *(f"trainer.{key}" for key in FREE_TRAINER),
    "trainer.log_every_n_steps",
    "callbacks.pictures",
)


def runs_by_name(runs: Sequence[Run]) -> dict[str, list[Run]]:
    """Runs that differ in nothing but their seed, together, by a name that tells them from the others.

    Of a run that was repeated with the same seed the newest counts.

    A name has the choices of groups that differ, as "dice data=camvid", and the settings that differ beside these, as
    "optimizer.lr=0.1".
    """
    groups = _differing([run.choices for run in runs])
    groups = [group for group in groups if "/" not in group and group not in _SHOWS]
    groups.sort(key=lambda group: group != "loss")
    written = [dict(_flat(OmegaConf.to_container(run.config), ())) for run in runs]
    settings = [_resolved(run.config, own) for run, own in zip(runs, written, strict=True)]
    differ = set(_differing(settings))  # what only refers to another setting that differs is written the same
    keys = [key for key in _differing(written) if key in differ and not _is_aside(key)]
    told = [key for key in keys if not _follows(key, groups, runs, settings)]
    rows: dict[str, dict[int, Run]] = {}
    for run, own in sorted(zip(runs, settings, strict=True), key=lambda pair: pair[0].written):
        parts = [_choice(group, run.choices.get(group, "none")) for group in groups]
        parts += [f"{key}={_short(own.get(key))}" for key in told]
        rows.setdefault(" ".join(parts) or run.choices.get("loss", "run"), {})[run.seed] = run
    return {name: [same[seed] for seed in sorted(same)] for name, same in rows.items()}


def _choice(group: str, choice: str) -> str:
    """A choice in a name; that of a loss stands by itself."""
    return choice if group == "loss" else f"{group}={choice}"


def _differing(mappings: Sequence[Mapping[str, Any]]) -> list[str]:
    """The keys whose values are not the same in all mappings."""
    keys = dict.fromkeys(key for mapping in mappings for key in mapping)
    return [key for key in keys if len({json.dumps(mapping.get(key), default=str) for mapping in mappings}) > 1]


def _flat(value: Any, path: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    """(dotted key, value) of every value in nested mappings; a list is one value."""
    if isinstance(value, Mapping):
        for key, part in value.items():
            yield from _flat(part, (*path, str(key)))
    else:
        yield ".".join(path), value


def _resolved(config: DictConfig, written: Mapping[str, Any]) -> dict[str, Any]:
    """The values that are meant where others are referred to; a reference that leads nowhere now stays as it is."""
    return {
        key: OmegaConf.select(config, key, default=value, throw_on_resolution_failure=False)
        if isinstance(value, str) and "${" in value
        else value
        for key, value in written.items()
    }


def _is_aside(key: str) -> bool:
    return any(key == each or key.startswith(f"{each}.") for each in _ASIDE)


def _follows(key: str, groups: Sequence[str], runs: Sequence[Run], settings: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a value follows from the chosen configs: runs of the same choices have the same value."""
    values: dict[tuple[str, ...], set[str]] = {}
    for run, own in zip(runs, settings, strict=True):
        chosen = tuple(run.choices.get(group, "") for group in groups)
        values.setdefault(chosen, set()).add(json.dumps(own.get(key), default=str))
    return all(len(found) == 1 for found in values.values())


def _short(value: Any) -> str:
    """A value in a name: of a path its end, of a long text its beginning."""
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    if "/" in text:
        text = "/".join(PurePath(text).parts[-2:])
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."
