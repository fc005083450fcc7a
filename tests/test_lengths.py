"""Widths and tolerances in pixels, as fractions of the diagonal, and in millimetres with a spacing."""

import numpy as np
import pytest
import torch
from helpers import laws
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf
from torch.testing import assert_close

from autosegloss import InputError, SurrogateLoss, ThetaCard
from autosegloss import theta as thetas
from autosegloss.curves import Bezier
from autosegloss.formulas import BoundaryF1, BoundaryIoU, SurfaceDice
from autosegloss.formulas.lengths import window
from autosegloss.metrics import FormulaMetric

SPACINGS = [(2.5, 1.0, 0.5), (1.0, 1.0, 1.0), (0.7, 0.7, 3.0)]


@settings(max_examples=40, deadline=None)
@given(extent=st.floats(0.5, 9), spacing=st.lists(st.sampled_from([0.3, 0.5, 1.0, 2.5]), min_size=3, max_size=3))
def test_a_window_holds_the_pixels_within_the_length(extent, spacing):
    sides = window(extent, (40, 50, 60), tuple(spacing))
    for side, size in zip([sides] * 3 if isinstance(sides, int) else sides, spacing, strict=True):
        near = np.abs(np.arange(-40, 41)) * size <= extent * (1 + 1e-6)
        assert side == near.sum()


def test_pixels_and_fractions_are_windows_as_without_a_spacing():
    assert window(5, (30, 40), None) == 11
    assert window(0.1, (30, 40), None) == 11
    assert window(5, (30, 40), (1.0,)) == window(5, (30, 40), (1.0, 1.0)) == 11
    assert window(4, (30, 40), tuple(np.float32([0.8, 0.8]))) == 11  # 0.8 in float32 is a little more


def test_images_are_slices_of_a_volume():
    assert window(5, (30, 40), (5.0, 1.0, 2.5)) == (11, 5)


def surface_dice(pred, true, tolerance, spacing):
    """Of a class in one volume: a point of a surface counts if one of the other is near along every axis."""
    points = [np.argwhere(edge(m)) * spacing for m in (pred, true)]
    if not len(points[0]) or not len(points[1]):
        return None if not len(points[0]) + len(points[1]) else 0.0
    far = np.abs(points[0][:, None] - points[1][None]).max(axis=2)
    near = far <= tolerance * (1 + 1e-6)
    return (near.any(axis=1).sum() + near.any(axis=0).sum()) / sum(map(len, points))


def edge(m):
    """Voxels of m with one outside of m around them."""
    outside = np.pad(~m, 1)
    shifts = np.ndindex((3,) * m.ndim)
    return m & np.any(
        [outside[tuple(slice(k, k + n) for k, n in zip(s, m.shape, strict=True))] for s in shifts], axis=0
    )


@pytest.mark.parametrize("spacing", SPACINGS, ids=str)
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**31), tolerance=st.sampled_from([0.8, 1.0, 2.0, 2.5]))
def test_surface_dice_of_a_volume_is_that_of_distances_in_millimetres(spacing, seed, tolerance):
    tolerance = max(tolerance, min(spacing))
    rng = np.random.default_rng(seed)
    true, pred = np.zeros((2, 5, 7, 8), int)
    for m in (true, pred):
        for c in (1, 2):
            corner = rng.integers(0, m.shape)
            m[tuple(slice(k, k + size) for k, size in zip(corner, rng.integers(1, 5, size=3), strict=True))] = c
    scores = [surface_dice(pred == c, true == c, tolerance, np.array(spacing)) for c in range(3)]
    expected = [np.nan if score is None else score for score in scores]
    metric = FormulaMetric(SurfaceDice(tolerance, spacing), 3, None, per_class=True)
    metric.update(torch.tensor(pred)[None], torch.tensor(true)[None])
    assert_close(metric.compute(), torch.tensor(expected, dtype=torch.float32), equal_nan=True)


def test_the_band_is_as_wide_in_millimetres_along_every_axis():
    labels = torch.zeros(1, 20, 20, dtype=torch.long)
    labels[:, :10, :10] = 1
    metric = FormulaMetric(BoundaryIoU(width=2, spacing=(1.0, 0.5)), 2)
    metric.update(labels, labels)
    assert metric.union[1] == 10 * 10 - 8 * 6  # 2 rows and 4 columns of the square


FORMULAS = [BoundaryIoU(2, (1.0, 0.5)), BoundaryF1(2, (1.0, 0.5)), SurfaceDice(3, (2.0, 1.0, 1.5))]


@pytest.mark.parametrize("formula", FORMULAS, ids=str)
@pytest.mark.parametrize("shape", [(2, 9, 11), (2, 4, 6, 7)], ids=["images", "volumes"])
def test_formulas_with_a_spacing_obey_the_laws(formula, shape):
    if len(shape) == 4 and len(formula.spacing) == 2:
        formula = type(formula)(2, (1.0, 0.5, 2.0))
    logits, labels = laws.batch(shape, ignored=0.1)
    theta = torch.rand(thetas.size(formula, Bezier()), generator=torch.Generator().manual_seed(0))
    laws.soft_equals_exact_on_one_hot(formula, Bezier(), theta, (labels, logits.argmax(1), 3))
    laws.blind_to_ignored(formula, (labels, logits.argmax(1), 3))
    loss = SurrogateLoss(formula, theta=theta)
    fast = laws.value_and_gradient(loss, logits.double(), labels)
    dense = laws.value_and_gradient(
        lambda x, y: 1 - formula.score(loss.dense_statistics(x, y), "all"), logits.double(), labels
    )
    assert_close(fast, dense)


@pytest.mark.parametrize("formula", [BoundaryIoU, BoundaryF1, SurfaceDice])
def test_a_spacing_of_1_means_pixels_bit_for_bit(formula):
    logits, labels = laws.batch((2, 12, 13))
    results = [
        laws.value_and_gradient(SurrogateLoss(formula(2, spacing)), logits, labels) for spacing in (None, 1, (1, 1))
    ]
    assert_close(results[1:], [results[0]] * 2, rtol=0, atol=0)


def test_a_spacing_is_kept_on_a_card_and_read_from_a_configuration(tmp_path):
    formula = SurfaceDice(2, OmegaConf.create([3, 1, 1]))
    assert formula == SurfaceDice(2, [3.0, 1.0, 1.0])
    assert hash(formula) == hash(SurfaceDice(2, (3, 1, 1)))
    theta = thetas.split(thetas.identity(formula, Bezier()), formula, Bezier())
    ThetaCard(formula, Bezier(), theta).save(tmp_path / "card.yaml")
    assert ThetaCard.load(tmp_path / "card.yaml").metric == formula


MISTAKES = {
    "too short": (lambda: BoundaryF1(0.2, (3, 0.5, 0.5)), r"tolerance must be 0.5 mm or more, .* got 0.2"),
    "no length": (lambda: BoundaryIoU(-1, 0.5), "width: expected a number above 0, got -1"),
    "no number": (lambda: BoundaryIoU("5", 0.5), "width: expected a number above 0, got '5'"),
    "no spacing": (lambda: BoundaryF1(2, ()), r"spacing must be a number of millimetres above 0, or one .* got \(\)"),
    "four axes": (lambda: BoundaryF1(2, (1, 1, 1, 1)), "spacing must be"),
    "zero": (lambda: BoundaryF1(2, (1, 0)), r"spacing must be .* got \(1, 0\)"),
    "a word": (lambda: SurfaceDice(2, "mm"), "spacing must be .* got 'mm'"),
    "millimetres without a spacing": (lambda: SurfaceDice(2.5), "got 2.5; for millimetres give spacing"),
}


@pytest.mark.parametrize(("make", "message"), MISTAKES.values(), ids=MISTAKES)
def test_a_length_that_means_nothing_is_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()


def test_a_formula_shows_a_spacing_that_it_has():
    assert repr(SurfaceDice(2)) == "SurfaceDice(tolerance=2)"
    assert repr(BoundaryIoU(2, (1, 0.5))) == "BoundaryIoU(width=2, spacing=(1.0, 0.5))"


def test_a_volume_needs_a_spacing_for_each_axis():
    loss = SurrogateLoss(BoundaryF1(2, (1.0, 0.5)))
    with pytest.raises(InputError, match="metric 'bf1': spacing has 2 numbers for 3 axes: give one for each axis"):
        loss(*laws.batch((2, 4, 6, 7)))
