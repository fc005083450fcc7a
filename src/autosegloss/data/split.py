"""A seeded split of a list into a kept part and a hold-out, by blocks of neighbours."""

from __future__ import annotations

import numpy as np

from autosegloss.errors import InputError, is_number, whole_number


def block_split(count: int, holdout: int | float, block: int = 1, seed: int = 0) -> tuple[list[int], list[int]]:
    """Divide range(count) into (kept, held out), both sorted; a function of its arguments alone.

    holdout: a number of items if it is 1 or more, else a fraction of count (rounded). Whole blocks of `block`
    neighbours are drawn until the number is reached; of the last one drawn only the first items are taken, so
    the number is exact and at most one block is cut. (Neighbouring video frames are near-duplicates: held out
    one by one, they would be known from training.) Raises InputError if either part would be empty.
    """
    size = holdout_size(count, holdout)
    whole_number("block", block, least=1)
    rng = np.random.default_rng(whole_number("seed", seed, least=0))
    starts = rng.permutation(np.arange(0, count, block))
    drawn = [i for start in starts for i in range(start, min(start + block, count))][:size]
    held = set(drawn)
    return [i for i in range(count) if i not in held], sorted(held)


def holdout_size(count: int, holdout: int | float) -> int:
    """The number of items that `holdout`, a number or a fraction, means; InputError unless in 1..count-1."""
    if not is_number(holdout) or (holdout >= 1 and holdout != int(holdout)):
        raise InputError(f"holdout must be a whole number of samples or a fraction below 1, got {holdout!r}")
    size = int(holdout) if holdout >= 1 else round(holdout * count)
    if not 0 < size < count:
        raise InputError(
            f"holdout={holdout} leaves {size} of {count} samples to validate on, {count - size} to train on: "
            f"choose 1 to {count - 1} samples, or a fraction"
        )
    return size
