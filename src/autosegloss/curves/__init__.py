"""Curve families: a new one is one file here (and a yaml in conf/curve)."""

from autosegloss.curves.bezier import Bezier
from autosegloss.curves.curve import Curve
from autosegloss.curves.family import CurveFamily
from autosegloss.curves.linear import Identity, Linear
from autosegloss.curves.plain import PlainCurve
from autosegloss.registry import import_members

__all__ = ["Bezier", "Curve", "CurveFamily", "Identity", "Linear", "PlainCurve"]

import_members(__name__, __path__)
