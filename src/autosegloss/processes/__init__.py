"""Trainings in processes of their own: they may hang, die or be many, and the caller lives on."""

from autosegloss.processes.crew import Crew, Request, crew_of
from autosegloss.processes.devices import Devices
from autosegloss.processes.owner import Owner, Ownership, end_with

__all__ = ["Crew", "Devices", "Owner", "Ownership", "Request", "crew_of", "end_with"]
