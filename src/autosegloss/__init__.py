"""Auto Seg-Loss: a segmentation metric, bent into a loss, searched so that training with it scores best.

A metric is ONE formula over AND, OR, XOR and pooling (`formulas`). Read exactly, on one-hot maps, it is the evaluation
metric (`metrics`). Read softly, on probabilities, with AND and OR bent by curves g(y; theta) (`curves`), it is a
surrogate loss (`SurrogateLoss`). A search (`search`) finds the theta whose trained network scores best; a theta card
(`ThetaCard`) keeps it. Method: Li, Tao et al., "Auto Seg-Loss", ICLR 2021, arXiv 2010.07930.
"""

from autosegloss.errors import InputError
from autosegloss.loss import SurrogateLoss
from autosegloss.metrics import segmentation_metrics
from autosegloss.theta_card import ThetaCard

__all__ = ["InputError", "SurrogateLoss", "ThetaCard", "segmentation_metrics"]
