"""A crew and its workers: their messages, and all ways in which a worker may end."""

import json
import os
import signal
import sys
import threading
import time

import pytest
from runtime.conftest import alive, ends, until

from autosegloss.runtime import close_crews, crew_of
from autosegloss.training.outcome import FAILURE, RESULT, Failure, Result

FAILURES = {
    "outcome = Failure('failed', 'ValueError: told to')": "ValueError: told to",
    "raise OSError('not caught')": "OSError: not caught",
    "sys.exit('enough')": "SystemExit: enough",
    "os._exit(3)": "the process of the training ended with exit code 3",
    "os.kill(os.getpid(), signal.SIGKILL)": "the process of the training was killed by SIGKILL",
    "import ctypes; ctypes.string_at(0)": "the process of the training was killed by SIGSEGV",
    "os.kill(os.getpid(), 40)": "the process of the training was killed by signal 40",
    "outcome = Failure('interrupted', 'after 1 step')": "the training was interrupted after 1 step",
    "raise KeyboardInterrupt": "the training was interrupted",
}


DONE = Result({}, {}, 0.0)


def failed(message: str) -> Failure:
    return Failure("failed", message)


@pytest.fixture
def no_crews():
    """This process has no crew, before and after."""
    close_crews()
    yield
    close_crews()


def test_trainings_run_in_the_same_process_and_each_has_a_log(lab):
    crew = lab.crew()
    for run in ("one", "two"):
        do = f"print('{run}', os.getpid()); os.system('echo a child'); print('late', end='')"
        crew.train(lab.request(do, run))
        # the log is whole when the training has ended
        assert lab.log(run).splitlines() == [f"{run} {crew.pids[0]}", "a child", "late"]
    assert crew.usable


@pytest.mark.parametrize(("do", "message"), FAILURES.items())
def test_a_failure_names_its_reason_is_written_and_ends_the_process(lab, do, message):
    crew = lab.crew()
    assert crew.train(lab.request("")) == DONE
    assert crew.train(lab.request(do), timeout=60) == failed(message)
    assert json.loads((lab.runs / "run" / FAILURE).read_text()) == {"kind": "failed", "message": message}
    assert not crew.usable
    assert not alive(crew.pids[0])


def test_a_process_that_needs_too_long_or_closes_its_pipe_is_ended(lab):
    slow, mute = lab.crew(), lab.crew(exit_seconds=0.2)
    assert slow.train(lab.request("time.sleep(60)"), timeout=0.5) == failed("no result after 0.5 seconds")
    closes = lab.request("time.sleep(0.3); os.closerange(3, 100); time.sleep(60)")
    assert mute.train(closes) == failed("the process of the training has closed its pipe")
    assert not any(map(alive, slow.pids + mute.pids))


@pytest.mark.parametrize("kind", ["diverged", "mistake"])
def test_a_process_that_diverges_or_meets_a_mistake_trains_on(lab, kind):
    crew = lab.crew()
    assert crew.train(lab.request(f"outcome = Failure('{kind}', 'why')")) == Failure(kind, "why")
    assert crew.usable
    crew.train(lab.request("print(os.getpid())", "next"))
    assert lab.log("next") == f"{crew.pids[0]}\n"


def test_all_end_where_one_does_and_the_ranks_are_named(lab):
    crew = lab.crew(2)
    crew.train(lab.request("print(os.environ['RANK'])"))
    assert [lab.log(rank=rank) for rank in (0, 1)] == ["0\n", "1\n"]
    dies = lab.request("os.kill(os.getpid(), 9) if os.environ['RANK'] == '1' else time.sleep(60)")
    assert crew.train(dies) == failed("rank 1: the process of the training was killed by SIGKILL")
    assert not any(map(alive, crew.pids))
    alone = lab.request("outcome = Failure('failed', 'no peer')")
    assert lab.crew(2).train(alone) == failed("rank 0: no peer; rank 1: no peer")


def test_the_cause_counts_before_the_ranks_that_lost_their_peer(lab):
    crew = lab.crew(2)
    diverges = "Failure('diverged', 'loss is nan') if os.environ['RANK'] == '1' else Failure('failed', 'no peer')"
    assert crew.train(lab.request(f"outcome = {diverges}")) == Failure("diverged", "loss is nan")
    assert not any(map(alive, crew.pids))


def test_a_run_of_which_a_rank_fails_late_has_no_result(lab):
    """Rank 0 has written its result by then."""
    write = f"os.makedirs(folder, exist_ok=True); open(os.path.join(folder, '{RESULT}'), 'w').close()"
    do = f"if os.environ['RANK'] == '0': {write}\nelse: time.sleep(1); outcome = Failure('failed', 'late')"
    assert lab.crew(2).train(lab.request(do)) == failed("rank 1: late")
    assert not (lab.runs / "run" / RESULT).exists()
    assert (lab.runs / "run" / FAILURE).exists()


def test_processes_that_train_together_start_afresh_for_other_devices(lab, monkeypatch):
    crew = lab.crew(2)
    seen = []
    for devices in ([0, 1], [0, 1], [2, 3]):
        crew.train(lab.request("", trainer={"devices": devices}))
        seen.append(crew.pids)
    assert seen[0] == seen[1]
    assert not set(seen[1]) & set(seen[2])
    assert not any(map(alive, seen[1]))
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    with pytest.raises(FileNotFoundError):
        crew.train(lab.request("", trainer={"devices": [0, 1]}))
    assert not crew.usable


def test_a_run_ends_with_its_search_and_leaves_the_folder_to_the_next(lab):
    crew, calls = lab.crew(), []

    def is_alive():
        calls.append(1)
        return len(calls) < 3

    ended = crew.train(lab.request("time.sleep(60)"), is_alive=is_alive)
    assert ended == failed("the search that launched this run has ended")
    assert not alive(crew.pids[0])
    assert not (lab.runs / "run" / FAILURE).exists()


def test_a_process_that_has_stopped_can_be_ended(lab):
    crew = lab.crew()
    crew.train(lab.request(""))
    os.kill(crew.pids[0], signal.SIGSTOP)
    assert crew.train(lab.request(""), timeout=0.3) == failed("no result after 0.3 seconds")
    assert not alive(crew.pids[0])


def test_a_death_is_noticed_at_once_and_the_children_of_the_dead_end(lab):
    do = "child = os.fork()\nif child: print(child); os.kill(os.getpid(), 9)\ntime.sleep(60)"
    start = time.monotonic()
    assert "was killed by SIGKILL" in lab.crew().train(lab.request(do)).message
    assert time.monotonic() - start < 30
    assert ends(int(lab.log()))


@pytest.mark.parametrize("console", [False, True])
def test_an_interrupt_ends_the_run_and_keeps_its_message(lab, monkeypatch, console):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a background shell makes us deaf to it
    crew = lab.crew(2)
    told = """
try:
    open(os.environ["RANK"], "w")
    time.sleep(60)
except KeyboardInterrupt:
    outcome = Failure("interrupted", "after 1")
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
    assert not any(map(alive, crew.pids))
    failure = json.loads((lab.runs / "run" / FAILURE).read_text())
    assert failure == {"kind": "interrupted", "message": "after 1" if console else ""}


def test_this_process_has_one_crew_and_a_new_one_in_place_of_one_that_ended(lab, no_crews):
    one = crew_of(1)
    assert crew_of(1) is one
    os.kill(one.pids[0], signal.SIGKILL)
    until(lambda: not one.usable)
    assert crew_of(1).train(lab.request("raise ValueError('told to')")) == failed("ValueError: told to")
    two = crew_of(1)
    two.train(lab.request("print('fine')", "next"))
    assert lab.log("next") == "fine\n"
    crew_of(2)  # of another size
    assert not alive(two.pids[0])
