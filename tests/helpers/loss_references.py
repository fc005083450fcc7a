"""Slow implementations of the losses' definitions: loops over pixels in numpy, float64."""

from itertools import product

import numpy as np

IGNORE = 255


def softmax(logits: np.ndarray) -> np.ndarray:
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def valid_pixels(labels: np.ndarray):
    """Places (n, i, j) whose label counts."""
    return [place for place in np.ndindex(*labels.shape) if labels[place] != IGNORE]


def class_weights(counts):
    """Inverse frequencies, scaled so that the mean over all pixels is 1."""
    inverse = [1 / n if n else 0.0 for n in counts]
    pixel_mean = sum(n * w for n, w in zip(counts, inverse, strict=True)) / sum(counts)
    return [w / pixel_mean for w in inverse]


def weighted_cross_entropy(logits, labels, weights):
    p = softmax(logits)
    terms = [-weights[labels[n, i, j]] * np.log(p[n, labels[n, i, j], i, j]) for n, i, j in valid_pixels(labels)]
    return sum(terms) / len(terms)


def closeness(labels):
    """phi by measuring from every pixel to every other."""
    phi, distances = np.zeros(labels.shape), {}
    places = valid_pixels(labels)
    for n, i, j in places:
        others = [np.hypot(i - k, j - m) for o, k, m in places if o == n and labels[n, k, m] != labels[n, i, j]]
        if others:
            distances[n, i, j] = min(others)
    for (n, i, j), d in distances.items():
        same = [e for (o, k, m), e in distances.items() if o == n and labels[o, k, m] == labels[n, i, j]]
        phi[n, i, j] = 1 - (d - min(same)) / (max(same) - min(same) + 1)
    return phi


def distance_penalized_cross_entropy(logits, labels):
    p, phi = softmax(logits), closeness(labels)
    terms = [-(1 + phi[n, i, j]) * np.log(p[n, labels[n, i, j], i, j]) for n, i, j in valid_pixels(labels)]
    return sum(terms) / len(terms)


def ssim(logits, labels, left_out=None):
    """1 - SSIM, every window gathered pixel by pixel, mirrored at the border without repeating it."""
    p = softmax(logits)
    height, width = labels.shape[1:]
    terms = []
    for (n, i, j), c in product(valid_pixels(labels), set(range(p.shape[1])) - {left_out}):
        weights, a, b = [], [], []
        for di, dj in product(range(-5, 6), repeat=2):
            k, m = _mirrored(i + di, height), _mirrored(j + dj, width)
            counts = labels[n, k, m] != IGNORE
            weights.append(np.exp(-(di**2 + dj**2) / (2 * 1.5**2)))
            a.append(p[n, c, k, m] if counts else 0.0)
            b.append(float(labels[n, k, m] == c and counts))
        terms.append(1 - _similarity(np.array(a), np.array(b), np.array(weights) / sum(weights)))
    return sum(terms) / len(terms)


def _mirrored(k, size):
    return -k if k < 0 else 2 * (size - 1) - k if k >= size else k


def _similarity(a, b, weights):
    mean_a, mean_b = weights @ a, weights @ b
    var_a, var_b = weights @ (a - mean_a) ** 2, weights @ (b - mean_b) ** 2
    covariance = weights @ ((a - mean_a) * (b - mean_b))
    luminance = (2 * mean_a * mean_b + 0.01**2) / (mean_a**2 + mean_b**2 + 0.01**2)
    return luminance * (2 * covariance + 0.03**2) / (var_a + var_b + 0.03**2)


def _class_maps(logits, labels):
    """For each class the probabilities and the truth of the valid pixels."""
    p, places = softmax(logits), valid_pixels(labels)
    for c in range(logits.shape[1]):
        yield np.array([p[n, c, i, j] for n, i, j in places]), np.array([float(labels[q] == c) for q in places])


def jaccard(logits, labels):
    """The Jaccard metric loss in its L1 form; a class that is absent adds 0."""
    terms = []
    for p, y in _class_maps(logits, labels):
        size, apart = p.sum() + y.sum(), np.abs(p - y).sum()
        terms.append(1 - (size - apart) / (size + apart) if y.any() else 0.0)
    return np.mean(terms)


def dice(logits, labels):
    """1 - 2 p.y / (|p| + |y|); a class that is absent adds 0."""
    terms = [1 - 2 * (p @ y) / (p.sum() + y.sum()) if y.any() else 0.0 for p, y in _class_maps(logits, labels)]
    return np.mean(terms)


def lovasz(logits, labels):
    """Lovász-softmax over present classes: the errors, largest first, times what each adds to the Jaccard loss."""
    losses = []
    for p, y in _class_maps(logits, labels):
        if not y.any():
            continue
        errors, wrong, value, before = np.abs(p - y), np.zeros(len(y), bool), 0.0, 0.0
        for k in np.argsort(-errors):
            wrong[k] = True
            after = 1 - (y * ~wrong).sum() / ((y > 0) | wrong).sum()
            value, before = value + errors[k] * (after - before), after
        losses.append(value)
    return np.mean(losses)


def focal(logits, labels, gamma=2.0):
    """Every class against the rest, by its sigmoid."""
    terms = []
    for (n, i, j), c in product(valid_pixels(labels), range(logits.shape[1])):
        p = 1 / (1 + np.exp(-logits[n, c, i, j]))
        right = p if labels[n, i, j] == c else 1 - p
        terms.append(-((1 - right) ** gamma) * np.log(right))
    return np.mean(terms)


REFERENCES = {"dpce": distance_penalized_cross_entropy, "ssim_only": ssim, "jaccard": jaccard, "dice": dice}
REFERENCES |= {"lovasz": lovasz, "focal": focal}
