"""Workers end with the process that made them, however that ends."""

import os
import signal
import subprocess
import sys

import pytest
from runtime.conftest import alive, ends, until

TRAINS = """
import os, pickle, signal, sys, time
from autosegloss.runtime.crew import Request, crew_of

signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
crew = crew_of(2)
for do in sys.argv[2:]:
    crew.train(Request({"do": do}, "run"))
first = crew._members[0].process
exec(sys.argv[1])
"""
LEAVES_CHILDREN = """
import os, subprocess, time
child = subprocess.Popen(["sleep", "60"])
open("draft" + os.environ["RANK"], "w").write(f"{os.getpid()} {child.pid}")
os.rename("draft" + os.environ["RANK"], "pids" + os.environ["RANK"])
"""
ENDINGS = {
    "idle": "pass",
    "by an error": "raise ValueError",
    "without a farewell": "os._exit(3)",
    "in the middle of a message": "first.stdin.write(pickle.dumps('x' * 99)[:50]); first.stdin.flush(); os._exit(3)",
    "while a child of its own lives on": "del crew, first; os.fork() or time.sleep(7); os._exit(3)",
}


@pytest.fixture
def start(lab, monkeypatch):
    """`start(ending, *trainings)` is a process with a crew of two."""
    monkeypatch.chdir(lab.runs)
    started = []

    def run(ending: str, *trainings: str) -> subprocess.Popen:
        started.append(subprocess.Popen([sys.executable, "-c", TRAINS, ending, *trainings], stderr=subprocess.DEVNULL))
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.wait()


def pids(lab) -> list[int]:
    files = [lab.runs / "pids0", lab.runs / "pids1"]
    until(lambda: all(file.exists() for file in files))
    return [int(number) for file in files for number in file.read_text().split()]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_nothing_is_left_of_a_training_whose_owner_is_ended(lab, start, number):
    owner = start("", LEAVES_CHILDREN + "time.sleep(60)")
    left = pids(lab)
    assert len(left) == 4
    assert all(map(alive, left))
    owner.send_signal(number)
    owner.wait(10)
    assert [process for process in left if not ends(process)] == []


@pytest.mark.parametrize("ending", ENDINGS.values(), ids=ENDINGS)
def test_nothing_is_left_of_a_crew_whose_owner_ends(lab, start, ending):
    owner = start(ending, LEAVES_CHILDREN)
    left = pids(lab)
    owner.wait(10)
    assert [process for process in left if not ends(process)] == []


def test_a_process_that_the_owner_forks_has_no_part_in_its_crew(lab, start):
    ending = """
if not (child := os.fork()):
    assert crew_of(2) is not crew
    sys.exit(7)  # runs what is to be done at the end
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
assert crew_of(2) is crew
crew.train(Request({"do": "print('fine')"}, "after"))
"""
    assert start(ending, LEAVES_CHILDREN).wait(20) == 0
    assert lab.log("after") == "fine\n"


def test_a_worker_that_was_killed_is_no_zombie_once_its_crew_is_closed(lab):
    crew = lab.crew()
    (process,) = crew.pids
    os.kill(process, signal.SIGKILL)
    crew.close()
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)
