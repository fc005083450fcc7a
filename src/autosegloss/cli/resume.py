"""The command line of `train resume=DIR`: what the training, or the grid of trainings, in DIR was started with."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from autosegloss.cli.overrides import argument, key_of, quoted
from autosegloss.errors import InputError
from autosegloss.files import short_path
from autosegloss.training.outcome import RESULT, Result
from autosegloss.training.resuming import check_same, comparable

_RUN, _GRID, _SEARCH = Path(".hydra/hydra.yaml"), Path("multirun.yaml"), Path("state.json")
_CONFIG = Path(".hydra/config.yaml")
_PLACES = {"hydra.run.dir", "hydra.sweep.dir", "hydra.sweep.subdir", "hydra.output_subdir", "hydra.mode"}


def resume_command(program: str, folder: Path) -> str:
    """The command that goes on with the training or the search in `folder`."""
    return shlex.join([*program_command(program), argument("resume", short_path(folder))])


def program_command(program: str) -> list[str]:
    """How `train` or `search` is started here: by the console program, or by the file of a checkout."""
    return ["autosegloss", program] if Path(sys.argv[0]).name == "autosegloss" else ["python", f"{program}.py"]


def started_with(arguments: Sequence[str]) -> list[str]:
    """The arguments of `train`; with resume=DIR among them, those that DIR was started with come before the others.

    Raises InputError if there is no training in DIR.
    """
    typed = [a for a in arguments if key_of(a) == "resume" and "=" in a]
    if not typed:
        return list(arguments)
    folder = _folder(typed[-1])
    grid = (folder / _GRID).exists()
    hydra = _hydra(folder, folder / (_GRID if grid else _RUN))
    given = {key_of(a): a for a in arguments if "=" in a and not a.startswith("-")}
    options = [a for a in arguments if a not in given.values()]
    started = {key_of(a): a for a in (*hydra.overrides.hydra, *hydra.overrides.task)}
    merged = {key: a for key, a in {**started, **given}.items() if key not in _PLACES}
    place = "sweep" if grid else "run"
    where = [f"hydra.{place}.dir={quoted(folder)}", "hydra.mode=MULTIRUN" if grid else "hydra.output_subdir=null"]
    return [*_sources(hydra, options), *options, *merged.values(), *where]


def going_on(cfg: DictConfig, folder: Path) -> DictConfig:
    """The configuration of a run in `folder` that goes on where cfg.resume is set.

    Raises InputError if the run was started with another configuration.
    """
    if OmegaConf.is_missing(cfg, "resume") or not OmegaConf.select(cfg, "resume"):
        return cfg
    if (folder / _CONFIG).exists():
        started = OmegaConf.load(folder / _CONFIG)
        assert isinstance(started, DictConfig)  # Hydra writes a mapping
        check_same(comparable(started, resolve=False), comparable(cfg, resolve=False), folder)
    resumed = cfg.copy()
    OmegaConf.update(resumed, "checkpoint.resume", True)
    return resumed


def finished(cfg: DictConfig, folder: Path) -> Result | None:
    """The result of a run that goes on but has ended already, with all that it was to save."""
    if not OmegaConf.select(cfg, "checkpoint.resume") or not (folder / RESULT).exists():
        return None
    try:
        result = Result.load(folder)
    except (OSError, ValueError, TypeError):  # damaged: it is made again
        return None
    return None if result.unsaved else result


def _folder(typed: str) -> Path:
    """The folder that resume=DIR names."""
    (override,) = OverridesParser.create().parse_overrides([typed])
    value = override.value()
    if value in (None, "") or override.is_sweep_override():
        raise InputError(f"resume must name the folder of a training, got {typed!r}")
    return Path(str(value))


def _hydra(folder: Path, path: Path) -> Any:
    """What Hydra has noted about the start of a run or a grid."""
    if (folder / _SEARCH).exists():
        raise InputError(f"resume={folder}: a search is in this folder: {resume_command('search', folder)}")
    try:
        hydra = OmegaConf.load(path).hydra
        if hydra.job.config_name == "search":
            raise InputError(f"resume={folder}: this is a run of a search: resume the search")
        return hydra
    except FileNotFoundError:
        raise InputError(f"resume={folder}: there is no training in this folder (no {_RUN} or {_GRID})") from None
    except (OSError, ValueError, OmegaConfBaseException, HydraException) as error:
        raise InputError(f"resume={folder}: {path.name} cannot be read ({error}): restore it or start anew") from None


def _sources(hydra: Any, options: Sequence[str]) -> list[str]:
    """The options that name the configuration that the run was started with, unless they are given now."""
    kept = []
    if not any(option.startswith(("--config-dir", "-cd")) for option in options):
        kept += [
            f"--config-dir={source.path}"
            for source in hydra.runtime.config_sources
            if source.provider == "command-line"
        ]
    if not any(option.startswith(("--config-name", "-cn")) for option in options) and hydra.job.config_name:
        kept.append(f"--config-name={hydra.job.config_name}")
    return kept
