"""The sums over the soft boundary of a prediction, and their gradient, as Triton kernels for images.

Probabilities lie in memory, IGNORED at ignored pixels; of the size of the logits there is one map at a time beside
them. A program takes some pixels of an image and walks through their classes. Pixels are counted row by row; the nine
pixels of a window of 3 x 3 likewise, from 0 to 8.
"""

import triton
import triton.language as tl

from autosegloss.kernels.triton_kernels import bent, pixels, prob_at, softmax_of

OWN = tl.constexpr(4)  # the number of the middle of a window
IGNORED = tl.constexpr(2.0)  # above every probability, so that it is never the lowest; a nan is not ignored


@triton.jit
def softmax_kernel(
    logits, valid, probs, stride_n, stride_c, stride_p, classes, size, tiles, block: tl.constexpr
):  # fmt: skip
    image, p = pixels(tiles, block)
    seen = tl.load(valid + image * size + p, mask=p < size, other=0) != 0
    at = logits + image * stride_n + p * stride_p
    top, shift = softmax_of(at, stride_c, seen, classes, block)
    probs += image * classes * size + p
    for c in range(classes):
        prob = prob_at(at + c * stride_c, top, shift, seen)
        tl.store(probs + c * size, tl.where(seen, prob, IGNORED), mask=p < size)


@triton.jit
def boundary_kernel(
    probs, sets, edges, table, boundary, lowest, partial, classes, height, width, words, tiles,
    pieces: tl.constexpr, larger: tl.constexpr, word: tl.constexpr, block: tl.constexpr,
):  # fmt: skip
    """The boundary, the place of the lowest probability of each window, and its sums with and without the sets."""
    image, p = pixels(tiles, block)
    size, row, column = height * width, p // width, p % width
    out = partial + tl.program_id(0).to(tl.int64) * 2 * classes
    for c in range(classes):
        plane = (image * classes + c) * size
        own = tl.load(probs + plane + p, mask=p < size, other=IGNORED)
        least, where = own, tl.full((block,), OWN, tl.int32)
        for k in tl.static_range(9):
            if k != OWN:
                inside = _inside(row, column, k, height, width)
                other = tl.load(probs + plane + p + _step(k, width), mask=inside, other=IGNORED)
                where = tl.where(other < least, k, where)
                least = tl.minimum(other, least)
        xor, _, _ = _xor(edges, own, least, pieces)
        b = tl.where(own != IGNORED, _positive(xor), 0.0)
        tl.store(boundary + plane + p, b, mask=p < size)
        tl.store(lowest + plane + p, where.to(tl.int8), mask=p < size)
        g, _ = bent(table, b, pieces)
        matched = tl.where(_held(sets, image, c, p, size, words, word) & (own != IGNORED), g, 0.0)
        tl.store(out + c, tl.sum(matched, axis=0))
        whole = tl.where(matched >= b, matched, b) if larger else b  # a nan stays
        tl.store(out + classes + c, tl.sum(whole, axis=0))


@triton.jit
def highest_kernel(
    boundary, labels, mask, table, highest, source, partial, classes, height, width, side, tiles,
    pieces: tl.constexpr, block: tl.constexpr,
):  # fmt: skip
    """The highest boundary of the class of the label in a window, where the mask holds, its place, and their sums."""
    image, p = pixels(tiles, block)
    size, row, column = height * width, p // width, p % width
    at = tl.load(mask + image * size + p, mask=p < size, other=0) != 0
    label = tl.load(labels + image * size + p, mask=p < size, other=0)
    boundary += (image * classes + label) * size
    best, found = tl.zeros((block,), tl.float32), tl.full((block,), -1, tl.int32)
    for i in range(side):
        y = row + i - side // 2
        reached = at & (y >= 0) & (y < height)
        for j in range(side):
            x = column + j - side // 2
            value = tl.load(boundary + y * width + x, mask=reached & (x >= 0) & (x < width), other=0.0)
            found = tl.where(value > best, y * width + x, found)
            best = tl.maximum(value, best)
    tl.store(highest + image * size + p, best, mask=p < size)
    tl.store(source + image * size + p, found, mask=p < size)
    g, _ = bent(table, best, pieces)
    counted = tl.where(at, label.to(tl.int32), -1)
    out = partial + tl.program_id(0).to(tl.int64) * classes
    for c in tl.range(0, classes, loop_unroll_factor=4):
        tl.store(out + c, tl.sum(tl.where(counted == c, g, 0.0), axis=0))


@triton.jit
def return_kernel(
    probs, labels, edges, highest, source, table, lowest, weights, gradient, classes, height, width, tiles,
    pieces: tl.constexpr, block: tl.constexpr,
):  # fmt: skip
    """Add to the gradient by the probabilities that of the highest boundaries, at the places that they come from."""
    image, p = pixels(tiles, block)
    size = height * width
    q = tl.load(source + image * size + p, mask=p < size, other=-1)
    found = q >= 0
    label = tl.load(labels + image * size + p, mask=found, other=0)
    best = tl.load(highest + image * size + p, mask=found, other=0.0)
    _, slope = bent(table, best, pieces)
    d = slope * tl.load(weights + label, mask=found, other=0.0)
    plane = (image * classes + label) * size
    own = tl.load(probs + plane + q, mask=found, other=0.0)
    low = q + _step(tl.load(lowest + plane + q, mask=found, other=OWN).to(tl.int32), width)
    _, by_own, by_low = _xor(edges, own, tl.load(probs + plane + low, mask=found, other=0.0), pieces)
    _add(gradient + plane + q, d * by_own, found)
    _add(gradient + plane + low, d * by_low, found)


@triton.jit
def slope_kernel(
    probs, sets, edges, table, lowest, weights, gradient, classes, height, width, words, tiles,
    pieces: tl.constexpr, larger: tl.constexpr, word: tl.constexpr, block: tl.constexpr,
):  # fmt: skip
    """Add to the gradient by the probabilities those of the sums of the boundary itself."""
    image, p = pixels(tiles, block)
    size = height * width
    for c in range(classes):
        plane = (image * classes + c) * size
        own = tl.load(probs + plane + p, mask=p < size, other=IGNORED)
        seen = own != IGNORED
        low = p + _step(tl.load(lowest + plane + p, mask=p < size, other=OWN).to(tl.int32), width)
        xor, by_own, by_low = _xor(edges, own, tl.load(probs + plane + low, mask=seen, other=0.0), pieces)
        b = _positive(xor)
        held = _held(sets, image, c, p, size, words, word)
        g, slope = bent(table, b, pieces)
        matched, slope = tl.where(held, g, 0.0), tl.where(held, slope, 0.0)
        whole = tl.where(b > matched, 1.0, slope) if larger else 1.0
        d = tl.load(weights + c) * slope + tl.load(weights + classes + c) * whole
        there = seen & ~(xor <= 0)  # of a nan, too
        _add(gradient + plane + p, d * by_own, there)
        _add(gradient + plane + low, d * by_low, there)


@triton.jit
def logits_kernel(
    probs, gradient, result, out_n, out_c, out_p, classes, size, tiles, block: tl.constexpr
):  # fmt: skip
    """The gradient by the logits, from that by the probabilities; it may overwrite it."""
    image, p = pixels(tiles, block)
    probs += image * classes * size + p
    gradient += image * classes * size + p
    result += image * out_n + p * out_p
    mean = tl.zeros((block,), tl.float32)
    for c in tl.range(0, classes, loop_unroll_factor=4):
        prob = tl.load(probs + c * size, mask=p < size, other=IGNORED)
        d = tl.load(gradient + c * size, mask=p < size, other=0.0)
        mean += tl.where(prob != IGNORED, prob, 0.0) * d
    for c in tl.range(0, classes, loop_unroll_factor=4):
        prob = tl.load(probs + c * size, mask=p < size, other=IGNORED)
        d = tl.load(gradient + c * size, mask=p < size, other=0.0)
        d = tl.where(prob != IGNORED, prob * (d - mean), 0.0)
        tl.store(result + c * out_c, d.to(result.dtype.element_ty), mask=p < size)


@triton.jit
def _positive(x):
    """The larger of x and 0; a nan stays."""
    return tl.where(x <= 0, 0.0, x)


@triton.jit
def _add(at, value, where):
    """Add atomically: several windows may have the same lowest pixel."""
    tl.atomic_add(at, value, mask=where & (value != 0), sem="relaxed")


@triton.jit
def _step(k, width):
    """From a pixel to pixel k of its window."""
    return (k // 3 - 1) * width + k % 3 - 1


@triton.jit
def _inside(row, column, k: tl.constexpr, height, width):
    """Whether pixel k of the window of a pixel lies inside of the image."""
    y, x = row + k // 3 - 1, column + k % 3 - 1
    return (y >= 0) & (y < height) & (x >= 0) & (x < width)


@triton.jit
def _held(sets, image, c, p, size, words, word: tl.constexpr):
    """Whether the set of classes of each pixel has the class c."""
    bits = tl.load(sets + (image * words + c // word) * size + p, mask=p < size, other=0)
    return ((bits >> (c % word)) & 1) != 0


@triton.jit
def _xor(edges, y, low, pieces: tl.constexpr):
    """OR(y, low) - AND(y, low), and its slopes by both; the tables are those of OR, OR, AND, AND."""
    a, by_a = bent(edges, y, pieces)
    b, by_b = bent(edges + pieces * 8, low, pieces)
    c, by_c = bent(edges + 2 * pieces * 8, y, pieces)
    d, by_d = bent(edges + 3 * pieces * 8, low, pieces)
    return a + b - a * b - c * d, (1 - b) * by_a - d * by_c, (1 - a) * by_b - c * by_d
