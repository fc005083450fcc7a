"""What the library does on Windows, imitated: losses and cards work, training says that it needs another system."""

import errno
import fcntl
import os
import select

import pytest

from autosegloss import ThetaCard
from autosegloss.cli.program import search, train
from autosegloss.cli.streams import guarded_output
from autosegloss.files import write_whole


@pytest.fixture
def windows(monkeypatch):
    """Folders cannot be opened, a file that is open for reading cannot be synchronised, processes have no groups."""
    opened, synchronise = os.open, os.fsync

    def open_file(path, *arguments, **options):
        if os.path.isdir(path):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return opened(path, *arguments, **options)

    def fsync(file):
        if fcntl.fcntl(file, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            raise OSError(errno.EBADF, "Bad file descriptor")
        synchronise(file)

    monkeypatch.setattr(os, "open", open_file)
    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.delattr(os, "O_DIRECTORY")
    monkeypatch.delattr(os, "killpg")
    monkeypatch.delattr(select, "poll")


def test_files_are_whole(windows, tmp_path):
    write_whole(tmp_path / "deep/file.txt", "text")
    write_whole(tmp_path / "deep/file.txt", "other")
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["file.txt"]
    assert (tmp_path / "deep/file.txt").read_text() == "other"


def test_a_theta_card_is_written(windows, tmp_path):
    ThetaCard.load("miou").save(tmp_path / "card.yaml")
    assert ThetaCard.load(tmp_path / "card.yaml").metric.name == "miou"


@pytest.mark.parametrize("program", [train, search])
def test_training_says_what_it_needs(windows, program):
    with pytest.raises(SystemExit, match=r"^error: the programs need Linux or macOS, or WSL on Windows") as ended:
        program()
    assert "\n" not in str(ended.value)


def test_a_broken_pipe_is_the_reader_of_the_console(windows, capfd):
    with pytest.raises(SystemExit, match="141"), guarded_output():
        raise BrokenPipeError
