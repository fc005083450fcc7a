"""What train.py and search.py share: a job of Hydra, and a user's mistake told in one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from hydra.core.hydra_config import HydraConfig
from hydra.errors import CompactHydraException
from omegaconf import DictConfig

from autosegloss.errors import InputError


def job(cfg: DictConfig) -> dict[str, float]:
    """Run one training in the output folder of the current Hydra job; returns its validation scores."""
    from autosegloss import training  # imports torch: --help need not wait for it

    with mistakes_in_one_line():
        return training.run(cfg, HydraConfig.get().runtime.output_dir).scores


def train(cfg: DictConfig) -> dict[str, float]:
    """`job`, and its scores on the console."""
    scores = job(cfg)
    print("  ".join(f"{name} {100 * score:.1f}" for name, score in scores.items()))
    print(f"results: {HydraConfig.get().runtime.output_dir}")
    return scores


@contextmanager
def mistakes_in_one_line() -> Iterator[None]:
    """Raise an InputError, however deep it stands in a chain of errors, as the exception that Hydra prints plainly."""
    try:
        yield
    except Exception as error:
        mistake = find_mistake(error)
        if mistake is None:
            raise
        message = f"error: {mistake}"
    else:
        return
    raise CompactHydraException(message)  # outside of `except`, so that no frame keeps the network alive


def find_mistake(error: BaseException | None) -> InputError | None:
    """The InputError that `error` is or was caused by, if any."""
    while error is not None and not isinstance(error, InputError):
        error = error.__cause__ or error.__context__
    return error
