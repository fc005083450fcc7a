"""The jobs that Hydra runs for train.py and search.py."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.errors import CompactHydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from autosegloss.cli.resume import finished, going_on, resume_command
from autosegloss.cli.streams import guarded_output
from autosegloss.cli.typed import check_hydra, check_read, check_typed
from autosegloss.errors import InputError
from autosegloss.runtime import Devices, Owner, run_in_subprocess, run_inline
from autosegloss.training.environment import local_rank, one_of_several
from autosegloss.training.failures import record_failure
from autosegloss.training.outcome import Outcome, Result
from autosegloss.training.resuming import checkpoint_paths


def job(cfg: DictConfig) -> dict[str, float]:
    """Run once in the output folder of the current Hydra job, print the scores and return them.

    A failure ends the program with one line, in a grid of runs it fails the job.
    """
    folder = HydraConfig.get().runtime.output_dir
    with guarded_output():
        try:
            result = _result(_train(cfg, folder))
        except KeyboardInterrupt as error:
            raise KeyboardInterrupt("; go on with: ".join([str(error), *_way_on(folder)])) from None
        except InputError as error:  # of what was typed; the folder keeps what an earlier run has left
            raise _ending(str(error)) from None
        if local_rank() == 0:
            _show(result, folder, cfg.monitor)
    return result.scores


def trial(cfg: DictConfig) -> dict[str, Any]:
    """Run once for a search, in a process of its own, on devices of its own; returns the fields of its outcome.

    The run ends with the search that launched it. With hydra.mode=RUN it is a job like any other.
    """
    hydra = HydraConfig.get()
    if hydra.mode == RunMode.RUN:
        if cfg.dry_run or not OmegaConf.is_missing(cfg, "resume"):
            raise SystemExit(
                "error: dry_run and resume are for a search, hydra.mode=RUN trains once: leave one of them out"
            )
        return job(cfg)
    folder, searches = hydra.runtime.output_dir, hydra.sweeper.get("strategy") is not None
    is_alive = Owner.watch(Path(hydra.sweep.dir).absolute(), hydra.sweeper.owner) if searches else lambda: True
    outcome = run_in_subprocess(cfg, folder, timeout=hydra.sweeper.get("trial_timeout"), is_alive=is_alive)
    if not searches:  # a grid of runs
        _show(_result(outcome), folder, cfg.monitor)
    return asdict(outcome)


def _train(cfg: DictConfig, folder: str) -> Outcome:
    try:
        _check_overrides(cfg)
        cfg = going_on(cfg, Path(folder))
        if result := finished(cfg, Path(folder)):
            if local_rank() == 0:
                print("This training is finished: there was nothing left to do.")
            return result
        subprocess = _needs_processes(cfg)
    except InputError:
        raise
    except Exception as error:  # e.g. devices that this machine does not have
        return record_failure(error, folder)
    return run_in_subprocess(cfg, folder, console=True) if subprocess else run_inline(cfg, folder)


def _check_overrides(cfg: DictConfig) -> None:
    """Raise InputError for what was typed in vain."""
    hydra = HydraConfig.get()
    keys = [override.partition("=")[0].lstrip("+~") for override in hydra.overrides.task]
    check_typed(cfg, keys, str(hydra.job.config_name))
    check_hydra(hydra.overrides.hydra)
    if hydra.mode == RunMode.RUN:
        check_read(cfg, keys)


def _needs_processes(cfg: DictConfig) -> bool:
    """Whether several devices train together and neither torchrun nor srun has started their processes."""
    return not one_of_several() and Devices.of(cfg.trainer).count > 1


def _result(outcome: Outcome) -> Result:
    """The result; a failure is raised as the exception that ends the program or fails the job of a grid."""
    if isinstance(outcome, Result):
        return outcome
    if outcome.kind == "interrupted":
        raise KeyboardInterrupt(outcome.message)
    way_on = _way_on(HydraConfig.get().runtime.output_dir) if outcome.kind == "failed" else []
    raise _ending("; go on with: ".join([outcome.message, *way_on]))


def _way_on(folder: str) -> list[str]:
    """The command that goes on with an interrupted run that has a checkpoint, or with the grid that it is a run of."""
    hydra = HydraConfig.get()
    if hydra.mode == RunMode.MULTIRUN:
        return [resume_command("train", Path(hydra.sweep.dir))]
    return [resume_command("train", Path(folder))] if checkpoint_paths(Path(folder)) else []


def _ending(message: str) -> BaseException:
    """The exception that ends a program, or fails the job of a grid, with one line."""
    if HydraConfig.get().mode == RunMode.RUN:  # Hydra prints a line of its own for any Exception
        return SystemExit(f"error: {message}")
    return CompactHydraException(message)


def _show(result: Result, folder: str, monitor: str | None) -> None:
    for split, scores in {"validation": result.scores, "test": result.test}.items():
        if scores:
            print(f"{split}:", "  ".join(f"{name} {100 * score:.1f}" for name, score in scores.items()))
    if result.stopped is not None:
        print(f"stopped early at step {result.stopped}")
    if result.chosen_by is not None:
        print(f"weights of step {result.step}, the best by {result.chosen_by} on the validation data")
    elif monitor is not None:
        print(f"weights of step {result.step}, the last: no validation between steps has a score of {monitor}")
    print(f"scored at {result.scored_at}")
    print(f"results: {folder}")
    if result.unsaved:
        raise _ending(f"{result.unsaved}: make room; the scores above are complete")
