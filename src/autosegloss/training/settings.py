"""The settings of a run that are checked before anything is made; light to import."""

from __future__ import annotations

from omegaconf import DictConfig, OmegaConf

from autosegloss.errors import InputError, is_whole
from autosegloss.training.keys import check_keys


def check_settings(cfg: DictConfig) -> None:
    """Raise InputError for a key that nothing reads, a count in `cfg` that is not a whole number or too small, and a
    Trainer that cannot be used so.
    """
    check_keys(cfg)
    ones = (
        "threads",
        "trials_per_gpu",
        "trainer.max_steps",
        "validate_every",
        "trainer.accumulate_grad_batches",
        "early_stopping",
    )
    zeros = ("seed", "trainer.log_every_n_steps", "checkpoint.keep_best")
    for key, least in {**dict.fromkeys(zeros, 0), **dict.fromkeys(ones, 1)}.items():
        value = OmegaConf.select(cfg, key)
        if value is not None and not is_whole(value, least):
            raise InputError(f"{key} must be a whole number of {least} or more, got {value!r}")
    for key in ("compile", "test", "notes", "save_weights", "checkpoint.resume"):
        if (value := OmegaConf.select(cfg, key)) is not None and not isinstance(value, bool):
            raise InputError(f"{key} must be true or false, got {value!r}")
    epochs = OmegaConf.select(cfg, "trainer.max_epochs")
    if epochs not in (None, -1) and not is_whole(epochs, least=1):
        raise InputError(f"trainer.max_epochs must be a whole number of 1 or more, or null for steps, got {epochs!r}")
    _check_amounts(cfg)
    interval = OmegaConf.select(cfg, "trainer.val_check_interval")
    if interval is not None and interval != OmegaConf.select(cfg, "validate_every"):
        raise InputError(
            f"trainer.val_check_interval={interval} counts batches: set validate_every=STEPS, which it follows"
        )


def check_validations(cfg: DictConfig) -> None:
    """Raise InputError if a setting needs validations between the steps of `cfg` and there are none.

    Args:
        cfg: trainer.max_steps is the length of the training, -1 for no end.
    """
    every, steps = cfg.get("validate_every"), cfg.trainer.get("max_steps")
    if every is None or steps is None or not 0 < steps <= every:
        return
    if cfg.get("early_stopping") is not None:
        raise InputError(
            f"early_stopping counts validations between steps, here are none: set validate_every=STEPS lower than the "
            f"{steps} of the training"
        )
    if (monitor := cfg.get("monitor")) is not None:
        raise InputError(
            f"monitor={monitor} chooses among several validations, and validate_every={every} gives one: set "
            f"validate_every lower than the {steps} steps of the training"
        )


def _check_amounts(cfg: DictConfig) -> None:
    """Refuse amounts of data without which there is no training or no score."""
    if OmegaConf.select(cfg, "trainer.overfit_batches"):
        raise InputError(
            "trainer.overfit_batches would take images out of the hold-out, too: to train on few images, hold out the "
            "others, e.g. data.holdout=0.95"
        )
    lost = {"train": "to train on", "val": "to judge the run by"}
    if OmegaConf.select(cfg, "test"):
        lost["test"] = "to test on, which test=false leaves out"
    for split, purpose in lost.items():
        key = f"trainer.limit_{split}_batches"
        if (amount := OmegaConf.select(cfg, key)) is not None and amount == 0:
            raise InputError(f"{key}={amount} leaves nothing {purpose}: set it above 0, or leave it out")
