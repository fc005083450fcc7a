"""What a training that goes on must have in common with its first part, and where its checkpoints lie; light."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from autosegloss.errors import InputError
from autosegloss.files import short_path

CHECKPOINTS = "checkpoints"  # the folder of a run that holds them

# These change no result, and may be others when a training goes on.
FREE = {"resume", "dry_run", "checkpoint", "notes", "save_weights", "trials_per_gpu", "workers", "hydra"}
FREE_TRAINER = {"logger", "enable_progress_bar", "default_root_dir"}
_DEVICES = "devices"  # as many, maybe others


def checkpoint_path(folder: Path, step: int) -> Path:
    """The checkpoint of a step of the run in `folder`."""
    return folder / CHECKPOINTS / f"step_{step}.ckpt"


def checkpoint_paths(folder: Path) -> list[Path]:
    """The checkpoints of the run in `folder`, the newest first."""
    paths = (folder / CHECKPOINTS).glob("step_*.ckpt")
    return sorted(paths, key=lambda path: int(path.stem.partition("_")[2]), reverse=True)


def resumes(cfg: DictConfig) -> bool:
    """Whether the run goes on from a checkpoint in its folder, if there is one."""
    return bool(OmegaConf.select(cfg, "checkpoint.resume"))


def comparable(cfg: DictConfig, resolve: bool) -> dict[str, Any]:
    """The part of a configuration that the result of a training depends on, in plain types."""
    plain = OmegaConf.to_container(cfg, resolve=resolve)
    assert isinstance(plain, dict)  # a DictConfig gives a dict
    kept = {str(key): value for key, value in plain.items() if key not in FREE}
    if isinstance(trainer := kept.get("trainer"), dict):
        kept["trainer"] = {key: value for key, value in trainer.items() if key not in {*FREE_TRAINER, _DEVICES}}
    return kept


def check_same(started: Mapping[str, Any], now: Mapping[str, Any], folder: Path) -> None:
    """Raise InputError if two configurations, as `comparable` gives them, differ."""
    if differing := list(differences(started, now)):
        named = ", ".join(differing[:8]) + (", ..." if len(differing) > 8 else "")
        raise InputError(
            f"{short_path(folder)}: the training was started with another configuration: {named}; leave these out, or "
            "start a new run, which may begin with the weights of this one (init_weights=PATH)"
        )


def differences(old: Any, new: Any, key: str = "") -> Iterator[str]:
    """A phrase for each value that differs; where `_target_` differs, only that, as its options follow from it."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        if old.get("_target_") != new.get("_target_"):
            old, new = ({"_target_": other.get("_target_")} for other in (old, new))
        for name in dict.fromkeys([*old, *new]):
            yield from differences(old.get(name), new.get(name), f"{key}.{name}".lstrip("."))
    elif old != new:
        yield f"{key} was {old!r}, is {new!r}"
