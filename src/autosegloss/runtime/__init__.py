"""Runs in processes of their own: these may hang, die or be many, and the caller lives on."""

from autosegloss.runtime.crew import Crew, Request, close_crews, crew_of
from autosegloss.runtime.devices import Devices
from autosegloss.runtime.guardian import Guardian
from autosegloss.runtime.owner import Owner, Ownership
from autosegloss.runtime.start import run_in_subprocess, run_inline

__all__ = [
    "Crew",
    "Devices",
    "Guardian",
    "Owner",
    "Ownership",
    "Request",
    "close_crews",
    "crew_of",
    "run_in_subprocess",
    "run_inline",
]
