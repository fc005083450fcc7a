"""The examples train with their libraries, on tiny data and for a few steps, and print a score of each loss."""

import re
import runpy
import sys
from types import ModuleType, SimpleNamespace

import pytest
import torch
from conftest import ROOT
from helpers.laws import batch
from torch import nn
from torch.testing import assert_close

from autosegloss import InputError

EXAMPLES = {  # what each prints, and what it needs beside the extra "test": an extra, and the packages of it
    "plain_pytorch": ("mIoU", []),
    "smp_metrics": ("iou_score", []),
    "lightning_module": ("mIoU", []),
    "torchvision_lraspp": ("mIoU", []),
    "hugging_face_trainer": ("mIoU", ["examples", "transformers", "accelerate"]),
    "monai_unet": ("Dice", ["examples", "monai"]),
    "nnunet_small": ("Dice", ["nnunet", "nnunetv2"]),
}


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # of the libraries
@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_train_and_print_a_score_of_each_loss(name, monkeypatch, capsys, tmp_path):
    score, needed = EXAMPLES[name]
    for package in needed[1:]:
        pytest.importorskip(package, reason=f"{package} is not installed: pip install '.[{needed[0]}]'")
    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HIPPOCAMPUS_ROOT", raising=False)
    monkeypatch.setenv("nnUNet_results", str(tmp_path))  # the example sets it
    monkeypatch.setattr(sys, "argv", [f"{name}.py", "3"])
    runpy.run_path(str(ROOT / f"examples/{name}.py"), run_name="__main__")
    scores = dict(re.findall(rf"^(.+): {score} (0\.\d+)", capsys.readouterr().out, re.MULTILINE))
    assert {"cross-entropy", "surrogate"} <= scores.keys()


def test_examples_are_short_and_named_on_the_page():
    page = (ROOT / "docs/loops.md").read_text()
    assert all(f"[{name}.py](../examples/{name}.py)" in page for name in EXAMPLES)
    for path in (ROOT / "examples").rglob("*.py"):
        assert len(path.read_text().splitlines()) < 60, path.name


class Deep(nn.Module):
    """Weighted losses of the resolutions, as of nnU-Net."""

    def forward(self, outputs, targets):
        return sum(w * self.loss(*each) for w, *each in zip((0.75, 0.25), outputs, targets, strict=True))


class Trainer:
    """What the example uses of nnU-Net's trainer."""

    local_rank, disable_checkpointing = 0, False

    def __init__(self, deep, regions=False):
        self.enable_deep_supervision = deep
        self.label_manager = SimpleNamespace(foreground_labels=[1, 2], ignore_label=3, has_regions=regions)

    def _build_loss(self):
        return Deep() if self.enable_deep_supervision else nn.Module()

    def save_checkpoint(self, filename):
        torch.save({"epoch": 1}, filename)

    def load_checkpoint(self, filename_or_checkpoint):
        pass


@pytest.fixture
def surrogate_trainer(monkeypatch):
    name = ""
    for part in ("nnunetv2", "training", "nnUNetTrainer", "nnUNetTrainer"):
        name = f"{name}.{part}".lstrip(".")
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    sys.modules[name].nnUNetTrainer = Trainer
    return runpy.run_path(str(ROOT / "examples/nnunet/surrogate_trainer.py"))["nnUNetTrainerSurrogate"]


@pytest.mark.parametrize("deep", [False, True])
def test_the_trainer_of_nnunet_keeps_its_scale(surrogate_trainer, deep, tmp_path):
    first, second = surrogate_trainer(deep), surrogate_trainer(deep)
    first.loss, second.loss = first._build_loss(), second._build_loss()
    logits, labels = batch(ignored=0)
    labels = labels[:, None].float()
    given = ([logits, logits[..., ::2]], [labels, labels[..., ::2]]) if deep else (logits, labels)
    value = first.loss(*given)
    first.save_checkpoint(str(tmp_path / "checkpoint.pth"))
    second.load_checkpoint(str(tmp_path / "checkpoint.pth"))
    other = [[2 * each for each in given[0]], given[1]] if deep else [2 * logits, labels]  # would set another scale
    assert_close(second.loss(*other), first.loss(*other), rtol=0, atol=0)
    assert_close(second.loss(*given), value, rtol=0, atol=0)


def test_the_trainer_of_nnunet_refuses_regions(surrogate_trainer):
    with pytest.raises(InputError, match=r"for regions build the loss with .*task=.multilabel"):
        surrogate_trainer(deep=False, regions=True)._build_loss()
