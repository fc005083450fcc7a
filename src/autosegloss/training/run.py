"""One run, from a config to its outcome: a trial of the search, a retraining and a baseline are the same."""

from __future__ import annotations

import gc
import time
import traceback
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytorch_lightning as pl
import torch
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf, open_dict
from pytorch_lightning.utilities.exceptions import SIGTERMException
from torch import nn
from torch.utils.data import DataLoader

from autosegloss.data.description import describe
from autosegloss.data.notes import check_masks
from autosegloss.errors import CLOSED_PIPE, InputError, console_is_gone
from autosegloss.files import disk_error
from autosegloss.formulas import PAPER, Formula
from autosegloss.formulas.average import class_names_are
from autosegloss.losses import Scaled
from autosegloss.metrics import segmentation_metrics
from autosegloss.ranking import Evidence, save_evidence
from autosegloss.ranking.evidence import EVIDENCE, HOLDOUT, TEST, VAL
from autosegloss.training.advice import notes
from autosegloss.training.auxiliary import add_auxiliary
from autosegloss.training.checkpoint_files import discard_checkpoints, discard_finished
from autosegloss.training.evidence import ImageSums
from autosegloss.training.failures import record_failure
from autosegloss.training.fit import Fit
from autosegloss.training.length import set_length
from autosegloss.training.module import SegmentationModule
from autosegloss.training.networks import build_network
from autosegloss.training.optimizers import optimizer_with_schedule
from autosegloss.training.outcome import DATA, RESULT, WEIGHTS, Checked, Outcome, Result, discard_outcome, scored_at
from autosegloss.training.resuming import resumes
from autosegloss.training.settings import check_settings
from autosegloss.training.sizes import check_sizes
from autosegloss.training.task import channels_of, task_of
from autosegloss.training.trainer import make_trainer, tamed_lightning
from autosegloss.training.weights import load_exactly, read_state
from autosegloss.training.weights_file import cannot_be_written

if TYPE_CHECKING:
    from autosegloss.data.datamodule import SegmentationData


def run(config: DictConfig | Mapping[str, Any], folder: str | Path) -> Outcome:
    """Train the network of `config` for trainer.max_steps, or trainer.max_epochs, and judge it.

    The outcome is written into `folder`, too. An interrupted training saves its weights if save_weights is set.
    With checkpoint.resume it goes on from the newest checkpoint in `folder`, if there is one.

    Raises:
        BrokenPipeError: the reader of the console is gone (`| head`).
        SystemExit: likewise, found by the progress bar; the exit code is that of a process which SIGPIPE has killed.
    """
    try:
        cfg = config if isinstance(config, DictConfig) else OmegaConf.create(dict(config))
        outcome: Outcome = train(cfg, Path(folder))
    except BrokenPipeError:
        raise
    except (Exception, KeyboardInterrupt, SystemExit) as error:
        failure = record_failure(error, folder)
        if console_is_gone(error):
            raise SystemExit(CLOSED_PIPE) from None
        if failure.kind == "failed" and not disk_error(error):
            traceback.print_exc()
        outcome = failure
    if torch.cuda.is_initialized():  # the next training on this GPU, maybe of another process, needs the memory
        gc.collect()
        torch.cuda.empty_cache()
    return outcome


def train(cfg: DictConfig, folder: Path) -> Result:
    """Train and judge as `run` does; the process of rank 0 writes the result into `folder`.

    Raises InputError if the config cannot be trained, DivergedError if loss or weights are not finite, and
    KeyboardInterrupt.
    """
    start = time.perf_counter()
    check_settings(cfg)
    with tamed_lightning():
        if cfg.threads:
            torch.set_num_threads(cfg.threads)
        pl.seed_everything(cfg.seed, workers=True, verbose=False)
        trainer = make_trainer(cfg, folder)
        data: SegmentationData = instantiate(cfg.data, device=trainer.strategy.root_device)
        data.check(trainer.world_size, cfg.test and data.has_test)
        cfg = set_length(trainer, cfg, data)
        fit = Fit(cfg, trainer, folder)
        train_loader, loaders = data.train_dataloader(), judged_loaders(cfg, data)  # faults of the data show now
        synchronised = trainer.world_size if trainer.strategy.root_device.type == "cuda" else 1  # see SyncOnGPU
        module = make_module(cfg, data, effective_batch_size=synchronised * data.batch_size)
        if trainer.is_global_zero:
            _replace_earlier(cfg, data, folder, tell=not fit.progress)
            if OmegaConf.select(cfg, "notes") and not fit.progress:
                for note in notes(cfg, module):
                    print(f"note: {note}")
        if cfg.get("compile"):
            module.network.compile()
        chosen_on, *_ = loaders
        fitted = fit.run(module, train_loader, loaders[chosen_on])
        trained = time.perf_counter()
        scores, evidence = _judge(trainer, module, loaders, keep=bool(OmegaConf.select(cfg, "evidence")))
        if evidence and trainer.is_global_zero:
            save_evidence(evidence, folder)
    end = time.perf_counter()
    seconds = fit.earlier + end - start, fitted.seconds, end - trained
    judged = scores[chosen_on], scores.get(TEST, {}), *seconds, scored_at(cfg.data), fitted.unsaved, fitted.step
    result = Result(*judged, fitted.stopped, chosen_by=fitted.chosen_by, task=module.task.name)
    return _kept(result, folder, fitted.paused) if trainer.is_global_zero else result


def _kept(result: Result, folder: Path, paused: bool) -> Result:
    """Write the result; without it, without the weights, or for a training that has paused, the checkpoints stay."""
    try:
        result.save(folder)
    except OSError as error:  # the scores are worth showing all the same
        told = [cannot_be_written(folder / RESULT, error), *filter(None, [result.unsaved])]
        return replace(result, unsaved="; ".join(told))
    if not result.unsaved and not paused:
        discard_finished(folder)
    return result


def _replace_earlier(cfg: DictConfig, data: SegmentationData, folder: Path, tell: bool) -> None:
    """Describe the data in `folder`, with `tell` on the console, too; and remove what an earlier run has left there.

    The results of that are not those of the config that lies there now. Raises InputError if there is nothing to learn.
    """
    described = OmegaConf.select(cfg, "notes") or (resumes(cfg) and (folder / DATA).exists())  # that is of these data
    checked = Checked(describe(data)) if described else None
    if not described and not data.crop:  # of masks in memory it costs nothing to know
        check_masks(data)
    discard_outcome(folder)
    (folder / EVIDENCE).unlink(missing_ok=True)
    if not resumes(cfg):
        _discard_weights(cfg, folder)
    if checked:
        checked.save(folder)
    if checked and tell and cfg.notes:
        checked.tell()


def _discard_weights(cfg: DictConfig, folder: Path) -> None:
    """Remove the checkpoints and the weights of an earlier run, except those that this run begins with."""
    discard_checkpoints(folder)
    initial = Path(cfg.init_weights or "")
    if not (initial.exists() and (folder / WEIGHTS).exists() and initial.samefile(folder / WEIGHTS)):
        (folder / WEIGHTS).unlink(missing_ok=True)


def judged_loaders(cfg: DictConfig, data: SegmentationData) -> dict[str, DataLoader]:
    """{split: loader} of what a run is judged on: first the images that choices are made on, held out if any are."""
    loaders = {VAL if data.holdout is None else HOLDOUT: data.val_dataloader()}
    if OmegaConf.select(cfg, "evidence") and (unseen := data.unseen_dataloader()):
        loaders[VAL] = unseen
    if cfg.test and data.has_test:
        loaders[TEST] = data.test_dataloader()
    return loaders


def _judge(
    trainer: pl.Trainer, module: SegmentationModule, loaders: Mapping[str, DataLoader], keep: bool
) -> tuple[dict[str, dict[str, float]], dict[str, Evidence]]:
    """{split: its scores}, and, to keep, {split: the sums of its images}."""
    scores, evidence = {}, {}
    try:
        for split, loader in loaders.items():
            module.image_sums = ImageSums(module.val_metrics) if keep else None
            judge = trainer.test if split == TEST else trainer.validate
            scores[split] = _without_prefix(judge(module, loader, verbose=False)[0])
            if module.image_sums:
                evidence[split] = module.image_sums.evidence()
    except SIGTERMException:
        raise KeyboardInterrupt("by SIGTERM after the training, before its network was judged") from None
    return scores, evidence


def make_module(cfg: DictConfig, data: SegmentationData, effective_batch_size: int | None = None) -> SegmentationModule:
    """Make the module that `cfg` describes: network (with init_weights if given), loss, metrics, optimiser.

    effective_batch_size: images that batch normalisation sees at once; None means data.batch_size. Raises InputError
    if a part cannot be made, or if batch normalisation would see one image.
    """
    task = task_of(cfg)
    channels = channels_of(task, data)
    network = make_network(cfg, channels, data.source.channels)
    normalises = any(isinstance(layer, nn.modules.batchnorm._BatchNorm) for layer in network.modules())
    if normalises and (effective_batch_size or data.batch_size) == 1:
        raise InputError("data.batch_size must be 2 or more: the network normalises over the batch, got 1")
    if cfg.init_weights:
        load_exactly(network, read_state(cfg.init_weights, "init_weights"), f"init_weights={cfg.init_weights}")
    check_sizes(network, data, channels)
    metrics = segmentation_metrics(channels, data.ignore_index, target_metrics(cfg, data), task=task)
    with class_names_are(task.scored(data.class_names)):
        loss = make_loss(cfg, data.ignore_index)
    for part in loss.modules():
        if hasattr(part, "measure") and part.weights is None:  # it weighs classes by their frequency
            part.measure(data.class_counts())
    return SegmentationModule(network, loss, metrics, optimizer_with_schedule(cfg.optimizer, cfg.schedule), task)


def make_loss(cfg: DictConfig, ignore_index: int) -> nn.Module:
    """Make the loss that `cfg` describes, with the factor loss.scale before it."""
    cfg = cfg.copy()
    with open_dict(cfg):
        scale = cfg.loss.pop("scale", 1)
    loss: nn.Module = instantiate(cfg.loss, ignore_index=ignore_index)
    return loss if scale == 1 else Scaled(loss, scale, ignore_index, task_of(cfg))


def make_network(cfg: DictConfig, channels: int, bands: int) -> nn.Module:
    """Make the network that `cfg` describes: images (N, bands, H, W) -> logits (N, channels, H, W)."""
    architecture = instantiate(cfg.network)
    if not isinstance(architecture, partial):
        raise InputError("network._partial_ must be true: the number of classes follows from the data")
    network = build_network(architecture.func, classes=channels, bands=bands, **architecture.keywords)
    if OmegaConf.select(cfg, "auxiliary") is not None:
        add_auxiliary(network, instantiate(cfg.auxiliary), channels)
    return network


def target_metrics(cfg: DictConfig, data: SegmentationData) -> list[str | Formula]:
    """The six metrics of the paper and the target, with the boundaries of the data and the options of the target."""
    formulas = (*data.boundary.metrics, instantiate(cfg.metric))  # the target with options of its own
    optional: dict[str, Formula] = {formula.name: formula for formula in formulas}
    members = {**dict.fromkeys(PAPER), **optional}
    return [metric or name for name, metric in members.items()]


def _without_prefix(scores: Mapping[str, float]) -> dict[str, float]:
    """Scores without "val/" or "test/", in the order of the paper."""
    short = {name.split("/")[-1]: value for name, value in scores.items()}
    return {name: short[name] for name in dict.fromkeys([*PAPER, *short]) if name in short}
