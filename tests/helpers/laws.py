"""The contract of a formula as functions of it, for the tests of conf/metric and of a new metric."""

import torch
from hypothesis import strategies as st
from torch.testing import assert_close

from autosegloss import SurrogateLoss
from autosegloss import theta as thetas
from autosegloss.algebra import DenseMap, ExactLogic, SoftLogic
from autosegloss.algebra.inputs import label_map, predicted_map
from autosegloss.formulas.formula import values
from autosegloss.metrics import FormulaMetric

IGNORE = 255


@st.composite
def scenes(draw):
    """(labels, preds, num_classes): small label maps with ignored pixels, in blobs and in noise."""
    num_classes = draw(st.integers(2, 4))
    shape = [
        draw(st.integers(1, 3)),
        *(draw(st.integers(1, 9)) for _ in range(draw(st.sampled_from([2, 2, 2, 3])))),
    ]
    rng = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    labels, preds = (torch.randint(num_classes, shape, generator=rng) for _ in range(2))
    if draw(st.booleans()):  # blobs: the left half is one class, so that interiors exist
        labels[..., : shape[-1] // 2], preds[..., : 1 + shape[-1] // 2] = 0, 0
    ignored = torch.rand(shape, generator=rng) < draw(st.sampled_from([0.0, 0.2, 1.0]))
    return labels.masked_fill(ignored, IGNORE), preds, num_classes


def batch(shape=(2, 9, 11), num_classes=3, ignored=0.1, seed=0):
    """Random logits (N, C, *S) and labels (N, *S), some ignored."""
    rng = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(shape[0], num_classes, *shape[1:], generator=rng)
    labels = torch.randint(num_classes, shape, generator=rng)
    return logits, labels.masked_fill(torch.rand(shape, generator=rng) < ignored, 255)


def label_maps(labels, preds, num_classes):
    """The one-hot maps of truth and prediction, kept as labels."""
    true = label_map(labels, num_classes, IGNORE)
    return true, predicted_map(preds, true)


def exact_score(formula, preds, labels, num_classes):
    metric = FormulaMetric(formula, num_classes, IGNORE)
    metric.update(preds, labels)
    return metric.compute()


def statistics(formula, logic, preds, labels, num_classes):
    """The sums of a formula read on dense one-hot maps."""
    true, pred = label_maps(labels, preds, num_classes)
    values_of_pred = pred.dense().float() if isinstance(logic, SoftLogic) else pred.dense()
    return values(formula.plan(logic, DenseMap(values_of_pred), DenseMap(true.dense()), true.mask))


def soft_equals_exact_on_one_hot(formula, curve, theta, scene):
    """Law 1: on one-hot maps the soft sums equal the exact ones, for any theta in [0, 1]^D."""
    labels, preds, num_classes = scene
    loss = SurrogateLoss(formula, theta=theta, curve=curve)
    soft = statistics(formula, loss.logic(), preds, labels, num_classes)
    exact = statistics(formula, ExactLogic(formula.operations), preds, labels, num_classes)
    for name, value in exact.items():
        assert value.dtype == torch.int64
        assert_close(soft[name].double(), value.double(), rtol=1e-5, atol=1e-4)


def additive(formula, scene):
    """Law 3: the sums of the images are the sum over the images."""
    labels, preds, num_classes = scene
    logic = ExactLogic(formula.operations)
    whole = statistics(formula, logic, preds, labels, num_classes)
    parts = [statistics(formula, logic, p[None], y[None], num_classes) for p, y in zip(preds, labels, strict=True)]
    for name, value in whole.items():
        assert_close(sum(part[name] for part in parts), value)


def bounded_and_perfect(formula, curve, theta, scene):
    """Law 4: exact and soft scores lie in [0, 1]; the perfect prediction scores 1."""
    labels, preds, num_classes = scene
    score = exact_score(formula, preds, labels, num_classes)
    assert score.isnan() or 0 <= score <= 1
    perfect = exact_score(formula, labels.where(labels != IGNORE, 0), labels, num_classes)
    assert perfect.isnan() or perfect == 1
    noise = torch.randn(len(labels), num_classes, *labels.shape[1:], generator=torch.Generator().manual_seed(0))
    hesitant = (
        label_map(labels, num_classes, IGNORE).dense().float()
    )  # right with low probability: a curve may raise it
    for classes in ("all", "present"):
        loss = SurrogateLoss(formula, theta=theta, curve=curve, classes=classes)
        for logits in (3 * noise, hesitant):
            assert -1e-5 <= loss(logits, labels) <= 1 + 1e-5


def symmetric(formula, scene):
    """Law 5: renaming the classes and mirroring the images change nothing."""
    labels, preds, num_classes = scene
    score = exact_score(formula, preds, labels, num_classes)
    flipped = exact_score(formula, preds.flip(-1), labels.flip(-1), num_classes)
    renamed = exact_score(
        formula,
        num_classes - 1 - preds,
        (num_classes - 1 - labels).where(labels != IGNORE, IGNORE),
        num_classes,
    )
    assert_close(flipped, score, equal_nan=True)
    assert_close(renamed, score, equal_nan=True)


def blind_to_ignored(formula, scene):
    """Law 6: predictions at ignored pixels change neither value nor gradient, and their own gradient is 0."""
    labels, preds, num_classes = scene
    ignored = labels == IGNORE
    other = preds.where(~ignored, (preds + 1) % num_classes)
    assert_close(
        exact_score(formula, other, labels, num_classes),
        exact_score(formula, preds, labels, num_classes),
        equal_nan=True,
    )
    logits = torch.randn(len(labels), num_classes, *labels.shape[1:], generator=torch.Generator().manual_seed(0))
    spoilt = logits.masked_fill(ignored.unsqueeze(1), torch.nan)
    values, gradients = zip(
        *(value_and_gradient(SurrogateLoss(formula), x, labels) for x in (logits, spoilt)), strict=True
    )
    assert_close(*values)
    assert_close(*gradients)
    assert gradients[1].movedim(1, -1)[ignored].eq(0).all()


def value_and_gradient(loss, logits, labels):
    logits = logits.clone().requires_grad_()
    value = loss(logits, labels)
    return value.detach(), torch.autograd.grad(value, logits)[0]


def gradient_is_right(formula, curve, theta):
    """Law 7: the gradient agrees with finite differences in float64."""
    rng = torch.Generator().manual_seed(3)
    logits = torch.randn(2, 3, 5, 6, generator=rng, dtype=torch.float64).requires_grad_()
    labels = torch.randint(3, (2, 5, 6), generator=rng)
    labels[0, :2, :2] = IGNORE
    loss = SurrogateLoss(formula, theta=theta, curve=curve)
    assert torch.autograd.gradcheck(lambda x: loss(x, labels), logits, eps=1e-7, atol=1e-4, fast_mode=True)


class Recorder(ExactLogic):
    """Exact logic that notes the operations a formula uses."""

    def __init__(self, operations):
        super().__init__(operations)
        self.seen = set()

    def check(self, *names):
        super().check(*names)
        self.seen |= set(names)


def declares_what_it_uses(formula):
    """Law 8: declared operations are the operations used, and theta has one curve for each."""
    recorder = Recorder(formula.operations)
    zeros = torch.zeros(1, 4, 4, dtype=torch.long)
    statistics(formula, recorder, zeros, zeros, 2)
    assert recorder.seen == set(formula.operations)
    assert len(set(formula.operations)) == len(formula.operations)
    assert thetas.size(formula, SurrogateLoss(formula).curve) == 6 * len(formula.operations)
