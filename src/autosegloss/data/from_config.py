"""The data module as the configuration describes it."""

from __future__ import annotations

from typing import Any

from autosegloss.data.datamodule import SegmentationData


def from_config(root: str | None = None, download: bool = False, **settings: Any) -> SegmentationData:
    """SegmentationData as conf/data describes it.

    Hydra passes on all keys of a config. `root` and `download` are short names for the command line (data.root=ROOT):
    the config hands them to its source by interpolation, and nothing else needs them.
    """
    return SegmentationData(**settings)
