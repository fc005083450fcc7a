"""Objects parted by a rim of ignored pixels: with `rims` a class ends there, as if the ignored pixels were one more."""

import pytest
import torch
from torch.testing import assert_close

from autosegloss import SurrogateLoss
from autosegloss.errors import InputError
from autosegloss.formulas import BoundaryF1, BoundaryIoU, ChengBoundaryIoU, SurfaceDice
from autosegloss.metrics import FormulaMetric

CLASSES, IGNORED = 3, 255
KINDS = [BoundaryIoU, BoundaryF1, SurfaceDice]
every_formula = pytest.mark.parametrize("kind", [*KINDS, ChengBoundaryIoU])


def scene(rim=6):
    """Labels of a square on a background, parted by a rim that is wider than the band, and noisy predictions."""
    labels = torch.zeros(2, 40, 40, dtype=torch.long)
    labels[:, 10 - rim : 30 + rim, 10 - rim : 30 + rim] = IGNORED
    labels[0, 10:30, 10:30], labels[1, 10:30, 10:30] = 1, 2
    random = torch.Generator().manual_seed(0)
    noise = torch.randint(CLASSES, labels.shape, generator=random)
    preds = labels.where(torch.rand(labels.shape, generator=random) > 0.05, noise)
    return preds.where(labels != IGNORED, noise), labels


@every_formula
def test_the_score_is_that_with_the_ignored_pixels_as_one_more_class(kind):
    preds, labels = scene()
    found = FormulaMetric(kind(rims=True), CLASSES, ignore_index=IGNORED, per_class=True)(preds, labels)
    outside = labels == IGNORED
    more = [labels_or_preds.masked_fill(outside, CLASSES) for labels_or_preds in (preds, labels)]
    assert_close(found, FormulaMetric(kind(), CLASSES + 1, ignore_index=None, per_class=True)(*more)[:CLASSES])
    assert 0.3 < found.min() <= found.max() < 1


@pytest.mark.parametrize("kind", KINDS)  # the border of the image is a boundary to ChengBoundaryIoU
def test_without_them_there_is_no_boundary(kind):
    _, labels = scene()
    assert FormulaMetric(kind(), CLASSES, ignore_index=IGNORED)(labels % CLASSES, labels).isnan()
    assert_close(
        FormulaMetric(kind(rims=True), CLASSES, ignore_index=IGNORED)(labels % CLASSES, labels), torch.tensor(1.0)
    )


@every_formula
def test_the_loss_of_crisp_maps_is_exact_and_blind_to_ignored_pixels(kind):
    preds, labels = scene()
    loss = SurrogateLoss(kind(rims=True), ignore_index=IGNORED, classes="present")
    logits = (200 * torch.nn.functional.one_hot(preds, CLASSES).movedim(-1, 1)).float().requires_grad_()
    exact = FormulaMetric(kind(rims=True), CLASSES, ignore_index=IGNORED)(preds, labels)
    assert_close(loss(logits, labels), 1 - exact)
    other = logits.detach().where((labels != IGNORED).unsqueeze(1), torch.randn(logits.shape)).requires_grad_()
    (loss(other, labels) + loss(0.01 * other, labels)).backward()
    assert_close(loss(other, labels), loss(logits, labels), rtol=0, atol=0)
    assert not other.grad.movedim(1, -1)[labels == IGNORED].any()
    assert other.grad.any()


def test_the_option_is_on_or_off():
    assert repr(BoundaryIoU(rims=True)) == "BoundaryIoU(width=5, rims=True)"
    with pytest.raises(InputError, match="rims must be True or False, got 1"):
        BoundaryF1(rims=1)
