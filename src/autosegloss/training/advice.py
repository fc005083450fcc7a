"""Notes about settings that do less than they seem to, told before a training."""

from __future__ import annotations

from collections.abc import Iterator

from omegaconf import DictConfig

from autosegloss import SurrogateLoss
from autosegloss.losses import ClassMeanLoss, SinglePrecisionLoss
from autosegloss.training.module import SegmentationModule
from autosegloss.training.optimizers import encoder_of

_OF_A_BATCH = (SurrogateLoss, ClassMeanLoss, SinglePrecisionLoss)  # ratios of sums over the pixels of a batch


def notes(cfg: DictConfig, module: SegmentationModule) -> Iterator[str]:
    """One line for each setting of `cfg` that does less for this module than it seems to.

    Args:
        cfg: the configuration of the run.
        module: made from it.
    """
    count = cfg.trainer.get("accumulate_grad_batches") or 1
    if count > 1 and any(isinstance(part, _OF_A_BATCH) for part in module.loss.modules()):
        size = cfg.data.batch_size
        yield (
            f"trainer.accumulate_grad_batches={count} averages the gradients of {count} losses of {size} images each, "
            f"which is not the loss of {count * size} images: this loss is a ratio of sums over its batch; a larger "
            "data.batch_size, or more devices, gives it more images"
        )
    for part in module.loss.modules():
        if isinstance(part, SurrogateLoss) and part.found_for != part.task.name:
            yield (
                f"theta of {part.formula.name} was found for task={part.found_for}, and is taken as it is for "
                f"task={part.task.name}: a search with task={part.task.name} finds its own"
            )
    multiplier = cfg.optimizer.get("head_multiplier", 1)
    if multiplier != 1 and encoder_of(module.network) is None:
        yield f"optimizer.head_multiplier={multiplier} applies to nothing: the network has no encoder"
