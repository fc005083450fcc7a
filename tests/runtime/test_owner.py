"""A folder belongs to one running search at a time, until that ends in any way."""

import errno
import fcntl
import os
import signal
import subprocess
import sys

import pytest

from autosegloss.errors import InputError
from autosegloss.runtime import Owner, Ownership
from autosegloss.runtime.owner import LOCK, RECORD

OWNER = """
import sys
from pathlib import Path
from autosegloss.runtime.owner import Ownership

with Ownership(Path(sys.argv[1])):
    print("mine", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def other(lab):
    """Another process that owns the folder `lab.runs`."""
    process = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(lab.runs)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "mine\n"
    yield process
    process.kill()
    process.communicate()


def test_the_second_process_is_refused_and_the_first_is_named(lab, other):
    with pytest.raises(InputError, match=rf"a search is running in {lab.runs} \(process {other.pid} on .+\): wait"):
        Ownership(lab.runs).__enter__()
    assert Owner.of(lab.runs).process == other.pid  # it is left as it was


def test_a_folder_is_free_as_soon_as_its_owner_is_killed(lab, other):
    left = Owner.of(lab.runs)
    assert left.lives()
    other.send_signal(signal.SIGKILL)
    os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)
    assert not left.lives()  # it is a zombie still
    with Ownership(lab.runs):
        assert Owner.of(lab.runs).process == os.getpid()
    other.wait()
    assert not left.lives()


def test_a_clean_end_leaves_no_record(lab, other):
    other.communicate("")
    assert (lab.runs / LOCK).exists()
    assert not (lab.runs / RECORD).exists()
    assert Owner.of(lab.runs) is None
    with Ownership(lab.runs):
        pass


def test_each_search_of_a_process_is_an_owner_of_its_own(tmp_path):
    with Ownership(tmp_path):
        first = Owner.of(tmp_path)
        assert Owner.of(tmp_path) == first
    with Ownership(tmp_path):
        assert Owner.of(tmp_path) != first
        assert Owner.of(tmp_path)[:3] == first[:3]


def test_whoever_works_for_a_search_sees_it_end(lab, other):
    is_alive = Owner.watch(lab.runs)
    assert is_alive()
    other.kill()
    other.wait()
    assert not is_alive()
    with Ownership(lab.runs):
        resumed = Owner.watch(lab.runs)
        assert not is_alive()
        assert resumed()
    assert not resumed()
    assert not Owner.watch(lab.runs)()  # it has ended before
    assert Owner.watch(lab.runs / "run")()  # there was no search


def test_an_error_ends_the_ownership(tmp_path):
    with pytest.raises(ValueError, match="of the search"), Ownership(tmp_path):
        raise ValueError("of the search")
    assert Owner.of(tmp_path) is None


@pytest.mark.parametrize("text", [None, "", "{", "[1, 2]", '{"host": "here"}', '{"host": 1, "other": 2}', "7"])
def test_a_file_that_names_no_owner_is_nobodys(tmp_path, text):
    if text is not None:
        (tmp_path / RECORD).write_text(text)
    assert Owner.of(tmp_path) is None
    with Ownership(tmp_path):
        assert Owner.of(tmp_path).lives()


def test_an_owner_is_known_by_its_host_and_its_start():
    me = Owner.me()
    assert me.lives()
    assert not me._replace(began=me.began - 5).lives()  # a later process has its number
    assert me._replace(host="elsewhere", process=2**22 + 1).lives()  # cannot be known
    assert not me._replace(process=2**22 + 1).lives()
    assert Owner.me() != me


def test_where_files_cannot_be_locked_the_record_decides(lab, other, monkeypatch):
    def no_locks(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with pytest.raises(InputError, match=f"process {other.pid} on"):
        Ownership(lab.runs).__enter__()
    other.kill()
    other.wait()
    with Ownership(lab.runs):
        assert Owner.of(lab.runs).process == os.getpid()


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        Ownership(tmp_path / "nowhere").__enter__()


def test_a_disk_that_hesitates_ends_no_training(tmp_path):
    with Ownership(tmp_path):
        is_alive, record = Owner.watch(tmp_path), (tmp_path / RECORD).read_text()
        (tmp_path / RECORD).write_text("")
        assert is_alive()
        (tmp_path / RECORD).write_text(record)
        assert is_alive()
        Owner.renew(tmp_path)  # what was launched before is not to go on
        assert not is_alive()
    assert not is_alive()
