"""Curve families: a new one is one file here (and a yaml in conf/curve)."""

from ..registry import import_members
from .bezier import Bezier
from .family import Curve, CurveFamily
from .linear import Identity, Linear

__all__ = ["Bezier", "Curve", "CurveFamily", "Identity", "Linear"]

import_members(__name__, __path__)
