"""Slow implementations of the metrics' definitions in numpy and scipy.ndimage, independent of the library."""

import numpy as np
from scipy import ndimage


def reference(name: str, pred: np.ndarray, true: np.ndarray, num_classes: int, ignore: int = 255, extent: int = 5):
    """The metric `name` of predictions and labels (N, H, W) by its definition; nan if nothing is defined."""
    if "+" in name:
        return _mean_of_numbers([reference(one, pred, true, num_classes, ignore, extent) for one in name.split("+")])
    per_class = [SUMS[name](pred, true, c, num_classes, ignore, extent) for c in range(num_classes)]
    return AVERAGES[name](per_class)


def _mean_of_numbers(values):
    return _mean([None if np.isnan(v) else v for v in values])


def _mean(values):
    values = [v for v in values if v is not None]
    return float(np.mean(values)) if values else float("nan")


def _overlap(pred, true, c, num_classes, ignore, extent, inside=None):
    valid = true != ignore
    if inside is not None:
        valid = valid & inside
    p, t = (pred == c) & valid, (true == c) & valid
    return (p & t).sum(), (p | t).sum(), t.sum()


def _band(true, num_classes, ignore, extent):
    band = np.zeros(true.shape, bool)
    for n in range(len(true)):
        for c in range(num_classes):
            band[n] |= _edge(true[n] == c, true[n] != ignore, 2 * extent + 1)
    return band


def _edge(m, valid, size, border=1):
    """Pixels of m with a valid pixel outside m in their window; with border=0 also those near the border."""
    m = m & valid
    inner = ndimage.minimum_filter((m | ~valid).astype(np.uint8), size, mode="constant", cval=border)
    return m & (inner == 0)


def _overlap_of_edges(pred, true, c, num_classes, ignore, extent):
    edges = [
        [_edge(x == c, t != ignore, 2 * extent + 1, border=0) for x, t in zip(m, true, strict=True)]
        for m in (pred, true)
    ]
    p, t = map(np.array, edges)
    return (p & t).sum(), (p | t).sum(), t.sum()


def _boundaries(pred, true, c, num_classes, ignore, extent):
    hit = total_pred = found = total_true = 0
    for p, t in zip(pred, true, strict=True):
        valid = t != ignore
        p_edge, t_edge = _edge(p == c, valid, 3), _edge(t == c, valid, 3)
        near_true = ndimage.maximum_filter(t_edge.astype(np.uint8), 2 * extent + 1, mode="constant", cval=0) > 0
        near_pred = ndimage.maximum_filter(p_edge.astype(np.uint8), 2 * extent + 1, mode="constant", cval=0) > 0
        hit, total_pred = hit + (p_edge & near_true).sum(), total_pred + p_edge.sum()
        found, total_true = found + (t_edge & near_pred).sum(), total_true + t_edge.sum()
    return hit, total_pred, found, total_true


def _in_band(pred, true, c, num_classes, ignore, extent):
    return _overlap(pred, true, c, num_classes, ignore, extent, _band(true, num_classes, ignore, extent))


def _f1(sums):
    hit, total_pred, found, total_true = sums
    if total_true == 0:
        return None
    precision, recall = hit / max(total_pred, 1), found / total_true
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _of_counts(score):
    """The mean over classes that are predicted or true of score(TP, FP, FN)."""

    def average(counts):
        return _mean([score(*c) if sum(c) else None for c in counts])

    return average


def _counts(pred, true, c, num_classes, ignore, extent):
    valid = true != ignore
    p, t = (pred == c) & valid, (true == c) & valid
    return (p & t).sum(), (p & ~t).sum(), (t & ~p).sum()


def _correlation(pred, true, c, num_classes, ignore, extent):
    """(1 + r) / 2 by the definition of Pearson's r; r of a constant prediction is 0."""
    valid = true != ignore
    p, t = (pred == c)[valid], (true == c)[valid]
    if not t.any() or t.all():
        return None
    return (1 + (np.corrcoef(p, t)[0, 1] if p.any() and not p.all() else 0)) / 2


def _surface_dice(sums):
    hit, total_pred, found, total_true = sums
    return (hit + found) / (total_pred + total_true) if total_pred + total_true else None


def _weighted(values_and_weights):
    weights = sum(w for _, w in values_and_weights)
    return sum(v * w for v, w in values_and_weights) / weights if weights else float("nan")


SUMS = {
    "gacc": _overlap,
    "macc": _overlap,
    "miou": _overlap,
    "fwiou": _overlap,
    "biou": _in_band,
    "biou_cheng": _overlap_of_edges,
    "bf1": _boundaries,
    "nsd": _boundaries,
    "dice": _counts,
    "fbeta": _counts,
    "tversky": _counts,
    "precision": _counts,
    "recall": _overlap,
    "mcc": _correlation,
}
AVERAGES = {
    "gacc": lambda sums: _weighted([(i / max(t, 1), t) for i, _, t in sums]),
    "macc": lambda sums: _mean([i / t if t else None for i, _, t in sums]),
    "miou": lambda sums: _mean([i / u if u else None for i, u, _ in sums]),
    "fwiou": lambda sums: _weighted([(i / max(u, 1), t) for i, u, t in sums]),
    "biou": lambda sums: _mean([i / u if u else None for i, u, _ in sums]),
    "biou_cheng": lambda sums: _mean([i / u if u else None for i, u, _ in sums]),
    "bf1": lambda sums: _mean([_f1(s) for s in sums]),
    "nsd": lambda sums: _mean([_surface_dice(s) for s in sums]),
    "dice": _of_counts(lambda tp, fp, fn: 2 * tp / (2 * tp + fp + fn)),
    "fbeta": _of_counts(lambda tp, fp, fn: 2 * tp / (2 * tp + fp + fn)),
    "tversky": _of_counts(lambda tp, fp, fn: tp / (tp + 0.3 * fp + 0.7 * fn) if tp else 0.0),
    "precision": _of_counts(lambda tp, fp, fn: tp / max(tp + fp, 1)),
    "recall": lambda sums: _mean([i / t if t else None for i, _, t in sums]),
    "mcc": _mean,
}
