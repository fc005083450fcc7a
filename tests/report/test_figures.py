"""The figures show the given numbers, make small files, and leave matplotlib's global state unchanged."""

import sys

import numpy as np
import pytest
from matplotlib.image import imread

from autosegloss.report import curves_figure, palette, samples_figure, save, search_figure
from autosegloss.search import History, Trial


def a_history(steps=4):
    history = History()
    for step in range(1, steps + 1):
        for index, score in enumerate((0.1 * step, 0.2, None)):
            status = "failed" if score is None else "ok"
            history.add(Trial(step, index, (0.1, 0.2), score, status=status))
        history.close_step(step, (0.5, 0.5))
    return history


def line(figure, label):
    return next(line for line in figure.axes[0].lines if line.get_label() == label)


def test_search_figure_draws_the_numbers_of_the_history():
    figure = search_figure(a_history(), "mIoU")
    np.testing.assert_allclose(line(figure, "mean of the step").get_ydata(), [0.15, 0.2, 0.25, 0.3])
    np.testing.assert_allclose(line(figure, "best so far").get_ydata(), [0.2, 0.2, 0.3, 0.4])
    np.testing.assert_array_equal(line(figure, "mean of the step").get_xdata(), [1, 2, 3, 4])
    assert "mIoU" in figure.axes[0].get_ylabel()


@pytest.mark.parametrize("steps", [1, 4])
def test_search_figure_shows_half_a_step_on_either_side(steps):
    assert search_figure(a_history(steps)).axes[0].get_xlim() == (0.5, steps + 0.5)


def test_an_empty_history_gives_an_empty_figure(tmp_path):
    assert save(search_figure(History()), tmp_path / "empty.png").stat().st_size > 0


def test_curves_figure_has_a_panel_per_operation_with_identity_curve_and_points():
    y = np.linspace(0, 1, 50)
    points = np.array([[0.1, 0.5], [0.2, 0.8], [0.7, 0.9]])
    figure = curves_figure({"and": {"a": (y, y**2), "b": (y, y)}, "or": {"b": (y, y**3)}}, {"and": points})
    assert [axes.get_title() for axes in figure.axes] == ["and", "or"]
    assert [x.get_label() for x in figure.axes[0].lines] == ["identity", "a", "b", "control points"]
    np.testing.assert_allclose(figure.axes[1].lines[1].get_ydata(), y**3)
    np.testing.assert_allclose(figure.axes[0].lines[3].get_xydata()[1:-1], points)
    # a label keeps its colour from panel to panel
    assert figure.axes[0].lines[2].get_color() == figure.axes[1].lines[1].get_color()


def test_samples_figure_colours_classes_and_greys_what_is_outside():
    labels = np.array([[[0, 1, 2], [255, -1, 7]]])
    figure = samples_figure(np.zeros((1, 3, 2, 3), np.uint8), {"truth": labels}, ["sky", "road", "car"])
    shown = figure.axes[1].images[0].get_array()
    np.testing.assert_array_equal(shown[0], palette(3))
    assert len(np.unique(shown[1], axis=0)) == 1
    assert not (shown[1][0] == palette(3)).all(1).any()
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["sky", "road", "car", "ignored"]


def test_legend_names_ignored_pixels_only_where_there_are_any():
    labels = np.zeros((2, 4, 4), np.int64)
    figure = samples_figure(np.zeros((2, 3, 4, 4), np.uint8), {"a": labels, "b": labels}, ["sky"])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["sky"]
    assert len(figure.axes) == 6


@pytest.mark.parametrize("num_classes", [1, 8, 21, 30])
def test_palette_tells_all_classes_apart(num_classes):
    assert palette(num_classes).shape == (num_classes, 3)
    assert len(np.unique(palette(num_classes), axis=0)) == num_classes


def test_files_are_light_and_pyplot_is_never_imported(tmp_path):
    y = np.linspace(0, 1, 200)
    images = np.broadcast_to(np.arange(64, dtype=np.uint8), (2, 3, 64, 64))
    labels = np.arange(64 * 64 * 2).reshape(2, 64, 64) // 500 % 6
    figures = {
        "search": search_figure(a_history(20)),
        "curves": curves_figure({name: {"found": (y, y)} for name in ("a", "b", "c", "d")}),
        "samples": samples_figure(images, {"truth": labels, "found": labels}, list("abcdef")),
    }
    pyplot_was_there = "matplotlib.pyplot" in sys.modules
    for name, figure in figures.items():
        path = save(figure, tmp_path / "made" / f"{name}.png")
        assert path.stat().st_size < 100_000
        assert imread(path).std() > 0.01
    assert ("matplotlib.pyplot" in sys.modules) == pyplot_was_there
