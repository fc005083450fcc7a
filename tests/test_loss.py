"""The value and the gradient of the surrogate loss, and its limits."""

import numpy as np
import pytest
import torch
from helpers.laws import batch, exact_score, value_and_gradient
from helpers.members import every_card, every_metric, every_pair, numbers_of
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch.testing import assert_close

from autosegloss import SurrogateLoss, ThetaCard
from autosegloss import theta as thetas
from autosegloss.algebra.inputs import label_map
from autosegloss.curves import Bezier
from autosegloss.formulas import BoundaryF1, BoundaryIoU, ChengBoundaryIoU, SurfaceDice
from autosegloss.kernels.fused import Sums


def squares(size=20):
    """Labels (1, H, W) of two squares on a background, some pixels ignored."""
    labels = torch.zeros(1, size, size, dtype=torch.long)
    labels[:, 3:10, 4:12], labels[:, 12:18, 8:17], labels[:, :2, :2] = 1, 2, 255
    return labels


# Values


@every_metric
def test_one_curve_may_be_written_in_four_ways(formula):
    curve, (logits, labels) = Bezier(), batch()
    flat = np.random.default_rng(0).uniform(0.1, 0.9, thetas.size(formula, curve))
    rows = dict(zip(formula.operations, flat.reshape(-1, 6), strict=True))
    ways = [
        flat.tolist(),
        torch.as_tensor(flat),
        rows,
        {name: [row.tolist()] * 2 for name, row in rows.items()},
    ]
    values = [SurrogateLoss(formula, theta=theta)(logits, labels) for theta in ways]
    for value in values[1:]:
        assert_close(value, values[0])


@every_metric
def test_no_theta_is_the_identity_is_no_curve(formula):
    logits, labels = batch()
    naive = SurrogateLoss(formula, curve="identity")(logits, labels)
    for loss in (
        SurrogateLoss(formula),
        SurrogateLoss(formula, theta={}),
        SurrogateLoss(formula, curve="linear"),
    ):
        assert_close(loss(logits, labels), naive, rtol=0, atol=1e-5)


def test_theta_by_name_bends_the_operation_it_names_and_the_operand_it_stands_for():
    logits, labels = batch()
    bent, straight = [0.1, 0.8, 0.3, 0.6, 0.5, 0.5], Bezier().identity().tolist()
    both = SurrogateLoss("miou", theta=[*bent, *straight])(logits, labels)
    assert_close(SurrogateLoss("miou", theta={"and": bent})(logits, labels), both, rtol=0, atol=1e-5)
    assert not torch.isclose(SurrogateLoss("miou", theta={"or": bent})(logits, labels), both, rtol=0, atol=1e-3)
    of_pred = SurrogateLoss("miou", theta={"and": [bent, straight]})(
        logits, labels
    )  # g does not change the truth, which is crisp
    assert_close(of_pred, both, rtol=0, atol=1e-5)
    of_true = SurrogateLoss("miou", theta={"and": [straight, bent]})(logits, labels)
    assert_close(of_true, SurrogateLoss("miou")(logits, labels), rtol=0, atol=1e-5)


def one_hot_numpy(labels, num_classes):
    return (labels.numpy()[:, None] == np.arange(num_classes)[:, None, None]).astype(float)


def test_naive_miou_is_the_soft_iou():
    logits, labels = batch(ignored=0.3)
    p = logits.double().softmax(1).numpy() * (labels != 255).numpy()[:, None]
    t = one_hot_numpy(labels, 3)
    expected = 1 - np.mean((p * t).sum((0, 2, 3)) / (p + t - p * t).sum((0, 2, 3)))
    assert_close(SurrogateLoss("miou")(logits, labels), torch.tensor(expected, dtype=torch.float32))


def parametric(points, y):
    """A curve through its absolute control points, read off a polygon along (u(t), v(t))."""
    t = np.linspace(0, 1, 100_001)[:, None]
    p = points.numpy()
    pieces = [(1 - t) ** 2 * p[i] + 2 * t * (1 - t) * p[i + 1] + t**2 * p[i + 2] for i in range(0, len(p) - 1, 2)]
    return np.interp(y, *np.concatenate(pieces).T)


def test_searched_miou_is_equations_8_and_9():
    """AND = g(p) g(t), OR = g(p) + g(t) - g(p) g(t), each with a curve of its own, in numpy."""
    logits, labels = batch((3, 12, 13), num_classes=4, ignored=0.2)
    p = logits.double().softmax(1).numpy() * (labels != 255).numpy()[:, None]
    t = one_hot_numpy(labels, 4)
    g = {name: points[0] for name, points in ThetaCard.load("miou").control_points.items()}
    intersection = parametric(g["and"], p) * parametric(g["and"], t)
    a, b = parametric(g["or"], p), parametric(g["or"], t)
    expected = 1 - np.mean(intersection.sum((0, 2, 3)) / (a + b - a * b).sum((0, 2, 3)))
    loss = SurrogateLoss.from_pretrained("miou")(logits, labels)
    assert_close(loss, torch.tensor(expected, dtype=torch.float32), rtol=0, atol=1e-5)


@pytest.mark.parametrize("task", ["multiclass", "binary"])
def test_the_gradient_is_not_copied(monkeypatch, task):
    """Memory of the size of the logits, and half of the time of a cheap loss."""
    places, gradient = [], Sums.gradient

    def noted(*given):
        result = gradient(*given)
        places.append(result.data_ptr())
        return result

    monkeypatch.setattr(Sums, "gradient", noted)
    logits, labels = batch() if task == "multiclass" else (torch.randn(2, 1, 8, 8), torch.ones(2, 1, 8, 8))
    leaf = logits.clone().requires_grad_()
    SurrogateLoss("miou", task=task)(leaf, labels).backward()
    assert places == [leaf.grad.data_ptr()]


def test_present_averages_over_fewer_classes_than_all():
    logits, labels = batch(num_classes=5)
    labels = labels.where(labels < 2, 0)  # 2 of 5 classes; a class that is absent has intersection 0
    score = {c: 1 - SurrogateLoss("miou", classes=c)(logits, labels) for c in ("all", "present")}
    assert_close(score["all"] * 5, score["present"] * 2)
    frequencies = {c: SurrogateLoss("fwiou", classes=c)(logits, labels) for c in ("all", "present")}
    assert_close(frequencies["all"], frequencies["present"])


@every_metric
def test_gradient_descent_on_the_loss_drives_the_metric_to_1(formula):
    """The logits are right at most pixels at first: BF1 depends on boundaries only and has optima near any noise."""
    small = (BoundaryIoU(2), ChengBoundaryIoU(2), BoundaryF1(3), SurfaceDice(3))
    formula = {own.name: own for own in small}.get(formula.name, formula)
    labels, rng = squares(), torch.Generator().manual_seed(0)
    right = label_map(labels, 3, 255).dense() & (torch.rand(labels[:, None].shape, generator=rng) < 0.7)
    logits = (right + 0.1 * torch.randn(right.shape, generator=rng)).requires_grad_()
    loss, optimizer = SurrogateLoss(formula), torch.optim.Adam([logits], lr=0.3)
    before = exact_score(formula, logits.argmax(1), labels, 3)
    for _ in range(40):
        optimizer.zero_grad()
        loss(logits, labels).backward()
        optimizer.step()
    assert before < 0.95
    assert exact_score(formula, logits.argmax(1), labels, 3) == 1


@every_card
def test_a_shipped_card_trains_a_step(card):
    loss, labels = SurrogateLoss.from_pretrained(card), squares()
    logits = torch.randn(1, 3, 20, 20, generator=torch.Generator().manual_seed(0))
    value, gradient = value_and_gradient(loss, logits, labels)
    assert 0 < value < 1
    assert gradient.isfinite().all()
    assert gradient.abs().sum() > 0
    assert loss(logits - 0.1 * gradient / gradient.abs().max(), labels) < value
    assert loss.formula.name == card


def test_a_card_may_be_a_path(tmp_path):
    card = ThetaCard.load("miou")
    card.classes = "present"
    card.save(tmp_path / "mine.yaml")
    logits, labels = batch()
    for path in (tmp_path / "mine.yaml", str(tmp_path / "mine.yaml")):
        loss = SurrogateLoss.from_pretrained(path, ignore_index=None)
        assert (loss.classes, loss.ignore_index) == ("present", None)
        assert SurrogateLoss.from_pretrained(path, classes="all").classes == "all"
    same = SurrogateLoss("miou", theta=card.theta, classes="present")
    assert_close(SurrogateLoss.from_pretrained(path)(logits, labels), same(logits, labels))


def test_a_card_may_hold_one_curve_per_operand():
    theta = SurrogateLoss.from_pretrained("bf1").theta
    assert {name: tuple(rows.shape) for name, rows in theta.items()} == {
        "boundary_and": (2, 2),
        "boundary_or": (2, 2),
    }


# Extremes


@every_pair
@settings(max_examples=4, deadline=None)
@given(data=st.data())
def test_gradients_are_finite_at_corners_of_theta_with_saturated_logits(formula, curve, data):
    theta = data.draw(arrays(np.float64, thetas.size(formula, curve), elements=numbers_of(curve)))
    logits, labels = batch((2, 5, 6), seed=data.draw(st.integers(0, 99)))
    value, gradient = value_and_gradient(SurrogateLoss(formula, theta=theta, curve=curve), logits.sign() * 1e4, labels)
    assert value.isfinite()
    assert gradient.isfinite().all()


@every_pair
@settings(max_examples=4, deadline=None)
@given(data=st.data())
def test_a_hesitant_right_prediction_scores_at_most_1(formula, curve, data):
    """A curve could raise a score above 1 where the right class is predicted with low probability."""
    theta = data.draw(arrays(np.float64, thetas.size(formula, curve), elements=numbers_of(curve)))
    labels = squares()
    logits = data.draw(st.floats(0, 3)) * label_map(labels, 3, 255).dense().float()
    assert -1e-5 <= SurrogateLoss(formula, theta=theta, curve=curve)(logits, labels) <= 1 + 1e-5


@every_metric
@pytest.mark.parametrize("classes", ["all", "present"])
def test_a_batch_that_is_all_ignored_teaches_nothing(formula, classes):
    logits, _ = batch()
    value, gradient = value_and_gradient(SurrogateLoss(formula, classes=classes), logits, torch.full((2, 9, 11), 255))
    assert value == 0
    assert gradient.eq(0).all()


@every_metric
def test_a_single_class_may_be_present(formula):
    logits, labels = batch(ignored=0)
    value, gradient = value_and_gradient(SurrogateLoss(formula, classes="present"), logits, labels * 0)
    assert 0 <= value <= 1
    assert gradient.isfinite().all()


def test_another_theta_in_the_same_loss_counts():
    """The loss caches the curves of its theta from call to call."""
    logits, labels = batch()
    loss, other = (SurrogateLoss("miou", theta=[value] * 12) for value in (0.2, 0.7))
    before = loss(logits, labels)
    assert_close(loss(logits, labels), before, rtol=0, atol=0)
    loss.load_state_dict(other.state_dict())
    assert_close(loss(logits, labels), other(logits, labels), rtol=0, atol=0)
    loss.theta_and.fill_(0.4)
    expected = SurrogateLoss("miou", theta={"and": [0.4] * 6, "or": [0.7] * 6})
    assert_close(loss(logits, labels), expected(logits, labels), rtol=0, atol=0)
    with torch.inference_mode():
        assert_close(SurrogateLoss("miou", theta=[0.7] * 12)(logits, labels), other(logits, labels))
