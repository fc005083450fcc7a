"""What a training leaves behind; it is light to import, for those who only read it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from autosegloss.files import write_whole

RESULT = "result.json"


@dataclass(frozen=True)
class Result:
    """Scores of the six metrics and the target on the validation data, and on the test data if asked for.

    seconds: of the whole run; fit_seconds: of its training steps (and of validations between them); eval_seconds: of
    the validation and test at its end.
    """

    scores: dict[str, float]
    test: dict[str, float]
    seconds: float
    fit_seconds: float = 0.0
    eval_seconds: float = 0.0

    def save(self, directory: str | Path) -> None:
        """Write result.json whole or not at all."""
        write_whole(Path(directory, RESULT), json.dumps(vars(self), indent=1))

    @classmethod
    def load(cls, directory: str | Path) -> Result:
        return cls(**json.loads(Path(directory, RESULT).read_text()))
