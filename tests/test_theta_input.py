"""The errors for an invalid theta or theta card."""

import numpy as np
import pytest
import torch
import yaml
from helpers.members import METRICS
from torch.testing import assert_close

from autosegloss import InputError, SurrogateLoss, ThetaCard
from autosegloss import theta as thetas
from autosegloss.curves import Bezier

GOOD = {"metric": {"name": "miou"}, "curve": {"name": "bezier"}, "theta": {"and": [0.5] * 6, "or": [0.5] * 6}}
LINEAR = {"name": "linear", "scale": 1}


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ("not a theta card", "metric: [miou\ntheta: }"),
        ("not a theta card", "just a sentence"),
        ("not a theta card", ""),
        ("not a theta card", "- 1\n- 2\n"),
        ("not a theta card", b"\xff\xfe\x00\x81"),
        ("not a theta card", {**GOOD, "theta": None}),
        ("theta of operation 'and': expected numbers", {**GOOD, "theta": {"and": "high"}}),
        ("theta of operation 'and': expected numbers", {**GOOD, "theta": {"and": [[0.5] * 6, [0.5]]}}),
        ("not a theta card", {**GOOD, "metric": {"width": 5}}),
        ("not a theta card.*'theta'", {key: GOOD[key] for key in ("metric", "curve")}),
        ("not a theta card.*'metric'", {key: GOOD[key] for key in ("theta", "curve")}),
        ("not a theta card.*'curve'", {key: GOOD[key] for key in ("theta", "metric")}),
        ("unknown metric 'mios': choose one of miou", {**GOOD, "metric": "mios"}),
        ("unknown curve 'besier': choose one of bezier", {**GOOD, "curve": "besier"}),
        ("metric 'miou' has no option 'width'", {**GOOD, "metric": {"name": "miou", "width": 5}}),
        ("pieces: expected an integer of 1 or more", {**GOOD, "curve": {"name": "bezier", "pieces": 0}}),
        ("unknown operation of 'miou' 'xor'", {**GOOD, "theta": {"xor": [0.5] * 6}}),
        (r"theta must lie in \[0, 1\], got .*1.5", {**GOOD, "theta": {"and": [1.5] * 6}}),
        (r"theta must lie in \[0, 1\], got .*nan", {**GOOD, "theta": {"and": [float("nan")] * 6}}),
        ("theta must be finite numbers, got .*inf", {**GOOD, "curve": LINEAR, "theta": {"and": [float("inf")] * 5}}),
        (r"operation 'and' is 6 numbers.*\(1, 4\)", {**GOOD, "theta": {"and": [0.5] * 4}}),
        ("unknown class average 'most'", {**GOOD, "classes": "most"}),
    ],
)
def test_a_malformed_card_is_told_in_one_line_with_its_path(tmp_path, message, text):
    path = tmp_path / "my.yaml"
    text = yaml.safe_dump(text) if isinstance(text, dict) else text
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError, match=message) as error:
        ThetaCard.load(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_path_with_no_card_is_told(tmp_path):
    for path in (tmp_path, tmp_path / "none.yaml", tmp_path / "no" / "such" / "folder"):
        with pytest.raises(InputError, match=r"there is no theta card at .*; the cards that ship are bf1, ") as error:
            ThetaCard.load(path)
        assert str(path) in str(error.value)


def test_a_near_miss_is_told_what_is_near():
    with pytest.raises(InputError, match="unknown theta card 'mIoU2': choose one of miou, "):
        ThetaCard.load("mIoU2")


def test_a_card_checks_its_class_average():
    with pytest.raises(InputError, match="unknown class average 'some'"):
        ThetaCard(METRICS["miou"], Bezier(), {}, classes="some")


@pytest.mark.parametrize("theta", ["abc", ["a"] * 12, [None] * 12, [[0.5] * 6, [0.5]], {"and": 0.5}])
def test_a_flat_theta_that_holds_no_numbers_is_told(theta):
    with pytest.raises(InputError, match="theta of 'miou': expected numbers, got ") as error:
        thetas.split(theta, METRICS["miou"], Bezier())
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("rows", ["abc", ["a"] * 6, [[0.5] * 6, [0.5]], None])
def test_a_row_that_holds_no_numbers_is_told(rows):
    with pytest.raises(InputError, match="theta of operation 'and': expected numbers, got "):
        SurrogateLoss("miou", theta={"and": rows})


def test_rows_may_be_numpy_arrays():
    """torch warns of arrays that are not writable; a warning is an error in these tests."""
    row = np.full(6, 0.5)
    row.flags.writeable = False
    assert thetas.by_name({"and": [row, row], "or": row}, METRICS["miou"], Bezier())["and"].shape == (2, 6)
    assert_close(
        thetas.split(list(np.full(12, 0.5)), METRICS["miou"], Bezier())["or"], torch.full((1, 6), 0.5).double()
    )
