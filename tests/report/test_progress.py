"""The display of progress in a terminal and in a log file, from many threads, on broken streams."""

import io
import sys
import threading

import pytest

from autosegloss.report import SearchProgress


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Broken(io.StringIO):
    def write(self, _):
        raise OSError("gone")


class BrokenTerminal(Broken):
    def isatty(self):
        return True


def run(progress, steps=2, samples=3):
    for step in range(1, steps + 1):
        progress.start_step(step)
        for index in range(samples):
            progress.trial_done(None if index == 0 else step / 10 + index / 100)
    progress.phase("comparison", 2)
    progress.trial_done()
    progress.trial_done(0.7)


def test_a_log_file_gets_one_plain_line_per_step():
    stream = io.StringIO()
    with SearchProgress(2, 3, stream) as progress:
        run(progress)
    lines = stream.getvalue().splitlines()
    assert [line.split(",")[:2] for line in lines] == [
        ["step 1/2: 3/3", " best 0.1200"],
        ["step 2/2: 3/3", " best 0.2200"],
        ["comparison: 2/2", " best 0.7000"],
    ]
    assert all("elapsed" in line and "left" in line for line in lines)
    assert "\x1b" not in stream.getvalue()
    assert "\r" not in stream.getvalue()


def test_a_long_step_reports_in_between():
    stream = io.StringIO()
    with SearchProgress(1, 4, stream, interval=0.0) as progress:
        progress.start_step(1)
        for _ in range(4):
            progress.trial_done(0.5)
    assert [line.split(",")[0] for line in stream.getvalue().splitlines()] == [
        f"step 1/1: {done}/4" for done in range(5)
    ]


def test_a_terminal_gets_a_live_bar(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    with SearchProgress(2, 3, stream) as progress:
        run(progress)
    assert "comparison" in stream.getvalue()
    assert "2/2" in stream.getvalue()
    assert "\x1b[" in stream.getvalue()


@pytest.mark.parametrize("kind", [io.StringIO, Terminal, Broken, BrokenTerminal])
@pytest.mark.parametrize("closed", [False, True])
def test_no_stream_can_stop_the_search(kind, closed):
    stream = kind()
    if closed:
        stream.close()
    with SearchProgress(2, 3, stream) as progress:
        run(progress)
    progress.trial_done(0.1)
    progress.close()


def test_a_stream_closed_on_the_way_and_no_stderr_at_all(monkeypatch):
    stream = Terminal()
    progress = SearchProgress(2, 3, stream)
    stream.close()
    run(progress)
    progress.close()
    monkeypatch.setattr(sys, "stderr", None)
    with SearchProgress(2, 3) as progress:
        run(progress)


def test_threads_lose_no_trial():
    stream = io.StringIO()
    with SearchProgress(1, 400, stream) as progress:
        progress.start_step(1)
        work = [threading.Thread(target=lambda: [progress.trial_done(0.5) for _ in range(50)]) for _ in range(8)]
        for thread in work:
            thread.start()
        for thread in work:
            thread.join()
    assert stream.getvalue().startswith("step 1/1: 400/400, best 0.5000")


def test_time_left_counts_only_what_was_timed(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("autosegloss.report.progress.time.monotonic", lambda: now[0])
    stream = io.StringIO()
    with SearchProgress(10, 2, stream) as progress:
        progress.start_step(6)  # ten trials were done before the search was resumed
        for _ in range(2):
            now[0] += 60.0
            progress.trial_done(0.5)
    assert stream.getvalue().splitlines()[-1] == "step 6/10: 2/2, best 0.5000, 0:02:00 elapsed, 0:08:00 left"


def test_a_phase_before_the_search_leaves_neither_its_best_nor_its_clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("autosegloss.report.progress.time.monotonic", lambda: now[0])
    stream = io.StringIO()
    with SearchProgress(2, 2, stream, interval=1e9) as progress:
        progress.phase("warm-up", 1)
        now[0] += 500.0
        progress.trial_done(0.9)
        for step in (1, 2):
            progress.start_step(step)
            for _ in range(2):
                now[0] += 60.0
                progress.trial_done(0.5)
    assert stream.getvalue().splitlines()[1:] == [
        "step 1/2: 2/2, best 0.5000, 0:02:00 elapsed, 0:02:00 left",
        "step 2/2: 2/2, best 0.5000, 0:04:00 elapsed, 0:00:00 left",
    ]
