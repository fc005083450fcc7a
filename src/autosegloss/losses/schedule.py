"""A loss at the beginning of a training, and another one from a step on."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from autosegloss.algebra.checks import check_ignore_index
from autosegloss.errors import InputError, is_number, is_whole


class LossSchedule(nn.Module):
    """Two losses, one after the other; the training tells the step by `begin`, and nothing else is kept.

    Args:
        first: a function that makes a loss when called with `ignore_index=...`; it is in force at the beginning.
        then: likewise; in force from `switch_at` on.
        switch_at: a number of steps, or below 1 a fraction of all steps.
        ignore_index: the label of pixels to ignore; None counts all pixels.

    Raises:
        InputError: for another switch_at.

    Example:
        >>> import torch
        >>> from functools import partial
        >>> from autosegloss import SurrogateLoss
        >>> from autosegloss.losses import LibraryLoss, LossSchedule
        >>> cross_entropy = partial(LibraryLoss, torch.nn.CrossEntropyLoss)
        >>> loss = LossSchedule(cross_entropy, partial(SurrogateLoss, "miou"), switch_at=0.5)
        >>> loss.begin(step=60, max_steps=100)
        >>> type(loss.current).__name__
        'SurrogateLoss'
    """

    def __init__(
        self,
        first: Callable[..., nn.Module],
        then: Callable[..., nn.Module],
        switch_at: float,
        ignore_index: int | None = 255,
    ):
        super().__init__()
        self.ignore_index = check_ignore_index(ignore_index)
        if not is_whole(switch_at, least=1) and not (is_number(switch_at) and 0 < switch_at < 1):
            raise InputError(
                f"loss.switch_at must be a whole number of steps, or a fraction below 1, got {switch_at!r}"
            )
        self.switch_at = switch_at
        self.losses = nn.ModuleList([first(ignore_index=ignore_index), then(ignore_index=ignore_index)])
        self._current = 0

    def begin(self, step: int, max_steps: int) -> None:
        """Put the loss of a step in force.

        Args:
            step: the steps so far.
            max_steps: all steps of the training.
        """
        switch_at = self.switch_at if self.switch_at >= 1 else self.switch_at * max_steps
        self._current = int(step >= switch_at)

    @property
    def current(self) -> nn.Module:
        """The loss in force."""
        return self.losses[self._current]

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        return self.current(logits, labels)

    def extra_repr(self) -> str:
        return f"switch_at={self.switch_at}, ignore_index={self.ignore_index}"
