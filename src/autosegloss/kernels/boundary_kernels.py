"""The sums over the soft boundary of a prediction, and their gradient, as Triton kernels for images.

Probabilities are computed again wherever they are used: of the size of the logits there is one map at a time in the
forward pass, and two in the backward pass, of which one is the gradient. Pixels are counted row by row; the nine pixels
of a window of 3 x 3 likewise, from 0 to 8.
"""

import triton
import triton.language as tl

from autosegloss.kernels.triton_kernels import bent, place

OWN = tl.constexpr(4)  # the number of the middle of a window


@triton.jit
def log_sums_kernel(
    logits, valid, log_sums, stride_n, stride_c, stride_p, classes, size, tiles,
    block_c: tl.constexpr, block_p: tl.constexpr,
):  # fmt: skip
    """log sum_c exp(logits), by which a logit becomes a log-probability; -inf at ignored pixels."""
    image, c, p = place(tiles, block_c, block_p)
    seen = tl.load(valid + image * size + p, mask=p < size, other=0) != 0
    at = logits + image * stride_n + c[:, None] * stride_c + p[None, :] * stride_p
    x = tl.load(at, mask=(c < classes)[:, None] & seen[None, :], other=0.0).to(tl.float32)
    x = tl.where((c < classes)[:, None], x, float("-inf"))
    top = tl.max(x, axis=0)
    total = top + tl.log(tl.sum(tl.exp(x - top[None, :]), axis=0))
    tl.store(log_sums + image * size + p, tl.where(seen, total, float("-inf")), mask=p < size)


@triton.jit
def boundary_kernel(
    logits, log_sums, sets, edges, table, boundary, lowest, partial, stride_n, stride_c, stride_p,
    classes, height, width, words, tiles,
    term_count: tl.constexpr, pieces: tl.constexpr, larger: tl.constexpr, in_sets: tl.constexpr,
    word: tl.constexpr, block: tl.constexpr,
):  # fmt: skip
    """The boundary of a class, the place of the lowest probability of each window, and the sums of the terms."""
    plane, image, c, p = _plane(classes, tiles, block)
    size = height * width
    logits += image * stride_n + c * stride_c
    log_sums += image * size
    own, seen = _log_prob(logits, log_sums, p, p < size, stride_p)
    least, where = own, tl.full((block,), OWN, tl.int8)
    for k in tl.static_range(9):
        q, inside = _neighbour(p, k, height, width)
        other, _ = _log_prob(logits, log_sums, q, inside, stride_p)
        lower = other < least
        least, where = tl.where(lower, other, least), tl.where(lower, tl.full((block,), k, tl.int8), where)
    y, low = tl.where(seen, tl.exp(own), 0.0), tl.where(seen, tl.exp(least), 0.0)
    xor, _, _ = _xor(edges, y, low, pieces)
    b = tl.where(seen, tl.maximum(xor, 0.0), 0.0)
    tl.store(boundary + plane * size + p, b, mask=p < size)
    tl.store(lowest + plane * size + p, where, mask=p < size)
    held = _held(sets, image, c, p, size, words, word)
    for k in tl.static_range(term_count):
        g, _ = bent(table + k * pieces * 8, b, pieces)
        if (in_sets >> k) & 1:
            g = tl.where(held, g, 0.0)
        if (larger >> k) & 1:
            g = tl.maximum(g, b)
        value = tl.sum(tl.where(seen, g, 0.0), axis=0)
        tl.store(partial + tl.program_id(0).to(tl.int64) * term_count + k, value)


@triton.jit
def slope_kernel(
    logits, log_sums, sets, edges, table, lowest, weights, gradient, direct, stride_n, stride_c, stride_p,
    classes, height, width, words, tiles,
    term_count: tl.constexpr, pieces: tl.constexpr, larger: tl.constexpr, in_sets: tl.constexpr,
    word: tl.constexpr, block: tl.constexpr,
):  # fmt: skip
    """The gradient by the probability of a pixel, `direct`, and by the lowest one of its window, over `gradient`.

    `gradient` holds that of the pooled boundary by the boundary.
    """
    plane, image, c, p = _plane(classes, tiles, block)
    size = height * width
    logits += image * stride_n + c * stride_c
    log_sums += image * size
    own, seen = _log_prob(logits, log_sums, p, p < size, stride_p)
    k = tl.load(lowest + plane * size + p, mask=p < size, other=OWN).to(tl.int32)
    q = p + (k // 3 - 1) * width + k % 3 - 1
    least, _ = _log_prob(logits, log_sums, q, seen, stride_p)
    y, low = tl.where(seen, tl.exp(own), 0.0), tl.where(seen, tl.exp(least), 0.0)
    xor, by_own, by_low = _xor(edges, y, low, pieces)
    b = tl.maximum(xor, 0.0)
    held = _held(sets, image, c, p, size, words, word)
    d = tl.load(gradient + plane * size + p, mask=p < size, other=0.0)
    for k in tl.static_range(term_count):
        g, slope = bent(table + k * pieces * 8, b, pieces)
        if (in_sets >> k) & 1:
            g, slope = tl.where(held, g, 0.0), tl.where(held, slope, 0.0)
        if (larger >> k) & 1:
            slope = tl.where(b > g, 1.0, slope)
        d += slope * tl.load(weights + k * classes + c)
    d = tl.where(seen & (xor > 0), d, 0.0)
    tl.store(gradient + plane * size + p, d * by_low, mask=p < size)
    tl.store(direct + plane * size + p, d * by_own, mask=p < size)


@triton.jit
def logits_kernel(
    logits, log_sums, lowest, gradient, direct, result, stride_n, stride_c, stride_p, out_n, out_c, out_p,
    classes, height, width, tiles,
    block_c: tl.constexpr, block_p: tl.constexpr,
):  # fmt: skip
    """The gradient by the logits, from those by each probability and by the lowest one of each window."""
    image, c, p = place(tiles, block_c, block_p)
    size = height * width
    there = (c < classes)[:, None] & (p < size)[None, :]
    at = (image * classes + c[:, None]) * size
    log_sum = tl.load(log_sums + image * size + p, mask=p < size, other=float("-inf"))
    seen = (log_sum > float("-inf"))[None, :] & there
    x = tl.load(logits + image * stride_n + c[:, None] * stride_c + p[None, :] * stride_p, mask=seen, other=0.0)
    probs = tl.where(seen, tl.exp(x.to(tl.float32) - log_sum[None, :]), 0.0)
    d = tl.load(direct + at + p[None, :], mask=seen, other=0.0)
    for k in tl.static_range(9):  # the windows of the neighbours, in which this pixel may be the lowest
        q, inside = _neighbour(p, k, height, width)
        chosen = tl.load(lowest + at + q[None, :], mask=seen & inside[None, :], other=9)
        d += tl.load(gradient + at + q[None, :], mask=seen & (chosen == 8 - k), other=0.0)
    values = probs * (d - tl.sum(d * probs, axis=0)[None, :])
    out = result + image * out_n + c[:, None] * out_c + p[None, :] * out_p
    tl.store(out, values.to(result.dtype.element_ty), mask=there)


@triton.jit
def highest_kernel(
    boundary, labels, mask, table, highest, source, partial, classes, height, width, side, tiles,
    pieces: tl.constexpr, block_c: tl.constexpr, block_p: tl.constexpr,
):  # fmt: skip
    """The highest boundary of the class of the label in a window, where the mask holds, its place, and their sums."""
    image, c, p = place(tiles, block_c, block_p)
    size = height * width
    at = tl.load(mask + image * size + p, mask=p < size, other=0) != 0
    label = tl.load(labels + image * size + p, mask=p < size, other=0)
    boundary += (image * classes + label) * size
    best, found = tl.zeros((block_p,), tl.float32), tl.full((block_p,), -1, tl.int32)
    for k in range(side * side):
        row, column = p // width + k // side - side // 2, p % width + k % side - side // 2
        q = row * width + column
        inside = at & (row >= 0) & (row < height) & (column >= 0) & (column < width)
        value = tl.load(boundary + q, mask=inside, other=0.0)
        found, best = tl.where(value > best, q, found), tl.maximum(value, best)
    tl.store(highest + image * size + p, best, mask=p < size)
    tl.store(source + image * size + p, found, mask=p < size)
    g, _ = bent(table, best, pieces)
    values = tl.where((c[:, None] == label[None, :]) & at[None, :], g[None, :], 0.0)
    tl.store(partial + tl.program_id(0).to(tl.int64) * block_c + c, tl.sum(values, axis=1))


@triton.jit
def return_kernel(
    labels, highest, source, table, weights, gradient, classes, size, tiles,
    pieces: tl.constexpr, block_p: tl.constexpr,
):  # fmt: skip
    """Add the gradient by the highest boundaries to that by the boundary, at the places that they come from."""
    image, p = (tl.program_id(0) // tiles).to(tl.int64), tl.program_id(0) % tiles * block_p + tl.arange(0, block_p)
    origin = tl.load(source + image * size + p, mask=p < size, other=-1)
    label = tl.load(labels + image * size + p, mask=p < size, other=0)
    best = tl.load(highest + image * size + p, mask=p < size, other=0.0)
    _, slope = bent(table, best, pieces)
    value = slope * tl.load(weights + label, mask=origin >= 0, other=0.0)
    tl.atomic_add(gradient + (image * classes + label) * size + origin, value, mask=origin >= 0, sem="relaxed")


@triton.jit
def _plane(classes, tiles, block: tl.constexpr):
    """The plane (n, c) of this program, its image, its class, and its pixels."""
    plane = (tl.program_id(0) // tiles).to(tl.int64)
    return plane, plane // classes, plane % classes, tl.program_id(0) % tiles * block + tl.arange(0, block)


@triton.jit
def _neighbour(p, k: tl.constexpr, height, width):
    """Pixel k of the window around each pixel, and whether it lies inside of the image."""
    row, column = p // width + k // 3 - 1, p % width + k % 3 - 1
    return row * width + column, (row >= 0) & (row < height) & (column >= 0) & (column < width)


@triton.jit
def _log_prob(logits, log_sums, p, inside, stride_p):
    """The log-probabilities of pixels, inf where they are ignored or not inside, and where they are neither."""
    log_sum = tl.load(log_sums + p, mask=inside, other=float("-inf"))
    seen = log_sum > float("-inf")
    x = tl.load(logits + p.to(tl.int64) * stride_p, mask=seen, other=0.0).to(tl.float32)
    return tl.where(seen, x - log_sum, float("inf")), seen


@triton.jit
def _held(sets, image, c, p, size, words, word: tl.constexpr):
    """Whether the set of classes of each pixel has the class c."""
    bits = tl.load(sets + (image * words + c // word) * size + p, mask=p < size, other=0)
    return ((bits >> (c % word).to(tl.int32)) & 1) != 0


@triton.jit
def _xor(edges, y, low, pieces: tl.constexpr):
    """OR(y, low) - AND(y, low), and its slopes by both; the tables are those of OR, OR, AND, AND."""
    a, by_a = bent(edges, y, pieces)
    b, by_b = bent(edges + pieces * 8, low, pieces)
    c, by_c = bent(edges + 2 * pieces * 8, y, pieces)
    d, by_d = bent(edges + 3 * pieces * 8, low, pieces)
    return a + b - a * b - c * d, (1 - b) * by_a - d * by_c, (1 - a) * by_b - c * by_d
