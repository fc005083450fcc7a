"""The sums over the soft boundary of a prediction, and their gradient, as Triton kernels for images.

Probabilities lie in memory, IGNORED at ignored pixels; of the size of the logits there are two maps at a time beside
them. A program takes some pixels of an image and walks through their classes. Pixels are counted row by row; the nine
pixels of a window of 3 x 3 likewise, from 0 to 8.
"""

import triton
import triton.language as tl

from autosegloss.kernels.triton_kernels import bent, pixels, prob_at, softmax_of

OWN = tl.constexpr(4)  # the number of the middle of a window
IGNORED = tl.constexpr(2.0)  # above every probability, so that it is never the lowest


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
                other = tl.load(probs + plane + p + _offset(k, width), mask=inside, other=IGNORED)
                where = tl.where(other < least, k, where)
                least = tl.minimum(other, least)
        xor, _, _ = _xor(edges, own, least, pieces)
        b = tl.where(own < IGNORED, tl.maximum(xor, 0.0), 0.0)
        tl.store(boundary + plane + p, b, mask=p < size)
        tl.store(lowest + plane + p, where.to(tl.int8), mask=p < size)
        g, _ = bent(table, b, pieces)
        matched = tl.where(_held(sets, image, c, p, size, words, word) & (own < IGNORED), g, 0.0)
        tl.store(out + c, tl.sum(matched, axis=0))
        tl.store(out + classes + c, tl.sum(tl.maximum(matched, b) if larger else b, axis=0))


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
    labels, highest, source, table, weights, gradient, classes, size, tiles,
    pieces: tl.constexpr, block: tl.constexpr,
):  # fmt: skip
    """Add the gradient by the highest boundaries to that by the boundary, at the places that they come from."""
    image, p = pixels(tiles, block)
    origin = tl.load(source + image * size + p, mask=p < size, other=-1)
    label = tl.load(labels + image * size + p, mask=p < size, other=0)
    best = tl.load(highest + image * size + p, mask=p < size, other=0.0)
    _, slope = bent(table, best, pieces)
    value = slope * tl.load(weights + label, mask=origin >= 0, other=0.0)
    tl.atomic_add(gradient + (image * classes + label) * size + origin, value, mask=origin >= 0, sem="relaxed")


@triton.jit
def slope_kernel(
    probs, sets, edges, table, lowest, weights, gradient, direct, classes, height, width, words, tiles,
    pieces: tl.constexpr, larger: tl.constexpr, word: tl.constexpr, block: tl.constexpr,
):  # fmt: skip
    """The gradient by the probability of a pixel, `direct`, and by the lowest one of its window, over `gradient`.

    `gradient` holds that of the highest boundaries by the boundary.
    """
    image, p = pixels(tiles, block)
    size = height * width
    for c in range(classes):
        plane = (image * classes + c) * size
        own = tl.load(probs + plane + p, mask=p < size, other=IGNORED)
        k = tl.load(lowest + plane + p, mask=p < size, other=OWN).to(tl.int32)
        seen = own < IGNORED
        least = tl.load(probs + plane + p + (k // 3 - 1) * width + k % 3 - 1, mask=seen, other=0.0)
        xor, by_own, by_least = _xor(edges, own, least, pieces)
        b = tl.maximum(xor, 0.0)
        held = _held(sets, image, c, p, size, words, word)
        g, slope = bent(table, b, pieces)
        by_matched, by_all = tl.load(weights + c), tl.load(weights + classes + c)
        matched, slope = tl.where(held, g, 0.0), tl.where(held, slope, 0.0)
        whole = tl.where(b > matched, 1.0, slope) if larger else 1.0
        d = tl.load(gradient + plane + p, mask=p < size, other=0.0) + by_matched * slope + by_all * whole
        d = tl.where(seen & (xor > 0), d, 0.0)
        tl.store(gradient + plane + p, d * by_least, mask=p < size)
        tl.store(direct + plane + p, d * by_own, mask=p < size)


@triton.jit
def logits_kernel(
    probs, lowest, gradient, direct, result, out_n, out_c, out_p, classes, height, width, tiles, block: tl.constexpr
):  # fmt: skip
    """The gradient by the logits, from those by each probability and by the lowest one of each window."""
    image, p = pixels(tiles, block)
    size, row, column = height * width, p // width, p % width
    out, mean = result + image * out_n + p * out_p, tl.zeros((block,), tl.float32)
    for c in range(classes):
        plane = (image * classes + c) * size
        prob = tl.load(probs + plane + p, mask=p < size, other=IGNORED)
        d = tl.load(direct + plane + p, mask=p < size, other=0.0)
        for k in tl.static_range(9):  # the windows of the neighbours, in which this pixel may be the lowest
            inside, q = _inside(row, column, k, height, width) & (p < size), p + _offset(k, width)
            chosen = tl.load(lowest + plane + q, mask=inside, other=9)
            d += tl.load(gradient + plane + q, mask=inside & (chosen == 8 - k), other=0.0)
        tl.store(direct + plane + p, d, mask=p < size)
        mean += tl.where(prob < IGNORED, prob, 0.0) * d
    for c in tl.range(0, classes, loop_unroll_factor=4):
        plane = (image * classes + c) * size
        prob = tl.load(probs + plane + p, mask=p < size, other=IGNORED)
        d = tl.load(direct + plane + p, mask=p < size, other=0.0)
        d = tl.where(prob < IGNORED, prob * (d - mean), 0.0)
        tl.store(out + c * out_c, d.to(result.dtype.element_ty), mask=p < size)


@triton.jit
def _offset(k: tl.constexpr, width):
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
