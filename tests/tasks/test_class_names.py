"""Classes by their names, and the foreground."""

import pytest
from helpers.task_scenes import scene
from torch.testing import assert_close

from autosegloss import InputError, SurrogateLoss
from autosegloss.formulas.average import class_names_are
from autosegloss.functional import score, surrogate_loss
from autosegloss.tasks.multiclass import Multiclass
from autosegloss.tasks.multilabel import Multilabel

NAMES = ["background", "car", "road", "tree"]


def both(classes, **options):
    """The loss and the metric of a batch of four classes."""
    one = scene(Multiclass(), (2, 6, 7), classes=4, seed=2)
    given = {"classes": classes, **options}
    return surrogate_loss(one.logits, one.labels, "miou", **given), score(one.preds, one.labels, "miou", 4, **given)


def test_names_are_ids():
    assert_close(both(["tree", "car"], class_names=NAMES), both([3, 1]), rtol=0, atol=0)
    with class_names_are(NAMES):  # as a program does
        assert_close(both(["tree", "car"]), both([3, 1]), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("names", "ids"), [(None, [1, 2, 3]), (NAMES, [1, 2, 3]), ([*NAMES[1:], "Background"], [0, 1, 2])]
)
def test_the_foreground_is_all_but_the_background(names, ids):
    assert_close(both("foreground", class_names=names), both(ids), rtol=0, atol=0)
    weighted = {"class_weights": [1, 2, 3]}
    assert_close(both("foreground", class_names=names, **weighted), both(ids, **weighted), rtol=0, atol=0)


def test_names_without_a_background_have_no_foreground():
    with pytest.raises(InputError, match="no class is named background: list those of road, car"):
        SurrogateLoss("miou", classes="foreground", class_names=["road", "car"])


def test_a_multilabel_task_is_all_foreground():
    one = scene(Multilabel(), (2, 6, 7))
    losses = [
        surrogate_loss(one.logits, one.labels, "miou", task="multilabel", classes=c) for c in ("foreground", "all")
    ]
    assert_close(*losses, rtol=0, atol=0)
