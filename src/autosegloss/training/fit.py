"""The fit of a run: from its first step, or from a checkpoint, to the weights that are judged."""

from __future__ import annotations

import time
from pathlib import Path
from typing import NamedTuple

import pytorch_lightning as pl
from omegaconf import DictConfig, OmegaConf
from torch.utils.data import DataLoader

from autosegloss.data.samplers import ShardedRandomSampler
from autosegloss.errors import DivergedError, console_is_gone
from autosegloss.training.best import BestWeights
from autosegloss.training.callbacks import LogFile
from autosegloss.training.checkpoint_files import Progress, WholeFiles, discard_drafts, find_pause, find_progress
from autosegloss.training.checkpoints import Checkpoints, Paused
from autosegloss.training.module import SegmentationModule
from autosegloss.training.outcome import WEIGHTS
from autosegloss.training.resuming import comparable, resumes
from autosegloss.training.weights_file import save_weights


class Fitted(NamedTuple):
    """A training that has ended.

    seconds: that it took. unsaved: why the weights are not on the disk, "" if they are. step: of the weights. stopped:
    the step at which it ended before its time, or None. chosen_by: the metric that has chosen the weights, or None.
    paused: whether it has ended to be gone on with.
    """

    seconds: float
    unsaved: str
    step: int
    stopped: int | None
    chosen_by: str | None
    paused: bool


class Fit:
    """The training of a run in `folder`.

    It saves checkpoints if the config says so, goes on from one with checkpoint.resume, and with `monitor` ends with
    the weights of the best validation. Raises InputError for a checkpoint that does not fit.
    """

    def __init__(self, cfg: DictConfig, trainer: pl.Trainer, folder: Path):
        self.cfg, self.trainer, self.folder = cfg, trainer, folder
        leads = trainer.is_global_zero
        self.progress: Progress | None = None
        if resumes(cfg):
            self.progress = find_progress(cfg, folder, trainer.world_size, tell=leads)
        if self.progress is None and (paused := OmegaConf.select(cfg, "checkpoint.begin_with")):
            self.progress = find_pause(cfg, Path(paused), trainer.world_size)
        self.checkpoints = self._checkpoints()
        self.best = self._best()
        trainer.strategy.checkpoint_io = WholeFiles()
        first = [callback for callback in (self.checkpoints, self.best) if callback]
        trainer.callbacks[:0] = first  # type: ignore[attr-defined]  # it has them

    @property
    def earlier(self) -> float:
        """The seconds that the training has taken before the checkpoint that it goes on from."""
        return self.progress.seconds if self.progress else 0.0

    def run(self, module: SegmentationModule, train_loader: DataLoader, val_loader: DataLoader) -> Fitted:
        """Train, and save the weights if save_weights is set.

        Raises DivergedError if weights are not finite, KeyboardInterrupt after an interrupt, with the weights saved.
        """
        cfg, trainer = self.cfg, self.trainer
        self._go_on(train_loader)
        interrupted: BaseException | None = None
        paused = False
        validates = val_loader if cfg.validate_every < trainer.max_steps else None
        path = self.progress and str(self.progress.path)
        start = time.perf_counter()
        try:
            trainer.fit(module, train_loader, validates, ckpt_path=path, weights_only=False)
        except Paused:
            paused = True
        except (KeyboardInterrupt, SystemExit) as error:  # Lightning turns KeyboardInterrupt into SystemExit
            interrupted = error
        except OSError as error:  # the console, a file on a full disk: the weights may have room elsewhere
            interrupted = error
        seconds = time.perf_counter() - start + self.earlier
        step = self._choose(module, alone=interrupted is not None)
        saves = cfg.save_weights and trainer.is_global_zero
        unsaved = save_weights(module.network.state_dict(), self.folder / WEIGHTS) if saves else ""
        if isinstance(interrupted, OSError) or (interrupted and console_is_gone(interrupted)):
            raise interrupted
        if interrupted:
            kept = f"; {unsaved or f'the weights are kept in {self.folder}'}" if cfg.save_weights else ""
            raise KeyboardInterrupt(f"after {trainer.global_step} of {trainer.max_steps} steps{kept}")
        if not all(p.isfinite().all() for p in module.network.parameters()):
            raise DivergedError(f"the training diverged: its weights are not finite after {trainer.global_step} steps")
        ended = paused or (trainer.should_stop and trainer.global_step < trainer.max_steps)
        early = trainer.global_step if ended else None
        chosen_by = self.best.monitor if self.best and self.best.best else None
        return Fitted(seconds, unsaved, step, early, chosen_by, paused)

    def _checkpoints(self) -> Checkpoints | None:
        settings = OmegaConf.select(self.cfg, "checkpoint") or {}
        when = {name: settings.get(name) for name in ("every_n_steps", "every_minutes", "pause_at")}
        if not self.progress and not any(value is not None for value in when.values()):
            return None
        return Checkpoints(self.folder, comparable(self.cfg, resolve=True), progress=self.progress, **when)

    def _best(self) -> BestWeights | None:
        if (monitor := OmegaConf.select(self.cfg, "monitor")) is None:
            return None
        return BestWeights(self.folder, monitor, OmegaConf.select(self.cfg, "checkpoint.keep_best", default=0))

    def _go_on(self, train_loader: DataLoader) -> None:
        """Set the order of the data and the log to where the checkpoint was saved."""
        if not resumes(self.cfg) and not self.progress:
            return
        if self.trainer.is_global_zero:
            discard_drafts(self.folder)
        content = b""
        if self.progress:
            sampler, size = train_loader.sampler, train_loader.batch_size
            assert isinstance(sampler, ShardedRandomSampler)  # of SegmentationData
            assert size is not None
            sampler.go_on(self.progress.epoch, self.progress.batches * size)
            content = self.progress.log or b""
        for logger in self.trainer.loggers:
            if isinstance(logger, LogFile):
                logger.begin_with(content)

    def _choose(self, module: SegmentationModule, alone: bool) -> int:
        """Give the network of every process the weights that are judged; returns their step.

        alone: whether the other processes do not come here, because this one was interrupted.
        """
        if self.best and self.best.best:
            module.network.load_state_dict(self.best.best.weights)
            return self.best.best.step
        if (
            self.trainer.world_size > 1 and not alone
        ):  # batch normalisation has counted the batches of each process alone
            module.network.load_state_dict(self.trainer.strategy.broadcast(module.network.state_dict()))
        return self.trainer.global_step
