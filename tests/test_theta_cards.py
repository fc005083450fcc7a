"""Theta cards: round trips, the released numbers, and metrics and curves that a user defines."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from helpers.members import FAMILIES, METRICS, covering, numbers_of
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch.testing import assert_close

from autosegloss import InputError, SurrogateLoss, ThetaCard
from autosegloss import theta as thetas
from autosegloss.curves import Bezier, Identity, Linear
from autosegloss.formulas import PAPER, BoundaryF1, BoundaryIoU
from autosegloss.theta_card import shipped_cards

FORMULAS = {**METRICS, "biou_fraction": BoundaryIoU(width=0.02), "bf1_tolerance": BoundaryF1(tolerance=2)}
CURVES = {**FAMILIES, "linear_scaled": Linear(pieces=3, scale=2.5)}

# The release of the paper (VOC, R50): absolute inner control points u1, v1, u2, v2, u3, v3 by operation.
MACC = [2.1453928e-02, 7.3905742e-01, 4.1163361e-01, 7.9865617e-01, 9.1986191e-01, 9.5041156e-01]
RELEASED = {
    "miou": {
        "and": [
            5.69728440e-04,
            6.43720450e-01,
            3.38589169e-01,
            7.05543360e-01,
            6.25281252e-01,
            7.79551927e-01,
        ],
        "or": [
            6.90375570e-01,
            1.30628900e-02,
            8.34170515e-01,
            9.62431815e-01,
            9.42998269e-01,
            9.80038125e-01,
        ],
    },
    "fwiou": {
        "and": [0.11907931, 0.669945, 0.19315827, 0.71179134, 0.46337387, 0.79494196],
        "or": [0.5266451, 0.29869753, 0.706645, 0.4485701, 0.86858255, 0.7261703],
    },
    "biou": {
        "and": [
            3.65390355e-04,
            9.84171689e-01,
            9.69491959e-01,
            9.92340326e-01,
            9.88328516e-01,
            9.95552719e-01,
        ],
        "or": [
            3.54609758e-01,
            2.67221928e-01,
            5.60551465e-01,
            4.35290039e-01,
            5.65432191e-01,
            6.01448298e-01,
        ],
    },
    "macc": {"and": MACC},
    "gacc": {"and": MACC},
    "bf1": {  # one piece; one curve for each operand
        "boundary_and": [
            [0.8113003373146057, 0.8526162505149841],
            [0.17164576053619385, 0.03164796531200409],
        ],
        "boundary_or": [
            [0.20997394621372223, 0.44903290271759033],
            [0.07847517728805542, 0.8753038048744202],
        ],
    },
}


@pytest.mark.parametrize(("formula", "curve"), covering(FORMULAS, CURVES, partners=["bf1"]))
@settings(max_examples=3, deadline=None)
@given(data=st.data())
def test_a_card_comes_back_as_it_went(tmp_path_factory, formula, curve, data):
    rows = st.sampled_from([1, 2])
    theta = {
        name: torch.from_numpy(
            data.draw(arrays(np.float64, (data.draw(rows), curve.num_parameters), elements=numbers_of(curve)))
        )
        for name in formula.operations
    }
    path = tmp_path_factory.mktemp("cards") / "theta.yaml"
    score = data.draw(st.none() | st.floats(0, 1))
    classes = data.draw(st.sampled_from(["present", "foreground", [1, 2], ["car"]]))
    card = ThetaCard(formula, curve, theta, classes, score, {"data": "Köln", "steps": [1, 2], "seed": 3}, scale=0.7)
    card.save(path)
    loaded = ThetaCard.load(path)
    assert (loaded.metric, loaded.curve) == (formula, curve)
    assert (loaded.classes, loaded.score, loaded.provenance) == (card.classes, card.score, card.provenance)
    assert loaded.scale == card.scale
    assert_close(loaded.theta, theta, rtol=0, atol=0)
    assert_close(loaded.control_points, card.control_points, rtol=0, atol=0)
    loaded.save(again := path.with_name("again.yaml"))
    assert again.read_text() == path.read_text()


def test_the_control_points_on_the_page_are_those_of_theta(tmp_path):
    theta = thetas.split(torch.linspace(0.1, 0.9, 12), METRICS["miou"], Bezier())
    ThetaCard(METRICS["miou"], Bezier(), theta).save(tmp_path / "card.yaml")
    page = yaml.safe_load((tmp_path / "card.yaml").read_text())
    first = ["metric", "curve", "classes", "task", "scale"]
    assert list(page) == [*first, "theta", "control_points", "score", "provenance"]
    for name, rows in theta.items():
        inner = [1 - np.prod(1 - rows.numpy().reshape(-1, 2)[:k], axis=0) for k in (1, 2, 3)]
        np.testing.assert_allclose(page["control_points"][name], [[0, 0], *inner, [1, 1]], atol=1e-6)


def test_a_card_needs_little(tmp_path):
    page = tmp_path / "card.yaml"
    page.write_text("metric: miou\ncurve: bezier\ntheta: {and: [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]}\n")
    card = ThetaCard.load(page)
    assert (card.metric, card.curve) == (METRICS["miou"], Bezier())
    assert (card.classes, card.score, card.provenance) == ("all", None, {})
    assert set(card.theta) == {"and"}  # OR is not bent


def test_a_linear_card_of_an_earlier_version_means_what_it_meant(tmp_path):
    """Its scale of 5 stands on it, before numbers in [0, 1]; a card without a scale may mean either."""
    page = tmp_path / "card.yaml"
    numbers = [0.1, 0.2, 0.3, 0.4, 0.9]
    page.write_text(f"metric: miou\ncurve: {{name: linear, pieces: 5, scale: 5.0}}\ntheta: {{and: {numbers}}}\n")
    rises = np.exp(5 * np.array(numbers)) / np.exp(5 * np.array(numbers)).sum()
    np.testing.assert_allclose(ThetaCard.load(page).control_points["and"][0, :, 1], [0, *rises.cumsum()], atol=1e-12)
    for curve, theta, scale in (("linear", numbers, 5.0), ("{name: linear, pieces: 5}", [-0.1, *numbers[1:]], 1.0)):
        page.write_text(f"metric: miou\ncurve: {curve}\ntheta: {{and: {theta}}}\n")
        with pytest.raises(InputError, match=rf"'linear' must state its scale, 1 where .*, 5 for .*'scale': {scale}}}"):
            ThetaCard.load(page)


def test_a_card_of_a_curve_without_parameters(tmp_path):
    ThetaCard(METRICS["miou"], Identity(), thetas.split([], METRICS["miou"], Identity())).save(tmp_path / "card.yaml")
    assert SurrogateLoss.from_pretrained(tmp_path / "card.yaml").curve == Identity()


def test_a_card_for_every_metric_of_the_paper_ships():
    assert set(shipped_cards()) == set(RELEASED) == set(PAPER)


@pytest.mark.parametrize("name", RELEASED)
def test_shipped_cards_carry_the_released_control_points(name):
    card = ThetaCard.load(name)
    # the release's band, a 3x3 edge dilated by 5, is wider than the metric's default by a pixel
    assert card.metric == {**METRICS, "biou": BoundaryIoU(width=6)}[name]
    assert card.classes == "all"
    assert "fundamentalvision/Auto-Seg-Loss" in card.provenance["source"]
    assert set(card.control_points) == set(RELEASED[name])
    for operation, numbers in RELEASED[name].items():
        rows = torch.tensor(numbers, dtype=torch.float64).reshape(-1, card.curve.num_inner, 2)
        rows = rows.reshape(len(card.theta[operation]), card.curve.num_inner, 2)
        points = card.control_points[operation]
        assert_close(points[:, 1:-1], rows, rtol=0, atol=1e-6)
        assert_close(points[:, [0, -1]], torch.tensor([[[0, 0], [1, 1]]]).expand_as(points[:, [0, -1]]).double())
    page = yaml.safe_load(Path(shipped_cards()[name]).read_text())
    for operation, points in card.control_points.items():
        assert np.squeeze(points.numpy()).tolist() == page["control_points"][operation]


# Metrics and curves of a user

MODULE = """
from dataclasses import dataclass
from autosegloss.curves import Bezier
from autosegloss.formulas import MeanIoU

@dataclass(frozen=True)
class MyIoU(MeanIoU):
    name = "my_iou"
    width: int = 3

@dataclass(frozen=True)
class MyBezier(Bezier):
    name = "my_bezier"
"""
SAVE = """
from my_losses import MyBezier, MyIoU
from autosegloss import InputError, SurrogateLoss, ThetaCard
from autosegloss.formulas import weighted_sum
for name, metric in {"one": MyIoU(width=4), "two": weighted_sum(["bf1", MyIoU(width=5)])}.items():
    loss = SurrogateLoss(metric, curve=MyBezier(pieces=1))
    ThetaCard(loss.formula, loss.curve, loss.theta).save(f"{name}.yaml")
"""
LOAD = """
from autosegloss import SurrogateLoss
one, two = (SurrogateLoss.from_pretrained(f"{name}.yaml") for name in ("one", "two"))
print(one.formula, one.curve.pieces, two.formula.terms[1])
"""


def run_python(code, folder, **environment):
    return subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, env={**os.environ, **environment}
    )


@pytest.mark.slow
def test_a_card_of_classes_from_elsewhere_loads_in_a_fresh_process(tmp_path):
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules/my_losses.py").write_text(MODULE)
    paths = os.pathsep.join([str(tmp_path / "modules"), os.environ.get("PYTHONPATH", "")])
    saved = run_python(SAVE, tmp_path, PYTHONPATH=paths)
    assert saved.returncode == 0, saved.stderr
    loaded = run_python(LOAD, tmp_path, PYTHONPATH=paths)
    assert loaded.stdout == "MyIoU(width=4) 1 MyIoU(width=5)\n", loaded.stderr
    (tmp_path / "modules/my_losses.py").unlink()
    shutil.rmtree(tmp_path / "modules/__pycache__", ignore_errors=True)
    lost = run_python(LOAD, tmp_path, PYTHONPATH=paths)
    assert "metric 'my_iou' is the class my_losses.MyIoU, whose module 'my_losses' cannot be imported" in lost.stderr


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("no_such_module.Metric", "module 'no_such_module' cannot be imported"),
        ("json.Metric", "which its module 'json' does not define"),
        ("Metric", "module '' cannot be imported"),
    ],
)
def test_a_class_that_cannot_be_had_is_one_clear_error(path, message, tmp_path):
    (tmp_path / "card.yaml").write_text(f"{{metric: {{name: mine, class: {path}}}, curve: bezier, theta: {{}}}}")
    with pytest.raises(InputError, match=message):
        ThetaCard.load(tmp_path / "card.yaml")
