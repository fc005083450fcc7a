"""Signals that a cluster sends to the first process of a training are handed on."""

import os
import signal
import threading

from autosegloss.runtime.relay import relayed


def test_signals_are_sent_on_and_the_handlers_come_back():
    sent = []
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGUSR1)
    with relayed(sent.append) as came:
        os.kill(os.getpid(), signal.SIGUSR1)
        assert came == {signal.SIGUSR1}
        os.kill(os.getpid(), signal.SIGTERM)
    assert sent == [signal.SIGUSR1, signal.SIGTERM]
    assert came == set(sent)
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGUSR1)) == before


def test_a_handler_of_the_user_stays():
    heard, sent = [], []
    before = signal.signal(signal.SIGUSR1, lambda *_: heard.append(1))
    try:
        with relayed(sent.append):
            os.kill(os.getpid(), signal.SIGUSR1)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert (heard, sent) == ([1], [])


def test_a_thread_relays_nothing():
    before, seen = signal.getsignal(signal.SIGTERM), []

    def look() -> None:
        with relayed(print):
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert seen == [before]
