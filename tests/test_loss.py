"""The surrogate loss as a user meets it: what it computes, from which input, and what it refuses."""

import copy
import io
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from laws import exact_score, value_and_gradient
from members import CURVES, METRICS
from torch.testing import assert_close

from autosegloss import InputError, SurrogateLoss, ThetaCard, metrics
from autosegloss import theta as thetas
from autosegloss.curves import Bezier
from autosegloss.formulas import BoundaryF1, BoundaryIoU, MeanIoU
from autosegloss.maps import label_maps
from autosegloss.theta import shipped_cards

every_metric = pytest.mark.parametrize("formula", METRICS.values(), ids=METRICS)
every_card = pytest.mark.parametrize("card", shipped_cards())


def batch(shape=(2, 9, 11), num_classes=3, ignored=0.1, seed=0):
    """Random logits (N, C, *S) and labels (N, *S), some ignored."""
    rng = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(shape[0], num_classes, *shape[1:], generator=rng)
    labels = torch.randint(num_classes, shape, generator=rng)
    return logits, labels.masked_fill(torch.rand(shape, generator=rng) < ignored, 255)


def squares(size=20):
    """Labels (1, H, W) of two squares on a background, some pixels ignored."""
    labels = torch.zeros(1, size, size, dtype=torch.long)
    labels[:, 3:10, 4:12], labels[:, 12:18, 8:17], labels[:, :2, :2] = 1, 2, 255
    return labels


# What it computes


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
    of_pred = SurrogateLoss("miou", theta={"and": [bent, straight]})(logits, labels)  # truth is crisp: g leaves it
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


def test_present_averages_over_fewer_classes_than_all():
    logits, labels = batch(num_classes=5)
    labels = labels.where(labels < 2, 0)  # 2 of 5 classes; a class that is absent has intersection 0
    score = {c: 1 - SurrogateLoss("miou", classes=c)(logits, labels) for c in ("all", "present")}
    assert_close(score["all"] * 5, score["present"] * 2)
    frequencies = {c: SurrogateLoss("fwiou", classes=c)(logits, labels) for c in ("all", "present")}
    assert_close(frequencies["all"], frequencies["present"])


@every_metric
def test_gradient_descent_on_the_loss_drives_the_metric_to_1(formula):
    """From logits that are right at most pixels: BF1 sees boundaries only and has optima near any noise."""
    formula = {"biou": BoundaryIoU(width=2), "bf1": BoundaryF1(tolerance=3)}.get(formula.name, formula)
    labels, rng = squares(), torch.Generator().manual_seed(0)
    right = label_maps(labels, 3, 255)[0] & (torch.rand(labels[:, None].shape, generator=rng) < 0.7)
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


@every_metric
@pytest.mark.parametrize("curve", CURVES.values(), ids=CURVES)
@settings(max_examples=6, deadline=None)
@given(data=st.data())
def test_gradients_are_finite_at_corners_of_theta_with_saturated_logits(formula, curve, data):
    theta = data.draw(arrays(np.float64, thetas.size(formula, curve), elements=st.sampled_from([0.0, 1.0])))
    logits, labels = batch((2, 5, 6), seed=data.draw(st.integers(0, 99)))
    value, gradient = value_and_gradient(SurrogateLoss(formula, theta=theta, curve=curve), logits.sign() * 1e4, labels)
    assert value.isfinite()
    assert gradient.isfinite().all()


@every_metric
@pytest.mark.parametrize("curve", CURVES.values(), ids=CURVES)
@settings(max_examples=6, deadline=None)
@given(data=st.data())
def test_a_hesitant_right_prediction_scores_at_most_1(formula, curve, data):
    """Where a curve could push a score over 1: the right class everywhere, with room to bend upwards."""
    theta = data.draw(arrays(np.float64, thetas.size(formula, curve), elements=st.sampled_from([0, 0.1, 0.9, 1])))
    labels = squares()
    logits = data.draw(st.floats(0, 3)) * label_maps(labels, 3, 255)[0].float()
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
    value, gradient = value_and_gradient(SurrogateLoss(formula), logits[:, :1], labels * 0)  # C = 1
    assert 0 <= value <= 1
    assert gradient.isfinite().all()


@every_metric
@pytest.mark.parametrize("shape", [(2, 1, 7), (2, 7, 1), (1, 1, 1), (2, 4, 5, 6), (1, 1, 5, 4)])
def test_images_may_be_thin_or_volumes(formula, shape):
    logits, labels = batch(shape, ignored=0)
    value, gradient = value_and_gradient(SurrogateLoss(formula), logits, labels)
    assert 0 <= value <= 1
    assert gradient.isfinite().all()


@pytest.mark.parametrize("name", ["gacc", "macc", "miou", "fwiou"])
def test_a_volume_of_pixelwise_formulas_is_its_slices(name):
    logits, labels = batch((2, 4, 5, 6))
    slices = SurrogateLoss(name)(logits.transpose(1, 2).flatten(0, 1), labels.flatten(0, 1))
    assert_close(SurrogateLoss(name)(logits, labels), slices)


# Forms of input


@every_metric
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
def test_the_loss_computes_in_float32_at_least(formula, dtype):
    logits, labels = batch()
    loss = SurrogateLoss(formula)
    value, gradient = value_and_gradient(loss, logits.to(dtype), labels)
    assert value.dtype == torch.promote_types(dtype, torch.float32)
    assert gradient.dtype == dtype
    assert_close(value.float(), loss(logits.to(dtype).float(), labels))  # nothing but the input is rounded
    assert_close(value.float(), loss(logits, labels), rtol=0, atol=5e-3)


@every_metric
def test_autocast_changes_nothing(formula):
    logits, labels = batch()
    loss = SurrogateLoss(formula)
    with torch.autocast("cpu", torch.bfloat16):
        value, gradient = value_and_gradient(loss, logits, labels)
    assert value.dtype == torch.float32
    assert_close((value, gradient), value_and_gradient(loss, logits, labels))


@every_card
@pytest.mark.parametrize(
    "relaid",
    [
        lambda x: x.contiguous(memory_format=torch.channels_last),
        lambda x: x.transpose(2, 3).contiguous().transpose(2, 3),
        lambda x: torch.stack([x, x], dim=-1)[..., 0],
    ],
    ids=["channels_last", "transposed", "strided"],
)
def test_memory_layout_changes_nothing(card, relaid):
    logits, labels = batch()
    other, loss = relaid(logits), SurrogateLoss.from_pretrained(card)
    assert other.stride() != logits.stride()
    assert_close(value_and_gradient(loss, other, labels), value_and_gradient(loss, logits, labels))
    every_second = torch.stack([labels, labels], dim=-1)[..., 0]
    assert_close(loss(logits, every_second), loss(logits, labels))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int32])
def test_labels_may_be_of_any_integer_type(dtype):
    logits, labels = batch()
    assert_close(SurrogateLoss("bf1")(logits, labels.to(dtype)), SurrogateLoss("bf1")(logits, labels))


@every_metric
def test_the_ignored_label_may_be_another_or_none(formula):
    logits, labels = batch(ignored=0.3)
    expected = SurrogateLoss(formula)(logits, labels)
    for other in (-1, 7):
        relabelled = labels.where(labels != 255, other)
        assert_close(SurrogateLoss(formula, ignore_index=other)(logits, relabelled), expected)
    all_valid = labels.where(labels != 255, 0)
    assert_close(
        SurrogateLoss(formula, ignore_index=None)(logits, all_valid),
        SurrogateLoss(formula)(logits, all_valid),
    )
    inside = SurrogateLoss(formula, ignore_index=2)(logits, all_valid)  # a class of its own right, left out
    assert_close(inside, SurrogateLoss(formula)(logits, all_valid.where(all_valid != 2, 255)))


# A module like any other


def clones(loss):
    yield copy.deepcopy(loss)
    yield pickle.loads(pickle.dumps(loss))
    file = io.BytesIO()
    torch.save(loss, file)
    file.seek(0)
    yield torch.load(file, weights_only=False)


@every_card
def test_the_loss_survives_copies_and_files(card):
    logits, labels = batch()
    loss = SurrogateLoss.from_pretrained(card, classes="present")
    for clone in clones(loss):
        assert_close(clone(logits, labels), loss(logits, labels), rtol=0, atol=0)


def test_state_dict_carries_theta():
    logits, labels = batch()
    searched, naive = SurrogateLoss.from_pretrained("miou"), SurrogateLoss("miou")
    state = searched.state_dict()
    assert set(state) == {"theta_and", "theta_or"}
    naive.load_state_dict(state)
    assert_close(naive(logits, labels), searched(logits, labels), rtol=0, atol=0)
    assert not list(searched.parameters())  # theta is searched, not trained


def test_repr_says_what_it_is():
    text = repr(SurrogateLoss(BoundaryIoU(width=6), classes="present"))
    for part in ("BoundaryIoU(width=6)", "Bezier(pieces=2", "classes='present'", "ignore_index=255"):
        assert part in text


# Errors


@pytest.mark.parametrize(
    ("message", "arguments"),
    [
        (r"unknown metric 'mio': choose one of miou, .*bf1", {"formula": "mio"}),
        (r"expected a metric by name .*miou.* got an object of NoneType", {"formula": None}),
        (r"expected .* got the class autosegloss.formulas.iou.MeanIoU, not an object", {"formula": MeanIoU}),
        (r"expected .* got an object of autosegloss.metrics.MeanIoU$", {"formula": metrics.MeanIoU(3)}),
        (r"unknown curve 'bezeir': choose one of bezier, ", {"curve": "bezeir"}),
        (r"unknown class average 'presant': choose one of present, ", {"classes": "presant"}),
        (
            r"theta of 'miou' with curve 'bezier' is 12 numbers \(6 for each of and, or\).*\(5,\)",
            {"theta": [0.5] * 5},
        ),
        (r"12 numbers.*got shape \(2, 6\)", {"theta": [[0.5] * 6] * 2}),
        (r"theta must lie in \[0, 1\], got .*1\.5.* operation 'or'", {"theta": [0.5] * 11 + [1.5]}),
        (r"theta must lie in \[0, 1\], got .*-0\.1.* operation 'and'", {"theta": {"and": [-0.1] * 6}}),
        (r"theta must lie in \[0, 1\], got .*nan", {"theta": [float("nan")] * 12}),
        (r"unknown operation of 'miou' 'xor': choose one of ", {"theta": {"xor": [0.5] * 6}}),
        (r"operation 'and' is 6 numbers, or two lists.*\(3, 6\)", {"theta": {"and": [[0.5] * 6] * 3}}),
        (r"operation 'or' is 6 numbers, or two lists.*\(1, 4\)", {"theta": {"or": [0.5] * 4}}),
    ],
)
def test_wrong_arguments_are_told(message, arguments):
    with pytest.raises(InputError, match=message) as error:
        SurrogateLoss(**{"formula": "miou", **arguments})
    assert "\n" not in str(error.value)


def test_an_unknown_card_and_a_missing_file_are_told(tmp_path):
    with pytest.raises(InputError, match=r"unknown theta card 'moiu': choose one of miou, "):
        SurrogateLoss.from_pretrained("moiu")
    with pytest.raises(InputError, match=r"no theta card at .*none\.yaml; the cards that ship are .*miou"):
        SurrogateLoss.from_pretrained(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("message", "change"),
    [
        (r"labels must lie in \[0, 3\), got \[7\]; .*255", lambda x, y: (x, y.where(y != 1, 7))),
        (r"labels must lie in \[0, 3\), got \[-1\]; .*255", lambda x, y: (x, y.where(y != 1, -1))),
        (r"logits must be floating point .*int64", lambda x, y: (x.long(), y)),
        (r"labels must be class indices of an integer type, got torch.float32", lambda x, y: (x, y.float())),
        (r"expected torch tensors, got numpy.ndarray", lambda x, y: (x.numpy(), y.numpy())),
        (r"expected torch tensors, got numpy.ndarray", lambda x, y: (x, y.numpy())),
        (r"labels must be .* got torch.bool", lambda x, y: (x, y.bool())),
        (r"labels of the same shape.*\(2, 3, 9, 11\) and labels \(2, 9, 10\)", lambda x, y: (x, y[..., :-1])),
        (r"labels of the same shape.*labels \(2, 1, 9, 11\)", lambda x, y: (x, y[:, None])),
        (r"labels of the same shape.*logits \(2, 3, 9\)", lambda x, y: (x[..., 0], y[..., 0])),
    ],
)
def test_wrong_input_is_told(message, change):
    with pytest.raises(InputError, match=message):
        SurrogateLoss("miou")(*change(*batch()))


def test_a_label_outside_is_told_even_if_nothing_is_ignored():
    logits, labels = batch(ignored=0.1)
    with pytest.raises(InputError, match=r"labels must lie in \[0, 3\), got \[255\]$"):
        SurrogateLoss("miou", ignore_index=None)(logits, labels)
