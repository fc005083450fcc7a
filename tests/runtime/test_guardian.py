"""What a killed process has started within a guardian ends, and nothing else does."""

import os
import signal
import subprocess
import sys
import time

import pytest

from autosegloss.runtime.guardian import MARK, Guardian

PARENT = """
import subprocess, sys, time
from autosegloss.runtime.guardian import Guardian

before = subprocess.Popen(["sleep", "60"])
with Guardian():
    child = subprocess.Popen(["sh", "-c", "sleep 60 & echo $!; wait"], stdout=subprocess.PIPE, text=True)
    alone = subprocess.Popen(["sleep", "60"], start_new_session=True)
    print(before.pid, child.pid, alone.pid, child.stdout.readline().strip(), flush=True)
    sys.stdin.readline()
    if sys.argv[1] == "error":
        raise SystemExit(3)
print("out", flush=True)
sys.stdin.readline()
"""


def lives(process: int) -> bool:
    try:
        with open(f"/proc/{process}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


@pytest.fixture
def family(request):
    """A process, the one it started before, and the three that it started within a guardian."""
    how = getattr(request, "param", "well")
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, how], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    before, *within = map(int, parent.stdout.readline().split())
    yield parent, before, within
    parent.kill()
    for process in (before, *within):
        if lives(process):
            os.kill(process, signal.SIGKILL)
    parent.communicate()


@pytest.mark.parametrize("family", ["killed", "error"], indirect=True)
@pytest.mark.slow
def test_all_that_a_process_started_ends_when_it_is_killed_or_fails(family):
    parent, before, within = family
    assert all(map(lives, within))
    if parent.args[-1] == "error":
        parent.stdin.write("\n")
        parent.stdin.flush()
    else:
        parent.send_signal(signal.SIGKILL)
    parent.wait(10)
    deadline = time.monotonic() + 10
    while any(map(lives, within)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(lives, within))
    assert lives(before)


@pytest.mark.slow
def test_what_is_left_after_a_good_end_stays(family):
    parent, _, within = family
    parent.stdin.write("\n")
    parent.stdin.flush()
    assert parent.stdout.readline() == "out\n"
    parent.send_signal(signal.SIGKILL)
    parent.wait(10)
    time.sleep(0.5)
    assert all(map(lives, within))


def test_the_environment_is_left_as_it_was():
    before = dict(os.environ)
    with Guardian():
        assert MARK in os.environ
    assert dict(os.environ) == before
