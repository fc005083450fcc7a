"""The flat theta: its size, its order, and its parts by operation name."""

from types import SimpleNamespace

import numpy as np
import pytest
from helpers.members import FAMILIES, METRICS, covering
from torch.testing import assert_close

from autosegloss import theta as thetas
from autosegloss.curves import Linear

pairs = pytest.mark.parametrize(("formula", "curve"), covering(METRICS, FAMILIES, partners=["bf1"]))


@pairs
def test_size_identity_and_split_fit_together(formula, curve):
    theta = thetas.identity(formula, curve)
    assert theta.shape == (thetas.size(formula, curve),)
    assert thetas.size(formula, curve) == len(formula.operations) * curve.num_parameters
    for rows in thetas.split(theta, formula, curve).values():
        assert_close(rows, curve.identity()[None])


@pairs
def test_theta_is_laid_out_in_the_order_the_formula_declares(formula, curve):
    flat = np.linspace(0, 1, thetas.size(formula, curve))
    by_name = thetas.split(flat, formula, curve)
    assert tuple(by_name) == formula.operations
    for i, name in enumerate(formula.operations):
        k = curve.num_parameters
        assert by_name[name].shape == (1, k)
        assert by_name[name][0].tolist() == flat[i * k : (i + 1) * k].tolist()


def test_the_order_is_declared_and_not_alphabetical():
    formula = SimpleNamespace(name="stub", operations=("z", "a", "m"))
    by_name = thetas.split([0.1, 0.2, 0.3], formula, Linear(pieces=1))
    assert {name: rows.item() for name, rows in by_name.items()} == {"z": 0.1, "a": 0.2, "m": 0.3}


def test_the_declared_orders_are_what_cards_and_records_rely_on():
    operations = {name: formula.operations for name, formula in METRICS.items()}
    assert operations["gacc"] == operations["macc"] == ("and",)
    assert operations["miou"] == operations["fwiou"] == operations["biou"] == ("and", "or")
    assert operations["bf1"] == ("boundary_and", "boundary_or", "precision_and", "recall_and")
