"""The files of checkpoints: written whole or not at all, read from the newest one that is not damaged."""

from __future__ import annotations

import io
import shutil
import sys
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import torch
from lightning_fabric.plugins import CheckpointIO
from omegaconf import DictConfig

from autosegloss.errors import InputError
from autosegloss.files import short_path, whole_file
from autosegloss.training.resuming import CHECKPOINTS, check_same, checkpoint_paths, comparable

FORMAT = 1  # of what `Checkpoints` adds to a checkpoint of Lightning
OURS = "autosegloss"  # the key of these additions
_KEPT = 2  # the newest one, and the one before in case that is damaged


class Progress(NamedTuple):
    """A checkpoint to go on from.

    epoch, batches: its place in the order of the data, both counted from 0. random: the random states of each process.
    log: the bytes of the log up to there; None without one. seconds: that the training has taken so far.
    """

    path: Path
    epoch: int
    batches: int
    random: list[dict[str, Any]]
    log: bytes | None
    seconds: float


def find_progress(cfg: DictConfig, folder: Path, processes: int, tell: bool = True) -> Progress | None:
    """The checkpoint from which the run in `folder` goes on; None if there is none that can be read.

    Raises InputError if the checkpoint is of another configuration, version or number of processes.
    """
    found = read_newest(folder, tell)
    if found is None:
        return None
    path, content = found
    ours = content.get(OURS, {})
    if ours.get("format") != FORMAT:
        raise InputError(
            f"{short_path(path)} was written by another version of autosegloss: go on with that one, or start a new run"
        )
    check_same(ours["config"], comparable(cfg, resolve=True), folder)
    if len(ours["random"]) != processes:
        raise InputError(
            f"{short_path(folder)}: the training was started with {len(ours['random'])} device(s), got {processes}: "
            f"set trainer.devices={len(ours['random'])}"
        )
    loops = content["loops"]["fit_loop"]
    epoch, batches = (loops[name]["current"]["completed"] for name in ("epoch_progress", "epoch_loop.batch_progress"))
    return Progress(path, epoch, batches, ours["random"], ours["log"], ours["seconds"])


def find_pause(cfg: DictConfig, folder: Path, processes: int) -> Progress:
    """The checkpoint of the paused training in `folder`, from which a run in another folder goes on.

    Raises InputError as `find_progress`, and if there is none that can be read.
    """
    if progress := find_progress(cfg, folder, processes, tell=False):
        return progress
    raise InputError(
        f"checkpoint.begin_with={short_path(folder)}: expected the folder of a training that has paused, got one "
        "without a checkpoint that can be read"
    )


def discard_checkpoints(folder: Path) -> None:
    """Remove all checkpoints and kept weights of the run in `folder`."""
    shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)


def discard_finished(folder: Path) -> None:
    """Remove the checkpoints of the run in `folder`, which has ended; weights stay."""
    for path in checkpoint_paths(folder):
        path.unlink(missing_ok=True)
    discard_drafts(folder)
    if (folder / CHECKPOINTS).is_dir() and not any((folder / CHECKPOINTS).iterdir()):
        (folder / CHECKPOINTS).rmdir()


def discard_drafts(folder: Path) -> None:
    """Remove the unfinished files of a process that was killed while it wrote."""
    for draft in (folder / CHECKPOINTS).glob(".*"):
        draft.unlink(missing_ok=True)


def read_newest(folder: Path, tell: bool = True) -> tuple[Path, dict[str, Any]] | None:
    """The newest checkpoint that is whole, and its content; None if there is none. A line tells of a damaged one."""
    paths = checkpoint_paths(folder)
    for path in paths:
        try:
            return path, _read_whole(path)
        except Exception as error:  # damage to a file leads to errors of every type
            reason = " ".join(str(error).split())[:100] or type(error).__name__
            if tell:
                print(f"note: {short_path(path)} is damaged ({reason}): it is left out", file=sys.stderr)
    if paths and tell:
        print(f"note: no checkpoint in {short_path(folder)} can be read: the training begins again", file=sys.stderr)
    return None


def _read_whole(path: Path) -> dict[str, Any]:
    with zipfile.ZipFile(path) as archive:
        if damaged := archive.testzip():  # torch compares no checksums
            raise zipfile.BadZipFile(f"wrong checksum of {damaged}")
    return WholeFiles().load_checkpoint(path)


class WholeFiles(CheckpointIO):
    """How Lightning writes checkpoints: whole or not at all, the two newest.

    A training goes on if one cannot be written, which one line on stderr tells; the earlier ones stay.
    """

    def __init__(self) -> None:
        self._told = False

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Write `checkpoint` in the place of `path`, and remove those that are not needed any more."""
        path, state = Path(path), io.BytesIO()  # torch.save into a file hides the system's error behind its own
        torch.save(checkpoint, state)
        try:
            with whole_file(path) as draft:
                draft.write_bytes(state.getbuffer())
            for older in checkpoint_paths(path.parents[1])[_KEPT:]:
                older.unlink()
        except OSError as error:
            self._tell(path, error)

    def _tell(self, path: Path, error: OSError) -> None:
        if not self._told:
            earlier = [short_path(other) for other in checkpoint_paths(path.parents[1])[:1]]
            last = f"the last one is {earlier[0]}" if earlier else "there is none so far"
            print(
                f"note: {short_path(path)} cannot be written ({error.strerror}): the training goes on; {last}",
                file=sys.stderr,
            )
        self._told = True

    def load_checkpoint(
        self, path: str | Path, map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """The content of a checkpoint, on the CPU; callbacks may have kept values of any type in it."""
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=False)
        return content

    def remove_checkpoint(self, path: str | Path) -> None:
        """Remove a checkpoint."""
        Path(path).unlink(missing_ok=True)
