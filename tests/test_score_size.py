"""Scores do not depend on what shares a batch, and are those at the masks' own size: against one image at a time."""

import datetime
import io
import math
import pickle
import subprocess
import sys

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
import torch.distributed as dist
import torch.nn.functional as F
from helpers.references import AVERAGES, SUMS
from PIL import Image
from torch import nn
from torch.testing import assert_close
from torchmetrics.functional.classification import multiclass_jaccard_index
from torchvision.transforms.v2 import functional as tv

from autosegloss.data import Boundary, Folder, SegmentationData
from autosegloss.data.transforms import MEAN, STD
from autosegloss.formulas import PAPER, BoundaryF1, BoundaryIoU
from autosegloss.metrics import segmentation_metrics
from autosegloss.training.module import SegmentationModule, predicted

CLASSES, EXTENT = 3, 0.04  # a fraction of the diagonal: 1 to 4 pixels
SIZES = [(40, 50), (24, 90), (40, 50), (33, 47), (5, 61), (1, 40)]
QUIET = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False}

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning"),  # between Lightning and torch
]


class SeesAll(nn.Module):
    """A network whose logits at each pixel depend on all pixels, as those behind a global pooling do."""

    def __init__(self):
        super().__init__()
        self.near, self.far = nn.Conv2d(3, CLASSES, 3, padding=1), nn.Conv2d(3, CLASSES, 1)

    def forward(self, images):
        return 3 * self.near(images) + self.far(images.mean((2, 3), keepdim=True))


def made_network():
    torch.manual_seed(1)
    return SeesAll().eval()


def module_of(network):
    metrics = segmentation_metrics(CLASSES, 255, [*PAPER[:4], BoundaryIoU(EXTENT), BoundaryF1(EXTENT)])
    return SegmentationModule(network, nn.CrossEntropyLoss(), metrics, None)


@pytest.fixture(scope="module")
def network():
    return made_network()


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """Patches of classes with ignored ones, and images that hint at them, of several sizes, two of them the same."""
    root, rng = tmp_path_factory.mktemp("sizes"), np.random.default_rng(0)
    for split in ("train", "val"):
        for folder in ("images", "masks"):
            (root / split / folder).mkdir(parents=True)
        for k, size in enumerate(SIZES):
            patches = rng.choice([0, 1, 2, 255], size=[-(-side // 6) for side in size], p=[0.4, 0.3, 0.2, 0.1])
            label = patches.repeat(6, 0).repeat(6, 1)[: size[0], : size[1]].astype(np.uint8)
            image = (label[..., None] % 3 * 80 + rng.integers(0, 90, (*size, 3))).astype(np.uint8)
            Image.fromarray(image).save(root / split / "images" / f"{k}.png")
            Image.fromarray(label).save(root / split / "masks" / f"{k}.png")
    return Folder(str(root), classes=CLASSES)


def scores(network, source, **settings):
    """The scores of the validation split by the module, a Trainer and the data module, as `train.py` has them."""
    data = SegmentationData(source, **{"size": None, "batch_size": 2, **settings})
    trainer = pl.Trainer(accelerator="cpu", **QUIET)
    found = trainer.validate(module_of(network), data.val_dataloader(), verbose=False)[0]
    return {name.removeprefix("val/"): value for name, value in found.items()}


def logits_of(network, image):
    """Of one image (3, H, W), uint8, by hand."""
    height, width = image.shape[1:]
    padded = F.pad((image - MEAN) / STD, (0, -width % 32, 0, -height % 32))
    return network(padded[None])[..., :height, :width]


@torch.no_grad()
def expected(network, source, size=None):
    """(scores, predictions) of the images one by one, each at the size of its mask, its boundaries by its diagonal."""
    sums, preds = {name: [[] for _ in range(CLASSES)] for name in PAPER}, []
    for sample in source.samples("val"):
        image, label = sample.load()
        logits = logits_of(network, tv.resize(image, list(size), antialias=True) if size else image)
        pred = F.interpolate(logits, label.shape, mode="bilinear", align_corners=False).argmax(1)
        preds.append((pred.flatten(), label.flatten().long()))
        extent = max(1, round(EXTENT * math.hypot(*label.shape)))
        for name, c in ((name, c) for name in PAPER for c in range(CLASSES)):
            sums[name][c].append(SUMS[name](pred.numpy(), label[None].numpy(), c, CLASSES, 255, extent))
    total = {name: [tuple(np.sum(parts, axis=0)) for parts in of_class] for name, of_class in sums.items()}
    return {name: AVERAGES[name](total[name]) for name in PAPER}, [torch.cat(x) for x in zip(*preds, strict=True)]


WAYS = {"whole images from disk": {"crop": (16, 16)}, "resized in memory": {"size": (20, 28)}}


@pytest.mark.parametrize("eval_batch_size", [1, 2, 6])
@pytest.mark.parametrize("way", WAYS)
def test_scores_are_those_of_single_images_at_the_size_of_their_masks(network, source, way, eval_batch_size):
    right, (preds, labels) = expected(network, source, WAYS[way].get("size"))
    found = scores(network, source, **WAYS[way], eval_batch_size=eval_batch_size)
    assert_close(found, right, rtol=0, atol=1e-6)
    assert_close(found["miou"], multiclass_jaccard_index(preds, labels, CLASSES, ignore_index=255).item())
    assert all(0.1 < score < 0.9 for score in right.values())


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_workers_change_no_score(network, source, way):
    alone, together = (scores(network, source, **WAYS[way], eval_batch_size=4, num_workers=n) for n in (0, 2))
    assert alone == together


def judge_in_a_process(rank, root, folder):
    """The scores of one of two processes, whose metrics are summed over both, to a file."""
    meeting = {"init_method": f"file://{folder}/meeting", "timeout": datetime.timedelta(seconds=60)}
    dist.init_process_group("gloo", rank=rank, world_size=2, **meeting)
    data = SegmentationData(Folder(root, classes=CLASSES), size=(20, 28), batch_size=2, eval_batch_size=2)
    module, seen = module_of(made_network()), 0
    for images, labels in (stack for batch in data.val_dataloader() for stack in batch):
        seen += len(images)
        module.val_metrics.update(predicted(module(images), labels.shape[1:]), labels)
    assert seen == len(SIZES) / 2
    torch.save(module.val_metrics.compute(), f"{folder}/{rank}.pt")


@pytest.mark.slow
def test_two_processes_that_share_the_images_have_the_scores_of_one(network, source, tmp_path):
    right, _ = expected(network, source, (20, 28))
    with subprocess.Popen([sys.executable, __file__, source.root, str(tmp_path)]) as other:
        try:
            judge_in_a_process(0, source.root, tmp_path)
            assert other.wait(timeout=60) == 0
        finally:
            dist.destroy_process_group()
            other.kill()
    for rank in (0, 1):
        found = {name.removeprefix("val/"): value.item() for name, value in torch.load(tmp_path / f"{rank}.pt").items()}
        assert_close(found, right, rtol=0, atol=1e-6)


def test_scores_at_the_size_of_the_input_are_others(network, source):
    data = {"size": (20, 28), "eval_batch_size": 6}
    at_input = scores(network, source, **data, score_at="input")
    assert abs(at_input["miou"] - scores(network, source, **data)["miou"]) > 1e-3
    images, labels = next(iter(SegmentationData(source, batch_size=2, **data, score_at="input").val_dataloader()))[0]
    assert (images.shape, labels.shape) == ((6, 3, 20, 28), (6, 20, 28))


def test_masks_that_are_as_large_as_the_input_are_judged_as_they_are(network, source):
    """The logits are not touched: where sizes are equal, both ways are bit-equal."""
    logits = torch.randn(2, CLASSES, 8, 9)
    assert_close(predicted(logits, (8, 9)), logits.argmax(1), rtol=0, atol=0)


@pytest.mark.parametrize("pixels", [1, 2 * 40 * 50, 10**9])
def test_large_masks_are_judged_a_few_at_a_time(network, source, monkeypatch, pixels):
    monkeypatch.setattr("autosegloss.training.module._TOGETHER", pixels)
    right, _ = expected(network, source, (20, 28))
    assert_close(scores(network, source, size=(20, 28), eval_batch_size=6), right, rtol=0, atol=1e-6)


def test_logits_of_half_precision_are_scaled_in_float32():
    logits = torch.randn(1, CLASSES, 6, 7, generator=torch.Generator().manual_seed(0)).bfloat16()
    exact = F.interpolate(logits.double(), (60, 70), mode="bilinear", align_corners=False)
    assert_close(predicted(logits, (60, 70)), exact.argmax(1), rtol=0, atol=0)


def test_a_batch_holds_a_stack_for_each_size(source):
    def shapes(**settings):
        data = SegmentationData(source, **{"size": None, "batch_size": 2, "eval_batch_size": 6, **settings})
        return [[(tuple(x.shape), tuple(y.shape)) for x, y in batch] for batch in data.val_dataloader()]

    counts = {size: SIZES.count(size) for size in SIZES}
    assert shapes(crop=(16, 16)) == [[((n, 3, *size), (n, *size)) for size, n in counts.items()]]
    assert shapes(size=(20, 28)) == [[((n, 3, 20, 28), (n, *size)) for size, n in counts.items()]]
    assert [len(batch) for batch in shapes(crop=(16, 16), eval_batch_size=2)] == [2, 2, 2]


def test_held_out_images_alone_are_kept_with_masks_of_their_own_size(source):
    data = SegmentationData(source, size=(20, 28), batch_size=2, holdout=2, block=2)
    loader = data.val_dataloader()
    assert len(loader.dataset) == 2
    found = [labels[0] for batch in loader for _, labels in batch]
    samples = source.samples("train")
    assert_close(found, [samples[i].load()[1].long() for i in data.parts[1]])
    again = SegmentationData(source, size=(20, 28), batch_size=2, holdout=2, block=2).val_dataloader()
    assert again.dataset.split is loader.dataset.split  # decoded once per process


def test_workers_get_few_tensors_however_many_masks_there_are(source):
    """Each may be an open file, of which a process has a thousand at most."""
    tensors = []

    class Pickler(pickle.Pickler):
        def persistent_id(self, value):
            tensors.extend([value] if isinstance(value, torch.Tensor) else [])

    data = SegmentationData(source, size=(20, 28), batch_size=2)
    Pickler(io.BytesIO()).dump(data.val_dataloader().dataset.split)
    assert len(tensors) == 2


@pytest.mark.parametrize(
    ("own", "shown"),
    [
        ((20, 40), (slice(0, 20), slice(10, 30))),  # halved to 10x20: columns 5 to 15
        ((50, 30), (slice(12, 41), slice(0, 30))),  # scaled to 17x10: rows 4 to 14 are 11.8 to 41.2 of the mask
        ((5, 5), (slice(0, 5), slice(0, 5))),
        ((1, 300), (slice(0, 1), slice(150, 151))),  # scaled to 10x3000: a pixel of its own
    ],
)
def test_with_keep_aspect_the_part_that_the_input_shows_is_judged(tmp_path, own, shown):
    label = np.arange(own[0] * own[1]).reshape(own) % 250
    for folder, picture in {"images": np.zeros((*own, 3)), "masks": label}.items():
        for split in ("train", "val"):
            (tmp_path / split / folder).mkdir(parents=True)
            Image.fromarray(picture.astype(np.uint8)).save(tmp_path / split / folder / "a.png")
    data = SegmentationData(Folder(str(tmp_path), classes=250), size=10, batch_size=1, keep_aspect=True)
    images, labels = next(iter(data.val_dataloader()))[0]
    assert images.shape == (1, 3, 10, 10)
    assert_close(labels[0], torch.from_numpy(label[shown]))


def test_boundaries_reach_five_pixels_unless_the_data_say_otherwise():
    assert Boundary() == Boundary(width=5, tolerance=5)


if __name__ == "__main__":
    judge_in_a_process(1, *sys.argv[1:])
    dist.destroy_process_group()
