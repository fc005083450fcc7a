"""The Triton kernels, in Triton's interpreter and as code for GPUs: neither needs a GPU."""

import subprocess
import sys

import pytest
import torch

from autosegloss.kernels.fused import triton_on


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
from autosegloss.algebra import CurveSum
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
        terms.append(CurveSum(curve, inside if k % 3 == 1 else None, at_labels=k % 2 == 1))
    results = []
    for reduction in (TritonSums.apply, lambda *given: BlockSums.apply(*given, True)):
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
check_kernels(triton_kernels, torch.device("cpu"))

right = Batch.gradient
Batch.gradient = lambda *given: 1.1 * right(*given)
try:
    check_kernels(triton_kernels, torch.device("cpu"))
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

pointers = {"labels": "*i64", "masks": "*i1", "table": "*fp32", "partial": "*fp32", "softmax": "*fp32", "weights": "*fp32"}
for capability in (80, 90):
    for kernel in (kernels.sums_kernel, kernels.gradient_kernel):
        for dtype, ones in (("fp32", ("stride_p", "out_p")), ("bf16", ("stride_c", "out_c"))):
            fixed = {"term_count": 3, "pieces": 2, "at_labels": 5, "own": 2, "block": 128}
            fixed |= {name: 1 for name in ones if name in kernel.arg_names}
            types = {**pointers, "logits": "*" + dtype, "result": "*" + dtype, **dict.fromkeys(fixed, "constexpr")}
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
def test_the_kernels_compile_for_gpus_that_are_not_here():
    with_triton(COMPILE)


def test_operations_of_torch_take_the_place_of_kernels_that_do_not_run(caplog):
    """Triton cannot launch kernels on a CPU."""
    pytest.importorskip("triton", reason="torch comes with Triton on Linux only")
    assert triton_on(torch.device("cpu")) is None
    assert "without Triton kernels on cpu, slower: " in caplog.text
