"""Trainings in processes of their own: they may hang, die or be many, and the caller lives on."""

from autosegloss.processes.crew import Crew, Request, crew_of
from autosegloss.processes.devices import Devices
from autosegloss.processes.guardian import Guardian
from autosegloss.processes.owner import Owner, Ownership

__all__ = ["Crew", "Devices", "Guardian", "Owner", "Ownership", "Request", "crew_of"]
