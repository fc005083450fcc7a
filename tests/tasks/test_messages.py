"""Mistakes that people make with tasks: each is one line with its remedy."""

import pytest
import torch

from autosegloss import InputError, SurrogateLoss
from autosegloss.functional import score, surrogate_loss
from autosegloss.metrics import FormulaMetric
from autosegloss.tasks import Task
from autosegloss.tasks.binary import Binary

X, Z = torch.zeros(2, 3, 4, 5), torch.zeros(2, 1, 4, 5)
ONES = torch.ones(2, 1, 4, 5, dtype=torch.long)
MASK = torch.zeros(2, 1, 4, 5, dtype=torch.uint8)
MASK[..., :2] = 255
IDS = torch.zeros(2, 4, 5, dtype=torch.long)
HALF = torch.full((2, 1, 4, 5), 0.5)

INPUT = {  # logits, labels, options
    "two channels": (r"logits\[:, 1\] - logits\[:, 0\]", X[:, :2], ONES, {}),
    "two channels, ids": (r"logits\[:, 1\] - logits\[:, 0\]", X[:, :2], IDS, {}),
    "two channels, one-hot": (r"logits\[:, 1\] - logits\[:, 0\]", X[:, :2], X[:, :2], {}),
    "three channels": (r'several channels are those of task="multilabel" or "multiclass"', X, IDS, {}),
    "another size": (
        r"expected logits \(N, 1, H, W\) or \(N, H, W\).* labels \(2, 1, 4, 4\): bring",
        Z,
        ONES[..., 1:],
        {},
    ),
    "no axes": (r"expected logits \(N, 1, H, W\)", torch.tensor(0.0), torch.tensor(0), {}),
    "a flat image": (r"expected logits \(N, 1, H, W\)", Z[0, 0], IDS[0], {}),
    "arrays": (r"expected torch tensors, got numpy.ndarray: convert it with torch.as_tensor", Z, ONES.numpy(), {}),
    "whole numbers": (r"logits must be floating point scores, got torch.int64", ONES, ONES, {}),
    "a mask of 0 and 255": (
        r"\[0, 1\], got values from 0 to 255; of a mask of 0 and 255 make labels by \(labels == 255\)$",
        Z,
        MASK,
        {"ignore_index": None},
    ),
    "a mask of 0 and 255, floating": (r"by \(labels == 255\)$", Z, MASK.float(), {"ignore_index": -1}),
    "ids of classes": (
        r"labels must lie in \[0, 1\], or 255 where .*, got values from 0 to 2",
        Z,
        IDS + torch.arange(3)[[0, 1, 2, 1, 0]],
        {},
    ),
    "the ignored label of others": (
        r"or 255 where a pixel does not count, got values from -100 to 1: or say ignore_index=-100$",
        Z,
        ONES.index_fill(3, torch.tensor([0]), -100),
        {},
    ),
    "the ignored label of others, ids": (
        r"must be 255, or say ignore_index=-100$",
        X,
        IDS.index_fill(2, torch.tensor([0]), -100),
        {"task": "multiclass"},
    ),
    "a list of labels": (r"list of 2 tensors: make one of them, as torch.stack\(labels\)$", Z, list(ONES), {}),
    "dicts": (r"list of 1 dicts: stack a tensor of each, as torch.stack\(\[each\['masks'\] ", Z, [{"masks": ONES}], {}),
    "no labels": (r"got None: the batch has no labels$", X, None, {"task": "multiclass"}),
    "nan labels": (r"labels must lie in \[0, 1\]", Z, HALF * torch.nan, {}),
    "complex labels": (r"got torch.complex64", Z, HALF.to(torch.complex64), {}),
    "multilabel of ids": (
        r'task="multiclass"; of them make maps by torch.nn.functional.one_hot',
        X,
        IDS,
        {"task": "multilabel"},
    ),
    "multilabel of other channels": (
        r"of one shape, got logits \(2, 3, 4, 5\) and labels \(2, 1, 4, 5\)$",
        X,
        ONES,
        {"task": "multilabel"},
    ),
    "multiclass of one channel": (r'got 1: a single foreground is task="binary"', Z, IDS, {"task": "multiclass"}),
    "multiclass of one channel, both": (r'a single foreground is task="binary"', Z, ONES, {"task": "multiclass"}),
    "multiclass of no channel": (r'is task="binary"', Z[:, 0], IDS, {"task": "multiclass"}),
    "soft labels that sum to 3": (
        r"sum to 1 over the classes of a pixel, they miss it by up to 2: .* task=\"multilabel\"",
        X,
        X + 1,
        {"task": "multiclass"},
    ),
    "soft labels outside": (r"labels must lie in \[0, 1\]", X, X + 2, {"task": "multiclass"}),
    "no probabilities": (
        r"takes probabilities in \[0, 1\], got values from -3 to -3: leave it out for logits",
        Z - 3,
        ONES,
        {"from_logits": False},
    ),
    "probabilities that sum to 3": (
        r"sum to 1 over the classes, they miss it by up to 2: apply a softmax",
        X + 1,
        IDS,
        {"from_logits": False, "task": "multiclass"},
    ),
    "another mask": (
        r"valid: expected a bool mask \(2, 1, 4, 5\), got torch.bool \(2, 4\)",
        Z,
        ONES,
        {"valid": IDS[..., 0] == 0},
    ),
    "a mask of numbers": (r"got torch.int64 \(2, 4, 5\): make it bool by valid != 0", Z, ONES, {"valid": IDS}),
    "a mask that is none": (r"valid: expected a bool mask .*, got str$", Z, ONES, {"valid": "all"}),
    "a mask of classes": (
        r"valid: expected a bool mask \(2, 1, 4, 5\), got torch.bool \(2, 3, 4, 5\)",
        X,
        IDS,
        {"task": "multiclass", "valid": X == 0},
    ),
}


@pytest.mark.parametrize(("message", "logits", "labels", "options"), INPUT.values(), ids=INPUT)
def test_input_that_does_not_fit_is_told(message, logits, labels, options):
    with pytest.raises(InputError, match=message) as error:
        surrogate_loss(logits, labels, "miou", **{"task": "binary", **options})
    assert "\n" not in str(error.value)


PREDICTIONS = {
    "a mask of 0 and 255": (
        r"predictions must lie in \[0, 1\].* make predictions by \(predictions == 255\)$",
        MASK,
        ONES,
        {},
    ),
    "soft labels": (
        r"a metric takes labels of 0 and 1, got soft ones: make them crisp by \(labels > 0.5\)",
        Z,
        HALF,
        {},
    ),
    "no probabilities": (
        r"takes probabilities in \[0, 1\], got values from 3 to 3",
        Z + 3,
        ONES,
        {"from_logits": False},
    ),
    "two channels": (r"expected predictions .*logits\[:, 1\] - logits\[:, 0\]", X[:, :2], ONES, {}),
    "another number of classes": (
        r"expected predictions of num_classes=2 channels, got 3",
        X,
        X,
        {"task": "multilabel", "num_classes": 2},
    ),
}


@pytest.mark.parametrize(("message", "preds", "labels", "options"), PREDICTIONS.values(), ids=PREDICTIONS)
def test_predictions_that_do_not_fit_are_told(message, preds, labels, options):
    with pytest.raises(InputError, match=message) as error:
        score(preds, labels, "miou", **{"task": "binary", **options})
    assert "\n" not in str(error.value)


OPTIONS = {
    "a task": (r"unknown task 'binery': choose one of binary", {"task": "binery"}),
    "a number of classes of binary": (
        r'num_classes: task="binary" has a single class, got 2: leave it out',
        {"num_classes": 2},
    ),
    "one class": (r'got 1: a single foreground is task="binary"', {"task": "multiclass", "num_classes": 1}),
    "an aggregate": (r"unknown aggregate 'images': choose one of image", {"aggregate": "images"}),
    "absent": (r"unknown rule for absent classes 'nan': choose one of ", {"absent": "nan"}),
    "absent beside present": (r"classes='present' leaves absent classes out", {"classes": "present", "absent": "one"}),
    "a class": (r"classes: expected ids below 1, got 3", {"classes": [3], "num_classes": 1}),
    "a name alone": (r"'car' is a name: give class_names, the names of all classes", {"classes": ["car"]}),
    "an unknown name": (
        r"unknown class 'cat': choose one of car, background",
        {"classes": ["cat"], "class_names": ["background", "car"]},
    ),
    "no class": (r"classes: expected a rule by name, or different ids of 0 or more, got \[\]", {"classes": []}),
    "a class twice": (r"different ids of 0 or more, got \[0, 0\]", {"classes": [0, 0]}),
    "a number for a list": (r"different ids of 0 or more, got 1\.5", {"classes": 1.5}),
    "weights": (r"class_weights: expected 1 numbers, one a class, got 2", {"class_weights": [1, 2], "num_classes": 1}),
    "weights of classes": (
        r"expected 1 numbers, one for each of `classes`, got 2",
        {"class_weights": [1, 2], "classes": [0], "num_classes": 1},
    ),
    "weights of 0": (
        r"class_weights: expected numbers of 0 or more, one of them above, got \[0, 0\]",
        {"class_weights": [0, 0]},
    ),
    "a weight": (r"expected numbers of 0 or more, one of them above, got \[-3.0\]", {"class_weights": -3.0}),
}


@pytest.mark.parametrize(("message", "options"), OPTIONS.values(), ids=OPTIONS)
def test_options_that_do_not_fit_are_told_at_once(message, options):
    for make in (SurrogateLoss, FormulaMetric):
        with pytest.raises(InputError, match=message) as error:
            make("miou", **{"task": "binary", **options})
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("threshold", [0, 1, 1.5, "0.5", None, True, float("nan")])
def test_a_threshold_that_is_none_is_told(threshold):
    with pytest.raises(InputError, match=r"threshold: expected a number in \(0, 1\), got "):
        Binary(threshold)


def test_tasks_are_found_by_name():
    assert sorted(Task.members) == ["binary", "multiclass", "multilabel"]
    assert Task.named("binary", threshold=0.3) == Binary(0.3)
    with pytest.raises(InputError, match="task 'binary' has no option 'treshold'"):
        Task.named("binary", treshold=0.3)


def test_classes_that_a_loss_does_not_meet_before_its_batch_are_told_there():
    with pytest.raises(InputError, match="classes: expected ids below 3, got 5"):
        SurrogateLoss("miou", classes=[5])(X, IDS)
    with pytest.raises(InputError, match="class_weights: expected 3 numbers, one a class, got 2"):
        SurrogateLoss("miou", class_weights=[1, 2])(X, IDS)
