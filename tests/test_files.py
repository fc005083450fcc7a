"""Files are whole at every moment; logs are read from their end."""

import shutil
import signal
import subprocess
import sys
import threading

import pytest

from autosegloss import files
from autosegloss.files import last_lines, write_whole

KILLED = """
import os
from pathlib import Path
from files import whole_file

with whole_file(Path("page.txt")) as draft:
    draft.write_text("ne")
    os.kill(os.getpid(), 9)
"""


def test_a_file_is_replaced_by_its_draft(tmp_path):
    path = tmp_path / "new folder/page.txt"
    for text in ("eins", "zwei ∞"):
        write_whole(path, text)
        assert path.read_text("utf-8") == text
        assert [file.name for file in path.parent.iterdir()] == ["page.txt"]


def test_a_file_stays_as_it_was_when_its_writer_fails(tmp_path):
    path = tmp_path / "page.txt"
    write_whole(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_whole(path, "ne\ud800")
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["page.txt"]


def test_a_file_stays_as_it_was_when_its_writer_is_killed(tmp_path):
    shutil.copy(files.__file__, tmp_path)  # alone, to be imported without torch
    write_whole(tmp_path / "page.txt", "old")
    code = subprocess.run([sys.executable, "-c", KILLED], cwd=tmp_path, check=False).returncode
    assert code == -signal.SIGKILL
    assert (tmp_path / "page.txt").read_text() == "old"


def test_a_reader_sees_one_of_the_texts_of_writers_at_the_same_time(tmp_path):
    path, texts = tmp_path / "page.txt", ["a" * 100_000, "b" * 200_000]
    write_whole(path, texts[0])
    writers = [threading.Thread(target=lambda t=t: [write_whole(path, t) for _ in range(20)]) for t in texts]
    for writer in writers:
        writer.start()
    seen = set()
    while any(writer.is_alive() for writer in writers):
        seen.add(path.read_text())
    assert seen <= set(texts)
    assert [file.name for file in tmp_path.iterdir()] == ["page.txt"]


def test_the_last_lines_of_a_log_are_read_whatever_it_holds(tmp_path):
    log = tmp_path / "run.log"
    assert last_lines(log) == ""
    assert last_lines(tmp_path) == ""
    log.write_text("")
    assert last_lines(log) == ""
    log.write_text("one\ntwo\nthree\n")
    assert last_lines(log, 2) == "two\nthree"
    assert last_lines(log) == "one\ntwo\nthree"
    log.write_bytes(b"x" * 100_000 + b"\n\xff\xfe\nlast")
    assert last_lines(log, 2).endswith("\nlast")
    assert len(last_lines(log)) <= 20_000
