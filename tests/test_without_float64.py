"""Losses and metrics need no float64 on their device: that of Apple has none."""

from contextlib import nullcontext

import numpy as np
import pytest
import torch
from helpers import laws
from helpers.loss_members import every_loss, made
from helpers.members import ABLATIONS, METRICS, covering, every_metric
from torch.testing import assert_close
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

from autosegloss import SurrogateLoss
from autosegloss import theta as thetas
from autosegloss.algebra import inputs
from autosegloss.curves import CurveFamily
from autosegloss.metrics import FormulaMetric


class NoFloat64(TorchDispatchMode):
    """Refuses every operation with a float64 tensor, as MPS does; one of the host may come over in another type."""

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        result = operation(*args, **(kwargs or {}))
        doubles = [[x for x in tree_flatten(tensors)[0] if _is_double(x)] for tensors in ((args, kwargs), result)]
        moved = operation is torch.ops.aten._to_copy.default and not doubles[1]
        if any(doubles) and not moved and operation is not torch.ops.aten.lift_fresh.default:  # a new one of the host
            raise TypeError(f"{operation}: Cannot convert a MPS Tensor to float64 dtype")
        return result


def _is_double(value):
    return isinstance(value, torch.Tensor) and value.dtype == torch.float64


@pytest.fixture(autouse=True)
def a_device_without_float64(monkeypatch):
    monkeypatch.setattr(inputs, "WITH_FLOAT64", ())


every_context = pytest.mark.parametrize(
    "context", [nullcontext, lambda: torch.autocast("cpu", torch.bfloat16)], ids=["float32", "autocast"]
)


def test_the_imitation_refuses_float64():
    with NoFloat64(), pytest.raises(TypeError, match="float64"):
        torch.ones(2).double()
    array = np.ones(2)
    with NoFloat64():
        assert torch.from_numpy(array).to(torch.float32).sum() == 2


@every_metric
@pytest.mark.parametrize("per_class", [False, True])
@pytest.mark.parametrize("ignore_index", [255, 1])
def test_a_metric_is_updated_and_computed(formula, per_class, ignore_index, monkeypatch):
    logits, labels = laws.batch()
    labels = labels.where(labels != 255, 1) if ignore_index == 1 else labels
    metric = FormulaMetric(formula, 3, ignore_index, per_class)
    with NoFloat64():
        for _ in range(2):
            metric.update(logits, labels)
        value = metric.compute()
    monkeypatch.setattr(inputs, "WITH_FLOAT64", ("cpu",))
    exact = FormulaMetric(formula, 3, ignore_index, per_class)
    exact.update(logits, labels)
    assert_close(value, exact.compute(), equal_nan=True)


@pytest.mark.parametrize(("formula", "curve"), covering(METRICS, {"bezier": "bezier", "linear": "linear"} | ABLATIONS))
@every_context
def test_a_surrogate_has_a_value_and_a_gradient(formula, curve, context):
    logits, labels = laws.batch()
    size = thetas.size(formula, CurveFamily.resolve(curve))
    theta = torch.rand(size, generator=torch.Generator().manual_seed(0))
    loss = SurrogateLoss(formula, theta=theta, curve=curve)
    loss(logits, labels)  # the curves are made of float64 numbers, once, on the host
    with NoFloat64(), context():
        value, gradient = laws.value_and_gradient(loss, logits, labels)
    exact = laws.value_and_gradient(loss, logits.double(), labels)
    assert_close((value, gradient), tuple(x.float() for x in exact), rtol=1e-4, atol=1e-5)


@every_loss
@every_context
def test_a_loss_of_the_configuration_has_a_value_and_a_gradient(name, context):
    logits, labels = laws.batch()
    loss = made(name)
    loss(logits, labels)
    with NoFloat64(), context():
        value, gradient = laws.value_and_gradient(loss, logits, labels)
    assert value.dtype == gradient.dtype == torch.float32
    assert gradient.isfinite().all()
    assert gradient.any()
