"""Figures 2 and 4 to 6 of the paper: what they show, and what `autosegloss figure` refuses."""

import re

import numpy as np
import pytest
import torch
from helpers.members import FAMILIES
from helpers.trained_runs import write_trained
from matplotlib.image import imread
from scipy.ndimage import maximum_filter, minimum_filter
from test_curve_families import Power

from autosegloss import InputError, ThetaCard
from autosegloss.cli.figure import run
from autosegloss.curves import Curve
from autosegloss.report.curve_figure import curve_figure
from autosegloss.report.prediction_figure import prediction_figure
from autosegloss.training.module import logits_of
from autosegloss.training.trained import TrainedRun


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
@pytest.mark.parametrize("y", [0.0, 0.3, 0.6, 1.0])
def test_s_and_g_lie_on_the_segment_that_is_named(family, y):
    theta = np.random.default_rng(1).uniform(0.05, 0.95, family.num_parameters)
    curve = Curve(family, family.control_points(torch.as_tensor(theta)))
    told = curve_figure(curve, y).axes[0].texts[-1].get_text()
    s, segment, g = re.search(r"s = (.*) of segment (\d+)\ng\(y\) = (.*)", told).groups()
    u, v = family.quadratic(curve.points)[2 * int(segment) - 2 : 2 * int(segment) + 1].numpy().T
    shares = np.array([(1 - float(s)) ** 2, 2 * float(s) * (1 - float(s)), float(s) ** 2])
    assert shares @ u == pytest.approx(y, abs=2e-3)
    assert shares @ v == pytest.approx(float(g), abs=6e-3)


def test_a_family_without_segments_has_no_s():
    family = Power()
    figure = curve_figure(Curve(family, family.control_points(torch.ones(1, dtype=torch.float64))), 0.5)
    assert figure.axes[0].texts[-1].get_text() == "y = 0.500\ng(y) = 0.250"


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    for name, own in {"one": [], "two": [], "other": ["data.source.val=5"]}.items():
        write_trained(folder / name, *own, seed=len(name + "x" * (name == "two")))
    return folder


def test_the_columns_are_the_predictions_and_zoom_finds_where_they_differ(runs):
    trained = {name: TrainedRun.of(runs / name) for name in ("one", "two")}
    figure = prediction_figure(trained, images=[1, 0], zoom=16)
    assert [axes.get_title() for axes in figure.axes[:4]] == ["image", "ground truth", "one", "two"]
    shown = [[axes.images[0].get_array() for axes in figure.axes[row : row + 4]] for row in (0, 4)]
    assert all(picture.shape == (16, 16, 3) for row in shown for picture in row)
    images, labels = next(iter(trained["one"].data().val_dataloader()))[0]
    with torch.inference_mode():
        one, two = (logits_of(run.network(6, 3), images).argmax(dim=1) for run in trained.values())
    for row, place in zip(shown, (1, 0), strict=True):
        truth, differ = labels[place].numpy(), (one != two)[place].numpy()
        edges = maximum_filter(truth, 7) != minimum_filter(truth, 7)
        windows = [np.lib.stride_tricks.sliding_window_view(each, (16, 16)) for each in (differ & edges, differ)]
        at_edges, all_over = (each.sum(axis=(2, 3)) for each in windows)
        assert (row[2] != row[3]).any(axis=-1).sum() in all_over[at_edges == at_edges.max()]


def test_the_program_writes_both_kinds(runs, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run(["predictions", str(runs / "one"), str(runs / "two"), "names=[CE,mIoU + BIoU]", "images=[2]"])
    run(["curve", "bf1", "operation=boundary_or", "operand=2", "y=0.25", "out=deep/curve.svg"])
    run(["curve", "linear", "theta=[1.2,-30,0,0.4,0.1]"])
    ThetaCard.load("miou").save("theta.yaml")  # as a search names it
    run(["curve", "theta.yaml", "operation=or"])
    run(["curve", "bf1", "operand=2"])
    written = ["predictions", "deep/curve.svg", "curve_linear", "curve_miou_or", "curve_bf1_boundary_and_2"]
    assert [line.removesuffix(".png") for line in capsys.readouterr().out.splitlines()] == [
        f"figure: {name}" for name in written
    ]
    assert imread("predictions.png").shape[2] == 4
    card = ThetaCard.load("bf1")
    g = Curve(card.curve, card.control_points["boundary_or"][1])(torch.tensor([0.25], dtype=torch.float64)).item()
    assert f"g(y) = {g:.3f}" in (tmp_path / "deep/curve.svg").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "unknown figure '': choose one of"),
        (["curve"], "autosegloss figure curve: expected a theta card, or a curve family, got none"),
        (["curve", "mio"], "unknown theta card 'mio'"),
        (["curve", "miou", "y=2"], r"y: expected a number in \[0, 1\], got 2"),
        (["curve", "miou", "operand=2"], "operand: expected 1 of 'and', got 2"),
        (["curve", "miou", "operation=xor"], "unknown operation of miou 'xor'"),
        (["curve", "linear", "theta=[1,2]"], r"theta: expected 5 numbers from -inf to inf, got \[1,2\]"),
        (["curve", "bezier", "theta=[1,2,0,0,0,0]"], "theta: expected 6 numbers from 0 to 1, got"),
        (["curve", "miou", "out=curve.xyz"], r"curve.xyz cannot be written \(.*\): choose out=FILE.png, .svg or .pdf"),
        (["predictions"], "autosegloss figure predictions: expected folders of runs, got none"),
        (["predictions", "one", "two", "names=[a]"], r"names: expected 2 different names, a list as \[CE,mIoU\], got"),
        (["predictions", "one", "images=[99]"], r"images: expected a list of places from 0 to \d+, as \[0,2\], got"),
        (["predictions", "one", "zoom=99"], r"zoom: expected \d+ pixels at most, the smaller side, got 99"),
        (["predictions", "one", "other"], "figure: expected runs on the same data, got others for 'other'"),
    ],
)
def test_a_mistake_is_one_line(runs, monkeypatch, arguments, message):
    monkeypatch.chdir(runs)
    with pytest.raises(InputError, match=message) as told:
        run(arguments)
    assert "\n" not in str(told.value)
