"""The host of pretrained weights: one short request instead of minutes of retries."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from huggingface_hub import constants
from huggingface_hub.errors import LocalEntryNotFoundError
from huggingface_hub.utils import get_session, logging

SECONDS = 5.0  # that the hub has for its answer


@contextmanager
def hub_within_seconds() -> Iterator[None]:
    """Within it, huggingface_hub reads its cache on this disk alone if the hub does not answer, and warns of nothing.

    By itself it tries each file six times, and waits up to a minute each time. Raises ConnectionError if the hub does
    not answer and the cache lacks the weights.
    """
    offline, verbosity = constants.HF_HUB_OFFLINE, logging.get_verbosity()
    silent = not offline and not hub_answers()
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
def hub_answers() -> bool:
    """Whether the hub answers at all, within SECONDS; one request a process."""
    try:
        get_session().head(constants.ENDPOINT, timeout=SECONDS)
    except Exception:  # huggingface_hub uses several HTTP libraries, each with its own errors
        return False
    return True
