"""The host of pretrained weights: one look whether it answers, instead of minutes of tries."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from huggingface_hub import constants
from huggingface_hub.errors import LocalEntryNotFoundError
from huggingface_hub.utils import get_session, logging

SECONDS = 5.0


@contextmanager
def hub_within_seconds() -> Iterator[None]:
    """Where the hub of weights does not answer, its library looks on this disk alone; its warnings are left out.

    By itself it tries six times for each file, and waits up to a minute each time. Raises ConnectionError where the
    weights are neither there nor here.
    """
    offline, verbosity = constants.HF_HUB_OFFLINE, logging.get_verbosity()
    silent = not offline and not _answers()
    constants.HF_HUB_OFFLINE = offline or silent
    logging.set_verbosity_error()
    try:
        yield
    except LocalEntryNotFoundError as error:
        if not silent:
            raise
        raise ConnectionError(f"{constants.ENDPOINT} does not answer, and there is no copy on this disk") from error
    finally:
        constants.HF_HUB_OFFLINE = offline
        logging.set_verbosity(verbosity)


@cache
def _answers() -> bool:
    """Asked once in a process; any answer is one."""
    try:
        get_session().head(constants.ENDPOINT, timeout=SECONDS)
    except Exception:  # of whichever of its HTTP libraries
        return False
    return True
