"""The outcome of a run, and the names of the files that a run leaves; light to import, for programs that only read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import yaml

from autosegloss.files import write_whole

if TYPE_CHECKING:
    from omegaconf import DictConfig

RESULT, FAILURE, RUN_LOG, WEIGHTS = "result.json", "failure.json", "run.log", "weights.pt"
DATA = "data.yaml"  # what a run, or a search, takes its data for
LONGEST = 2000  # characters of a failure's message

Kind = Literal["mistake", "diverged", "failed", "interrupted", "lost"]


@dataclass(frozen=True)
class Result:
    """Scores of the six metrics and the target on the validation data, and on the test data if the config says so.

    seconds: of the whole run; fit_seconds: of its training steps (and of validations between them); eval_seconds: of
    the validation and test at its end. scored_at: the size that the scores were measured at, in words. unsaved: why
    weights.pt, or this result, is not on the disk; "" if all is. step: of the weights that were judged.
    stopped: the step at which the training ended before its time; None if it did not. chosen_by: the metric of which
    the weights had the best score of all validations between steps; None for the last weights.
    task: by name.
    """

    scores: dict[str, float]
    test: dict[str, float]
    seconds: float
    fit_seconds: float = 0.0
    eval_seconds: float = 0.0
    scored_at: str | None = None  # of an earlier version, which did not tell
    unsaved: str = ""
    step: int | None = None  # of an earlier version, too
    stopped: int | None = None
    chosen_by: str | None = None
    task: str = "multiclass"  # of an earlier version, too

    def save(self, folder: str | Path) -> None:
        """Write result.json whole or not at all; it takes the place of a failure.json."""
        write_whole(Path(folder, RESULT), json.dumps(asdict(self), indent=1))
        Path(folder, FAILURE).unlink(missing_ok=True)

    @classmethod
    def load(cls, folder: str | Path) -> Result:
        """Read result.json; raises OSError, ValueError or TypeError if the file is missing or damaged."""
        return cls(**json.loads(Path(folder, RESULT).read_text()))


def scored_at(data: Mapping[str, Any]) -> str:
    """The size that the scores of a run with these settings of its data are measured at, in words."""
    if (size := data.get("size")) is None:
        return "the masks' own size"
    height, width = (size, size) if isinstance(size, int) else size
    if data.get("score_at") == "input":
        return f"{height}x{width}"
    return "the masks' own size" + (f", the middle that fills {height}x{width}" if data.get("keep_aspect") else "")


@dataclass(frozen=True)
class Failure:
    """Why a run has no result.

    kind: "mistake" of the user; "diverged", the loss or the weights are not finite; "interrupted" by the user; "lost"
    with the process of a launcher; "failed" for anything else. message: one line.
    """

    kind: Kind
    message: str

    @classmethod
    def unexpected(cls, error: BaseException) -> Failure:
        """The failure of a run that ended with an error of any type."""
        return cls("failed", f"{type(error).__name__}: {' '.join(str(error).split())}"[:LONGEST])

    def save(self, folder: str | Path) -> None:
        """Write failure.json in the place of a result.json; on a full or broken disk the failure stays unwritten."""
        with suppress(OSError):
            Path(folder, RESULT).unlink(missing_ok=True)
            write_whole(Path(folder, FAILURE), json.dumps(asdict(self), indent=1))


class Planned(NamedTuple):
    """A run to check: its config, the devices that train, and those that normalise over a batch together."""

    config: DictConfig
    devices: int
    synchronised: int


class Checked(NamedTuple):
    """The outcome of a check: what runs take their data for, as `autosegloss.data.description` tells."""

    data: dict[str, Any]

    def tell(self) -> None:
        """Print what is taken for granted about the data, and what is doubtful."""
        for kind in ("note", "warning"):
            for line in self.data[f"{kind}s"]:
                print(f"{kind}: {line}")

    def save(self, folder: str | Path) -> None:
        """Write data.yaml."""
        write_whole(Path(folder, DATA), yaml.safe_dump(self.data, sort_keys=False, allow_unicode=True))


Outcome = Result | Failure
DISOWNED = Failure("failed", "the search that launched this run has ended")


def outcome_of(values: Mapping[str, Any]) -> Outcome:
    """The outcome whose fields, as `dataclasses.asdict` gives them, are `values`."""
    return Failure(**values) if "kind" in values else Result(**values)


def discard_outcome(folder: Path) -> None:
    """Remove the outcome of an earlier run, and the description of its data, from `folder`."""
    for name in (RESULT, FAILURE, DATA):
        (folder / name).unlink(missing_ok=True)


def log_name(rank: int = 0) -> str:
    """The file with the output of one process of a run."""
    return f"run.rank{rank}.log" if rank else RUN_LOG
