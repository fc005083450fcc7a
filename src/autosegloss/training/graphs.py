"""A network as CUDA graphs: a training whose GPU waits for Python waits no more."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from autosegloss.errors import InputError
from autosegloss.training.auxiliary import auxiliary_of
from autosegloss.training.freezing import FreezeEncoder
from autosegloss.training.module import padded


class GraphNetwork(pl.Callback):
    """Replays the network's passes of a training step, forward and backward, as two CUDA graphs.

    They are captured at the first batch, whose shape all others have; dropout draws other numbers. The loss, the
    optimiser and validations run as without. Worth it where a step takes less time on the GPU than its launches take
    Python: small images, large GPUs.

    Raises:
        InputError: when the training begins, without a GPU, on several of them, with accumulated gradients or a frozen
            encoder; at the first batch, for a network that cannot be captured.
    """

    def __init__(self) -> None:
        self._done = False

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        without = "leave out callbacks=cuda_graph"
        if trainer.accumulate_grad_batches > 1:
            raise InputError(f"a CUDA graph does not accumulate gradients: {without}, or the accumulation")
        if any(isinstance(callback, FreezeEncoder) for callback in vars(trainer)["callbacks"]):
            raise InputError(f"a CUDA graph does not learn to stop, or to begin: {without}, or freeze_encoder")
        network = pl_module.network
        assert isinstance(network, nn.Module)  # of a SegmentationModule
        if auxiliary_of(network) is not None:
            raise InputError(f"a CUDA graph gives the logits alone: {without}, or auxiliary")
        if pl_module.device.type != "cuda" or trainer.world_size > 1:
            raise InputError(f"a CUDA graph is of one GPU, this training is on {_where(trainer)}: {without}")

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, *_: Any) -> None:
        if self._done:
            return
        _allow_streams_to_differ()
        network = pl_module.network
        assert isinstance(network, nn.Module)  # of a SegmentationModule
        with trainer.precision_plugin.train_step_context():
            graph_training(network, padded(batch[0]).clone())
        self._done = True

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self._done:  # the method of its class comes back, and the memory of the graphs is free
            del vars(pl_module.network)["forward"]
            self._done = False

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        self.on_train_end(trainer, pl_module)


class _Bare(nn.Module):
    """The parameters of a network and its forward pass, without its hooks, which graphs refuse."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network, self.eager = network, network.forward

    def forward(self, images: Tensor) -> Any:
        return self.eager(images)


def graph_training(network: nn.Module, images: Tensor) -> None:
    """Let the network replay graphs in its mode of training; its weights and statistics stay as they are.

    images: (N, B, H, W), as those of every later batch; their memory becomes the graph's.
    """
    before = [buffer.clone() for buffer in network.buffers()]
    eager = network.forward
    try:
        replay = torch.cuda.make_graphed_callables(_Bare(network), (images,))
    except torch.cuda.OutOfMemoryError:
        raise
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:150]
        raise InputError(f"the network cannot be a CUDA graph ({reason}): leave out callbacks=cuda_graph") from error
    with torch.no_grad():
        for buffer, value in zip(network.buffers(), before, strict=True):  # the passes before the capture change them
            buffer.copy_(value)
    network.forward = lambda images: replay(images) if network.training else eager(images)


def _allow_streams_to_differ() -> None:
    """Have torch, from 2.11 on, say nothing of gradients that a graph leaves on a stream of its own: graphs wait."""
    if warn := getattr(torch.autograd.graph, "set_warn_on_accumulate_grad_stream_mismatch", None):
        warn(False)


def _where(trainer: pl.Trainer) -> str:
    kind = trainer.strategy.root_device.type
    return f"{trainer.world_size} devices" if trainer.world_size > 1 else f"the {kind}"
