"""Dividing samples at random in units that stay together: blocks of neighbours, or groups."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

from autosegloss.errors import InputError, is_number, whole_number


def block_split(count: int, holdout: int | float, block: int = 1, seed: int = 0) -> tuple[list[int], list[int]]:
    """Divide range(count) into (kept, held out), both sorted; the result depends on the arguments alone.

    Neighbouring video frames are near-duplicates: a frame held out by itself would be known from training. Therefore
    blocks of neighbours are held out.

    Args:
        count: the number of items.
        holdout: a number of items if it is 1 or more, else a fraction of `count` (rounded).
        block: the number of neighbours in a block. Of the last block drawn only the first items are held out, so that
            their number is exact.
        seed: of the draw.

    Raises:
        InputError: if either part would be empty, or an argument is out of range.

    Example:
        >>> from autosegloss.data import block_split
        >>> block_split(8, 0.5, block=2)
        ([2, 3, 6, 7], [0, 1, 4, 5])
    """
    size = holdout_size(count, holdout)
    whole_number("block", block, least=1)
    rng = np.random.default_rng(whole_number("seed", seed, least=0))
    starts = rng.permutation(np.arange(0, count, block))
    drawn = [i for start in starts for i in range(start, min(start + block, count))][:size]
    return _parts(count, drawn)


def group_split(groups: Sequence[Hashable], holdout: int | float, seed: int = 0) -> tuple[list[int], list[int]]:
    """Divide range(len(groups)) into (kept, held out), both sorted, such that no group is in both.

    Groups are drawn at random; a group is held out if that brings the number of items nearer to `holdout`. Where all
    are too large, the smallest is held out.

    Args:
        groups: the group of each item, as of one patient or one sequence.
        holdout: a number of items if it is 1 or more, else a fraction (rounded).
        seed: of the draw.

    Raises:
        InputError: if either part would be empty, or an argument is out of range.

    Example:
        >>> from autosegloss.data.holdout import group_split
        >>> group_split(["ann", "bob", "ann", "cid"], 2)
        ([1, 3], [0, 2])
    """
    size = holdout_size(len(groups), holdout)
    members: dict[Hashable, list[int]] = {}
    for i, group in enumerate(groups):
        members.setdefault(group, []).append(i)
    if len(members) == 1:
        raise InputError(f"all {len(groups)} samples are of one group, which cannot be divided; name several groups")
    rng = np.random.default_rng(whole_number("seed", seed, least=0))
    drawn: list[int] = []
    order = [list(members.values())[k] for k in rng.permutation(len(members))]
    for own in order[:-1]:  # one stays
        if abs(len(drawn) + len(own) - size) < abs(len(drawn) - size):
            drawn += own
    return _parts(len(groups), drawn or min(order, key=len))


def draw(
    count: int, holdout: int | float, block: int, seed: int, groups: Sequence[Hashable] | None
) -> tuple[list[int], list[int]]:
    """`group_split` where samples have groups, else `block_split`."""
    return block_split(count, holdout, block, seed) if groups is None else group_split(groups, holdout, seed)


def holdout_size(count: int, holdout: int | float) -> int:
    """The number of items held out by a number or a fraction; raises InputError unless it is in 1..count-1."""
    if not is_number(holdout) or (holdout >= 1 and holdout != int(holdout)):
        raise InputError(f"holdout must be a whole number of samples or a fraction below 1, got {holdout!r}")
    size = int(holdout) if holdout >= 1 else round(holdout * count)
    if not 0 < size < count:
        raise InputError(
            f"holdout={holdout} leaves {size} of {count} samples to validate on, {count - size} to train on: "
            f"choose 1 to {count - 1} samples, or a fraction"
        )
    return size


def _parts(count: int, drawn: Sequence[int]) -> tuple[list[int], list[int]]:
    held = set(drawn)
    return [i for i in range(count) if i not in held], sorted(held)
