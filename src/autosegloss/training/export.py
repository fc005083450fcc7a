"""A trained network as one file for other programs: ONNX, or a program of torch.export; checked before it is kept."""

from __future__ import annotations

import copy
import io
import json
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple
from unittest.mock import patch

import timm
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from autosegloss.data.transforms import normalise
from autosegloss.errors import InputError, not_installed
from autosegloss.tasks import Task
from autosegloss.training.module import MULTIPLE, scaled

OPSET = 18
TOLERANCE = 1e-4  # of the largest logit, between the file and PyTorch
METADATA = "metadata.json"  # in the file of torch.export

Run = Callable[[Tensor], Tensor]
"""Images float32 (N, B, H, W) on the scale 0..255 -> logits (N, C, H, W)."""


class PixelsToLogits(nn.Module):
    """A network with all that comes before and after it: images of any size, as `Run` takes them, to their logits."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        height, width = images.shape[2:]
        # Of a positive number: ONNX divides integers towards zero. Indices: a slice would fix whether there is padding.
        bottom, right = (MULTIPLE * ((length + MULTIPLE - 1) // MULTIPLE) - length for length in (height, width))
        padded = F.pad(normalise(images), (0, right, 0, bottom))
        logits = scaled(self.network(padded), padded.shape[2:])
        rows, columns = (torch.arange(length, device=images.device) for length in (height, width))
        return logits.index_select(2, rows).index_select(3, columns)


class AdaptivePool(nn.Module):
    """nn.AdaptiveAvgPool2d of a size above 1 as two matrix products, since exporters write down the bins of one size.

    Bin k of n covers the pixels from floor(k L / n) up to ceil((k + 1) L / n) of L.
    """

    def __init__(self, size: Any):
        super().__init__()
        self.size = (size, size) if isinstance(size, int) else size

    def forward(self, maps: Tensor) -> Tensor:
        rows, columns = (_bins(length, n, maps) for length, n in zip(maps.shape[2:], self.size, strict=True))
        return rows @ maps @ columns.T


def _bins(length: int, count: int, like: Tensor) -> Tensor:
    """Shares (count, length) of the pixels of a row in the mean of each of `count` bins."""
    k, pixels = (torch.arange(n, device=like.device) for n in (count, length))
    begin = torch.div(k * length, count, rounding_mode="floor")[:, None]
    end = torch.div((k + 1) * length + count - 1, count, rounding_mode="floor")[:, None]
    return ((pixels >= begin) & (pixels < end)).to(like.dtype) / (end - begin)


def _expressible(network: nn.Module) -> nn.Module:
    """A copy of the network whose parts exporters can express for images of any size."""
    network = copy.deepcopy(network).to(memory_format=torch.contiguous_format)
    for parent in list(network.modules()):
        for name, part in list(parent.named_children()):
            if isinstance(part, nn.AdaptiveAvgPool2d) and part.output_size not in (1, (1, 1)):
                setattr(parent, name, AdaptivePool(part.output_size))
    return network


def _same_padding(length: Any, kernel_size: int, stride: int, dilation: int) -> Any:
    """As timm's get_same_padding, in whole numbers, since programs of torch.export cannot keep a ceil of a fraction."""
    return max((length + stride - 1) // stride * stride - stride + (kernel_size - 1) * dilation + 1 - length, 0)


class Exported(NamedTuple):
    """A file and what its check found.

    content: of the file. sizes: (N, B, H, W) of the images that were tried. difference: the largest one between the
    file's logits and PyTorch's. largest: the largest logit of all.
    """

    content: bytes
    sizes: list[tuple[int, ...]]
    difference: float
    largest: float


def describe(
    classes: Sequence[str], bands: int, size: tuple[int, int], any_size: bool, task: str | Task
) -> dict[str, str]:
    """What a file says of itself, as texts by name."""
    colours = "red, green, blue" if bands == 3 else f"{bands} bands"
    made, (height, width) = Task.resolve(task), ("H", "W") if any_size else map(str, size)
    return {
        "input": f"images float32 (N, {bands}, {height}, {width}), {colours} on the scale 0..255, not normalised",
        "output": f"logits float32 (N, {made.channels(len(classes))}, {height}, {width}); {made.decision}",
        "task": made.name,
        "classes": json.dumps(list(classes), ensure_ascii=False),
        "trained_at": f"{size[0]}x{size[1]}",
    }


def export_torch(
    network: nn.Module, bands: int, size: tuple[int, int], classes: Sequence[str], task: str | Task = "multiclass"
) -> Exported:
    """A program of torch.export, loaded again and compared with the network.

    Args:
        network: in evaluation mode, on the CPU; images (N, B, H, W) of a batch -> logits (N, C, H, W).
        bands: B.
        size: (H, W) in pixels of the images that the network was trained on.
        classes, task: the names of the classes of the data, and what the logits mean.

    Raises:
        InputError: the network cannot be exported, or the program gives other logits.
    """
    model = PixelsToLogits(network).eval()
    program, any_size = _program(model, bands, size)
    content = io.BytesIO()
    told = json.dumps(describe(classes, bands, size, any_size, task), ensure_ascii=False, indent=1)
    with _exporting("torch.export"):
        torch.export.save(program, content, extra_files={METADATA: told})
        content.seek(0)
        loaded = torch.export.load(content).module()
    return _checked(content.getvalue(), model, loaded, _sizes(bands, size, any_size))


def export_onnx(
    network: nn.Module, bands: int, size: tuple[int, int], classes: Sequence[str], task: str | Task = "multiclass"
) -> Exported:
    """A model of ONNX, run by onnxruntime and compared with the network; arguments and errors as `export_torch`."""
    try:
        import onnxruntime
        import onnxscript  # noqa: F401  torch.onnx needs it
    except ImportError as error:
        raise not_installed("ONNX", "onnx, onnxruntime and onnxscript", extra="export") from error
    model = PixelsToLogits(network).eval()
    program, any_size = _program(model, bands, size)
    with _exporting("ONNX"):
        exported: Any = torch.onnx.export(
            program, dynamo=True, opset_version=OPSET, input_names=["images"], output_names=["logits"], verbose=False
        )
        content = _named(exported.model_proto, any_size, describe(classes, bands, size, any_size, task))
        session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])

    def run(images: Tensor) -> Tensor:
        return torch.from_numpy(session.run(None, {"images": images.numpy()})[0])

    return _checked(content, model, run, _sizes(bands, size, any_size))


def _named(model: Any, any_size: bool, metadata: Mapping[str, str]) -> bytes:
    """A model of ONNX with metadata, and names for the sizes that may differ."""
    names = {0: "batch", **({2: "height", 3: "width"} if any_size else {})}
    for values in (*model.graph.input, *model.graph.output):
        for axis, name in names.items():
            values.type.tensor_type.shape.dim[axis].dim_param = name
    del model.graph.value_info[:]  # shapes of what is between, under other names
    for key, value in metadata.items():
        model.metadata_props.add(key=key, value=value)
    return model.SerializeToString()


def _program(model: PixelsToLogits, bands: int, size: tuple[int, int]) -> tuple[ExportedProgram, bool]:
    """The model as a program, and whether it takes images of any size, not of `size` alone."""
    height, width = (max(length, 8 * MULTIPLE) for length in size)  # no part sees one pixel, which has rules of its own
    odd = torch.zeros(2, bands, height + MULTIPLE + 5, width + 2 * MULTIPLE + 9)
    model = PixelsToLogits(_expressible(model.network)).eval()
    any_size = _takes(model, odd)
    images, sizes = (odd, (0, 2, 3)) if any_size else (torch.zeros(2, bands, *size), (0,))
    with _exporting("torch.export"), torch.no_grad():
        shapes = (dict.fromkeys(sizes, Dim.DYNAMIC),)
        return torch.export.export(model, (images,), dynamic_shapes=shapes, strict=False), any_size


def _takes(model: nn.Module, images: Tensor) -> bool:
    try:
        with torch.no_grad():
            model(images)
    except (AssertionError, RuntimeError, ValueError):
        return False
    return True


@contextmanager
def _exporting(what: str) -> Iterator[None]:
    """Within it exporters meet what they can express, print no warnings, and their errors become InputErrors."""
    level = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings(), patch.object(timm.layers.padding, "get_same_padding", _same_padding):
            warnings.simplefilter("ignore")
            yield
    except Exception as error:  # exporters raise errors of many kinds
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{what} cannot express this network ({type(error).__name__}: {reason})") from error
    finally:
        logging.disable(level)


def _sizes(bands: int, size: tuple[int, int], any_size: bool) -> list[tuple[int, ...]]:
    """Sizes to try: the network's own, a multiple of the padding, and one that needs padding."""
    height, width = size
    others = [(MULTIPLE * (height // MULTIPLE + 2), MULTIPLE * (width // MULTIPLE + 1)), (height + 19, width + 50)]
    tried = [size, *(others if any_size else [])]
    return [(count, bands, *each) for count, each in enumerate(tried, start=1)]


def _result(run: Run, images: Tensor) -> Tensor:
    try:
        return run(images)
    except Exception as error:  # the program's own check of a size, or an error of the runtime
        shape, reason = "x".join(map(str, images.shape)), " ".join(str(error).split())[:200]
        raise InputError(
            f"the exported network does not take images of {shape} ({type(error).__name__}: {reason}); nothing is "
            "written: try the other format, or train on larger images"
        ) from error


def _checked(content: bytes, model: nn.Module, run: Run, sizes: list[tuple[int, ...]]) -> Exported:
    """The file, with what its check found; InputError if it gives other logits than the model."""
    draw = torch.Generator().manual_seed(0)
    differences, logits = [], []
    for size in sizes:
        images = 255 * torch.rand(size, generator=draw)
        with torch.no_grad():
            expected, got = model(images), _result(run, images)
        differences.append((got - expected).abs().max())
        logits.append(expected.abs().max())
    difference, largest = (torch.stack(numbers).max().item() for numbers in (differences, logits))  # nan if any is
    if not difference <= TOLERANCE * largest:
        raise InputError(
            f"the exported network gives other logits than PyTorch: they differ by {difference:.2g}, the largest is "
            f"{largest:.2g}; nothing is written"
        )
    return Exported(content, sizes, difference, largest)
