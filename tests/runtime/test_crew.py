"""A crew and its workers: what they tell each other, and how each of them may end."""

import os
import re
import signal
import sys
import threading
import time

import pytest
from runtime.conftest import alive, ends, processes, until

from autosegloss.errors import DivergedError, InputError, RunError
from autosegloss.runtime import crew as crews
from autosegloss.runtime import member as _member
from autosegloss.runtime.crew import crew_of

FAILURES = {
    "outcome = ('failed', 'ValueError: told to')": "ValueError: told to",
    "raise OSError('not caught')": "OSError: not caught",
    "sys.exit('enough')": "SystemExit: enough",
    "os._exit(3)": "the process of the training ended with exit code 3",
    "os.kill(os.getpid(), signal.SIGKILL)": "the process of the training was killed by SIGKILL",
    "import ctypes; ctypes.string_at(0)": "the process of the training was killed by SIGSEGV",
    "os.kill(os.getpid(), 40)": "the process of the training was killed by signal 40",
    "outcome = ('interrupted', 'after 1 step')": "the training was interrupted after 1 step",
    "raise KeyboardInterrupt": "the training was interrupted",
}


@pytest.fixture
def own_crews(monkeypatch):
    """None, at first."""
    monkeypatch.setattr(crews, "_crews", {})
    yield
    crews._close_all()


def test_trainings_run_in_the_same_process_and_each_has_a_log(lab):
    crew = lab.crew()
    for run in ("one", "two"):
        do = f"print('{run}', os.getpid()); os.system('echo a child'); print('late', end='')"
        crew.train(lab.request(do, run))
        # the log is whole when the training has ended
        assert lab.log(run).splitlines() == [f"{run} {processes(crew)[0]}", "a child", "late"]
    assert crew.usable


@pytest.mark.parametrize(("do", "message"), FAILURES.items())
def test_a_failure_is_a_run_error_that_names_it_and_ends_the_process(lab, do, message):
    crew = lab.crew()
    crew.train(lab.request(""))
    with pytest.raises(RunError, match=f"^{re.escape(message)}$"):
        crew.train(lab.request(do), timeout=60)
    assert not crew.usable
    assert not alive(processes(crew)[0])


def test_a_process_that_needs_too_long_or_tells_nothing_any_more_is_ended(lab, monkeypatch):
    with pytest.raises(RunError, match=r"^no result after 0.5 seconds$"):
        (slow := lab.crew()).train(lab.request("time.sleep(60)"), timeout=0.5)
    monkeypatch.setattr(_member, "_END", 0.2)
    with pytest.raises(RunError, match=r"^the process of the training has closed its pipe$"):
        (mute := lab.crew()).train(lab.request("time.sleep(0.3); os.closerange(3, 100); time.sleep(60)"))
    assert not any(map(alive, processes(slow) + processes(mute)))


@pytest.mark.parametrize(("status", "error"), [("diverged", DivergedError), ("mistake", InputError)])
def test_a_process_that_diverges_or_meets_a_mistake_trains_on(lab, status, error):
    crew = lab.crew()
    with pytest.raises(error, match=r"^why$"):
        crew.train(lab.request(f"outcome = ('{status}', 'why')"))
    assert crew.usable
    crew.train(lab.request("print(os.getpid())", "next"))
    assert lab.log("next") == f"{processes(crew)[0]}\n"


def test_all_end_where_one_does_and_the_ranks_are_named(lab):
    crew = lab.crew(2)
    crew.train(lab.request("print(os.environ['RANK'])"))
    assert [lab.log(rank=rank) for rank in (0, 1)] == ["0\n", "1\n"]
    with pytest.raises(RunError, match=r"^rank 1: the process of the training was killed by SIGKILL$"):
        crew.train(lab.request("os.kill(os.getpid(), 9) if os.environ['RANK'] == '1' else time.sleep(60)"))
    assert not any(map(alive, processes(crew)))
    with pytest.raises(RunError, match=r"^rank 0: no peer; rank 1: no peer$"):
        lab.crew(2).train(lab.request("outcome = ('failed', 'no peer')"))
    with pytest.raises(DivergedError, match=r"^loss is nan$"):  # of those that end the one that says most
        (crew := lab.crew(2)).train(
            lab.request("outcome = [('failed', 'no peer'), ('diverged', 'loss is nan')][int(os.environ['RANK'])]")
        )
    assert not any(map(alive, processes(crew)))


def test_processes_that_train_together_start_afresh_for_other_devices(lab, monkeypatch):
    crew = lab.crew(2)
    seen = []
    for devices in ([0, 1], [0, 1], [2, 3]):
        crew.train(lab.request("", trainer={"devices": devices}))
        seen.append(processes(crew))
    assert seen[0] == seen[1]
    assert not set(seen[1]) & set(seen[2])
    assert not any(map(alive, seen[1]))
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    with pytest.raises(FileNotFoundError):
        crew.train(lab.request("", trainer={"devices": [0, 1]}))
    assert not crew.usable


def test_a_training_that_nobody_wants_any_more_ends(lab):
    crew, asked = lab.crew(), []

    def wanted():
        asked.append(1)
        return len(asked) < 3

    with pytest.raises(RunError, match="the search that launched this run has ended"):
        crew.train(lab.request("time.sleep(60)"), wanted=wanted)
    assert not alive(processes(crew)[0])


def test_a_process_that_reads_nothing_any_more_holds_nobody_up_who_ends_it(lab):
    crew = lab.crew()
    crew.train(lab.request(""))
    os.kill(processes(crew)[0], signal.SIGSTOP)
    with pytest.raises(RunError, match=r"no result after 0.3 seconds"):
        crew.train(lab.request(""), timeout=0.3)
    assert not alive(processes(crew)[0])


def test_a_death_is_noticed_at_once_and_the_children_of_the_dead_end(lab):
    do = "child = os.fork()\nif child: print(child); os.kill(os.getpid(), 9)\ntime.sleep(60)"
    start = time.monotonic()
    with pytest.raises(RunError, match="was killed by SIGKILL"):
        lab.crew().train(lab.request(do))
    assert time.monotonic() - start < 30
    assert ends(int(lab.log()))


@pytest.mark.parametrize("console", [False, True])
def test_an_interrupt_ends_the_training_and_brings_back_what_it_says(lab, monkeypatch, console):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a background shell makes us deaf to it
    crew = lab.crew(2)
    told = """
try:
    open(os.environ["RANK"], "w")
    time.sleep(60)
except KeyboardInterrupt:
    outcome = ("interrupted", "after 1")
"""

    def interrupt():
        until((lab.runs / "0").exists)
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.chdir(lab.runs)
    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        with pytest.raises(KeyboardInterrupt, match=r"^after 1$" if console else "^$"):
            crew.train(lab.request(told, console=console))
    finally:
        signal.signal(signal.SIGINT, before)
        thread.join()
    assert not any(map(alive, processes(crew)))


def test_this_process_has_one_crew_and_a_new_one_in_place_of_one_that_ended(lab, own_crews):
    one = crew_of(1)
    assert crew_of(1) is one
    os.kill(processes(one)[0], signal.SIGKILL)
    until(lambda: not one.usable)
    with pytest.raises(RunError, match="told to"):
        crew_of(1).train(lab.request("raise ValueError('told to')"))
    two = crew_of(1)
    two.train(lab.request("print('fine')", "next"))
    assert lab.log("next") == "fine\n"
    crew_of(2)  # of another size
    assert not alive(processes(two)[0])
