"""What train.py and search.py share: a job of Hydra, and a user's mistake told in one line."""

from __future__ import annotations

import os
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.errors import CompactHydraException, InstantiationException, MissingConfigException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from autosegloss.errors import DivergedError, InputError, RunError, unknown
from autosegloss.training.outcome import Result


def program(main: Callable[[], None]) -> None:
    """Run a Hydra main: a mistake ends it with one line, Ctrl-C without a traceback; anything else is a bug and shows.

    With HYDRA_FULL_ERROR=1 in the environment every error shows its traceback.
    """
    if os.environ.get("HYDRA_FULL_ERROR") == "1":
        return main()
    os.environ["HYDRA_FULL_ERROR"] = "1"  # so that Hydra leaves the errors to us
    try:
        with _silent_broken_pipe():
            main()
    except InputError as error:
        sys.exit(f"error: {error}")
    except MissingConfigException as error:  # an OSError as well, and a CompactHydraException
        sys.exit(f"error: {_missing_config(error)}")
    except (CompactHydraException, OmegaConfBaseException) as error:
        sys.exit(f"error: {find_mistake(error) or _key_first(' '.join(_with_cause(error).split()))}")
    except OSError as error:
        if not _is_about_output(error):
            raise
        where = "choose one with hydra.run.dir=DIR, for several runs hydra.sweep.dir=DIR"
        sys.exit(f"error: the output folder cannot be written ({error}): {where}")
    except KeyboardInterrupt as error:
        sys.exit(f"interrupted {error}".rstrip())


@contextmanager
def _silent_broken_pipe() -> Iterator[None]:
    """End the program without a message if the reader of its output is gone, as after `| head`."""
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes stdout once more as it ends
        sys.exit(1)


def job(cfg: DictConfig) -> dict[str, float]:
    """Run one training in the output folder of the current Hydra job and print its scores; returns those."""
    directory = HydraConfig.get().runtime.output_dir
    with mistakes_in_one_line():
        result = _apart(cfg, directory, console=True) if _needs_processes(cfg) else _here(cfg, directory)
    if int(os.environ.get("LOCAL_RANK", 0)) == 0:
        _show(result, directory)
    return result.scores


def trial(cfg: DictConfig) -> dict[str, Any]:
    """Run one training of a search, in a process of its own, on devices of its own; returns all of its result.

    It ends with the search that launched it. By itself (hydra.mode=RUN) it is a training like any other.
    """
    from autosegloss.runtime import Owner

    hydra = HydraConfig.get()
    if hydra.mode == RunMode.RUN:
        if cfg.dry_run or not OmegaConf.is_missing(cfg, "resume"):
            sys.exit("error: dry_run and resume are for a search, hydra.mode=RUN trains once: leave one of them out")
        return job(cfg)
    searches = OmegaConf.select(hydra, "sweeper.strategy") is not None  # or else it is one of a grid of runs
    with mistakes_in_one_line():
        timeout = OmegaConf.select(hydra, "sweeper.trial_timeout")
        wanted = Owner.watch(Path(hydra.sweep.dir).absolute(), hydra.sweeper.owner) if searches else lambda: True
        result = _apart(cfg, hydra.runtime.output_dir, timeout=timeout, wanted=wanted)
    if not searches:
        _show(result, hydra.runtime.output_dir)
    return vars(result)


def _show(result: Result, directory: str) -> None:
    for split, scores in {"validation": result.scores, "test": result.test}.items():
        if scores:
            print(f"{split}:", "  ".join(f"{name} {100 * score:.1f}" for name, score in scores.items()))
    print(f"results: {directory}")


def _here(cfg: DictConfig, directory: str) -> Result:
    from autosegloss.training import (
        run as training,  # imports Lightning and the networks: --help need not wait for them
    )

    return training.run(cfg, directory)


def _apart(cfg: DictConfig, directory: str, console: bool = False, **limits: Any) -> Result:
    """Train in as many processes as the config asks for devices; `limits` are those of `Crew.train`."""
    from autosegloss.runtime import Devices, Request, crew_of

    config = OmegaConf.to_container(cfg, resolve=True)
    devices = Devices.of(config["trainer"])
    with devices.leased(cfg.trials_per_gpu, limits.get("wanted", lambda: True)) as given:
        config["trainer"]["devices"] = given
        crew_of(devices.count).train(Request(config, directory, console), **limits)
    return Result.load(directory)


def _needs_processes(cfg: DictConfig) -> bool:
    """Whether several devices are to train together and nobody else (torchrun, srun) starts the processes."""
    from autosegloss.runtime import Devices

    started = "LOCAL_RANK" in os.environ or int(os.environ.get("SLURM_STEP_NUM_TASKS", 1)) > 1
    return not started and Devices.of(cfg.trainer).count > 1


@contextmanager
def mistakes_in_one_line() -> Iterator[None]:
    """Turn an InputError, however deep it stands in a chain of errors, into one plain exception with one string."""
    alone = HydraConfig.initialized() and HydraConfig.get().mode == RunMode.RUN
    try:
        yield
    except Exception as error:
        message = mistake_in(error) or (alone and isinstance(error, DivergedError | RunError) and str(error))
        if not message:
            raise
    else:
        return
    # Raised outside of `except`, so that no frame keeps the network alive. Hydra lets SystemExit pass in silence,
    # but in a sweep it would end the launcher instead of the job.
    if alone:
        raise SystemExit(f"error: {message}")
    raise CompactHydraException(message)


def mistake_in(error: Exception) -> str | None:
    """What a user should read of `error`: an InputError, a missing value, or what could not be made."""
    if isinstance(error, MissingMandatoryValue):
        return f"{error.full_key} is not given: set {error.full_key}=VALUE"
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


def _key_first(message: str) -> str:
    """OmegaConf puts the key behind, among names of its own; what names it already needs no more."""
    parts = re.fullmatch(r"(.*?) full_key: (\S+?)((?: \w+_type=\S+)*)", message)
    if not parts:
        return message
    return parts[1] if parts[2] in parts[1] else f"{parts[2]}: {parts[1]}"


def _with_cause(error: Exception) -> str:
    cause = error.__cause__
    return str(error) if cause is None or str(cause) in str(error) else f"{error}: {cause}"
