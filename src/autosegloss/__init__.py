"""Auto Seg-Loss: a segmentation metric, bent into a loss, searched so that training with it scores best.

A metric is ONE formula over AND, OR, XOR and pooling (`formulas`). Read exactly, on one-hot maps, it is the evaluation
metric (`metrics`). Read softly, on probabilities, with AND and OR bent by curves g(y; theta) (`curves`), it is a
surrogate loss (`SurrogateLoss`). A search (`search`) finds the theta whose trained network scores best; a theta card
(`ThetaCard`) keeps it. Method: Li, Tao et al., "Auto Seg-Loss", ICLR 2021, arXiv 2010.07930.
"""

from typing import TYPE_CHECKING, Any

from autosegloss.errors import InputError
from autosegloss.loss import SurrogateLoss
from autosegloss.theta_card import ThetaCard

if TYPE_CHECKING:
    from autosegloss.metrics import segmentation_metrics

__all__ = ["InputError", "SurrogateLoss", "ThetaCard", "segmentation_metrics"]


def __getattr__(name: str) -> Any:
    """The metrics, at first use: torchmetrics takes longer to import than torch, and a loss does without it."""
    if name == "segmentation_metrics":
        from autosegloss.metrics import segmentation_metrics

        return segmentation_metrics
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
