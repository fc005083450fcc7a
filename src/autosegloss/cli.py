"""What train.py and search.py share: a job of Hydra, and a user's mistake told in one line."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from hydra.core.hydra_config import HydraConfig
from hydra.errors import CompactHydraException, InstantiationException, MissingConfigException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from autosegloss.errors import DivergedError, InputError, unknown


def program(main: Callable[[], None]) -> None:
    """Run a Hydra main: a mistake ends it with one line, Ctrl-C without a traceback; anything else is a bug and shows.

    With HYDRA_FULL_ERROR=1 in the environment every error shows its traceback.
    """
    if os.environ.get("HYDRA_FULL_ERROR") == "1":
        return main()
    os.environ["HYDRA_FULL_ERROR"] = "1"  # so that Hydra leaves the errors to us
    try:
        main()
    except MissingConfigException as error:  # an OSError as well, and a CompactHydraException
        sys.exit(f"error: {_missing_config(error)}")
    except (CompactHydraException, OmegaConfBaseException) as error:
        sys.exit(f"error: {' '.join(_with_cause(error).split())}")
    except OSError as error:
        if not _is_about_output(error):
            raise
        where = "choose one with hydra.run.dir=DIR, for several runs hydra.sweep.dir=DIR"
        sys.exit(f"error: the output folder cannot be written ({error}): {where}")
    except KeyboardInterrupt as error:
        sys.exit(f"interrupted {error}".rstrip())


def job(cfg: DictConfig) -> dict[str, float]:
    """Run one training in the output folder of the current Hydra job and print its scores; returns those."""
    from autosegloss import training  # imports Lightning and the networks: --help need not wait for them

    directory = HydraConfig.get().runtime.output_dir
    with mistakes_in_one_line():
        result = training.run(cfg, directory)
    if not cfg.quiet and int(os.environ.get("LOCAL_RANK", 0)) == 0:
        for split, scores in {"validation": result.scores, "test": result.test}.items():
            if scores:
                print(f"{split}:", "  ".join(f"{name} {100 * score:.1f}" for name, score in scores.items()))
        print(f"results: {directory}")
    return result.scores


@contextmanager
def mistakes_in_one_line() -> Iterator[None]:
    """Turn an InputError, however deep it stands in a chain of errors, into one plain exception with one string."""
    alone = HydraConfig.initialized() and HydraConfig.get().mode == RunMode.RUN
    try:
        yield
    except MissingMandatoryValue as error:
        message = f"{error.full_key} is not given: set {error.full_key}=VALUE"
    except Exception as error:
        message = _mistake(error) or (alone and isinstance(error, DivergedError) and str(error))
        if not message:
            raise
    else:
        return
    # Raised outside of `except`, so that no frame keeps the network alive. Hydra lets SystemExit pass in silence,
    # but in a sweep it would end the launcher instead of the job.
    if alone:
        raise SystemExit(f"error: {message}")
    raise CompactHydraException(message)


def _mistake(error: Exception) -> str | None:
    """What a user should read of `error`: an InputError, or what the config names could not be made."""
    if mistake := find_mistake(error):
        return str(mistake)
    if isinstance(error, InstantiationException):
        reason = " ".join(str(error.__cause__ or error).split())
        return f"{' '.join(str(error).split()).rpartition('full_key: ')[2]}: {reason}"
    return None


def find_mistake(error: BaseException | None) -> InputError | None:
    """The InputError that `error` is or was caused by, if any."""
    while error is not None and not isinstance(error, InputError):
        error = error.__cause__ or error.__context__
    return error


def _is_about_output(error: OSError) -> bool:
    """Whether Hydra failed to make its output folder: nothing of ours but this module is in the traceback."""
    frames = traceback.walk_tb(error.__traceback__)
    names = {frame.f_globals.get("__name__", "") for frame, _ in frames} - {__name__}
    return not any(name.startswith(("autosegloss", "hydra_plugins.autosegloss")) for name in names)


def _missing_config(error: MissingConfigException) -> str:
    group, _, name = (error.missing_cfg_file or "").rpartition("/")
    return str(unknown(group, name, error.options)) if error.options else str(error)


def _with_cause(error: Exception) -> str:
    cause = error.__cause__
    return str(error) if cause is None or str(cause) in str(error) else f"{error}: {cause}"
