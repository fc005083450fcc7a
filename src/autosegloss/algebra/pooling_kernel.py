"""Pooling of whole maps along one axis as a Triton kernel: a launch an axis, whatever the window."""

import torch
import triton
import triton.language as tl
from torch import Tensor

BLOCK = 1024  # pixels of a program


def pooled_along(m: Tensor, size: int, axis: int, bits: bool) -> Tensor:
    """The maximum, or the OR of the bits, of a window along an axis; pixels outside of the map count as 0."""
    m = m.contiguous()
    flat = m.view(torch.uint8) if m.dtype == torch.bool else m
    result, inner = torch.empty_like(flat), m[(0,) * (axis + 1)].numel()
    with torch.cuda.device_of(m):
        pool_kernel[triton.cdiv(m.numel(), BLOCK),](
            flat, result, m.shape[axis], inner, m.numel(), size // 2, bits=bits, block=BLOCK
        )
    return result.view(m.dtype)


@triton.jit
def pool_kernel(m, result, length, inner, count, reach, bits: tl.constexpr, block: tl.constexpr):
    i = tl.program_id(0).to(tl.int64) * block + tl.arange(0, block)
    along = i // inner % length
    best = tl.load(m + i, mask=i < count, other=0)
    for k in range(1, reach + 1):
        before = tl.load(m + i - k * inner, mask=(i < count) & (along >= k), other=0)
        after = tl.load(m + i + k * inner, mask=(i < count) & (along + k < length), other=0)
        best = best | before | after if bits else tl.maximum(tl.maximum(best, before), after)
    tl.store(result + i, best, mask=i < count)
