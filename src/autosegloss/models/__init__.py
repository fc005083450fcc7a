"""Networks, the module that trains them, and the optimisation settings of the paper."""

from autosegloss.models.guards import StopIfDiverged, SyncOnGPU
from autosegloss.models.hrnet import HRNetV2
from autosegloss.models.module import SegmentationModule
from autosegloss.models.network import build_network
from autosegloss.models.optimization import poly_sgd

__all__ = ["HRNetV2", "SegmentationModule", "StopIfDiverged", "SyncOnGPU", "build_network", "poly_sgd"]
