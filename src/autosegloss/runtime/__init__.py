"""Trainings in processes of their own: they may hang, die or be many, and the caller lives on."""

from autosegloss.runtime.crew import Crew, Request, crew_of
from autosegloss.runtime.devices import Devices
from autosegloss.runtime.guardian import Guardian
from autosegloss.runtime.owner import Owner, Ownership

__all__ = ["Crew", "Devices", "Guardian", "Owner", "Ownership", "Request", "crew_of"]
