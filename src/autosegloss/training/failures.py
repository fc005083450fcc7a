"""Errors as failures of a run: the user's mistakes in one line, anything else by its type and text."""

from __future__ import annotations

from pathlib import Path

from hydra.errors import InstantiationException
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from autosegloss.errors import DivergedError, InputError, RunError, console_is_gone
from autosegloss.files import disk_error
from autosegloss.training.outcome import LONGEST, Failure

_MACHINE = (OSError, RuntimeError, MemoryError)  # the same config may train the next time


def record_failure(error: BaseException, folder: str | Path) -> Failure:
    """The failure that `error` is, written as failure.json in `folder`."""
    failure = failure_of(error)
    failure.save(folder)
    return failure


def failure_of(error: BaseException) -> Failure:
    """The failure of a run that ended with `error`."""
    if console_is_gone(error):
        return Failure("interrupted", "the reader of the console is gone")
    if _is_interrupt(error):
        return Failure("interrupted", str(error) if isinstance(error, KeyboardInterrupt) else "")
    if isinstance(error, DivergedError):
        return Failure("diverged", str(error))
    if isinstance(error, RunError):
        return Failure("failed", str(error))
    if full := disk_error(error):
        return Failure("failed", full)
    if full := _full_gpu(error) or _full_gpu(error.__cause__):
        return Failure("failed", full)
    if isinstance(error, InstantiationException) and isinstance(error.__cause__, _MACHINE):
        return Failure.unexpected(error.__cause__)
    if mistake := describe_mistake(error):
        return Failure("mistake", mistake[:LONGEST])
    return Failure.unexpected(error)


def _full_gpu(error: BaseException | None) -> str | None:
    """One line about a GPU whose memory is full; None if `error` is another one."""
    import torch  # here, because programs that only read import this module

    if not isinstance(error, torch.cuda.OutOfMemoryError):
        return None
    facts = " ".join(str(error).split()).rstrip(".").split(". ")[:3]  # the rest are hints for programmers
    return f"{'. '.join(facts)}: set data.batch_size, data.eval_batch_size or trials_per_gpu lower"


def describe_mistake(error: BaseException) -> str | None:
    """One line about the user's mistake that `error` reports; None if it reports another error.

    Mistakes are an InputError anywhere in the chain of causes, a value that is missing or wrong in the config, and an
    object that cannot be made from the config.
    """
    if isinstance(error, MissingMandatoryValue):
        return f"{error.full_key} is not given: set {error.full_key}=VALUE"
    if mistake := _input_error(error):
        return str(mistake)
    if isinstance(error, OmegaConfBaseException):
        return key_first(str(error), error.full_key)
    if isinstance(error, InstantiationException):
        reason = " ".join(str(error.__cause__ or error).split())
        return f"{' '.join(str(error).split()).rpartition('full_key: ')[2]}: {reason}"
    return None


def key_first(text: str, key: str | None) -> str:
    """The text of an OmegaConf error about `key` in one line, without the details that OmegaConf appends."""
    if key is not None:
        text = text.partition(f"full_key: {key}")[0]
    line = " ".join(text.split())
    return f"{key}: {line}" if key and key not in line else line


def _input_error(error: BaseException | None) -> InputError | None:
    """The InputError that `error` is or was caused by."""
    while error is not None and not isinstance(error, InputError):
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return error


def _is_interrupt(error: BaseException) -> bool:
    """Whether `error` is Ctrl-C; Lightning answers that with SystemExit."""
    return isinstance(error, KeyboardInterrupt) or (
        isinstance(error, SystemExit) and isinstance(error.__context__, KeyboardInterrupt)
    )
