"""The end of a program: an error of the user, a full disk and Ctrl-C in one line, a bug with its traceback."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from hydra.errors import HydraException, MissingConfigException
from omegaconf import DictConfig
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

from autosegloss.cli.streams import guarded_output, silent_logging
from autosegloss.errors import unknown
from autosegloss.training.failures import describe_mistake, key_first
from autosegloss.training.keys import unknown_key


def run_program(main: Callable[[], object]) -> None:
    """Run the main function of a program; a mistake of the user ends it with one line, a bug with its traceback.

    With HYDRA_FULL_ERROR=1 in the environment every error shows its traceback.
    """
    if os.environ.get("HYDRA_FULL_ERROR") == "1":
        main()
        return
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then leaves the errors to us
    try:
        with silent_logging(), guarded_output():
            main()
    except KeyboardInterrupt as error:
        sys.exit(f"interrupted {error}".rstrip())
    except Exception as error:
        if message := describe_error(error):
            sys.exit(f"error: {message}")
        raise


def describe_error(error: Exception) -> str | None:
    """One line about a mistake of the user, in the command line, the config or the input; None for another error."""
    if isinstance(error, MissingConfigException):
        group, _, name = (error.missing_cfg_file or "").rpartition("/")
        return str(unknown(group, name, error.options)) if error.options else str(error)
    if mistake := describe_mistake(error):
        return mistake
    return _hydra_message(error) if isinstance(error, HydraException) else None


def _hydra_message(error: HydraException) -> str:
    """The texts of an error of Hydra and of its cause, in one line."""
    text, cause = str(error), error.__cause__
    if isinstance(cause, ConfigAttributeError | ConfigKeyError) and (mistake := _unknown_key(text, cause)):
        return mistake
    if cause is not None and str(cause) not in text:
        text = f"{text}: {cause}"
    return key_first(text, cause.full_key if isinstance(cause, OmegaConfBaseException) else None)


def _unknown_key(text: str, cause: ConfigAttributeError | ConfigKeyError) -> str | None:
    """The error for a key that the composed configuration does not have; None where `cause` does not tell."""
    run, found, _ = text.partition("Could not override")  # "finalists: " of a search, before Hydra's own words
    node = cause.parent_node
    if not found or node is None or not cause.full_key:
        return None
    cfg = node._get_root()
    return f"{run}{unknown_key(cause.full_key, cfg)}" if isinstance(cfg, DictConfig) else None
