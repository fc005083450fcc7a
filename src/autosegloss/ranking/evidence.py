"""What is known of a trained network: the sums of every image that it was judged on, which scores follow from."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from autosegloss.errors import InputError
from autosegloss.files import short_path, whole_file
from autosegloss.formulas import Formula
from autosegloss.formulas.exact import exact_score
from autosegloss.ranking.resampling import resampled_scores

EVIDENCE = "evidence.npz"  # in the folder of a run
HOLDOUT, VAL, TEST = "holdout", "val", "test"
_IGNORED = "ignore_index"


@dataclass(frozen=True)
class Evidence:
    """The sums of every image of one split.

    Args:
        sums: {metric: {statistic: int64 (images, C)}}.
        ignore_index: The label of pixels that count nowhere; None counts all.

    Example:
        >>> from autosegloss.formulas import MeanIoU
        >>> counts = {"intersection": [[3], [1]], "union": [[4], [4]], "true": [[4], [2]]}
        >>> sums = {name: torch.tensor(values) for name, values in counts.items()}
        >>> Evidence({"miou": sums}, ignore_index=255).score(MeanIoU())
        0.5
    """

    sums: Mapping[str, Mapping[str, Tensor]]
    ignore_index: int | None

    def score(self, formula: Formula) -> float:
        """The score over all images; nan if no class is defined."""
        totals = {name: value.sum(dim=0) for name, value in self.sums[formula.name].items()}
        return float(exact_score(formula, totals, self.ignore_index))

    def resampled(self, formula: Formula, counts: Tensor) -> Tensor:
        """The score of each resample of the images, float64 (draws,); counts: (draws, images)."""
        return resampled_scores(formula, self.sums[formula.name], counts, self.ignore_index)

    @property
    def truth(self) -> Tensor:
        """The pixels of each class in each image, (images, C): equal for networks judged on the same images."""
        return next(iter(self.sums.values()))["true"]


def save_evidence(splits: Mapping[str, Evidence], folder: Path) -> None:
    """Write the evidence of each split into the folder of a run, whole or not at all; raises OSError."""
    arrays: dict[str, Any] = {
        f"{split}/{metric}/{name}": value.numpy()
        for split, evidence in splits.items()
        for metric, sums in evidence.sums.items()
        for name, value in sums.items()
    }
    ignored = {split: each.ignore_index for split, each in splits.items() if each.ignore_index is not None}
    arrays |= {f"{split}/{_IGNORED}": np.array(label) for split, label in ignored.items()}
    with whole_file(folder / EVIDENCE) as draft, draft.open("wb") as file:
        np.savez_compressed(file, **arrays)


def load_evidence(folder: Path) -> dict[str, Evidence]:
    """{split: evidence} of a run.

    Raises:
        InputError: The file is missing or damaged.
    """
    path = folder / EVIDENCE
    splits: dict[str, dict[str, dict[str, Tensor]]] = {}
    ignored = {}
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            for key, value in arrays.items():
                split, _, rest = key.partition("/")
                if rest == _IGNORED:
                    ignored[split] = int(value)
                else:
                    metric, name = rest.split("/")
                    splits.setdefault(split, {}).setdefault(metric, {})[name] = torch.from_numpy(value)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(
            f"{short_path(path)} cannot be read ({' '.join(str(error).split())}): remove {short_path(folder)}, so that "
            "the run is made again"
        ) from None
    return {split: Evidence(sums, ignored.get(split)) for split, sums in splits.items()}
