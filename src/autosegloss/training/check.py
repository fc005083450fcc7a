"""What is checked before anything is trained: that every run can be made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hydra.utils import instantiate

from autosegloss.data.description import describe
from autosegloss.training.failures import describe_mistake, failure_of
from autosegloss.training.length import in_steps
from autosegloss.training.outcome import Checked, Failure, Planned
from autosegloss.training.run import judged_loaders, make_module
from autosegloss.training.settings import check_settings

if TYPE_CHECKING:
    from autosegloss.data.datamodule import SegmentationData


def check_runs(runs: Mapping[str, Planned], read: bool = True) -> Checked | Failure:
    """Make the data and the module of every run, and describe the data of the first.

    With `read` images and masks that are kept in memory are read, too, so that a fault in one of them, and what is
    doubtful about the whole, shows now. A mistake names its run.
    """
    described: dict[str, Any] = {}
    for name, planned in runs.items():
        try:
            data = _make(planned, read)
            described = described or describe(data, read)
        except Exception as error:
            if mistake := describe_mistake(error):
                return Failure("mistake", f"{name}: {mistake}")
            return failure_of(error)
    return Checked(described)


def _make(planned: Planned, read: bool) -> SegmentationData:
    cfg = planned.config
    check_settings(cfg)
    data: SegmentationData = instantiate(cfg.data)
    data.check(planned.devices, cfg.test and data.has_test)
    in_steps(cfg, data, planned.devices)
    if read:
        _ = data.train_dataloader(), judged_loaders(cfg, data)
    make_module(cfg, data, effective_batch_size=planned.synchronised * data.batch_size)
    return data
