"""Searches with damaged records or a full disk: one line explains the error, and finished trials are kept."""

import errno
import json

import pytest
from conftest import SEARCH

from autosegloss.search import History, JsonLines

pytestmark = pytest.mark.slow


def test_a_search_that_lacks_records_of_ended_steps_is_not_resumed(command, interrupted, tmp_path):
    """It would choose its result from the remaining records only."""
    interrupted("found")
    whole = (tmp_path / "found/trials.jsonl").read_text()
    (tmp_path / "found/trials.jsonl").write_text(whole.splitlines(keepends=True)[0])
    with pytest.raises(SystemExit, match=r"lacks trials of step 1 \(1 of 2\): restore the files"):
        command("search", "resume=found", tiny=False)
    (tmp_path / "found/trials.jsonl").write_text(whole)
    command("search", "resume=found", tiny=False)
    assert len(History(tmp_path / "found").trials) == 4


@pytest.mark.parametrize("text", ["{", "[]", '{"scores": {}, "test": {}, "seconds": 1}'])
def test_a_result_that_cannot_be_read_is_made_again(command, interrupted, trainings, tmp_path, text):
    interrupted("found")
    folder = tmp_path / "found/step_0001/trial_000"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "result.json").write_text(text)
    command("search", "resume=found", tiny=False)
    assert trainings.directories[0] == folder
    assert len(History(tmp_path / "found").trials) == 4


def test_a_full_disk_is_told_and_what_was_finished_is_kept(command, trainings, tmp_path, monkeypatch):
    append, room = JsonLines.append, [2]

    def full(self, record):
        room[0] -= 1
        if room[0] < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        append(self, record)

    monkeypatch.setattr(JsonLines, "append", full)
    with pytest.raises(SystemExit, match=r"found cannot be written \(No space left on device\): .* resume=found"):
        command("search", *SEARCH, "hydra.sweep.dir=found")
    monkeypatch.setattr(JsonLines, "append", append)
    command("search", "resume=found", tiny=False)
    assert len(History(tmp_path / "found").trials) == 4
    assert json.loads((tmp_path / "found/state.json").read_text())["step"] == 2


@pytest.mark.parametrize("name", ["report.summary.write_figures", "report.summary.write_tables", "files.os.fsync"])
def test_a_disk_that_is_full_at_the_end_of_a_search_is_told_and_the_search_can_go_on(command, trainings, name):
    """Figures, tables, and any file at all: then not even the check can write."""

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    search = [*SEARCH, "hydra.sweep.dir=found"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(f"autosegloss.{name}", full)
        with pytest.raises(SystemExit, match=r"^error: .*cannot be written \(No space left on device\)") as ended:
            command("search", *search)
        assert "\n" not in str(ended.value)
    if name != "files.os.fsync":
        assert "resume=found" in str(ended.value)
        assert "theta.yaml" in command("search", "resume=found", tiny=False)
