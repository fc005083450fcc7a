"""What is judged: the predictions of a network on a data set, or files of masks, beside the truth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from autosegloss.data.datamodule import SegmentationData
from autosegloss.data.dataset import SegmentationDataset
from autosegloss.data.datasets.class_table import Classes
from autosegloss.data.datasets.masks import MASK_SUFFIXES
from autosegloss.data.datasets.pairs import natural_key
from autosegloss.data.datasets.source import SPLITS, Sample
from autosegloss.data.samplers import SampleKey
from autosegloss.errors import InputError
from autosegloss.evaluation.calibration import Calibration
from autosegloss.evaluation.decode import Decoder
from autosegloss.evaluation.measure import Judged
from autosegloss.tasks import Task
from autosegloss.training.module import logits_of, scaled

ALL = "all"  # splits together
_NAMED = 3  # masks in a line


def judged_parts(data: SegmentationData, split: str) -> list[tuple[str, Sequence[int]]]:
    """The splits of the source, and the indices of their samples, that stand for "val", "test", "train" or "all".

    "val" are the samples held out if there is a hold-out. Raises InputError if there are no samples.
    """
    if split != ALL:
        return [data.eval_samples(split)]
    counts = {name: len(data.source.samples(name)) for name in SPLITS}
    return [(name, range(count)) for name, count in counts.items() if count]


def network_predictions(
    network: nn.Module, data: SegmentationData, split: str, task: Task, decode: Decoder, device: torch.device
) -> Iterator[Judged]:
    """The predictions of a network at the size that the data are judged at.

    Args:
        network: images (1, B, H, W) -> logits (1, C, H, W).
        data: of images and masks.
        split: "val", "test", "train" or "all".
        task: what the logits mean.
        decode: from logits to labels.
        device: where the network computes.
    """
    network = network.to(device)
    for name, indices in judged_parts(data, split):
        dataset = SegmentationDataset(data.judged_split(name, indices), data.ignore_index, device=device)
        samples = data.source.samples(name)
        for index in indices:
            image, label = dataset[SampleKey(index)]
            with torch.inference_mode():
                logits = scaled(logits_of(network, image[None]), label.shape[-2:]).float()
                calibration = Calibration.of(*task.as_classes(logits, label[None]), data.ignore_index)
                predicted = decode(logits).to(torch.int32)
            load = partial(_image, samples[index])
            yield Judged(samples[index].name, label[None].to(torch.int32), predicted, calibration, load)


def file_predictions(predictions: Path, truth: Path, classes: Classes) -> Iterator[Judged]:
    """The masks in a folder beside the true ones of the same name in another, subfolders included.

    A line tells of predictions without truth.

    Args:
        predictions: the folder of the predicted masks.
        truth: the folder of the true masks.
        classes: what the values or colours of both mean.

    Raises:
        InputError: a folder is missing, a true mask has no partner, or another size than it; or two masks in a folder
            have one name.
    """
    predicted, true = _masks(predictions, "predictions"), _masks(truth, "truth")
    if missing := [name for name in true if name not in predicted]:
        raise InputError(
            f"{len(missing)} of {len(true)} masks in {truth} have no prediction in {predictions}: first {missing[0]}"
        )
    if more := [name for name in predicted if name not in true]:
        first = ", ".join(more[:_NAMED]) + (", ..." if len(more) > _NAMED else "")
        print(f"note: {len(more)} of {len(predicted)} masks in {predictions} have no truth and do not count: {first}")
    for name, path in true.items():
        one, other = classes.read(path), classes.read(predicted[name])
        if one.shape != other.shape:
            sizes = " and ".join("x".join(map(str, each.shape)) for each in (other, one))
            raise InputError(f"{predicted[name]} and {path} differ in size (HxW): {sizes}")
        yield Judged(name, _batch(one), _batch(other))


def _image(sample: Sample) -> Tensor:
    return sample.load()[0]


def _batch(label: Tensor) -> Tensor:
    return label[None].to(torch.int32)


def _masks(folder: Path, key: str) -> dict[str, Path]:
    """The masks in a folder by their path without the ending, neighbouring frames in order."""
    if not folder.is_dir():
        raise InputError(f"{key}={folder} is no folder: give that of the masks")
    files = [path for path in folder.rglob("*") if path.suffix.lower() in MASK_SUFFIXES]
    found: dict[str, Path] = {}
    for path in sorted(files):
        name = path.relative_to(folder).with_suffix("").as_posix()
        if name in found:
            raise InputError(f"{key}: {found[name]} and {path} are masks of one name: remove one of them")
        found[name] = path
    if not found:
        raise InputError(f"{key}={folder} holds no mask: expected files {', '.join(MASK_SUFFIXES)}")
    return {name: found[name] for name in sorted(found, key=natural_key)}


def names_of(names: Sequence[str]) -> list[str]:
    """The names of images without the folders that all of them share."""
    parts = [Path(name).parts for name in names]
    shared = 0
    while all(len(each) > shared + 1 for each in parts) and len({each[shared] for each in parts}) == 1:
        shared += 1
    return ["/".join(each[shared:]) for each in parts]
