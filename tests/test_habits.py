"""What people hand over because other tools take it: accepted, or one line with what to type, by losses and metrics."""

import warnings
from collections import OrderedDict
from types import SimpleNamespace

import pytest
import torch
from helpers.loss_members import every_loss, made
from torch.nn.functional import one_hot

from autosegloss import InputError, SurrogateLoss
from autosegloss.functional import score, surrogate_loss
from autosegloss.metrics import FormulaMetric

X = torch.randn(2, 3, 8, 12, generator=torch.Generator().manual_seed(0))
Y = torch.arange(3).repeat_interleave(4).expand(2, 8, 12)
HOT = one_hot(Y, 3).movedim(-1, 1)
Z, F = X[:, :1], (Y > 0).long()[:, None]
LOW = X[..., ::2, ::2]
VOLUME, SLICES = X[:, :, None].expand(2, 3, 4, 8, 12), Y[:, None].expand(2, 4, 8, 12)
INTERPOLATE = r"torch.nn.functional.interpolate\({}, size=labels.shape\[{}:\], mode=\"{}\"\)$"

MULTICLASS = {
    "labels with a channel": (X, Y[:, None], r"as after labels.squeeze\(1\)$"),
    "labels with a channel, low logits": (LOW, Y[:, None], r"as after labels.squeeze\(1\)$"),
    "labels with a channel at the end": (X, Y[..., None], r"as after labels.squeeze\(-1\)$"),
    "one-hot labels": (X, HOT, r"one-hot labels become labels.argmax\(dim=1\)"),
    "one-hot labels, channels last": (X, one_hot(Y, 3), r"as after labels.argmax\(dim=-1\) of one-hot labels$"),
    "floating ids": (X, Y.float(), r"got torch.float32: convert them by labels.long\(\)$"),
    "bool labels": (X, Y > 0, r"got torch.bool: convert them by labels.long\(\)$"),
    "a scaled mask": (X, Y / 255, r"they hold fractions, as of a mask scaled to \[0, 1\]: read it without a scale$"),
    "numpy": (X.numpy(), Y.numpy(), r"got numpy.ndarray: convert it with torch.as_tensor$"),
    "numpy labels": (X, Y.numpy(), r"got numpy.ndarray: convert it with torch.as_tensor$"),
    "torchvision": ({"out": X, "aux": X}, Y, r"got dict with the keys 'out', 'aux': .* as output\['out'\]$"),
    "Hugging Face": (OrderedDict(loss=None, logits=X), Y, r"the keys 'loss', 'logits': .* as output\['logits'\]$"),
    "an object": (SimpleNamespace(logits=X), Y, r"got types.SimpleNamespace: take its tensor, as output.logits$"),
    "deep supervision": ([X, LOW], [Y, Y], r"got list of 2: take one tensor, as outputs\[0\]; .* add up the loss"),
    "a tuple": ((X,), Y, r"got tuple of 1: take one tensor, as outputs\[0\]"),
    "nothing": (X, None, r"got None: the batch has no labels"),
    "low logits": (LOW, Y, INTERPOLATE.format("logits", 1, "bilinear")),
    "low volumes": (VOLUME[..., ::2], SLICES, INTERPOLATE.format("logits", 1, "trilinear")),
    "low logits, soft labels": (LOW, HOT.float(), INTERPOLATE.format("logits", 2, "bilinear")),
    "channels last": (X.movedim(1, -1), Y, r"as after logits.movedim\(-1, 1\)$"),
    "no batch axis": (X[0], Y[0], r"as logits\[None\] and labels\[None\]$"),
    "no batch axis, volume": (VOLUME[0], SLICES[0], r"as logits\[None\] and labels\[None\]$"),
    "no batch axis of the logits": (X[0], Y[:1], r"as logits\[None\]$"),
    "ids from 1": (X, Y + 1, r"the labels seem to start at 1: subtract 1$"),
    "one logit": (Z, F[:, 0], r'a single foreground is task="binary"'),
}
BINARY = {
    "one-hot labels": (Z, one_hot(F[:, 0], 2).movedim(-1, 1), r"as labels\[:, 1:\]$"),
    "a mask of 0 and 255": (Z, F * 100, r"make labels by \(labels == 100\)$"),
    "low logits": (Z[..., ::2, ::2], F, INTERPOLATE.format("{}", 2, "bilinear")),
    "low logits, no channel": (Z[..., ::2, ::2], F[:, 0], INTERPOLATE.format("{}", 1, "bilinear")),
    "channels last": (Z.movedim(1, -1), F[:, 0], r"as after {}.movedim\(-1, 1\)$"),
    "no batch axis": (Z[0, 0], F[0, 0], r"as {}\[None\] and labels\[None\]$"),
    "no batch axis of the labels": (Z[0], F[0, 0], r"as labels\[None\]$"),
    "a dict": ({"out": Z}, F, r"as output\['out'\]$"),
}
MULTILABEL = {
    "ids": (X, Y, r"torch.nn.functional.one_hot\(labels, C\).movedim\(-1, 1\)$"),
    "low logits": (LOW, HOT, INTERPOLATE.format("{}", 2, "bilinear")),
    "labels with channels last": (X, one_hot(Y, 3), r"as after labels.movedim\(-1, 1\)$"),
    "logits with channels last": (X.movedim(1, -1), HOT, r"as after {}.movedim\(-1, 1\)$"),
    "no batch axis": (X[0], HOT[0], r"as {}\[None\] and labels\[None\]$"),
    "a list": ([X], HOT, r"got list of 1: take one tensor"),
}
REFUSED = {
    f"{task}: {name}": (task, *case)
    for task, cases in (("multiclass", MULTICLASS), ("binary", BINARY), ("multilabel", MULTILABEL))
    for name, case in cases.items()
}
IN_LOSSES_ALONE = ("multiclass: one logit", "multiclass: low logits, soft labels")


@pytest.mark.parametrize(("task", "logits", "labels", "message"), REFUSED.values(), ids=REFUSED)
def test_a_loss_tells_what_to_type(task, logits, labels, message):
    with pytest.raises(InputError, match=message.replace("{}", "logits")) as error:
        SurrogateLoss("miou", task=task)(logits, labels)
    assert "\n" not in str(error.value)


TO_METRICS = {name: case for name, case in REFUSED.items() if name not in IN_LOSSES_ALONE}


@pytest.mark.parametrize(("task", "preds", "labels", "message"), TO_METRICS.values(), ids=TO_METRICS)
def test_a_metric_tells_what_to_type(task, preds, labels, message):
    with pytest.raises(InputError, match=message.replace("{}", "predictions")) as error:
        score(preds, labels, "miou", None if task == "binary" else 3, task=task)
    assert "\n" not in str(error.value)


def test_logits_come_first():
    with pytest.raises(InputError, match=r"got torch.int64: logits come before labels$"):
        SurrogateLoss("miou")(Y, X)


ACCEPTED = {
    "integers of any type": ("multiclass", X, Y.to(torch.uint8)),
    "one-hot labels as soft labels": ("multiclass", X, HOT.float()),
    "strided logits": ("multiclass", X.contiguous(memory_format=torch.channels_last), Y),
    "volumes": ("multiclass", VOLUME, SLICES),
    "half": ("multiclass", X.bfloat16(), Y),
    "a foreground without a channel": ("binary", Z[:, 0], F[:, 0]),
    "a foreground with a channel in one place": ("binary", Z, F[:, 0]),
    "a bool mask": ("binary", Z, F > 0),
    "a floating mask": ("binary", Z, F.float()),
    "bool maps": ("multilabel", X, HOT > 0),
    "maps of numbers": ("multilabel", X, HOT),
}


@pytest.mark.parametrize(("task", "logits", "labels"), ACCEPTED.values(), ids=ACCEPTED)
def test_some_habits_are_accepted(task, logits, labels):
    assert 0 <= SurrogateLoss("miou", task=task)(logits, labels) <= 1


@pytest.mark.parametrize("task", ["multiclass", "binary", "multilabel"])
def test_probabilities_in_the_place_of_logits_are_told_once(task):
    probs, labels = {
        "multiclass": (X.softmax(dim=1), Y),
        "binary": ((9 * Z).sigmoid(), F),
        "multilabel": ((9 * X).sigmoid(), HOT),
    }[task]
    loss = SurrogateLoss("miou", task=task)
    with pytest.warns(UserWarning, match=r"look like probabilities.* from_logits=False"):
        loss(probs, labels)
    loss(probs, labels)
    SurrogateLoss("miou", task=task, from_logits=False)(probs, labels)
    metric = FormulaMetric("miou", None if task == "binary" else 3, task=task)
    if task == "multiclass":  # the class is the highest one of both
        metric.update(probs, labels)
        return
    with pytest.warns(UserWarning, match="look like probabilities"):
        metric.update(probs, labels)
    metric.update(probs, labels)


def test_a_place_is_warned_once_even_of_functions():
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("default")
        for factor in (1, 2):
            surrogate_loss((factor * X).softmax(dim=1), Y, "miou")
    assert [each.filename for each in told] == [__file__]


@every_loss
def test_every_other_loss_tells_what_to_type(name):
    for (logits, labels), message in (
        (({"out": X}, Y), r"as output\['out'\]$"),
        ((LOW, Y), INTERPOLATE.format("logits", 1, "bilinear")),
        ((X, Y[:, None]), r"labels.squeeze\(1\)$"),
    ):
        with pytest.raises(InputError, match=message):
            made(name)(logits, labels)
