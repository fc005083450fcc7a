"""The weights of a network as a file."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from autosegloss.files import short_path, whole_file


def save_weights(weights: Mapping[str, Tensor], path: Path) -> str:
    """Write the state of a network; returns why it cannot be written, "" if it can: scores are still to come."""
    state = io.BytesIO()  # torch.save into a file hides the system's error behind one of its own
    torch.save(weights, state)
    try:
        with whole_file(path) as draft:
            draft.write_bytes(state.getbuffer())
    except OSError as error:
        return cannot_be_written(path, error)
    return ""


def cannot_be_written(path: Path, error: OSError) -> str:
    """A phrase about a file that an error of the system leaves unwritten."""
    return f"{short_path(path)} cannot be written ({error.strerror})"
