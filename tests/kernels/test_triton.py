"""The Triton kernels, in Triton's interpreter and as code for GPUs: neither needs a GPU."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from autosegloss.kernels.fused import triton_on


def with_triton(program):
    pytest.importorskip("triton", reason="torch comes with Triton on Linux only")
    path = os.pathsep.join([str(Path(__file__).parent.parent), os.environ.get("PYTHONPATH", "")])
    env = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=600, env=env)
    assert done.returncode == 0, done.stderr


COMPARE = """
import os
os.environ["TRITON_INTERPRET"] = "1"  # read when a kernel is defined
import torch
from torch.testing import assert_close
from autosegloss.curves import Bezier, Curve, Identity, Linear
from autosegloss.algebra import CurveSum
from autosegloss.algebra.activations import SOFTMAX
from autosegloss.kernels import triton_kernels
from autosegloss.kernels.fused import BlockSums, check_kernels
from autosegloss.kernels.triton_kernels import Batch, TritonSums, fits

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
        terms.append(CurveSum(curve, inside.unsqueeze(1) if k % 3 == 1 else None, at_labels=k % 2 == 1))
    results = []
    for reduction in (TritonSums.apply, lambda *given: BlockSums.apply(*given, SOFTMAX, True)):
        leaf = layout(logits.to(dtype)).requires_grad_()
        assert fits(leaf, valid.unsqueeze(1), terms)
        sums = reduction(leaf, innermost(labels.where(valid, 0)), valid.unsqueeze(1), terms)
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
case(1, 300, 40, [Bezier(2), Bezier(3), Bezier(1)])
check_kernels(triton_kernels, torch.device("cpu"))

right = Batch.gradient
Batch.gradient = lambda *given: 1.1 * right(*given)
try:
    check_kernels(triton_kernels, torch.device("cpu"))
except RuntimeError as error:
    assert "gradients differ by" in str(error)
else:
    raise AssertionError("a wrong gradient was not noticed")
"""

BOUNDARIES = """
import os
os.environ["TRITON_INTERPRET"] = "1"
from dataclasses import dataclass
from typing import ClassVar
import torch
from autosegloss import InputError
from autosegloss import theta as thetas
from helpers.laws import value_and_gradient
from torch.testing import assert_close
from autosegloss import SurrogateLoss
from autosegloss.algebra.morphology import check_pooling
from autosegloss.curves import Bezier, Linear
from autosegloss.formulas import BoundaryF1, SurfaceDice, resolve
from autosegloss.kernels import boundary, evaluate
from autosegloss.kernels.evaluate import check_boundary
from autosegloss.algebra import pooling_kernel
from autosegloss.with_triton import kernels_on

random, calls = torch.Generator().manual_seed(0), []
computed = boundary.evaluate
boundary.evaluate = lambda *given: (calls.append(given), computed(*given))[1]
channels_last = lambda x: x.contiguous(memory_format=torch.channels_last)

def batch(n, c, *size):
    labels = torch.randint(c, (n, *(-(-side // 5) for side in size)), generator=random)
    for axis in range(1, len(size) + 1):
        labels = labels.repeat_interleave(5, axis)
    labels = labels[(slice(None), *(slice(side) for side in size))].contiguous()
    labels[torch.rand(labels.shape, generator=random) < 0.05] = 255
    labels[:, 0, 0], logits = 255, 3 * torch.randn(n, c, *size, generator=random)
    logits[:, :, 0, 0] = torch.nan
    return logits, labels

def case(shape, formula, curve=Bezier(), rows=1, layout=lambda x: x, dtype=torch.float32, kernels=True):
    theta = {name: torch.rand(rows, curve.num_parameters, generator=random) for name in formula.operations}
    loss, (logits, labels) = SurrogateLoss(formula, theta, curve), batch(*shape)
    logits = layout(logits.to(dtype))
    calls.clear()
    ours = value_and_gradient(loss, logits, labels)
    assert bool(calls) == kernels
    theirs = value_and_gradient(loss, logits.double(), labels)
    close = {torch.float32: 1e-4, torch.bfloat16: 2e-2}[dtype]
    assert_close(ours[0].double(), theirs[0], rtol=1e-5, atol=1e-6)
    assert (ours[1].double() - theirs[1]).norm() <= close * theirs[1].norm()

case((2, 5, 13, 17), BoundaryF1(tolerance=2))
case((1, 3, 14, 15), BoundaryF1(), Bezier(3))
case((1, 3, 14, 14), BoundaryF1(tolerance=3), Linear())
case((1, 40, 9, 10), BoundaryF1(tolerance=1), Bezier(1), rows=2)
case((2, 4, 11, 13), BoundaryF1(tolerance=2), layout=channels_last, dtype=torch.bfloat16)
case((1, 3, 12, 13), resolve("miou+bf1"))
case((1, 3, 6, 7, 8), BoundaryF1(tolerance=1), kernels=False)

logits, labels = batch(3, 4, 11, 9)
slices = labels.permute(1, 2, 0).contiguous().permute(2, 0, 1)
for metric in ("biou", "bf1"):
    loss = SurrogateLoss(metric, [0.4] * thetas.size(resolve(metric), Bezier()))
    assert_close(*(value_and_gradient(loss, logits, y) for y in (slices, labels)))
    for spoiled in (torch.nan, torch.inf):  # a training that diverges is to be noticed
        wrong = logits.clone()
        wrong[:, :, 5, 5] = spoiled
        assert not loss(wrong, torch.where(labels == 255, 0, labels)).isfinite()


@dataclass(frozen=True)
class Inline(BoundaryF1):
    name: ClassVar[str] = "inline"

    def statistics(self, logic, pred, true, valid):
        b = logic.xor("boundary", pred, pred.erode(3, valid)).within(valid)
        true = (true ^ true.erode(3, valid)).within(valid)
        whole = b.larger(logic.and_("precision_and", b, true.dilate(3))).total(valid)
        matched = logic.and_("precision_and", b, true.dilate(3)).total(valid)
        found = logic.and_("recall_and", true, b.dilate(3)).total(valid)
        return {"matched": matched, "pred": whole, "found": found, "true": true.total(valid)}


class EvenWindow(Inline):
    name: ClassVar[str] = "even_window"

    def statistics(self, logic, pred, true, valid):
        b = logic.xor("boundary", pred, pred.erode(3, valid)).within(valid)
        return {"found": logic.and_("recall_and", true, b.dilate(4)).total(valid), "true": true.total(valid)}


case((1, 3, 12, 13), Inline(), kernels=False)
try:
    SurrogateLoss(EvenWindow())(*batch(1, 3, 12, 13))
except InputError as error:
    assert "odd number of pixels" in str(error)
else:
    raise AssertionError("an even window was not refused")
torch.use_deterministic_algorithms(True)
case((1, 3, 12, 13), BoundaryF1(tolerance=2), kernels=False)
torch.use_deterministic_algorithms(False)
case((2, 3, 14, 15), SurfaceDice(tolerance=2))
case((1, 3, 12, 13), BoundaryF1(2, spacing=(1, 0.5)), kernels=False)
check_boundary(boundary, torch.device("cpu"))
check_pooling(pooling_kernel, torch.device("cpu"))

right = boundary._Run.by_logits
boundary._Run.by_logits = lambda *given: 1.1 * right(*given)
with torch.no_grad():
    tried = kernels_on(torch.device("cpu"), "autosegloss.kernels.boundary", lambda *given: check_boundary(*given))
assert tried is None
try:
    check_boundary(boundary, torch.device("cpu"))
except RuntimeError as error:
    assert "their gradients differ by" in str(error)
else:
    raise AssertionError("a wrong gradient was not noticed")
"""

COMPILE = """
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from autosegloss.algebra import pooling_kernel
from autosegloss.kernels import boundary_kernels, triton_kernels

POINTERS = {"labels": "*i64", "masks": "*i1", "mask": "*i1", "valid": "*i1", "sets": "*i32", "lowest": "*i8"}
POINTERS |= {"source": "*i32", "m": "*u8"}
NUMBERS = ["table", "edges", "partial", "weights", "softmax", "probs", "boundary", "highest", "gradient"]
POINTERS |= dict.fromkeys(NUMBERS, "*fp32")
OPTIONS = {"term_count": 3, "pieces": 2, "at_labels": 5, "own": 2, "larger": True, "word": 31, "bits": True}
KERNELS = [getattr(triton_kernels, name) for name in ("sums_kernel", "gradient_kernel")]
KERNELS += [value for name, value in vars(boundary_kernels).items() if name.endswith("_kernel")]
assert len(KERNELS) == 8
for capability, dtype, ones in ((80, "fp32", ("stride_p", "out_p")), (90, "bf16", ("stride_c", "out_c"))):
    for kernel in (*KERNELS, pooling_kernel.pool_kernel):
        fixed = {**OPTIONS, "block": 128, **dict.fromkeys(ones, 1)}
        fixed = {name: value for name, value in fixed.items() if name in kernel.arg_names}
        typed = {"logits": "*" + dtype, "result": "*u8" if "bits" in fixed else "*" + dtype}
        types = {**POINTERS, **typed, **dict.fromkeys(fixed, "constexpr")}
        signature = {name: types.get(name, "i32") for name in kernel.arg_names}
        places = {(kernel.arg_names.index(name),): value for name, value in fixed.items()}
        source = ASTSource(fn=kernel, signature=signature, constexprs=places)
        made = triton.compile(source, target=GPUTarget("cuda", capability, 32), options={"num_warps": 1})
        assert made.asm["cubin"]
"""


@pytest.mark.slow
def test_the_kernels_give_the_sums_and_gradients_of_the_blocks():
    """In Triton's interpreter, which needs no GPU."""
    with_triton(COMPARE)


@pytest.mark.slow
def test_sums_over_boundaries_are_those_of_maps():
    with_triton(BOUNDARIES)


@pytest.mark.slow
def test_the_kernels_compile_for_gpus_that_are_not_here():
    with_triton(COMPILE)


def test_operations_of_torch_take_the_place_of_kernels_that_do_not_run(caplog):
    """Triton cannot launch kernels on a CPU."""
    pytest.importorskip("triton", reason="torch comes with Triton on Linux only")
    assert triton_on(torch.device("cpu")) is None
    assert "without the Triton kernels of triton_kernels on cpu, which is slower: " in caplog.text
