"""The sums behind a loss, however they are computed: in blocks, by kernels, by classes, on a device not to be asked."""

import subprocess
import sys

import pytest
import torch
from helpers import laws
from helpers.members import METRICS, every_metric
from torch.testing import assert_close

from autosegloss import SurrogateLoss
from autosegloss import theta as thetas
from autosegloss.algebra.inputs import labels_are_classes, valid_map
from autosegloss.curves import Bezier
from autosegloss.errors import InputError
from autosegloss.kernels import engine
from autosegloss.metrics import segmentation_metrics

CLASSWISE = {name: formula for name, formula in METRICS.items() if formula.classwise}


def made(formula, seed=0):
    theta = torch.rand(thetas.size(formula, Bezier()), generator=torch.Generator().manual_seed(seed))
    return SurrogateLoss(formula, theta=theta)


@every_metric
def test_a_gradient_can_be_asked_for_twice(formula):
    """The first time it takes the place of what it was made of."""
    logits, labels = laws.batch((2, 9, 11))
    logits.requires_grad_()
    value = made(formula)(logits, labels)
    first, second = (torch.autograd.grad(value, logits, retain_graph=True)[0].clone() for _ in range(2))
    assert_close(second, first)


@every_metric
def test_without_a_gradient_the_value_is_the_same(formula):
    logits, labels = laws.batch((2, 9, 11))
    with torch.no_grad():
        value = made(formula)(logits, labels)
    assert_close(made(formula)(logits.requires_grad_(), labels), value, rtol=0, atol=0)


@every_metric
def test_labels_may_lie_in_memory_in_any_order(formula):
    logits, labels = laws.batch((3, 9, 11))
    slices = labels.permute(1, 2, 0).contiguous().permute(2, 0, 1)
    assert_close(*(laws.value_and_gradient(made(formula), logits, y) for y in (slices.to(torch.uint8), labels)))


@every_metric
def test_logits_that_are_a_part_of_larger_ones(formula):
    """As those that are cropped back to the size of the image."""
    large, labels = laws.batch((2, 12, 13))
    part = large.contiguous(memory_format=torch.channels_last)[..., :9, :11]
    results = (laws.value_and_gradient(made(formula), x, labels[:, :9, :11]) for x in (part, part.contiguous()))
    assert_close(*results)


@every_metric
@pytest.mark.parametrize("shape", [(0, 3, 4, 5), (2, 3, 0, 5)], ids=["images", "pixels"])
def test_a_batch_without_any_has_loss_0(formula, shape):
    labels = torch.zeros(shape[0], *shape[2:], dtype=torch.int64)
    value, gradient = laws.value_and_gradient(made(formula), torch.zeros(shape), labels)
    assert value == 0
    assert gradient.shape == shape


@pytest.mark.parametrize("formula", CLASSWISE.values(), ids=CLASSWISE)
def test_a_formula_read_class_by_class_has_the_same_sums(formula):
    labels, preds = (torch.randint(5, (2, 9, 11), generator=torch.Generator().manual_seed(k)) for k in (0, 1))
    loss, some = made(formula), torch.tensor([1, 3])
    true, pred = (torch.nn.functional.one_hot(x, 5).movedim(-1, 1) for x in (labels, preds))
    valid = torch.ones(2, 1, 9, 11, dtype=torch.bool)
    soft = 0.8 * pred + 0.04
    whole = formula.statistics(loss._logic(), soft, true.bool(), valid)
    part = formula.statistics(loss._logic(), soft[:, some], true[:, some].bool(), valid)
    assert_close({name: value[some] for name, value in whole.items()}, part)


def test_which_formulas_are_read_class_by_class():
    assert set(CLASSWISE) == {"gacc", "macc", "miou", "fwiou", "bf1", "miou+bf1"}


@every_metric
def test_a_step_waits_for_no_device(formula):
    """Tensors without data have nothing to wait for: whatever asks for a value of theirs fails."""
    logits = torch.empty(2, 4, 9, 11, device="meta", requires_grad=True)
    labels = torch.empty(2, 9, 11, dtype=torch.int64, device="meta")
    loss, metrics = made(formula), segmentation_metrics(4, metrics=[formula]).to("meta")
    with labels_are_classes():
        value = formula.score(loss.statistics(logits, labels), loss.classes)
        (gradient,) = torch.autograd.grad(value, logits)
        metrics.update(logits.argmax(dim=1), labels)
    assert gradient.shape == logits.shape


def test_labels_are_looked_at_unless_they_are_known():
    labels = torch.tensor([[[0, 7]]])
    with pytest.raises(InputError, match=r"labels must lie in \[0, 3\), got \[7\]"):
        valid_map(labels, 3, 255)
    with labels_are_classes():
        assert valid_map(labels, 3, 255).all()
    with pytest.raises(InputError):
        valid_map(labels, 3, 255)


# Triton kernels


def with_triton(program):
    pytest.importorskip("triton", reason="torch comes with Triton on Linux only")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr


COMPARE = """
import os
os.environ["TRITON_INTERPRET"] = "1"  # read when a kernel is defined
import torch
from torch.testing import assert_close
from autosegloss.curves import Bezier, Curve, Identity, Linear
from autosegloss.kernels.blocks import BlockReduction
from autosegloss.kernels.triton_kernels import KernelReduction, fits, gradient, try_on
from autosegloss.kernels.terms import Term

random = torch.Generator().manual_seed(0)

def case(n, c, p, families, layout=lambda x: x, dtype=torch.float32):
    logits = 3 * torch.randn(n, c, p, generator=random)
    labels = torch.randint(c, (n, p), generator=random)
    valid = torch.rand(n, p, generator=random) > 0.2
    logits[..., 0], valid[:, 0] = torch.nan, False
    inside = valid & (torch.rand(n, p, generator=random) > 0.5)
    terms = []
    for k, family in enumerate(families):
        theta = torch.rand(family.num_parameters, generator=random, dtype=torch.float64).round(decimals=k % 2)
        curve = Curve(family, family.control_points(theta))
        terms.append(Term(curve, inside if k % 3 == 1 else None, at_labels=k % 2 == 1))
    results = []
    for reduction in (KernelReduction.apply, lambda *given: BlockReduction.apply(*given, True)):
        leaf = layout(logits.to(dtype)).requires_grad_()
        assert fits(leaf, terms)
        sums = reduction(leaf, innermost(labels.where(valid, 0)), valid, terms)
        weights = torch.linspace(0.5, 1.5, sums.numel()).view_as(sums)
        gradient, = torch.autograd.grad((sums * weights).sum(), leaf)
        results.append((sums, gradient))
    assert results[0][1].stride() == results[1][1].stride()
    assert_close(*results, rtol=1e-4, atol=1e-5) if dtype == torch.float32 else assert_close(*results)

innermost = lambda x: x.T.contiguous().T  # images, as in slices of a volume
channels_last = lambda x: x.transpose(1, 2).contiguous().transpose(1, 2)
case(2, 5, 700, [Bezier(), Bezier(), Linear(), Identity()])
case(2, 5, 130, [Bezier(), Bezier()], lambda x: torch.cat([x, x], dim=2)[..., :130])
case(3, 2, 1500, [Bezier(3), Bezier(1)], channels_last)
case(1, 40, 70, [Bezier(), Bezier()], dtype=torch.bfloat16)
case(1, 40, 70, [Bezier(), Bezier()], channels_last, dtype=torch.float16)
case(1, 1, 3, [Bezier()])
case(1, 150, 100, [Bezier(2), Bezier(3), Bezier(1)])
try_on(torch.device("cpu"))

from autosegloss.kernels import triton_kernels as kernels
kernels.gradient = lambda *given: 1.1 * gradient(*given)
try:
    try_on(torch.device("cpu"))
except RuntimeError as error:
    assert "their results differ by" in str(error)
else:
    raise AssertionError("a wrong gradient was not noticed")
"""

COMPILE = """
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from autosegloss.kernels import triton_kernels as kernels

pointers = {"labels": "*i64", "masks": "*i1", "table": "*fp32", "partial": "*fp32", "weights": "*fp32"}
for capability in (80, 90):
    for kernel in (kernels._sums, kernels._gradient):
        for dtype, ones in (("fp32", ("stride_p", "out_p")), ("bf16", ("stride_c", "out_c"))):
            fixed = {"term_count": 3, "pieces": 2, "at_labels": 5, "block_c": 32, "block_p": 64}
            fixed |= {name: 1 for name in ones if name in kernel.arg_names}
            types = {**pointers, "logits": "*" + dtype, "result": "*" + dtype, **dict.fromkeys(fixed, "constexpr")}
            signature = {name: types.get(name, "i32") for name in kernel.arg_names}
            places = {(kernel.arg_names.index(name),): value for name, value in fixed.items()}
            source = ASTSource(fn=kernel, signature=signature, constexprs=places)
            made = triton.compile(source, target=GPUTarget("cuda", capability, 32), options={"num_warps": 8})
            assert made.asm["cubin"]
"""


@pytest.mark.slow
def test_the_kernels_give_the_sums_and_gradients_of_the_blocks():
    """In Triton's interpreter, which needs no GPU."""
    with_triton(COMPARE)


@pytest.mark.slow
def test_the_kernels_compile_for_gpus_that_are_not_here():
    with_triton(COMPILE)


def test_where_the_kernels_do_not_run_the_operations_of_torch_do(monkeypatch, caplog):
    kernels = pytest.importorskip("autosegloss.kernels.triton_kernels", reason="torch comes with Triton on Linux only")

    def fail(device):
        raise RuntimeError("no C compiler")

    monkeypatch.setattr(kernels, "try_on", fail)
    assert engine._kernels.__wrapped__(torch.device("cuda")) is None
    assert "without Triton kernels on cuda, slower: RuntimeError: no C compiler" in caplog.text
    monkeypatch.setattr(kernels, "try_on", lambda device: None)
    assert engine._kernels.__wrapped__(torch.device("cuda")) is kernels
