"""A program that uses all of the light core, as on Windows: python light_core.py FOLDER, where it writes a card.

tests/test_light_core.py runs it without the packages of the extras.
"""
# ruff: noqa: E402 (the library is imported after Windows is imitated)

import fcntl
import os
import sys
import warnings
from pathlib import Path

posix_open, posix_fsync, flags_of = os.open, os.fsync, lambda descriptor: fcntl.fcntl(descriptor, fcntl.F_GETFL)
for missing_on_windows in ("fcntl", "triton", "resource", "pwd", "grp", "termios"):
    sys.modules[missing_on_windows] = None
for missing_on_windows in ("O_DIRECTORY", "fork", "getuid", "geteuid", "killpg", "setsid"):
    delattr(os, missing_on_windows)


def open_file(path, *arguments, **options):
    """As `os.open` of Windows, which opens no folder."""
    if os.path.isdir(path):
        raise PermissionError(13, "Permission denied", path)
    return posix_open(path, *arguments, **options)


def write_to_disk(descriptor):
    """As `os.fsync` of Windows, which takes no file that is open for reading alone."""
    if flags_of(descriptor) & os.O_ACCMODE == os.O_RDONLY:
        raise OSError(9, "Bad file descriptor")
    posix_fsync(descriptor)


os.open, os.fsync = open_file, write_to_disk
# Windows reads text in an encoding of its own unless one is given; by -X warn_default_encoding Python tells where.
warnings.filterwarnings("error", category=EncodingWarning, module="autosegloss")

import torch

from autosegloss import InputError, SurrogateLoss, ThetaCard, losses
from autosegloss.curves import CurveFamily
from autosegloss.formulas import PAPER
from autosegloss.metrics import segmentation_metrics
from autosegloss.theta_card import shipped_cards

LOSSES = {
    "library": lambda: losses.LibraryLoss(torch.nn.CrossEntropyLoss),
    "ssim": losses.SSIMLoss,
    "weighted": lambda: losses.WeightedCrossEntropy([1, 2, 3]),
    "sum": lambda: losses.WeightedSum([losses.SSIMLoss()], [1]),
    "naive": lambda: SurrogateLoss("miou", curve="identity"),
    **{f"surrogate of {metric}": lambda metric=metric: SurrogateLoss(metric) for metric in PAPER},
    **{f"card {card}": lambda card=card: SurrogateLoss.from_pretrained(card) for card in shipped_cards()},
}

logits = torch.randn(2, 3, 16, 16, requires_grad=True)
labels = torch.randint(3, (2, 16, 16))
for name, make in LOSSES.items():
    logits.grad = None
    make()(logits, labels).backward()
    assert logits.grad.isfinite().all(), name
    assert logits.grad.any(), name

metrics = segmentation_metrics(num_classes=3)
metrics.update(logits, labels)
assert metrics.compute().keys() == set(PAPER)

for name in CurveFamily.members:
    family = CurveFamily.named(name)
    assert family.control_points(family.identity()).shape[-1] == 2, name

card, path = ThetaCard.load("miou"), Path(sys.argv[1], "card.yaml")
card.save(path)
assert all(torch.equal(row, card.theta[name]) for name, row in ThetaCard.load(path).theta.items())

try:
    losses.DistancePenalizedCrossEntropy()
except InputError as error:
    print(error)
