"""The examples train with their libraries, on tiny data and for a few steps, and print a score of each loss."""

import re
import runpy
import sys

import pytest
from conftest import ROOT

EXAMPLES = {  # what each prints, and the packages that no test installs
    "plain_pytorch": ("mIoU", []),
    "smp_metrics": ("iou_score", []),
    "lightning_module": ("mIoU", []),
    "torchvision_lraspp": ("mIoU", []),
    "hugging_face_trainer": ("mIoU", ["transformers", "accelerate"]),
    "monai_unet": ("Dice", ["monai"]),
    "nnunet_small": ("Dice", ["nnunetv2"]),
}


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # of the libraries
@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_train_and_print_a_score_of_each_loss(name, monkeypatch, capsys, tmp_path):
    score, packages = EXAMPLES[name]
    for package in packages:
        pytest.importorskip(package, reason=f"{package} is not installed: pip install '.[examples]'")
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
